//! The errors about who may connect and do what.

/// Why a client may not do something, or be here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The client's role does not allow the command.
    #[error("NOPERM this user has no permissions to run the '{0}' command")]
    NoPermission(String),
    /// The lists of the settings keep this user out.
    #[error(
        "NOPERM user {uid} may not connect here; who may is in the settings allowed_users and allowed_groups of larderd"
    )]
    MayNotConnect {
        /// The user.
        uid: u32,
    },
    /// A password is asked for and has not been given.
    #[error("NOAUTH Authentication required.")]
    NotAuthenticated,
    /// HELLO without the password that is asked for.
    #[error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
         <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
    )]
    HelloNotAuthenticated,
    /// One user has as many connections as it may have.
    #[error("ERR max number of clients reached for {who} (max_user_connections, {limit})")]
    TooManyOfUser {
        /// The user, or all that come over TCP.
        who: String,
        /// The limit.
        limit: usize,
    },
    /// A password was offered and none is set.
    #[error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
    )]
    NoPasswordSet,
    /// A user or password that does not exist.
    #[error("WRONGPASS invalid username-password pair or user is disabled.")]
    WrongPassword,
    /// No more connections are taken.
    #[error("ERR max number of clients reached ({limit}, max_connections)")]
    TooManyClients {
        /// The limit.
        limit: usize,
    },
}
