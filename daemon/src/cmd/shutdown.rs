//! `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE]`: ends the daemon as SIGTERM does. Everything answered is kept either way, so the
//! options change nothing.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::{Class, Client, Group, Host, Keys, Run, Spec};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "shutdown",
    usage: "[NOSAVE | SAVE] [NOW] [FORCE]",
    arity: -1,
    class: Class::Admin,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Ends the daemon; what was answered is kept",
    run: Run::Local(run),
};

fn run(request: Request<'_>, client: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    const OPTIONS: [&str; 4] = ["nosave", "save", "now", "force"];
    let known = |word: &[u8]| OPTIONS.iter().any(|option| word.eq_ignore_ascii_case(option.as_bytes()));
    if !request.args().all(known) {
        return Err(CommandError::Syntax);
    }
    tracing::info!("client {} asks to stop", client.id);
    host.clients.ask_to_stop();
    // The connection ends without an answer, as in Redis.
    client.quit.set(true);
    Ok(Reply::None)
}
