//! A connection's answers: writing them in the client's way, messages between them, and what becomes of those whose
//! commit fails.

use larder_protocol::{Dialect, FrameError, Reply, Request, Stat, Wire, encode};

use super::{Connection, End, Never, io};
use crate::clients::{Client, Protocol};
use crate::error::CommandError;

/// What is moved at a time to the output of a client that misses messages where it is slow.
const PATIENT_OUTPUT_BYTES: usize = 64 << 10;

impl Connection {
    pub(super) fn answer_error(&mut self, at: usize, error: &CommandError) {
        self.host.cache.count(Stat::CommandErrors, 1);
        self.answer(at, &Reply::error(self.host.error_text(error)));
    }

    pub(super) fn answer(&mut self, at: usize, reply: &Reply) {
        if self.client.wants_answer() {
            let wire = wire_of(self.requests.get(at, self.input.bytes()), &self.client);
            encode(reply, wire, self.output.ready());
        }
    }

    /// Moves what messages there are, and fit, to the output.
    pub(super) fn take_mail(&mut self) {
        if !self.client.mailbox.is_empty() {
            let mut limit = self.output.all().output_limit(self.host.settings().output_limit_bytes);
            if self.client.is_patient() {
                // What has been moved to the output cannot be missed any more, however old it gets there.
                limit = limit.min(PATIENT_OUTPUT_BYTES);
            }
            self.client.mailbox.drain_to(self.output.ready(), limit);
            self.output.recount();
        }
    }

    /// Waits for the commit that answers in the output depend on.
    pub(super) async fn await_commit(&mut self) {
        if let Some(turn) = self.turn.take()
            && let Err(error) = turn.committed().await
        {
            self.replace_uncommitted(&error);
        }
        self.uncommitted.clear();
    }

    /// The commit failed: what depended on it is answered with the error, everything else as it stands.
    fn replace_uncommitted(&mut self, error: &CommandError) {
        let answered = std::mem::take(self.output.bytes_mut());
        let output = self.output.bytes_mut();
        let mut copied_to = 0;
        for (range, wire) in &self.uncommitted {
            self.host.cache.count(Stat::CommandErrors, 1);
            let reply = Reply::error(self.host.error_text(error));
            output.extend_from_slice(&answered[copied_to..range.start]);
            encode(&reply, *wire, output);
            copied_to = range.end;
        }
        output.extend_from_slice(&answered[copied_to..]);
    }

    /// Answers a broken frame and ends the connection. Whoever does not speak to us at all gets no answer.
    pub(super) async fn refuse(&mut self, error: &FrameError) -> Result<Never, End> {
        self.host.cache.count(Stat::ProtocolErrors, 1);
        if !error.is_silent() {
            encode(&Reply::error(format!("ERR {error}")), Wire::Resp2, self.output.ready());
        }
        self.send_all().await?;
        io::linger(&mut self.socket).await;
        Err(End::Closed)
    }
}

/// How the answer to `request` is written.
pub(super) fn wire_of(request: Request<'_>, client: &Client) -> Wire {
    match (request.dialect(), client.protocol.get()) {
        (Dialect::Line, _) => Wire::Line,
        (Dialect::Resp, Protocol::Resp2) => Wire::Resp2,
        (Dialect::Resp, Protocol::Resp3) => Wire::Resp3,
    }
}
