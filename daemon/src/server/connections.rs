//! The connections there are: who may connect, who is at the other end, and how they end together.
//!
//! Used by the server's loop alone.

use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use larder_protocol::{Reply, Stat, Wire, encode};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::listeners::unix_peer;
use crate::access::Role;
use crate::buffers::Buffers;
use crate::clients::{Client, Peer};
use crate::cmd::{self, Host};
use crate::conn::{self, Socket};
use crate::error::AccessError;
use crate::kept::Keeping;
use crate::warm;

/// How long connections may take to finish once the daemon is stopping.
const DRAIN: Duration = Duration::from_millis(1_500);

/// One part in so many of the connections there may be is not for those who have yet to give a password.
const STRANGERS_LEAVE: usize = 8;

/// Pause after the system refused a connection for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connections there are.
pub(super) struct Connections {
    host: Rc<Host>,
    buffers: Rc<Buffers>,
    keeping: Rc<Keeping>,
    /// What of both one user may have, for each user who is connected.
    users: HashMap<u32, (Weak<Buffers>, Weak<Keeping>)>,
    tracker: TaskTracker,
    stop: CancellationToken,
    last_id: u64,
    most: usize,
}

impl Connections {
    pub(super) fn new(host: Rc<Host>, most: usize) -> Self {
        let settings = host.settings();
        let budget_bytes = settings.buffer_budget_bytes;
        // One transaction of legal size can always be queued, where others keep nothing.
        let kept_bytes = budget_bytes.max(settings.frame_limits().request_bytes);
        Self {
            host,
            buffers: Rc::new(Buffers::new(budget_bytes)),
            keeping: Rc::new(Keeping::new(kept_bytes)),
            users: HashMap::new(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            last_id: 0,
            most,
        }
    }

    /// Serves a connection, or says why not.
    pub(super) async fn accepted(&mut self, accepted: std::io::Result<(Peer, Socket)>) {
        let (peer, socket) = match accepted {
            Ok(accepted) => accepted,
            // Those who have gone before they were looked at concern nobody.
            Err(error) if !is_want(&error) => {
                tracing::debug!("a connection ended before it began: {error}");
                return;
            }
            Err(error) => {
                // Mostly EMFILE. The client stays in the queue of the socket; trying again at once would only spin.
                tracing::error!(
                    "cannot accept a connection: {error}; raise the limit on open files (LimitNOFILE)"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return;
            }
        };
        let role = match self.admit(&peer) {
            Ok(role) => role,
            Err(error) => return self.reject(&socket, &error),
        };
        self.serve(peer, socket, role);
    }

    /// Has the file of commands in the settings run, if there is one, on a connection within this process.
    pub(super) fn warm(&mut self) -> Option<warm::Warming> {
        let (stream, warming) = warm::begin(self.host.settings())?;
        // Whoever may write the settings may write entries.
        self.serve(unix_peer(&stream), Socket::Unix(stream), Some(Role::Admin));
        Some(warming)
    }

    fn serve(&mut self, peer: Peer, socket: Socket, role: Option<Role>) {
        self.last_id += 1;
        let (buffers, keeping) = self.bounds_of(&peer);
        let client = Client::new(self.last_id, peer, self.host.cache.now_ms()).keeping(keeping);
        let client = Rc::new(client);
        client.role.set(role);
        let listed = Listed::new(Rc::clone(&self.host), Rc::clone(&client));
        let serve = conn::serve(socket, Rc::clone(&self.host), client, buffers, self.stop.clone());
        self.tracker.spawn_local(async move {
            let _listed = listed;
            serve.await;
        });
    }

    /// Decides, before anything is read, what a new client may do.
    ///
    /// # Errors
    /// Where it may not connect, or there are as many connections as there may be.
    fn admit(&self, peer: &Peer) -> Result<Option<Role>, AccessError> {
        let settings = self.host.settings();
        let limit = settings.max_connections.min(self.most);
        let role = self.host.role_at_first(peer)?;
        // Strangers do not get the last places.
        let places = if role.is_none() { limit - limit / STRANGERS_LEAVE } else { limit };
        if self.tracker.len() >= places {
            return Err(AccessError::TooManyClients { limit });
        }
        let limit = settings.max_user_connections;
        if limit > 0 && role != Some(Role::Admin) && self.host.clients.of_user(peer.uid) >= limit {
            let who = match peer.tcp {
                Some(_) => "those who come over TCP".to_owned(),
                None => format!("user {}", peer.uid),
            };
            return Err(AccessError::TooManyOfUser { who, limit });
        }
        Ok(role)
    }

    /// What a client's buffers, and what is kept for it, are part of: its user's.
    fn bounds_of(&mut self, peer: &Peer) -> (Rc<Buffers>, Rc<Keeping>) {
        let known = self.users.get(&peer.uid).and_then(|(buffers, keeping)| {
            // Whoever is connected has both.
            Some((buffers.upgrade()?, keeping.upgrade()?))
        });
        if let Some(bounds) = known {
            return bounds;
        }
        self.users.retain(|_, (buffers, _)| buffers.strong_count() > 0);
        let most = match self.host.settings().max_user_buffer_bytes {
            0 => usize::MAX,
            most => most,
        };
        let (buffers, keeping) = (Rc::new(self.buffers.within(most)), Rc::new(self.keeping.within(most)));
        self.users.insert(peer.uid, (Rc::downgrade(&buffers), Rc::downgrade(&keeping)));
        (buffers, keeping)
    }

    fn reject(&self, socket: &Socket, error: &AccessError) {
        self.host.cache.count(Stat::ConnectionsRejected, 1);
        let mut out = bytes::BytesMut::new();
        encode(&Reply::error(error.to_string()), Wire::Resp2, &mut out);
        // The socket is new and empty, so this fits; who has gone already does not care.
        let _ = socket.try_write(&out);
    }

    /// Lets connections finish what they have begun.
    pub(super) async fn drain(&self) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(DRAIN, self.tracker.wait()).await.is_err() {
            tracing::warn!("{} connections were cut off while stopping", self.tracker.len());
        }
    }
}

/// Lists and counts a connection for as long as it lives, and the ways it can end.
struct Listed {
    host: Rc<Host>,
    client: Rc<Client>,
}

impl Listed {
    fn new(host: Rc<Host>, client: Rc<Client>) -> Self {
        host.cache.count(Stat::Connections, 1);
        host.cache.count(Stat::ConnectionsTotal, 1);
        host.clients.add(&client);
        Self { host, client }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let Self { host, client } = self;
        cmd::leave(client, host);
        host.channels.leave(client);
        host.clients.remove(client.id);
        host.cache.uncount(Stat::Connections, 1);
        if std::thread::panicking() {
            // The panic's own message is on stderr already; the other connections go on.
            host.cache.count(Stat::ConnectionsFailed, 1);
        }
    }
}

/// Whether a connection could not be accepted for want of something that may be there again in a moment.
fn is_want(error: &std::io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|error| wants.iter().any(|want| want.raw_os_error() == error))
}
