//! A connection's answers: writing them in the client's way.

use larder_protocol::{Dialect, FrameError, Reply, Request, Stat, Wire};

use super::{Connection, End, Never, io};
use crate::clients::{Client, Protocol};
use crate::error::CommandError;

impl Connection {
    pub(super) fn answer_error(&mut self, at: usize, error: &CommandError) {
        self.host.cache.count(Stat::CommandErrors, 1);
        self.answer(at, &Reply::error(self.host.error_text(error)));
    }

    pub(super) fn answer(&mut self, at: usize, reply: &Reply) {
        if self.client.wants_answer() {
            let wire = wire_of(self.requests.get(at, self.input.bytes()), &self.client);
            self.out.push(reply, wire);
        }
    }

    /// Answers a broken frame and ends the connection. Whoever does not speak to us at all gets no answer.
    pub(super) async fn refuse(&mut self, error: &FrameError) -> Result<Never, End> {
        self.host.cache.count(Stat::ProtocolErrors, 1);
        if !error.is_silent() {
            self.out.push(&Reply::error(format!("ERR {error}")), Wire::Resp2);
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
