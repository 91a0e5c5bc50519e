//! Who may connect, and as what: the roles, and how the user and group at the other end of a socket decide on one.
//!
//! Used by the server for each new connection, before its first byte is read, and again where a reload changes the lists.
//! What each role may run is `cmd/permission.rs`'s business. A leaf: reads no socket, and never asks the system who belongs
//! to a group (the lists of the settings were resolved when they were read, see [`names`]).
//!
//! The process id of a peer is never part of a decision: it may have gone to another process by now.

pub mod names;
pub mod password;

use names::{Groups, Users};

/// What a client may do. Each role may do what the one before may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look, and listen.
    ReadOnly,
    /// Read and write entries.
    #[default]
    Normal,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: &[Self] = &[Self::ReadOnly, Self::Normal, Self::Admin];

    /// Its name in settings and lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Normal => "normal",
            Self::Admin => "admin",
        }
    }
}

/// The lists that decide, as the settings have them.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// Administrators.
    pub admin: (&'a Users, &'a Groups),
    /// Who may only look.
    pub read_only: (&'a Users, &'a Groups),
    /// Who may connect at all besides; where both are empty, everyone the socket's mode lets in.
    pub allowed: (&'a Users, &'a Groups),
}

impl Lists<'_> {
    /// The role of a peer with this user and primary group, or none if it may not connect. `own` is the daemon's user.
    ///
    /// The daemon's own user and root are administrators whatever the lists say: they can read and replace the data anyway.
    /// A list of users goes before every list of groups, so that an exception can be made for one member of a group. Among
    /// lists of one kind the more powerful role goes first.
    #[must_use]
    pub fn role(&self, uid: u32, gid: u32, own: u32) -> Option<Role> {
        if uid == 0 || uid == own {
            return Some(Role::Admin);
        }
        let lists =
            [(Role::Admin, self.admin), (Role::ReadOnly, self.read_only), (Role::Normal, self.allowed)];
        let by_user = lists.iter().find(|(_, (users, _))| users.has(uid));
        let by_group = || lists.iter().find(|(_, (_, groups))| groups.has(uid, gid));
        match by_user.or_else(by_group) {
            Some((role, _)) => Some(*role),
            None => (self.allowed.0.is_empty() && self.allowed.1.is_empty()).then_some(Role::Normal),
        }
    }
}

/// Whether two secrets are the same. How long it takes does not tell how much of them is.
#[must_use]
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    // Digests have one length, and what is learned of where they differ is of no use.
    let digest = |secret: &[u8]| sha1_smol::Sha1::from(secret).digest().bytes();
    let differing = digest(a).iter().zip(digest(b)).fold(0, |differing, (a, b)| differing | (a ^ b));
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 990;

    fn users(list: &str) -> Users {
        list.parse().unwrap()
    }

    fn groups(list: &str) -> Groups {
        list.parse().unwrap()
    }

    #[test]
    fn the_lists_decide_users_first_and_the_powerful_first() {
        let none = (Users::default(), Groups::default());
        let open =
            Lists { admin: (&none.0, &none.1), read_only: (&none.0, &none.1), allowed: (&none.0, &none.1) };
        for (uid, role) in [(0, Role::Admin), (OWN, Role::Admin), (1_000, Role::Normal)] {
            assert_eq!(open.role(uid, uid, OWN), Some(role), "{uid}");
        }

        let admin = (users("1001"), groups("50"));
        let read_only = (users("1002, 1003"), groups("50,60"));
        let allowed = (users("1003,1004"), groups("70"));
        let lists = Lists {
            admin: (&admin.0, &admin.1),
            read_only: (&read_only.0, &read_only.1),
            allowed: (&allowed.0, &allowed.1),
        };
        for (uid, gid, role) in [
            (1_001, 1_001, Some(Role::Admin)),
            (1_002, 1_002, Some(Role::ReadOnly)),
            // A user's list goes before a group's.
            (1_002, 50, Some(Role::ReadOnly)),
            (1_004, 50, Some(Role::Normal)),
            // Of two lists of users, or of groups, the more powerful role.
            (1_003, 1_003, Some(Role::ReadOnly)),
            (2_000, 50, Some(Role::Admin)),
            (2_000, 60, Some(Role::ReadOnly)),
            (2_000, 70, Some(Role::Normal)),
            // Who is in no list may not connect once there is one of those who may.
            (2_000, 2_000, None),
            // Nothing locks these out.
            (0, 0, Some(Role::Admin)),
            (OWN, OWN, Some(Role::Admin)),
        ] {
            assert_eq!(lists.role(uid, gid, OWN), role, "{uid}:{gid}");
        }
    }

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same_secret(b"secret", b"secret") && same_secret(b"", b""));
        for other in [&b"secre"[..], b"secret ", b"Secret", b""] {
            assert!(!same_secret(b"secret", other));
        }
    }
}
