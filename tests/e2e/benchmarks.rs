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

#[test]
fn the_comparison_with_redis_runs_to_its_end() {
    let Some(python) = tool("python3") else { return };
    if tool("redis-server").is_none() || tool("redis-benchmark").is_none() {
        return;
    }
    let mut command = Command::new(python);
    command.arg(repository("tests/bench/compare.py")).arg("--larderd").arg(binary());
    let table = succeeds(command.args(["--rounds", "1", "--seconds", "0.02"]).stdin(Stdio::null()));
    for workload in ["GET", "SET, pipeline 16", "INCR, pipeline 16"] {
        assert!(table.contains(&format!("| {workload} | ")), "{workload}:\n{table}");
    }
}
