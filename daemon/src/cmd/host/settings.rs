//! Changing the settings while the daemon serves: a reload takes over what was read again, CONFIG SET what a client wants, and
//! CONFIG REWRITE writes that into the file.

use std::rc::Rc;

use larder_protocol::stream::{Event, EventKind};

use super::Host;
use crate::access::password;
use crate::config::{Reloaded, Settings, rewrite, table};
use crate::error::SettingError;

impl Host {
    /// Settings are going to be read, for [`reload`](Self::reload): what clients set from now on counts for more.
    pub fn begin_reload(&self) {
        self.changed_meanwhile.borrow_mut().clear();
    }

    /// Takes over those of `fresh`, as just read, that may change while the daemon runs.
    ///
    /// # Errors
    /// Where the file with the password is wrong; nothing has changed then.
    pub fn reload(&self, mut fresh: Settings) -> Result<Reloaded, String> {
        let set = self.changed_meanwhile.borrow().clone();
        for setting in set.iter().filter_map(|name| table::find(name)) {
            setting.kind.copy(&self.settings(), &mut fresh);
        }
        let reloaded = self.take_over(&fresh, true)?;
        self.changed.replace(set);
        Ok(reloaded)
    }

    /// Takes over those of `fresh`, as a client wants them, that may change while the daemon runs.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    pub fn set(&self, fresh: &Settings) -> Result<Reloaded, String> {
        let reloaded = self.take_over(fresh, false)?;
        for changed in [&self.changed, &self.changed_meanwhile] {
            changed.borrow_mut().extend(&reloaded.changed);
        }
        if !reloaded.changed.is_empty() {
            let event =
                Event { kind: EventKind::Reload, detail: reloaded.changed.join(", "), ..Event::default() };
            self.cache.events().add(self.cache.now_ms(), event);
        }
        Ok(reloaded)
    }

    /// Writes what clients have set into the settings file.
    ///
    /// # Errors
    /// Where there is no such file, or it cannot be written.
    pub fn rewrite_settings(&self) -> Result<(), SettingError> {
        let path = self.settings_file.as_ref().ok_or(SettingError::NoFile)?;
        let changed: Vec<_> = self.changed.borrow().iter().filter_map(|name| table::find(name)).collect();
        rewrite(path, &changed, &self.settings()).map_err(|error| SettingError::Rewrite(error.to_string()))
    }

    /// `anew` where the file with the password may have changed, though its name has not.
    fn take_over(&self, fresh: &Settings, anew: bool) -> Result<Reloaded, String> {
        let mut settings = (*self.settings()).clone();
        let password_file = settings.password_file.clone();
        let reloaded = settings.reload(fresh);
        // The address stays until a restart, and so does what it needs.
        if let Some(problem) = settings.open_to_strangers() {
            return Err(problem);
        }
        if anew || settings.password_file != password_file {
            self.read_password(&settings)?;
        }
        self.cache.apply(&settings);
        if let Some(log) = &self.log {
            log.set_level(settings.log_level);
            log.set_format(settings.log_format);
        }
        self.settings.replace(Rc::new(settings));
        self.judge_clients();
        Ok(reloaded)
    }

    /// Reads the password anew, where there is to be one.
    ///
    /// # Errors
    /// Where its file is wrong; the one before stays.
    pub fn read_password(&self, settings: &Settings) -> Result<(), String> {
        let password = settings.password_file.as_deref().map(password::read).transpose();
        self.password.replace(password.map_err(|why| format!("password_file {why}"))?);
        Ok(())
    }

    /// Gives every client the role that it has by the settings now, and ends those that may not be here any more.
    fn judge_clients(&self) {
        let tcp_role = self.settings().tcp_role;
        for client in self.clients.all() {
            match self.role_at_first(&client.peer) {
                Err(_) => client.kill(),
                // Who is in, by a password or before there was one, stays in.
                Ok(role) if client.peer.tcp.is_some() => {
                    client.role.set(client.role.get().or(role).map(|_| tcp_role));
                }
                Ok(role) => client.role.set(role),
            }
        }
    }
}
