//! What the scripts that larder knows do, on its own: each is one step, as a script is in Redis.

use bytes::Bytes;
use larder_protocol::Reply;

use crate::cache::{Stop, View};
use crate::cmd::args::{Base, Expiry, Unit, integer, required_integer};
use crate::entry::{Deadline, Entry};
use crate::error::CommandError;

/// A script's arguments, and the cache.
pub(super) struct Call<'a, 'v> {
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) args: Vec<&'a [u8]>,
    pub(super) view: &'a mut View<'v>,
}

/// What a script does.
pub(super) type Native = fn(&mut Call<'_, '_>) -> Result<Reply, Stop>;

impl Call<'_, '_> {
    fn key(&self, at: usize) -> Result<&[u8], CommandError> {
        self.keys.get(at).copied().ok_or(CommandError::ScriptArguments)
    }

    fn arg(&self, at: usize) -> Result<&[u8], CommandError> {
        self.args.get(at).copied().ok_or(CommandError::ScriptArguments)
    }

    fn number(&self, at: usize) -> Result<i64, CommandError> {
        required_integer(self.arg(at)?)
    }

    fn entry(&mut self, at: usize) -> Result<Option<Entry>, Stop> {
        let key = self.keys.get(at).copied().ok_or(CommandError::ScriptArguments)?;
        self.view.find(key)
    }

    /// The entries of all keys.
    fn entries(&mut self) -> Result<Vec<Option<Entry>>, Stop> {
        self.view.need(self.keys.iter().copied())?;
        (0..self.keys.len()).map(|at| self.entry(at)).collect()
    }

    /// Stores an entry, as `by` does: those who are told of changes are told which command of the script it was.
    fn put(&mut self, by: &'static str, at: usize, value: impl Into<Bytes>, deadline: Deadline) {
        self.view.name_command(by);
        self.view.put(self.keys[at], value.into(), deadline);
    }

    fn delete(&mut self, at: usize) {
        self.view.name_command("del");
        self.view.delete(self.keys[at]);
    }

    /// Stores what a counter has come to, and has it expire where its window `begins`.
    fn count(&mut self, sum: i64, deadline: Deadline, begins: bool) {
        self.put("incrby", 0, sum.to_string(), deadline);
        if begins {
            self.view.tell_stored("expire", self.keys[0], deadline);
        }
    }

    /// The entry of the first key, if its value is the argument at `at`: that of a lock's owner.
    fn owned(&mut self, at: usize) -> Result<Option<Entry>, Stop> {
        let entry = self.entry(0)?;
        let owner = self.arg(at)?;
        Ok(entry.filter(|entry| entry.value == *owner))
    }

    /// As PTTL has it: -1 without a deadline, -2 where there is no entry.
    fn ttl_ms(&self, entry: Option<&Entry>) -> i64 {
        entry
            .map_or(-2, |entry| entry.deadline.unix_ms().map_or(-1, |deadline| deadline - self.view.now_ms()))
    }

    /// In so many milliseconds, as SET has it.
    fn in_ms(&self, ms: i64) -> Result<Deadline, CommandError> {
        Expiry::new(ms, Unit::Milliseconds, Base::Now).deadline(self.view.now_ms(), "set")
    }

    /// As [`in_ms`](Self::in_ms), in seconds.
    fn in_s(&self, seconds: i64) -> Result<Deadline, CommandError> {
        Expiry::new(seconds, Unit::Seconds, Base::Now).deadline(self.view.now_ms(), "set")
    }

    /// Has the first key expire in so many milliseconds, which may be none: then it is deleted.
    fn expire(&mut self, entry: Entry, ms: i64) -> Result<(), CommandError> {
        let expiry = Expiry::new(ms, Unit::Milliseconds, Base::Now);
        let deadline = expiry.deadline_or_past(self.view.now_ms(), "pexpire")?;
        self.put("expire", 0, entry.value, deadline);
        Ok(())
    }

    /// The first key's value plus `by`, which is not stored yet, and its deadline.
    fn sum(&mut self, by: i64) -> Result<(i64, Deadline), Stop> {
        let (value, deadline) = match self.entry(0)? {
            Some(entry) => (integer(&entry.value).ok_or(CommandError::NotAnInteger)?, entry.deadline),
            None => (0, self.view.default_deadline()),
        };
        Ok((value.checked_add(by).ok_or(CommandError::Overflow)?, deadline))
    }
}

fn yes(done: bool) -> Reply {
    Reply::Int(i64::from(done))
}

/// Deletes the key if its value is the owner's: releases a lock.
pub(super) fn delete_if_equal(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let owned = call.owned(0)?.is_some();
    if owned {
        call.delete(0);
    }
    Ok(yes(owned))
}

/// Gives the key a TTL in milliseconds if its value is the owner's.
pub(super) fn expire_if_equal(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let Some(entry) = call.owned(0)? else { return Ok(Reply::Int(0)) };
    let ms = call.number(1)?;
    call.expire(entry, ms)?;
    Ok(Reply::Int(1))
}

/// As [`expire_if_equal`], in seconds; no TTL where they are not positive.
pub(super) fn expire_or_persist_if_equal(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let Some(entry) = call.owned(0)? else { return Ok(Reply::Int(0)) };
    let seconds = call.number(1)?;
    if seconds > 0 {
        call.expire(entry, seconds.saturating_mul(1_000))?;
    } else if entry.deadline != Deadline::NEVER {
        call.put("persist", 0, entry.value, Deadline::NEVER);
    }
    Ok(Reply::Int(1))
}

/// Lengthens the TTL of a key whose value is the owner's, or replaces it.
pub(super) fn extend_if_equal(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let Some(entry) = call.owned(0)? else { return Ok(Reply::Int(0)) };
    let left_ms = call.ttl_ms(Some(&entry));
    if left_ms < 0 {
        return Ok(Reply::Int(0));
    }
    let ms = call.number(1)?;
    let ms = if call.arg(2)? == b"0" { ms.saturating_add(left_ms) } else { ms };
    call.expire(entry, ms)?;
    Ok(Reply::Int(1))
}

/// The milliseconds left to a key whose value is the owner's, else 0.
pub(super) fn left_if_equal(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let owned = call.owned(0)?;
    Ok(Reply::Int(call.ttl_ms(owned.as_ref()).max(0)))
}

/// Stores a value, with a TTL if there are two arguments more, where the old one is as expected.
pub(super) fn set_if_equal(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let Some(_) = call.owned(1)? else { return Ok(Reply::Int(0)) };
    let deadline = if call.args.len() == 4 {
        let (unit, base) = Expiry::option(call.arg(2)?).ok_or(CommandError::Syntax)?;
        Expiry::new(call.number(3)?, unit, base).deadline(call.view.now_ms(), "set")?
    } else {
        call.view.default_deadline()
    };
    let value = Bytes::copy_from_slice(call.arg(0)?);
    call.put("set", 0, value, deadline);
    Ok(Reply::OK)
}

/// Stores a value with a TTL in seconds where there is none.
pub(super) fn add(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    if call.entry(0)?.is_some() {
        return Ok(Reply::Nil);
    }
    let deadline = call.in_s(call.number(1)?)?;
    let value = Bytes::copy_from_slice(call.arg(0)?);
    call.put("set", 0, value, deadline);
    Ok(Reply::OK)
}

/// Adds to a counter.
pub(super) fn increment(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let (sum, deadline) = call.sum(call.number(0)?)?;
    call.count(sum, deadline, false);
    Ok(Reply::Int(sum))
}

/// Adds to a counter that is there.
pub(super) fn increment_if_present(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    if call.entry(0)?.is_none() { Ok(Reply::Nil) } else { increment(call) }
}

/// A counter of a fixed window: amount and milliseconds. Where it comes to 1 the window begins.
pub(super) fn count_in_window_ms(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let (sum, deadline) = call.sum(call.number(0)?)?;
    let begins = sum == 1;
    let deadline = if begins { call.in_ms(call.number(1)?)? } else { deadline };
    call.count(sum, deadline, begins);
    Ok(Reply::Int(sum))
}

/// A counter of a fixed window: seconds and amount. Where it comes to the amount the window begins.
pub(super) fn count_in_window_s(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let amount = call.number(1)?;
    let (sum, deadline) = call.sum(amount)?;
    let begins = sum == amount;
    let deadline = if begins { call.in_s(call.number(0)?)? } else { deadline };
    call.count(sum, deadline, begins);
    Ok(Reply::Int(sum))
}

/// A counter that always has a TTL in seconds: what it comes to, and the milliseconds left.
pub(super) fn count_with_ttl(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let deadline = call.in_s(call.number(1)?)?;
    let entry = call.entry(0)?;
    let (sum, kept) = call.sum(call.number(0)?)?;
    let forever = entry.is_some() && kept == Deadline::NEVER;
    let deadline = if entry.is_some() && !forever { kept } else { deadline };
    if entry.is_none() {
        call.view.tell_stored("set", call.keys[0], deadline);
    }
    call.count(sum, deadline, forever);
    let left_ms = deadline.unix_ms().map_or(-1, |deadline| deadline - call.view.now_ms());
    Ok(Reply::array([sum, left_ms]))
}

/// Hits in a window of so many milliseconds, which begins anew where none is running: how many, and the milliseconds left.
pub(super) fn hit_in_window(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let entry = call.entry(0)?;
    let left_ms = call.ttl_ms(entry.as_ref());
    if left_ms <= 0 {
        let window_ms = call.number(0)?;
        let deadline = call.in_ms(window_ms)?;
        call.put("set", 0, "1", deadline);
        return Ok(Reply::array([1, window_ms]));
    }
    let (sum, deadline) = call.sum(1)?;
    call.count(sum, deadline, false);
    Ok(Reply::array([sum, left_ms]))
}

/// Value and milliseconds left.
pub(super) fn value_and_left(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let entry = call.entry(0)?;
    let left_ms = call.ttl_ms(entry.as_ref());
    Ok(Reply::Array(vec![entry.map(|entry| entry.value).into(), Reply::Int(left_ms)]))
}

/// Stores a number where there is none or a smaller one: the number, or nothing.
pub(super) fn raise(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let current = call.entry(0)?.and_then(|entry| integer(&entry.value));
    let next = call.number(0)?;
    if current.is_some_and(|current| current >= next) {
        return Ok(Reply::Nil);
    }
    let deadline = call.view.default_deadline();
    call.put("set", 0, next.to_string(), deadline);
    Ok(Reply::Int(next))
}

/// Locks several keys together, all or none: how many. The owner is the argument at `OWNER`, the milliseconds follow.
pub(super) fn lock_all<const OWNER: usize>(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    if call.entries()?.iter().any(Option::is_some) {
        return Ok(Reply::Int(0));
    }
    set_all(call, OWNER)
}

/// Renews the locks of several keys together, all or none.
pub(super) fn extend_all<const OWNER: usize>(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let entries = call.entries()?;
    let owner = call.arg(OWNER)?;
    if !entries.iter().all(|entry| entry.as_ref().is_some_and(|entry| entry.value == *owner)) {
        return Ok(Reply::Int(0));
    }
    set_all(call, OWNER)
}

fn set_all(call: &mut Call<'_, '_>, owner: usize) -> Result<Reply, Stop> {
    let value = Bytes::copy_from_slice(call.arg(owner)?);
    let deadline = call.in_ms(call.number(owner + 1)?)?;
    for at in 0..call.keys.len() {
        call.put("set", at, value.clone(), deadline);
    }
    Ok(Reply::int(call.keys.len()))
}

/// Releases those locks of several keys that are the owner's: how many.
pub(super) fn unlock_all<const OWNER: usize>(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let entries = call.entries()?;
    let owner = call.arg(OWNER)?.to_vec();
    let mut released = 0;
    for (at, entry) in entries.into_iter().enumerate() {
        if entry.is_some_and(|entry| entry.value == *owner) {
            call.delete(at);
            released += 1;
        }
    }
    Ok(Reply::int(released))
}

/// Takes the first free one of several places: the limiter's name with the place's number, or nothing.
pub(super) fn take_place(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let Some(at) = call.entries()?.iter().position(Option::is_none) else { return Ok(Reply::Nil) };
    let deadline = call.in_s(call.number(1)?)?;
    let id = Bytes::copy_from_slice(call.arg(2)?);
    let place = [call.arg(0)?, (at + 1).to_string().as_bytes()].concat();
    call.put("set", at, id, deadline);
    Ok(Reply::bulk(place))
}

/// How many of the keys are there.
pub(super) fn count_present(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    Ok(Reply::int(call.entries()?.iter().flatten().count()))
}

/// Two windows that follow each other: the counter of the one before is the first key, that of this one the second.
struct Windows {
    previous: Option<Entry>,
    current: Option<Entry>,
    /// Whether this one had ended and became the one before.
    shifted: bool,
}

impl Windows {
    /// A current counter lives for two windows; in its second it is the one before, and a new one begins.
    fn of(call: &mut Call<'_, '_>, window_ms: i64) -> Result<Self, Stop> {
        call.key(1)?;
        let mut entries = call.entries()?.into_iter();
        let (previous, current) = (entries.next().flatten(), entries.next().flatten());
        let left_ms = call.ttl_ms(current.as_ref());
        if !(1..window_ms).contains(&left_ms) {
            return Ok(Self { previous, current, shifted: false });
        }
        let deadline = call.in_ms(left_ms.saturating_add(window_ms))?;
        let next = Entry { value: Bytes::from_static(b"0"), deadline };
        Ok(Self { previous: current, current: Some(next), shifted: true })
    }

    fn store_shift(&self, call: &mut Call<'_, '_>) {
        if self.shifted
            && let (Some(previous), Some(current)) = (&self.previous, &self.current)
        {
            call.view.tell_deleted("rename", call.keys[1]);
            call.put("rename", 0, previous.value.clone(), previous.deadline);
            call.put("set", 1, current.value.clone(), current.deadline);
        }
    }
}

fn window_ms(seconds: i64) -> Result<i64, CommandError> {
    seconds.checked_mul(1_000).filter(|ms| *ms > 0).ok_or(CommandError::InvalidExpireTime("set"))
}

/// Takes an amount off the limit of a sliding window, the one before counted for the part that it overlaps: 1, or nothing
/// where there is not so much left. Limit, seconds, amount.
pub(super) fn hit_sliding_window(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let (limit, window_ms, amount) = (call.number(0)?, window_ms(call.number(1)?)?, call.number(2)?);
    if amount > limit {
        return Ok(Reply::Nil);
    }
    let windows = Windows::of(call, window_ms)?;
    let count = |entry: Option<&Entry>| entry.and_then(|entry| integer(&entry.value)).unwrap_or(0);
    let previous_ms = call.ttl_ms(windows.previous.as_ref()).max(0);
    let overlap = i128::from(count(windows.previous.as_ref())) * i128::from(previous_ms);
    let weighted = overlap.div_euclid(i128::from(window_ms)) + i128::from(count(windows.current.as_ref()));
    if weighted + i128::from(amount) > i128::from(limit) {
        windows.store_shift(call);
        return Ok(Reply::Nil);
    }
    let (by, value, deadline) = match &windows.current {
        Some(current) => {
            let value = integer(&current.value).ok_or(CommandError::NotAnInteger)?;
            ("incrby", value.checked_add(amount).ok_or(CommandError::Overflow)?, current.deadline)
        }
        None => ("set", amount, call.in_ms(window_ms.saturating_mul(2))?),
    };
    windows.store_shift(call);
    call.put(by, 1, value.to_string(), deadline);
    Ok(Reply::Int(1))
}

/// Counts and milliseconds left of both windows.
pub(super) fn look_at_sliding_window(call: &mut Call<'_, '_>) -> Result<Reply, Stop> {
    let windows = Windows::of(call, window_ms(call.number(0)?)?)?;
    windows.store_shift(call);
    let reply = [&windows.previous, &windows.current].map(|entry| {
        let left_ms = call.ttl_ms(entry.as_ref());
        [entry.as_ref().map(|entry| entry.value.clone()).into(), Reply::Int(left_ms)]
    });
    Ok(Reply::Array(reply.into_iter().flatten().collect()))
}
