//! Users and groups as settings have them: by name or number, in a list. The only module that asks the system for them.
//!
//! Names are resolved when a setting is read, at start and at each reload: a name that nobody has is then an error with
//! its line, and no connection ever waits for a directory service. So a change of the members of a group counts from the
//! next reload. What the kernel tells of a peer is its user and its primary group; that a process has a group besides
//! (a service's `SupplementaryGroups=`) is not seen.

use std::fmt;
use std::str::FromStr;

use nix::unistd;

/// A user or a group, with the name or number it was given by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    shown: String,
    /// Its number.
    pub id: u32,
}

/// A list of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(Vec<Named>);

/// A list of groups, with those who belong to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    groups: Vec<Named>,
    member_uids: Vec<u32>,
}

impl Named {
    /// The user of that name or number.
    ///
    /// # Errors
    /// Where there is no such user.
    pub fn user(word: &str) -> Result<Self, String> {
        let id = match number(word) {
            Some(id) => id,
            None => found(unistd::User::from_name(word), "user", word)?.uid.as_raw(),
        };
        Ok(Self { id, shown: word.to_owned() })
    }

    /// The group of that name or number.
    ///
    /// # Errors
    /// Where there is no such group.
    pub fn group(word: &str) -> Result<Self, String> {
        let id = match number(word) {
            Some(id) => id,
            None => found(unistd::Group::from_name(word), "group", word)?.gid.as_raw(),
        };
        Ok(Self { id, shown: word.to_owned() })
    }
}

impl Users {
    /// Whether the user is in it.
    #[must_use]
    pub fn has(&self, uid: u32) -> bool {
        self.0.iter().any(|user| user.id == uid)
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Groups {
    /// Whether a user, whose primary group is `gid`, belongs to one of them.
    #[must_use]
    pub fn has(&self, uid: u32, gid: u32) -> bool {
        self.groups.iter().any(|group| group.id == gid) || self.member_uids.contains(&uid)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl FromStr for Users {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        words(list)?.map(Named::user).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Groups {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut listed = Self::default();
        for word in words(list)? {
            let (looked_up, id) = match number(word) {
                Some(id) => (unistd::Group::from_gid(id.into()), Some(id)),
                None => (unistd::Group::from_name(word), None),
            };
            // A number need not have a name.
            let group = match (looked_up, id) {
                (Ok(None), Some(_)) => None,
                (looked_up, _) => Some(found(looked_up, "group", word)?),
            };
            let id = group.as_ref().map_or(id, |group| Some(group.gid.as_raw())).unwrap_or_default();
            listed.groups.push(Named { shown: word.to_owned(), id });
            for name in group.into_iter().flat_map(|group| group.mem) {
                // A member that is no user (any more) can be nobody's; one that cannot be looked up may be somebody's.
                match unistd::User::from_name(&name) {
                    Ok(user) => listed.member_uids.extend(user.map(|user| user.uid.as_raw())),
                    Err(error) => {
                        return Err(format!("cannot look up '{name}', a member of '{word}': {error}"));
                    }
                }
            }
        }
        Ok(listed)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.groups, f)
    }
}

fn show(list: &[Named], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, named) in list.iter().enumerate() {
        write!(f, "{}{named}", if at > 0 { "," } else { "" })?;
    }
    Ok(())
}

/// The names in a list. One that is not empty and names nobody is a slip, and would let everybody in.
fn words(list: &str) -> Result<impl Iterator<Item = &str>, String> {
    let mut words = list.split([',', ' ']).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() && !list.is_empty() {
        return Err("a list without a name; leave it empty for nobody".to_owned());
    }
    Ok(words)
}

fn number(word: &str) -> Option<u32> {
    // The largest stands for "no such" in system calls.
    word.parse().ok().filter(|id| *id != u32::MAX)
}

fn found<T>(asked: nix::Result<Option<T>>, what: &str, word: &str) -> Result<T, String> {
    match asked {
        Ok(Some(found)) => Ok(found),
        Ok(None) => {
            Err(format!("no {what} is called '{word}' on this machine; use a name that is, or a number"))
        }
        Err(error) => Err(format!("cannot look up the {what} '{word}': {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_taken_and_shown_as_given() {
        let users: Users = "root, 65000  7".parse().unwrap();
        assert!(users.has(0) && users.has(65_000) && users.has(7) && !users.has(8));
        assert_eq!(users.to_string(), "root,65000,7");
        assert!("".parse::<Users>().unwrap().is_empty());
        for nobody in [",", " ", " , "] {
            assert!(nobody.parse::<Users>().unwrap_err().contains("without a name"));
            assert!(nobody.parse::<Groups>().is_err());
        }
        let groups: Groups = "root,12345".parse().unwrap();
        assert!(groups.has(99, 12_345) && groups.has(99, 0) && !groups.has(99, 99));
        assert_eq!(groups.to_string(), "root,12345");
    }

    #[test]
    fn what_nobody_is_called_is_an_error_that_names_it() {
        for (error, what) in [
            ("root,no-such-one".parse::<Users>().unwrap_err(), "no user is called 'no-such-one'"),
            ("no-such-one".parse::<Groups>().unwrap_err(), "no group is called 'no-such-one'"),
            ("4294967295".parse::<Users>().unwrap_err(), "no user is called '4294967295'"),
        ] {
            assert!(error.contains(what), "{error}");
        }
    }

    /// Every user of this machine who is listed as a member of a group is found through it.
    #[test]
    fn members_of_a_group_belong_to_it_whatever_their_primary_group() {
        let listed = std::fs::read_to_string("/etc/group").unwrap_or_default();
        for line in listed.lines() {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, gid, members] = fields[..] else { continue };
            let Ok(groups) = name.parse::<Groups>() else { continue };
            for member in members.split(',').filter(|member| !member.is_empty()) {
                if let Ok(Some(user)) = unistd::User::from_name(member) {
                    assert!(groups.has(user.uid.as_raw(), u32::MAX), "{member} in {name}");
                }
            }
            assert!(groups.has(u32::MAX, gid.parse().unwrap()));
        }
    }
}
