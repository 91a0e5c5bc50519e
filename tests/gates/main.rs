//! The reliability gates: what must never happen, looked for at length, on real daemons with real sockets and files.
//!
//! | module | what it shows | what `LARDER_GATE_COUNT` counts |
//! |---|---|---|
//! | [`kill`] | SIGKILL at random moments loses no answered write and brings nothing back | cycles |
//! | [`linear`] | reads and writes of many clients have an order that explains them, also across kills | calls |
//! | [`power`] | what a power cut costs, by durability; a control without syncs has to lose something | cuts |
//! | [`faults`] | system calls that fail lose nothing, damage nothing, hang nothing | fault points at most; 0 for all |
//! | [`full_disk`] | a full disk refuses writes, keeps what was answered, and is over when it is over | cycles |
//! | [`corruption`] | damaged files never make a wrong value or a start that fails | cases |
//! | [`expiry`] | nothing is served late or gone early, whatever the wall clock does | keys that expire together |
//! | [`size`] | disk, memory and logs stay within their bounds | seconds |
//! | [`model`] | random pipelines are answered as by a map in memory | commands |
//! | [`fuzz`] | parsers and decoders take anything | inputs of each target |
//! | [`abuse`] | malformed frames end nothing but their connection | frames |
//! | [`slow`] | clients that do not read cost a bounded amount of memory | seconds |
//! | [`hoard`] | what one user has the daemon keep is bounded, and leaves room for others | connections |
//! | [`crowd`] | very many connections, and too few file descriptors | connections |
//! | [`planted`] | each of the gates can fail: mistakes on purpose turn them red | |
//!
//! Each gate is a test. Without further ado it takes its short form, which is part of `cargo test --workspace`; the full
//! form is the same with a count, one gate at a time and optimised:
//!
//! ```sh
//! LARDER_GATE_COUNT=1000 LARDER_GATE_SEED=1 cargo test --release -p larderd --test gates kill::
//! ```
//!
//! Two have commands of their own for the full form: the comparison with redis-server, half a million commands in both versions of
//! the protocol, and the fuzzers, which see where an input goes:
//!
//! ```sh
//! python3 tests/differential/run.py --commands 250000 --seed 1
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz requests -- -dict=tests/fuzz/dictionary -max_total_time=1200
//! ```
//!
//! Each prints its seed, its counts and its failures in one line. `LEDGER.md` has the lines of full runs. `history` is the
//! linearizability checker, `report` what gates have in common, `util` the harness of the end-to-end tests.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

mod abuse;
mod corruption;
mod crowd;
mod expiry;
mod faults;
mod full_disk;
mod fuzz;
mod history;
mod hoard;
mod kill;
mod linear;
mod model;
mod planted;
mod power;
mod process;
mod report;
mod shim;
mod size;
mod slow;
mod space;
#[path = "../fuzz/targets.rs"]
mod targets;
#[path = "../e2e/util/mod.rs"]
mod util;
