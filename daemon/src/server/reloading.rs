//! Reading the settings again while the daemon serves, and taking over what may change.
//!
//! Used by the server's loop, which goes on meanwhile: names of users and groups may have to be asked of a directory service.
//! One reading is under way at a time, so that what was read last is what counts. What CONFIG SET changes during one stays.

use std::pin::Pin;
use std::sync::Arc;

use larder_protocol::stream::EventKind;

use super::tell;
use crate::aside::Aside;
use crate::cmd::Host;
use crate::config::{ConfigError, Reloaded, Settings};

/// How settings are read.
type Reread = dyn Fn() -> Result<Settings, ConfigError> + Send + Sync;

/// A reading under way.
type Reading = Pin<Box<dyn Future<Output = Result<Settings, String>>>>;

/// The settings as they can be read again.
pub struct Reloading {
    reread: Arc<Reread>,
    aside: Aside,
    under_way: Option<Reading>,
    /// Whether they are wanted anew since the reading under way began: it may have read what was there before.
    again: bool,
}

impl Reloading {
    /// By reading them like this, from wherever they came.
    pub fn by(reread: impl Fn() -> Result<Settings, ConfigError> + Send + Sync + 'static) -> Self {
        Self { reread: Arc::new(reread), aside: Aside::default(), under_way: None, again: false }
    }

    /// Has them read, now or right after the reading under way.
    pub(super) fn begin(&mut self, host: &Host) {
        if self.under_way.is_some() {
            self.again = true;
            return;
        }
        host.begin_reload();
        let (reread, aside) = (Arc::clone(&self.reread), self.aside.clone());
        self.under_way =
            Some(Box::pin(
                async move { aside.run(move || reread()).await?.map_err(|error| error.to_string()) },
            ));
    }

    /// What was read, or what is wrong with it; never, where nothing is being read.
    pub(super) async fn read(&mut self) -> Result<Settings, String> {
        let Some(reading) = &mut self.under_way else { return std::future::pending().await };
        let fresh = reading.await;
        self.under_way = None;
        fresh
    }

    /// Reads them again, where that was wanted meanwhile.
    pub(super) fn go_on(&mut self, host: &Host) {
        if std::mem::take(&mut self.again) {
            self.begin(host);
        }
    }
}

/// Takes over what may change, and says in one line what came of it. Settings that cannot be read or make no sense leave
/// everything as it was.
pub(super) fn reload(host: &Host, fresh: Result<Settings, String>) -> String {
    let Reloaded { changed, need_restart } = match fresh.and_then(|fresh| host.reload(fresh)) {
        Ok(reloaded) => reloaded,
        Err(error) => {
            for problem in error.lines() {
                tracing::error!("the settings stay as they are: {problem}");
            }
            return "The settings stay as they are: the new ones are wrong, see the log".to_owned();
        }
    };
    tell(host, EventKind::Reload, &changed.join(", "));
    let list = |names: &[&str]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let outcome = format!("changed: {}; waiting for a restart: {}", list(&changed), list(&need_restart));
    tracing::info!("settings reloaded, {outcome}");
    format!("Settings reloaded, {outcome}")
}
