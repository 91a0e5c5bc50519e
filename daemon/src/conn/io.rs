//! A connection's bytes: receiving into the input, sending the output by itself, and how long each may take.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use larder_protocol::{Reply, Stat, Wire};
use tokio::io::{AsyncRead as _, Interest, Ready};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::socket::Incoming;
use super::{Connection, End};
use crate::clients::Client;
use crate::clock::Stopwatch;
use crate::error::CommandError;

/// How long a client may be connected without having given a password that is asked for.
const PASSWORD_PATIENCE: Duration = Duration::from_secs(10);

/// What a client that misses messages instead of being disconnected may leave unread: more are answers, for which it has
/// to be as quick as others.
const PATIENT_UNREAD_BYTES: usize = 1 << 20;

/// What came of waiting for input.
enum Received {
    /// So many bytes more are in the input.
    Bytes(usize),
    /// Nothing yet, but some of the output may have been sent.
    Nothing,
    /// The client will send no more.
    Ended,
    /// The daemon is stopping.
    Stopping,
}

/// The daemon's wish to stop, as a connection waits for it.
pub(super) struct Stopping {
    token: CancellationToken,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether the task is known to be woken. One registration lasts for as long as the task: registering anew for each
    /// request cost 5 % of what a SET executes.
    registered: bool,
}

impl Stopping {
    pub(super) fn new(token: CancellationToken) -> Self {
        Self { cancelled: Box::pin(token.clone().cancelled_owned()), token, registered: false }
    }

    /// Whether the daemon is stopping. If not, the task will be woken once it is.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if self.registered {
            return self.token.is_cancelled();
        }
        self.registered = self.cancelled.as_mut().poll(context).is_pending();
        !self.registered
    }
}

/// What is left of the time that a client has for its password, where it has yet to give one.
struct Patience(Option<Duration>);

impl Patience {
    /// Ends the connection where the time is up before `what` is done. Also where there is always something to do at once.
    async fn bound<T>(self, what: impl Future<Output = Result<T, End>>) -> Result<T, End> {
        const UP: End = End::Stalled("no password");
        match self.0 {
            None => what.await,
            Some(Duration::ZERO) => Err(UP),
            Some(left) => tokio::time::timeout(left, what).await.unwrap_or(Err(UP)),
        }
    }
}

impl Connection {
    /// Waits for more input, and meanwhile sends what is left to send: a client that sends a long pipeline before it reads
    /// the first answer must not find both sides waiting for each other.
    pub(super) async fn receive(&mut self, stopping: &mut Stopping) -> Result<(), End> {
        let patience = self.password_patience();
        let Some(left) = self.input.lease_left() else {
            return patience.bound(self.receive_some(stopping)).await;
        };
        // However slowly it comes, and whatever else the client does or leaves undone.
        match tokio::time::timeout(left, patience.bound(self.receive_some(stopping))).await {
            Ok(received) => received,
            Err(_) => self.give_way().await,
        }
    }

    /// How long the client may go on without the password that is asked for, whatever it sends, reads or leaves undone: a
    /// password is given at once, or the place is somebody else's.
    fn password_patience(&self) -> Patience {
        if self.client.role.get().is_some() {
            return Patience(None);
        }
        let there_ms = self.host.cache.now_ms().saturating_sub(self.client.connected_ms).max(0);
        Patience(Some(PASSWORD_PATIENCE.saturating_sub(Duration::from_millis(there_ms as u64))))
    }

    async fn receive_some(&mut self, stopping: &mut Stopping) -> Result<(), End> {
        loop {
            if self.client.is_killed() {
                return Err(End::Closed);
            }
            self.out.take_mail();
            if self.out.is_full() {
                self.send_all().await?;
            } else if self.out.holds_mail_up() {
                self.send_some().await?;
            }
            let received = if self.out.needs_sending() {
                self.send_or_receive().await?
            } else {
                self.receive_only(stopping).await?
            };
            let last_words = match received {
                Received::Bytes(bytes) => {
                    self.host.cache.count(Stat::InputBytes, bytes as u64);
                    let received = &self.client.input_bytes;
                    received.set(received.get() + bytes as u64);
                    self.received = Stopwatch::start();
                    self.out.unsent().received(self.received);
                    self.just_received = true;
                    self.client.active_ms.set(self.host.cache.clock().ms_at(self.received));
                    return Ok(());
                }
                Received::Nothing => continue,
                Received::Ended if self.listens() => return self.only_send(stopping).await,
                Received::Ended => CommandError::HalfRequest,
                Received::Stopping => CommandError::Stopping,
            };
            if self.parser.mid_request() {
                self.out.push(&Reply::error(last_words.to_string()), Wire::Resp2);
            }
            // Who sends no more may still read: `nc -N` and socat close their sending side first.
            self.send_all().await?;
            return Err(End::Closed);
        }
    }

    /// Waits for input while there is nothing to send, or nothing before a commit. Idle connections hold no buffers meanwhile.
    async fn receive_only(&mut self, stopping: &mut Stopping) -> Result<Received, End> {
        let mid_request = self.parser.mid_request();
        let (socket, input, client, out) = (&mut self.socket, &mut self.input, &self.client, &self.out);
        // Polled by hand: a future of `readable` enters and leaves a list of waiters for each request.
        let mut received = std::pin::pin!(poll_fn(|context| {
            if stopping.poll(context) {
                return Poll::Ready(Ok(Received::Stopping));
            }
            if !client.mailbox.is_empty() || client.is_killed() || out.needs_sending() {
                return Poll::Ready(Ok(Received::Nothing));
            }
            if !mid_request {
                ready!(socket.poll_read_ready(context))?;
            }
            // One system call, and none to find out that no more is there: a short read tells tokio so.
            let read = tokio_util::io::poll_read_buf(Pin::new(&mut *socket), context, input.ready());
            read.map_ok(Received::of)
        }));
        let settings = self.host.settings();
        let patience = if mid_request {
            Some((settings.half_request_timeout, "half a request"))
        } else if client.subscriptions.borrow().is_empty() {
            settings.idle_timeout.map(|patience| (patience, "no request"))
        } else {
            None
        };
        let received: std::io::Result<Received> = match patience {
            Some((patience, what)) => match tokio::time::timeout(patience, received.as_mut()).await {
                Ok(received) => received,
                Err(_) => return Err(End::Stalled(what)),
            },
            None => received.await,
        };
        received.map_err(|_| End::Closed)
    }

    /// Waits until the client takes or sends something, while there is something to send.
    async fn send_or_receive(&mut self) -> Result<Received, End> {
        let ready = self.wait_for(Interest::READABLE | Interest::WRITABLE).await?;
        if ready.is_writable() {
            self.send_some().await?;
        }
        if !ready.is_readable() {
            return Ok(Received::Nothing);
        }
        match self.socket.try_read_buf(self.input.ready()) {
            Ok(bytes) => Ok(Received::of(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(_) => Err(End::Closed),
        }
    }

    /// Whether the client is subscribed to something, and not in the middle of a request.
    fn listens(&self) -> bool {
        !self.parser.mid_request() && !self.client.subscriptions.borrow().is_empty()
    }

    /// Sends messages to a subscriber that will send nothing more, such as `printf 'SUBSCRIBE c\n' | socat`, until it has
    /// closed the other direction as well.
    async fn only_send(&mut self, stopping: &mut Stopping) -> Result<(), End> {
        /// How often to look whether it has: nothing tells when a direction is closed in which nothing is sent.
        const LOOK: Duration = Duration::from_secs(1);
        loop {
            self.out.take_mail();
            self.send_all().await?;
            let client = &self.client;
            let mail = poll_fn(|context| {
                let done = stopping.poll(context) || client.is_killed();
                if done || !client.mailbox.is_empty() { Poll::Ready(done) } else { Poll::Pending }
            });
            let done = tokio::time::timeout(LOOK, mail).await.unwrap_or(false);
            if done || self.wait_for(Interest::WRITABLE).await?.is_write_closed() {
                return Err(End::Closed);
            }
        }
    }

    /// Sends what the client takes at once of the output, after the commits it depends on.
    pub(super) async fn send_some(&mut self) -> Result<(), End> {
        self.out.committed().await;
        self.out.send()
    }

    /// Sends the whole output, for as long as the client takes some of it now and then.
    pub(super) async fn send_all(&mut self) -> Result<(), End> {
        let patience = self.password_patience();
        let Some(left) = self.input.lease_left() else {
            return patience.bound(self.send_the_rest()).await;
        };
        match tokio::time::timeout(left, patience.bound(self.send_the_rest())).await {
            Ok(sent) => sent,
            Err(_) => self.give_way().await,
        }
    }

    /// Ends a connection whose request keeps the place beyond the budget from others for too long.
    #[cold]
    async fn give_way(&mut self) -> Result<(), End> {
        let error = CommandError::TooSlow { limit_bytes: self.host.settings().buffer_budget_bytes };
        self.out.push(&Reply::error(error.to_string()), Wire::Resp2);
        // As much as the client takes at once.
        self.send_some().await?;
        Err(End::Stalled("the one request beyond buffer_budget"))
    }

    async fn send_the_rest(&mut self) -> Result<(), End> {
        loop {
            self.send_some().await?;
            if self.out.bytes() == 0 {
                return Ok(());
            }
            self.wait_for(Interest::WRITABLE).await?;
        }
    }

    /// Waits for the client while there is something to send.
    pub(super) async fn wait_for(&mut self, interest: Interest) -> Result<Ready, End> {
        let mut ready = std::pin::pin!(self.socket.ready(interest));
        let ready = poll_fn(|context| {
            if self.client.is_killed() {
                return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
            }
            ready.as_mut().poll(context)
        });
        if self.client.is_patient() && self.out.bytes() <= PATIENT_UNREAD_BYTES {
            return ready.await.map_err(|_| End::Closed);
        }
        match tokio::time::timeout(self.host.settings().output_stall, ready).await {
            Ok(Ok(ready)) => Ok(ready),
            Ok(Err(_)) => Err(End::Closed),
            Err(_) => Err(End::Stalled("answers that are not read")),
        }
    }

    /// Makes room for what is still to come of a request, as far as that is known.
    pub(super) async fn make_room(&mut self, want: usize) -> Result<(), End> {
        self.client.unparsed.set(self.input.bytes().len());
        if self.input.bytes().is_empty() {
            self.input.give_back();
            return Ok(());
        }
        let patience = self.host.settings().half_request_timeout;
        if self.input.grow(want, patience).await {
            return Ok(());
        }
        let error = CommandError::NoBuffers { limit_bytes: self.host.settings().buffer_budget_bytes };
        self.out.push(&Reply::error(error.to_string()), Wire::Resp2);
        self.send_all().await?;
        Err(End::Closed)
    }
}

impl Received {
    fn of(bytes: usize) -> Self {
        if bytes == 0 { Self::Ended } else { Self::Bytes(bytes) }
    }
}

/// Has `client` wake this task, which is the connection's for as long as it lives.
pub(super) async fn attach(client: &Client) {
    poll_fn(|context| {
        client.attach(context.waker());
        Poll::Ready(())
    })
    .await;
}

/// Reads and throws away what the client still sends, for a moment: closing with unread input would make the system
/// discard the answer on its way.
pub(super) async fn linger(socket: &mut Incoming) {
    const LINGER: Duration = Duration::from_millis(200);
    const LINGER_BYTES_MAX: usize = 1 << 20;
    let mut scratch = [0; 4_096];
    let mut rest = LINGER_BYTES_MAX;
    let drained = async {
        while rest > 0 {
            let mut buffer = tokio::io::ReadBuf::new(&mut scratch);
            let read = poll_fn(|context| Pin::new(&mut *socket).poll_read(context, &mut buffer));
            if read.await.is_err() || buffer.filled().is_empty() {
                return;
            }
            rest = rest.saturating_sub(buffer.filled().len());
        }
    };
    let _ = tokio::time::timeout(LINGER, drained).await;
}
