//! larderd with the mistakes of `daemon/src/planted.rs` in it, under a name of its own, so that it never lies where the
//! real one is expected. Built by the gate `planted`.

#[path = "../../daemon/src/main.rs"]
mod larderd;

fn main() -> std::process::ExitCode {
    larderd::main()
}
