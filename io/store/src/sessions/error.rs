use std::fmt;

use hedgerow_base::Fault;
use hedgerow_plane::SessionNumber;

use crate::{cipher::CipherError, disk::is_full};

/// Why sessions could not be kept or found again.
#[derive(Debug)]
pub enum SessionsError {
    /// The database failed, while doing this.
    Database(&'static str, sqlx::Error),
    /// The schema could not be brought up to date.
    Schema(sqlx::migrate::MigrateError),
    /// A key does not open what it closed.
    Cipher(CipherError),
    /// A message that waits is damaged: in which session, and its place there.
    DamagedMessage(SessionNumber, u64),
    /// The retained message of this topic is damaged.
    DamagedRetained(Box<str>),
    /// The will of this session is damaged.
    DamagedWill(SessionNumber),
    /// The store was closed.
    Closed,
}

impl SessionsError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Database(_, error) if is_full(error) => Fault::Unavailable,
            Self::Closed => Fault::Unavailable,
            Self::Database(..)
            | Self::Schema(_)
            | Self::Cipher(_)
            | Self::DamagedMessage(..)
            | Self::DamagedRetained(_)
            | Self::DamagedWill(_) => Fault::Broken,
        }
    }
}

impl fmt::Display for SessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(act, error) if is_full(error) => {
                write!(f, "the disk took no more while {act}: {error}; free some space")
            }
            Self::Database(act, error) => {
                write!(f, "the sessions' database failed while {act}: {error}")
            }
            Self::Schema(error) => write!(f, "the sessions' database has another schema: {error}"),
            Self::Cipher(error) => error.fmt(f),
            Self::DamagedMessage(session, order) => {
                write!(f, "the message at place {order} of session {session} is damaged")
            }
            Self::DamagedRetained(topic) => {
                write!(f, "the retained message of {topic} is damaged; it has to be sent again")
            }
            Self::DamagedWill(session) => {
                write!(f, "the will of session {session} is damaged and stays unsaid")
            }
            Self::Closed => f.write_str("the store is closed; start the hub again"),
        }
    }
}

impl std::error::Error for SessionsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(_, error) => Some(error),
            Self::Schema(error) => Some(error),
            Self::Cipher(error) => Some(error),
            Self::DamagedMessage(..)
            | Self::DamagedRetained(_)
            | Self::DamagedWill(_)
            | Self::Closed => None,
        }
    }
}

impl From<CipherError> for SessionsError {
    fn from(error: CipherError) -> Self {
        Self::Cipher(error)
    }
}

/// Says what was being done when the database failed.
pub(super) trait While<T> {
    fn while_doing(self, act: &'static str) -> Result<T, SessionsError>;
}

impl<T> While<T> for Result<T, sqlx::Error> {
    fn while_doing(self, act: &'static str) -> Result<T, SessionsError> {
        self.map_err(|error| SessionsError::Database(act, error))
    }
}
