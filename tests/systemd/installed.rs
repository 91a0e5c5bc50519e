//! Installing: what root had before, directories for packages, what the pages say of it, and a user's own units.

use std::fs;

use super::machine::{Machine, SOURCE};
use crate::util::{missing, repository, tool};

#[test]
fn what_root_tried_before_is_the_services_afterwards() {
    let Some(machine) = Machine::boot() else { return };
    machine.put_source();
    let tried = "echo SET greeting hello | /opt/larder/target/release/larderd import";
    machine.succeeds(&["sh", "-c", tried]);
    assert_eq!(machine.succeeds(&["stat", "--format", "%U", "/var/lib/larder/larder.db"]).trim(), "root");
    machine.install();
    machine.client().check("GET greeting", "=hello");

    // Where somebody gives only a part of it away again, that is said, and what to do.
    machine.succeeds(&["systemctl", "stop", "larderd.service"]);
    machine.succeeds(&["chown", "root", "/var/lib/larder/larder.lock"]);
    assert!(!machine.run(&["systemctl", "start", "larderd.service"]).status.success());
    let why = "/var/lib/larder/larder.lock belongs to user 0 and not to user ";
    assert!(machine.log().contains(why), "{}", machine.log());
    let doctor = machine.run(&["/usr/local/bin/larderd", "doctor"]).stdout;
    assert!(doctor.contains("larder.lock belongs to root"), "{doctor}");
    machine.script(&[]);
    machine.client().check("GET greeting", "=hello");
}

/// With DESTDIR, nothing is started and nothing outside is touched.
#[test]
fn the_installer_fills_a_directory_for_packages_too() {
    let Some(machine) = Machine::boot() else { return };
    machine.put_source();
    let said = machine.succeeds(&[
        "env",
        "DESTDIR=/tmp/image",
        "sh",
        "/opt/larder/systemd/install.sh",
        "--prefix",
        "/usr",
    ]);
    assert!(said.contains("nothing was started"), "{said}");
    let unit = machine.read("/tmp/image/usr/lib/systemd/system/larderd.service");
    assert!(unit.contains("ExecStart=/usr/bin/larderd\n"), "{unit}");
    for file in
        ["usr/bin/larder-top", "usr/lib/sysusers.d/larder.conf", "usr/share/man/man8/larderd.8", "etc/larder"]
    {
        assert!(machine.path(&format!("/tmp/image/{file}")).exists(), "{file}");
    }
    assert!(
        fs::read_dir(machine.path("/usr/local/bin"))
            .unwrap()
            .flatten()
            .all(|entry| { !entry.file_name().to_string_lossy().contains("larder") })
    );
    machine.succeeds(&[
        "env",
        "DESTDIR=/tmp/image",
        "sh",
        "/opt/larder/systemd/install.sh",
        "--uninstall",
        "--prefix",
        "/usr",
    ]);
    assert_eq!(machine.succeeds(&["find", "/tmp/image", "-type", "f"]), "");
}

/// The blocks that are marked `sh service`, of README.md and then of systemd/README.md, in order, as root of a machine.
#[test]
fn what_the_pages_say_of_the_service_is_what_happens() {
    for name in ["nc", "man", "systemd-analyze"] {
        if tool(name).is_none() {
            return;
        }
    }
    let Some(machine) = Machine::boot() else { return };
    machine.put_source();
    let mut printed = Vec::new();
    for page in ["README.md", "systemd/README.md"] {
        let text = fs::read_to_string(repository(page)).unwrap();
        for block in text.split("```sh service\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let script = format!("cd {SOURCE}\n{block}");
            printed.push(machine.succeeds(&["bash", "-e", "-c", &script]));
            if block.contains("www-data") {
                let groups = machine.read("/etc/group");
                assert!(
                    groups.lines().any(|line| line.starts_with("larder:") && line.ends_with("www-data")),
                    "{groups}"
                );
            }
        }
    }
    let said = printed.join("\0").to_lowercase();
    let mut rest = said.as_str();
    for expected in [
        "larder is installed and listens on",
        "+world",
        "active: active (running)",
        "status: \"serving",
        "nothing is wrong",
        "larderd(8)",
        "slow_command = \"20ms\"",
        "today.db: ",
        "\nsound\n",
        // From the backup, and on the other disk.
        "+world",
        "+world",
        "overall exposure level for larderd.service: 0.4",
        "uninstalled",
    ] {
        let (_, after) = rest.split_once(expected).unwrap_or_else(|| panic!("no {expected:?} in\n{rest}"));
        rest = after;
    }
    for place in ["/var/lib/larder", "/srv/cache", "/etc/larder", "/usr/local/bin/larderd"] {
        assert!(!machine.path(place).exists(), "{place}");
    }
}

/// Units of a user, run by that user's own manager.
#[test]
fn a_user_has_a_daemon_of_their_own() {
    if tool("nc").is_none() {
        return;
    }
    let Some(machine) = Machine::boot() else { return };
    if !machine.path("/lib/systemd/systemd-logind").exists() || !machine.path("/usr/bin/dbus-daemon").exists()
    {
        return missing("logind and D-Bus", "apt-get install libpam-systemd dbus");
    }
    machine.put_source();
    machine.succeeds(&["useradd", "--create-home", "ann"]);
    machine.succeeds(&["systemctl", "start", "dbus", "systemd-logind"]);
    machine.succeeds(&["loginctl", "enable-linger", "ann"]);
    let uid = machine.succeeds(&["id", "--user", "ann"]).trim().to_owned();
    machine.wait_for(&format!("user@{uid}.service"), "ActiveState", |state| state == "active");
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
    let ann = |words: &[&str]| {
        let mut all = vec!["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups"];
        all.extend(["env", "HOME=/home/ann", &runtime]);
        all.extend(words);
        machine.succeeds(&all)
    };
    let installer = ["sh", "/opt/larder/systemd/install.sh", "--user"];
    let said = ann(&installer);
    let socket = format!("/run/user/{uid}/larder/larder.sock");
    assert!(said.contains(&format!("listens on {socket}")), "{said}");
    assert!(said.contains("\\nQUIT\\n' | nc -U"), "the line to try is one line: {said}");
    let script = format!("printf 'SET k v\\nGET k\\nQUIT\\n' | nc -U {socket}");
    assert_eq!(ann(&["sh", "-c", &script]).replace('\r', ""), "+OK\n+v\n+OK\n");
    let modes = ann(&["stat", "--format", "%a %U", &socket, "/home/ann/.local/state/larder"]);
    assert_eq!(modes, "600 ann\n700 ann\n");
    ann(&["systemctl", "--user", "reload", "larderd"]);
    let found = ann(&["/home/ann/.local/bin/larderd", "doctor"]);
    assert!(found.contains("larderd.service is active") && found.ends_with("nothing is wrong\n"), "{found}");
    ann(&["sh", "/opt/larder/systemd/install.sh", "--user", "--uninstall"]);
    let left = ann(&["find", "/home/ann", "-iname", "*larder*", "-not", "-path", "/home/ann/.local/state/*"]);
    assert_eq!(left, "");
    assert!(machine.path("/home/ann/.local/state/larder/larder.db").exists());
}
