//! run.py with little data: that each kind of measurement runs to its end with whatever servers there are. Its figures mean
//! nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether a test may go on without something, which it says then.
fn missing(what: &str) {
    assert!(std::env::var_os("LARDER_REQUIRE_TOOLS").is_none(), "{what}");
    eprintln!("skipped: {what}");
}

fn on_the_path(program: &str) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).map(|directory| directory.join(program)).find(|path| path.is_file())
}

#[test]
fn each_kind_of_measurement_runs_to_its_end() {
    let load = Path::new(env!("CARGO_BIN_EXE_larder-load"));
    let larderd = load.with_file_name("larderd");
    if !larderd.is_file() {
        missing("no larderd beside larder-load: cargo test --workspace builds both");
        return;
    }
    let Some(python) = on_the_path("python3") else {
        missing("no python3: apt-get install python3");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("run.py");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (json, report) = (directory.path().join("results.json"), directory.path().join("report"));
    // Not all of those that only differ in what they ask for, and not `bounds`, whose benchmark would be built for it.
    let measurements = "mix,incr,mget,ping,writes,background,disk,scaling,start,growth,shrinking";
    let mut command = Command::new(python);
    command.arg(script).args(["--quick", "--servers", "larder,redis,memcached", "--only", measurements]);
    command.arg("--larderd").arg(&larderd).arg("--load").arg(load);
    command.arg("--json").arg(&json).arg("--report").arg(&report);
    let done = command.stdin(Stdio::null()).output().expect("python3 can be started");
    let (table, progress) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}\n{table}\n{progress}", done.status);

    for name in [
        "9 GET : 1 SET, 1 M Zipf, pipeline 16",
        "INCR, 1,000 hot",
        "SET, pipeline 16, sustained",
        "GET from disk",
        "GET, quiet",
    ] {
        assert!(table.contains(&format!("\n| {name} | larder | ")), "no {name:?} in\n{table}");
    }
    for (program, server) in [("redis-server", "redis"), ("memcached", "memcached")] {
        let there = on_the_path(program).is_some();
        if !there {
            missing(&format!("no {program}: apt-get install {program}"));
        }
        assert_eq!(table.contains(&format!("| {server} |")), there, "{server}:\n{table}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(json).expect("it was written")).expect("it is JSON");
    let results = json["results"].as_array().expect("a list of results");
    let page = std::fs::read_to_string(report.join("report.html")).expect("it was written");
    for measurement in measurements.split(',') {
        let found = results.iter().filter(|result| result["measurement"] == measurement);
        assert!(found.clone().count() > 0, "nothing of {measurement}");
        for result in found {
            let rounds =
                result["rounds"]["larder"].as_array().unwrap_or_else(|| panic!("larder is not in {result}"));
            assert!(!rounds.is_empty(), "{result}");
            let figure = result["figure"].as_str().expect("a name");
            assert!(rounds.iter().all(|round| round[figure].is_number()), "{result}");
            assert!(rounds.iter().all(|round| round["answered"] != 0), "{result}");
        }
        let charts = std::fs::read_dir(&report).expect("it was written").filter_map(Result::ok);
        let chart = charts
            .map(|chart| chart.file_name())
            .find(|name| name.to_string_lossy().starts_with(measurement));
        assert!(
            chart.is_some_and(|name| name.to_string_lossy().ends_with(".svg")),
            "no chart of {measurement}"
        );
    }
    assert!(page.contains("<svg") && page.contains("INCR, 1,000 hot"), "{page:.300}");
}
