//! The errors of CONFIG SET and CONFIG REWRITE.

/// Why a setting cannot be changed or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// CONFIG SET of something that cannot be set, or not to that.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")]
    Refused {
        /// As the client wrote it, in lower case.
        name: String,
        /// Why.
        why: String,
    },
    /// CONFIG SET of something that does not exist.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// CONFIG REWRITE where there is no settings file.
    #[error("ERR The server is running without a config file")]
    NoFile,
    /// CONFIG REWRITE where the settings file cannot be written: why.
    #[error("ERR Rewriting config file: {0}")]
    Rewrite(String),
}
