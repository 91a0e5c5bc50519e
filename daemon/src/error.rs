//! Every error a client can be answered with, and the only place that knows the codes on the wire.
//!
//! Where Redis has words for a case, they are Redis 7's to the letter: client libraries match on them. Where the case is
//! larder's own, the text says what was wrong, with what, and what to do.

mod access;
mod quote;
mod setting;

use std::fmt::Write as _;

pub use access::AccessError;
pub use quote::{shown, shown_as_redis, without_code};
pub use setting::SettingError;

use quote::{SHOWN_BYTES, lossy, up_to_zero};

/// An error reply. Its text is the reply without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("ERR unknown command '{name}', with args beginning with: {args}")]
    UnknownCommand {
        /// As the client wrote it, shortened.
        name: String,
        /// The first arguments, each in quotes and followed by a blank.
        args: String,
    },
    /// The client may not do that, or be here.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No such subcommand.
    #[error("ERR unknown subcommand '{subcommand}'. Try {command} HELP.")]
    UnknownSubcommand {
        /// The command, in upper case.
        command: String,
        /// As the client wrote it, shortened.
        subcommand: String,
    },
    /// No such subcommand, or not with so many arguments: what Redis says where it counts them itself.
    #[error("ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try {command} HELP.")]
    SubcommandUse {
        /// The command, in upper case.
        command: String,
        /// As the client wrote it, shortened.
        subcommand: String,
    },
    /// Too few or too many arguments.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    /// An option that does not exist, or two that exclude each other.
    #[error("ERR syntax error")]
    Syntax,
    /// Not an integer, or one that does not fit 64 bits.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// An integer that does not fit 32 bits where it has to.
    #[error("ERR value is out of range, value must between -2147483648 and 2147483647")]
    NotWithin32Bits,
    /// The result of an increment does not fit 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// The decrement has no positive counterpart.
    #[error("ERR decrement would overflow")]
    DecrementOverflow,
    /// A TTL of zero or less, or a deadline beyond reach.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpireTime(&'static str),
    /// Not a decimal number.
    #[error("ERR value is not a valid float")]
    NotAFloat,
    /// The result of an increment is not a number any more.
    #[error("ERR increment would produce NaN or Infinity")]
    NanOrInfinity,
    /// SETRANGE before the beginning.
    #[error("ERR offset is out of range")]
    OffsetOutOfRange,
    /// A value that would grow over the limit.
    #[error(
        "ERR string exceeds maximum allowed size (proto-max-bulk-len), which is max_value ({limit} bytes)"
    )]
    ValueTooLong {
        /// The limit.
        limit: usize,
    },
    /// RENAME of an absent key.
    #[error("ERR no such key")]
    NoSuchKey,
    /// COPY of a key to itself.
    #[error("ERR source and destination objects are the same")]
    SameObject,
    /// A digest to compare with that cannot be one.
    #[error("ERR must be exactly 16 hexadecimal characters")]
    BadDigest,
    /// DELEX with a condition that does not exist.
    #[error("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")]
    NoSuchCondition,
    /// MSETEX with a number of keys that is none.
    #[error("ERR invalid numkeys value")]
    InvalidNumkeys,
    /// MSETEX with fewer keys and values than it says.
    #[error("ERR wrong number of key-value pairs")]
    NotInPairs,
    /// OBJECT FREQ.
    #[error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
    )]
    NoFrequency,
    /// An option EXPIRE does not have.
    #[error("ERR Unsupported option {0}")]
    UnsupportedOption(String),
    /// HELLO with a version that is not a number.
    #[error("ERR Protocol version is not an integer or out of range")]
    ProtocolVersionNotAnInteger,
    /// HELLO with a version that does not exist.
    #[error("NOPROTO unsupported protocol version")]
    NoProto,
    /// There is one database, 0.
    #[error("ERR DB index is out of range")]
    NoSuchDatabase,
    /// A client name with blanks or control characters.
    #[error("ERR Client names cannot contain spaces, newlines or special characters.")]
    BadClientName,
    /// CLIENT SETINFO with an attribute that does not exist.
    #[error("ERR Unrecognized option '{0}'")]
    UnrecognizedOption(String),
    /// CLIENT SETINFO with a value that has blanks or control characters.
    #[error("ERR {0} cannot contain spaces, newlines or special characters.")]
    BadClientInfo(String),
    /// A setting cannot be changed or kept.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// EVALSHA of a script that larder does not know, or not any more.
    #[error("NOSCRIPT No matching script. Please use EVAL.")]
    NoScript,
    /// EVAL or SCRIPT LOAD of a script that larder does not know.
    #[error(
        "ERR larder has no Lua: it knows the scripts of common lock and rate-limit helpers, and this is none of them; SET with NX or IFEQ, DELEX, INCR with EX and MULTI do without a script"
    )]
    UnknownScript,
    /// A script that larder knows, without the keys or arguments that it needs.
    #[error(
        "ERR the script needs more keys or arguments than it was given; the helper that it is of sends them all"
    )]
    ScriptArguments,
    /// SCRIPT KILL: scripts take no time.
    #[error("NOTBUSY No scripts in execution right now.")]
    NothingToKill,
    /// CLIENT LIST or KILL by a type that does not exist.
    #[error("ERR Unknown client type '{0}'")]
    UnknownClientType(String),
    /// CLIENT LIST with a number that no client can have.
    #[error("ERR Invalid client ID")]
    InvalidClientId,
    /// CLIENT KILL with such a number.
    #[error("ERR client-id should be greater than 0")]
    ClientIdNotPositive,
    /// CLIENT KILL of the clients of a user that does not exist.
    #[error("ERR No such user '{0}'")]
    NoSuchUser(String),
    /// CLIENT KILL by an address where nobody else is.
    #[error("ERR No such client")]
    NoSuchClient,
    /// Client-side caching.
    #[error("ERR larder does not track what clients have read; subscribe to a channel of your own instead")]
    NoTracking,
    /// LATENCY GRAPH of an event that is not sampled.
    #[error("ERR No samples available for event '{0}'")]
    NoSamples(String),
    /// ACL CAT of a category there is not.
    #[error("ERR Unknown category '{0}'")]
    UnknownCategory(String),
    /// An error that is said in one place only, and needs nothing of the request.
    #[error("ERR {0}")]
    Named(&'static str),
    /// An option HELLO does not have, or one that lacks its arguments.
    #[error("ERR Syntax error in HELLO option '{0}'")]
    HelloOption(String),
    /// MULTI within a transaction.
    #[error("ERR MULTI calls can not be nested")]
    NestedMulti,
    /// WATCH within a transaction: too late to matter.
    #[error("ERR WATCH inside MULTI is not allowed")]
    WatchWithinMulti,
    /// EXEC or DISCARD where no transaction has been begun.
    #[error("ERR {0} without MULTI")]
    WithoutMulti(&'static str),
    /// EXEC after a command could not be queued.
    #[error("EXECABORT Transaction discarded because of previous errors.")]
    ExecAborted,
    /// EXEC whose writes there is no room for; nothing was run.
    #[error("EXECABORT Transaction discarded because of: {0}")]
    ExecRefused(String),
    /// A command that cannot be part of a transaction.
    #[error("ERR Command not allowed inside a transaction")]
    NotWithinTransaction,
    /// More queued than one request may hold, or twice as much written or answered.
    #[error(
        "ERR the commands since MULTI, what they write or what they answer take more than {limit} bytes (by max_value and 32 MiB); send fewer"
    )]
    TransactionTooLarge {
        /// The limit.
        limit: usize,
    },
    /// A command of a subscriber that cannot tell its answer from a message.
    #[error(
        "ERR Can't execute '{0}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
    )]
    OnlyListens(&'static str),
    /// PUBLISH to one of larder's own channels.
    #[error("ERR channels whose names begin with 'larder:' are larder's own; publish to another")]
    OwnChannel,
    /// More subscriptions than a client may have.
    #[error(
        "ERR more than {limit} subscriptions of one client; subscribe to a pattern, or from another connection"
    )]
    TooManySubscriptions {
        /// The limit.
        limit: usize,
    },
    /// The request does not fit what all connections may buffer together.
    #[error(
        "ERR no room to receive the request: buffer_budget ({limit_bytes} bytes) is used up by other clients' requests; try again later"
    )]
    NoBuffers {
        /// The limit.
        limit_bytes: usize,
    },
    /// The request took too long to come, as the one that is let go beyond what all connections may buffer together.
    #[error(
        "ERR the request, or the client's reading of answers, was too slow while buffer_budget ({limit_bytes} bytes) is used up and others wait for room; try again later"
    )]
    TooSlow {
        /// The limit.
        limit_bytes: usize,
    },
    /// What the client wants kept for it does not fit what all clients may have kept together.
    #[error(
        "ERR no room to keep this for the client: what clients have queued since MULTI, watch and are subscribed to takes up the {limit_bytes} bytes there are for it (buffer_budget, max_user_buffer); try again later"
    )]
    NoRoomToKeep {
        /// The limit.
        limit_bytes: usize,
    },
    /// A pattern over the limit.
    #[error(
        "ERR pattern of {bytes} bytes is longer than the limit of {limit}; shorten it, a star stands for any text"
    )]
    PatternTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The client closed its sending side in the middle of a request. What is cut short is never run: a cut
    /// `DEL user:12` would be `DEL user:1`.
    #[error(
        "ERR Protocol error: the connection ended inside a request, which was not run; a line ends with a line feed"
    )]
    HalfRequest,
    /// A client's name, or what it says about its library, over the limit.
    #[error("ERR {what} of {bytes} bytes is longer than the limit of {limit}; shorten it")]
    NameTooLong {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// COMMAND INFO or DOCS about too many commands at once.
    #[error("ERR more than {limit} names in one request; ask for fewer at a time")]
    TooManyNames {
        /// The limit.
        limit: usize,
    },
    /// An answer over the limit.
    #[error(
        "ERR the answer would have {bytes} bytes, more than the limit of {limit} (max_value and 32 MiB): ask for fewer keys at a time"
    )]
    AnswerTooLong {
        /// Its length so far.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// KEYS with an answer over the limit.
    #[error(
        "ERR the answer would have more than {limit} bytes (max_value and 32 MiB): use SCAN, which answers in pages"
    )]
    TooManyKeys {
        /// The limit.
        limit: usize,
    },
    /// SCAN with a cursor that is not a number.
    #[error("ERR invalid cursor")]
    InvalidCursor,
    /// An argument of one of larder's own commands that it does not know.
    #[error("ERR syntax error, expected {expected}, got '{got}'")]
    Expected {
        /// What could stand there.
        expected: &'static str,
        /// What does, shortened.
        got: String,
    },
    /// A key over the limit.
    #[error(
        "ERR key of {bytes} bytes is longer than max_key ({limit}); shorten or hash it, or raise max_key"
    )]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A section of STATS or INFO that does not exist.
    #[error("ERR unknown section '{given}', try one of: {known}")]
    UnknownSection {
        /// As the client wrote it, shortened.
        given: String,
        /// Those there are.
        known: String,
    },
    /// HELP for a command that does not exist.
    #[error("ERR no help for '{0}': there is no such command; HELP lists them all")]
    NoHelp(String),
    /// The disk has no room for the write; nothing was changed.
    #[error("FULL the write was not stored: {0}; reads go on, free some room on the disk and try again")]
    Full(String),
    /// The write buffer has been full for too long; nothing was changed.
    #[error(
        "BUSY the write was not stored: the write buffer ({limit_bytes} bytes, buffer_cap) has been full for {waited_s} s; the disk is slower than the writes, try again later"
    )]
    Busy {
        /// The buffer's cap.
        limit_bytes: u64,
        /// How long the command has waited.
        waited_s: u64,
    },
    /// The keeper has more to do than its queue holds; nothing was begun.
    #[error("BUSY {what} was not begun: the storage thread is busy; try again in a moment")]
    KeeperBusy {
        /// What was asked for.
        what: &'static str,
    },
    /// A commit failed in a way that may have stored it; the daemon is about to end.
    #[error("IOERR the outcome of the write is unknown: {0}; read the key again once larderd is back")]
    OutcomeUnknown(String),
    /// BACKUP with a path that would depend on where the daemon was started.
    #[error("ERR BACKUP needs an absolute path of a file, got '{0}'")]
    NotAbsolute(String),
    /// BACKUP while another is at work.
    #[error("ERR a backup is under way; try again when it has ended")]
    BackupUnderWay,
    /// A backup that failed; nothing of it is left.
    #[error("ERR no backup was written: {0}")]
    NoBackup(String),
    /// The main file could not be read.
    #[error("IOERR the entry cannot be read: {0}; check the disk and the daemon's log")]
    Unreadable(String),
    /// The daemon is about to end.
    #[error("SHUTDOWN larderd is stopping; connect again in a moment")]
    Stopping,
}

impl CommandError {
    /// The error for an unknown command, worded as Redis words it: name and arguments up to 128 bytes each.
    pub fn unknown_command<'a>(name: &[u8], args: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut shown = String::new();
        for arg in args {
            if shown.len() >= SHOWN_BYTES {
                break;
            }
            let rest = SHOWN_BYTES - shown.len();
            let _ = write!(shown, "'{}' ", lossy(up_to_zero(arg), rest));
        }
        Self::UnknownCommand { name: lossy(up_to_zero(name), SHOWN_BYTES), args: shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_worded_as_redis_words_it() {
        let args: [&[u8]; 2] = [b"a", b"b c"];
        assert_eq!(
            CommandError::unknown_command(b"NOPE", args.into_iter()).to_string(),
            "ERR unknown command 'NOPE', with args beginning with: 'a' 'b c' "
        );
        let args: [&[u8]; 2] = [b"a\0b", b"\0"];
        assert_eq!(
            CommandError::unknown_command(b"NO\0PE", args.into_iter()).to_string(),
            "ERR unknown command 'NO', with args beginning with: 'a' '' "
        );
        let long = vec![b'x'; 1_000];
        let error = CommandError::unknown_command(&long, [&long[..]; 50].into_iter()).to_string();
        assert!(error.len() < 400, "{}", error.len());
    }
}
