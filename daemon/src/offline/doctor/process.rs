//! The daemon's process, and how many files it may open.

use super::{Finding, Patient};
use crate::config::Settings;
use crate::limits_fd;

pub(super) fn look(settings: &Settings, patient: Patient) -> Vec<Finding> {
    let place = settings.data.display();
    let (files, whose) = match patient.pid {
        Some(pid) => (limits_fd::of_process(pid, settings.max_connections), "process"),
        None => (Some(limits_fd::look(settings.max_connections)), "shell"),
    };
    let running = match patient.pid {
        Some(pid) => Finding::fine("daemon", format!("process {pid} has {place}")),
        None => Finding::fine("daemon", format!("none has {place}")),
    };
    let limit = files.map(|files| {
        if let Some(warning) = files.warning() {
            let advice = "the unit of systemd has the limit it needs; elsewhere see limits.conf(5)";
            return Finding::odd("open files", format!("{warning} (in this {whose})"), advice);
        }
        let connections = files.connections().min(settings.max_connections);
        Finding::fine("open files", format!("enough for {connections} connections in this {whose}"))
    });
    [Some(running), limit].into_iter().flatten().collect()
}
