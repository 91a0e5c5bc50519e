//! `larder-top`, the dashboard, is not built yet: this binary says so and shows what works meanwhile.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("larder-top: the dashboard is not part of this version.");
    eprintln!("Meanwhile: printf 'STATS\\n' | nc -U -q 1 \"$XDG_RUNTIME_DIR/larder/larder.sock\"");
    ExitCode::FAILURE
}
