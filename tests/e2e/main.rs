//! End-to-end tests: every one starts the built `larderd` in a directory of its own and talks to its socket.
//!
//! Where a test goes:
//!
//! | module | subject |
//! |---|---|
//! | [`basics`] | what each command answers, in both dialects. A new command: one file in `transcripts/` |
//! | [`restart`] | what survives SIGTERM and SIGKILL |
//! | [`tcp`] | the TCP listener and its password |
//! | [`tiers`] | memory tier on, off and tiny: same answers, never an older value |
//! | [`preload`] | what was in memory before a restart is there again |
//! | [`walks`] | KEYS, SCAN and DELPAT over all tiers, under load, and over many keys |
//! | [`transactions`] | MULTI, EXEC and WATCH, also through SIGKILL |
//! | [`pubsub`] | messages between clients |
//! | [`notifications`] | keyspace notifications, told as redis-server tells them |
//! | [`stream`] | what SUBSCRIBE to larder's own channels gives |
//! | [`access`] | who may connect and do what: users and groups, limits of one user |
//! | [`admin`] | clients looking after clients and the daemon: CLIENT, SLOWLOG, CONFIG, INFO, SHUTDOWN |
//! | [`expiry`] | deadlines, clean-up, and what STATS says about them |
//! | [`disk_cap`] | the size on disk and in memory, and what goes first |
//! | [`upkeep`] | room given back, compression, bounded logs, when data is forced to disk |
//! | [`corruption`] | damaged files, found at the start and while running |
//! | [`offline`] | looking after the data without a daemon: check, compact, export, import |
//! | [`warm`] | files of commands, sent to a daemon or run at its start |
//! | [`backup`] | backups, offline and of a daemon that serves |
//! | [`full_disk`] | no room on the disk, and room again |
//! | [`abuse`] | bad input, bad clients, too many of them |
//! | [`waiting`] | a slow directory service or disk holds up nobody else |
//! | [`delivery`] | answers arrive whole and in order |
//! | [`limits`] | what one client or request can take, and no more |
//! | [`running`] | starting, stopping, configuration, directories, two daemons on one data directory |
//! | [`version`] | what `--version` says, and where a build has it from |
//! | [`clients`] | nc, socat, redis-cli, redis-benchmark, redis-py |
//! | [`differential`] | random commands, answered as redis-server answers them |
//! | [`readme`] | what can be pasted from README.md and STATISTICS.md, run as it stands there |
//! | [`documents`] | all pages: what is pasted is run, what is named exists, every file is on the map, every error explained |
//! | [`packages`] | real data: `tests/packages.py` on a sample of the machine's package list |
//! | [`architecture`] | house rules: who may name what, and how long a file may get |
//! | [`systemd`] | as a service: in `tests/systemd/`, with a systemd of its own where that is possible |
//! | [`util`] | the harness: daemon, client, optional tools, waiting |
//!
//! Tests that want a program which is not part of Rust look for it and say `skipped: needs ...` where it is
//! missing; with `LARDER_REQUIRE_TOOLS=1` a missing program is a failure. Nothing here sleeps for a fixed time or
//! listens on a fixed port: what has to happen is polled for, with a deadline that only bounds a hang.
//! `LARDER_TEST_BINARY=/usr/bin/larderd` runs the same tests against an installed daemon.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

mod abuse;
mod access;
mod admin;
mod architecture;
mod backup;
mod basics;
mod clients;
mod corruption;
mod delivery;
mod differential;
mod disk_cap;
mod documents;
mod expiry;
mod full_disk;
mod limits;
mod notifications;
mod offline;
mod packages;
mod preload;
mod pubsub;
mod readme;
mod restart;
mod running;
mod stream;
#[path = "../systemd/mod.rs"]
mod systemd;
mod tcp;
mod tiers;
mod transactions;
mod upkeep;
mod util;
mod version;
mod waiting;
mod walks;
mod warm;
