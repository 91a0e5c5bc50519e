//! Random commands to larder and to redis-server, compared reply by reply: a small run of `tests/differential/run.py`.

use std::process::{Command, Stdio};

use crate::util::{binary, repository, succeeds, tool};

/// Both versions of the protocol; the same commands every time, so that a failure can be looked into.
#[test]
fn random_commands_are_answered_as_by_redis() {
    let (Some(python), Some(redis)) = (tool("python3"), tool("redis-server")) else { return };
    let mut command = Command::new(python);
    command.arg(repository("tests/differential/run.py")).args(["--commands", "15000", "--seed", "1"]);
    command.arg("--larderd").arg(binary()).arg("--redis-server").arg(redis);
    let output = succeeds(command.stdin(Stdio::null()));
    assert!(output.contains("no difference outside known.txt"), "{output}");
    // That much was compared, and not for want of commands.
    for protocol in ["RESP2: 15", "RESP3: 15"] {
        assert!(output.contains(protocol), "{output}");
    }
}
