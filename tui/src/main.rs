//! `larder-top`, the dashboard.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_top::run::main()
}
