//! larderd as a service: what it tells a service manager, its units, its installer, its package.
//!
//! | module | subject |
//! |---|---|
//! | [`notify`] | readiness, status, reload, watchdog and stop, as a manager hears them; socket activation |
//! | [`units`] | the unit files and the installer's script, as far as they can be judged without running them |
//! | [`service`] | installed, started, reloaded, killed and stopped by a real systemd |
//! | [`restarts`] | restarts under load |
//! | [`package`] | the Debian package |
//! | [`machine`] | systemd as the first process of namespaces of its own |
//!
//! The tests on a machine want root, and a Linux on which it may make namespaces; elsewhere they say so and are skipped.

mod installed;
mod machine;
mod notify;
mod package;
mod restarts;
mod service;
mod units;
