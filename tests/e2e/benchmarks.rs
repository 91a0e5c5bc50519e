//! The benchmarks of `tests/bench/`, with little data: that they run to their end, whatever they measure.

use std::process::{Command, Stdio};

use crate::util::{binary, repository, succeeds, tool};

#[test]
fn the_storage_benchmark_runs_to_its_end() {
    let Some(python) = tool("python3") else { return };
    // Without these it leaves out what needs them.
    let redis = tool("redis-server").is_some();
    let load = tool("redis-benchmark").is_some();
    let mut command = Command::new(python);
    command.arg(repository("tests/bench/storage.py")).arg("--larderd").arg(binary()).arg("--quick");
    let table = succeeds(command.stdin(Stdio::null()));
    for (measurement, expected) in [
        ("sets", redis && load),
        ("sustained", redis && load),
        ("latency", true),
        ("disk_reads", load),
        ("start", load),
        ("memory", true),
        ("disk", true),
    ] {
        assert_eq!(table.contains(&format!("\n| {measurement} |")), expected, "{measurement}:\n{table}");
    }
}
