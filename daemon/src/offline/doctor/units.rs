//! What systemd says about the units, where it runs this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Finding, Patient};

const WHAT: &str = "units";

const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,StatusText";

pub(super) fn look(patient: Patient) -> Vec<Finding> {
    if !Path::new("/run/systemd/system").is_dir() {
        return vec![Finding::fine(WHAT, "systemd does not run this machine")];
    }
    let of_user = !rustix::process::geteuid().is_root();
    let name = patient.pid.and_then(unit_of).unwrap_or_else(|| "larderd".to_owned());
    let (service, socket) = (format!("{name}.service"), format!("{name}.socket"));
    let mut systemctl = Command::new("systemctl");
    if of_user {
        systemctl.arg("--user");
    }
    systemctl.args(["show", "--no-pager", "--property", PROPERTIES, &service, &socket]);
    let said = match systemctl.stdin(Stdio::null()).output() {
        Ok(said) if said.status.success() => String::from_utf8_lossy(&said.stdout).into_owned(),
        Ok(said) => {
            let text = format!("systemctl says: {}", String::from_utf8_lossy(&said.stderr).trim());
            return vec![Finding::odd(WHAT, text, "ask it yourself: systemctl status larderd")];
        }
        Err(error) => {
            return vec![Finding::odd(WHAT, format!("systemctl cannot be run: {error}"), "look at PATH")];
        }
    };
    let command = if of_user { "systemctl --user" } else { "systemctl" };
    judge(&parse(&said), command, &service, &socket)
}

/// The unit that process `pid` belongs to, without `.service`.
fn unit_of(pid: u32) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let units = groups.lines().filter_map(|line| line.rsplit('/').next()?.strip_suffix(".service"));
    units.filter(|unit| unit.starts_with("larderd")).map(str::to_owned).next()
}

type Unit = BTreeMap<String, String>;

/// Blocks of `Name=value`, one a unit, by their `Id`.
fn parse(said: &str) -> BTreeMap<String, Unit> {
    let units = said.split("\n\n").map(|block| {
        let pairs = block.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Unit>()
    });
    units.filter_map(|unit| Some((unit.get("Id")?.clone(), unit))).collect()
}

fn judge(units: &BTreeMap<String, Unit>, command: &str, service: &str, socket: &str) -> Vec<Finding> {
    let get = |unit: &str, name: &str| {
        units.get(unit).and_then(|unit| unit.get(name)).map_or("", String::as_str).to_owned()
    };
    if get(service, "LoadState") != "loaded" {
        return vec![Finding::fine(WHAT, format!("{service} is not installed; systemd/install.sh does it"))];
    }
    let state = |unit: &str| {
        let boot = get(unit, "UnitFileState");
        format!("{unit} is {} ({}, {boot})", get(unit, "ActiveState"), get(unit, "SubState"))
    };
    let mut findings = Vec::new();
    let log = format!("journalctl --unit {service} --lines 20");
    if get(service, "ActiveState") == "failed" {
        let text = format!("{}: {}", state(service), get(service, "Result"));
        findings.push(Finding::wrong(
            WHAT,
            text,
            format!("{log}; then {command} restart {socket} {service}"),
        ));
    } else {
        let status = get(service, "StatusText");
        let status = if status.is_empty() { String::new() } else { format!(": {status}") };
        findings.push(Finding::fine(WHAT, format!("{}{status}", state(service))));
    }
    if get(socket, "LoadState") == "loaded" {
        let wrong = get(socket, "ActiveState") != "active";
        findings.push(if wrong {
            Finding::wrong(WHAT, state(socket), format!("{command} enable --now {socket}"))
        } else {
            Finding::fine(WHAT, state(socket))
        });
    }
    let restarts = get(service, "NRestarts").parse().unwrap_or(0);
    if restarts > 0 {
        let times = if restarts == 1 { "once".to_owned() } else { format!("{restarts} times") };
        let text = format!("{service} was restarted {times} after failures");
        findings.push(Finding::odd(WHAT, text, log));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::doctor::Verdict;

    fn verdicts(said: &str) -> Vec<Verdict> {
        let findings = judge(&parse(said), "systemctl", "larderd.service", "larderd.socket");
        findings.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn units_are_judged_by_what_systemd_says() {
        let socket = "Id=larderd.socket\nLoadState=loaded\nActiveState=active\nSubState=listening\n";
        let waiting =
            "NRestarts=0\nId=larderd.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n";
        assert_eq!(verdicts(&format!("{waiting}\n{socket}")), [Verdict::Fine, Verdict::Fine]);
        let failed = waiting.replace("inactive", "failed").replace("NRestarts=0", "NRestarts=3");
        let expected = [Verdict::Wrong, Verdict::Fine, Verdict::Odd];
        assert_eq!(verdicts(&format!("{failed}\n{socket}")), expected);
        let stopped = socket.replace("=active", "=inactive");
        assert_eq!(verdicts(&format!("{waiting}\n{stopped}")), [Verdict::Fine, Verdict::Wrong]);
        assert_eq!(verdicts("Id=larderd.service\nLoadState=not-found\n"), [Verdict::Fine]);
    }
}
