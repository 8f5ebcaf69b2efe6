//! What can go wrong, and the exit code that says so.

/// What to do about an error that the machine reports.
pub(crate) mod hints;

pub mod exit_code;

use std::path::{Path, PathBuf};

use exit_code::ExitCode;
use hints::cured;

/// An error of any stage. The message names the offender, the limit and the cure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something a person typed or wrote is wrong.
    #[error("{0}")]
    Usage(String),
    /// The books are fine, but a decision is a person's.
    #[error("{0}")]
    NeedsPerson(String),
    /// A server that is somebody else's does not answer at this time.
    #[error("{0}")]
    Unavailable(String),
    /// The control totals do not balance, or a proof failed.
    #[error("the books do not balance: {0}")]
    Unbalanced(String),
    /// An amount or a quantity of one account does not fit.
    #[error("{0}")]
    TooLarge(String),
    /// Another run holds the lease.
    #[error(
        "another run is active: {owner}, last heartbeat {age_s} s ago; wait until it ends. A run without a heartbeat for {limit_s} \
         s is considered dead"
    )]
    LeaseHeld { owner: String, age_s: i64, limit_s: i64 },
    /// Another process is opening the books and does not come to an end.
    #[error(
        "another process has been opening the ledger for more than {wait_s} s (`ledger_wait_s`); if it hangs, end it: it holds a \
         lock on {}", path.display()
    )]
    Opening { path: PathBuf, wait_s: u32 },
    /// Another command has what this one needs.
    #[error("{0}")]
    InUse(String),
    /// Another run went on in this one's place. Nothing was written.
    #[error("{0}")]
    Overtaken(String),
    /// A whole input is unusable.
    #[error("{input}: {what}")]
    Input { input: String, what: String },
    /// An input that ends whoever reads it.
    #[error("{input}: {what}")]
    SetAside { input: String, what: String },
    /// A file that the ledger names is missing or is not what it was.
    #[error("{}: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{}", cured(path.display(), source))]
    Io { path: PathBuf, source: std::io::Error },
    /// The ledger did not say whether a commit happened.
    #[error(
        "the ledger did not confirm the commit of `{step}` ({}); run the same command again: it does only what is missing",
        cured("ledger", source)
    )]
    Uncertain { step: String, source: sqlx::Error },
    #[error("{}", cured("ledger", _0))]
    Ledger(#[source] sqlx::Error),
    /// MySQL takes a password over TLS alone, and the connection has none.
    #[error(
        "ledger: the server accepts this user's password only over TLS, and the connection does not use TLS; remove the option \
         `ssl-mode` from --ledger, or set it to `REQUIRED`; if the server has no TLS, set it up there"
    )]
    NeedsTls,
    #[error("{}", cured("ledger: migrating its tables", _0))]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("{}", cured(what, source))]
    Polars {
        what: String,
        source: polars::error::PolarsError,
    },
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// How a command ends that ends in this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::Usage,
            Self::NeedsPerson(_) | Self::SetAside { .. } => ExitCode::NeedsPerson,
            Self::Unbalanced(_) | Self::TooLarge(_) => ExitCode::Unbalanced,
            Self::LeaseHeld { .. } | Self::Opening { .. } | Self::InUse(_) | Self::Overtaken(_) => ExitCode::Busy,
            _ => ExitCode::Failed,
        }
    }

    pub fn damaged(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.as_ref().to_owned(),
            what: what.into(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // The driver says that a feature of its own is off, which nobody can turn on here. With it, the password would be
            // encrypted with a key that whoever answers sends, and nothing tells who that is.
            sqlx::Error::Configuration(what) if what.to_string().starts_with("RSA auth backend disabled") => {
                Self::NeedsTls
            }
            other => Self::Ledger(other),
        }
    }
}

/// `result.at(path)`: an I/O error that names its file.
pub trait AtPath<T> {
    fn at(self, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> AtPath<T> for std::io::Result<T> {
    fn at(self, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::Io {
            path: path.as_ref().to_owned(),
            source,
        })
    }
}

/// `result.doing(what)`: a polars error that says during what.
pub trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, polars::error::PolarsError> {
    fn doing(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::Polars {
            what: what.into(),
            source,
        })
    }
}
