use std::fmt;

use hedgerow_base::Fault;
use hedgerow_telemetry::TelemetryError;

use crate::{cipher::CipherError, disk::is_full};

/// Why readings could not be kept or given.
#[derive(Debug)]
pub enum ReadingsError {
    /// The database failed, while doing this.
    Database(&'static str, sqlx::Error),
    /// The schema could not be brought up to date.
    Schema(sqlx::migrate::MigrateError),
    /// A key does not open what it closed.
    Cipher(CipherError),
    /// Stored readings are damaged: the journal's row, or the chunk's.
    Damaged(&'static str, i64),
    /// The question, or what was asked for, is wrong.
    Telemetry(TelemetryError),
    /// The store was closed.
    Closed,
    /// The device is erased, but the write-ahead log could not be emptied yet: somebody reads.
    Busy,
}

impl ReadingsError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Database(_, error) if is_full(error) => Fault::Unavailable,
            Self::Telemetry(error) => error.fault(),
            Self::Closed | Self::Busy => Fault::Unavailable,
            Self::Database(..) | Self::Schema(_) | Self::Cipher(_) | Self::Damaged(..) => {
                Fault::Broken
            }
        }
    }
}

impl fmt::Display for ReadingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(act, error) if is_full(error) => {
                write!(f, "the disk took no more while {act}: {error}; free some space")
            }
            Self::Database(act, error) => {
                write!(f, "the readings' database failed while {act}: {error}")
            }
            Self::Schema(error) => write!(f, "the readings' database has another schema: {error}"),
            Self::Cipher(error) => error.fmt(f),
            Self::Damaged(what, row) => write!(f, "{what} {row} is damaged; restore a backup"),
            Self::Telemetry(error) => error.fmt(f),
            Self::Closed => f.write_str("the store is closed; start the hub again"),
            Self::Busy => {
                f.write_str("the device is erased but copies may be in the log; erase again")
            }
        }
    }
}

impl std::error::Error for ReadingsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(_, error) => Some(error),
            Self::Schema(error) => Some(error),
            Self::Telemetry(error) => Some(error),
            Self::Cipher(error) => Some(error),
            Self::Damaged(..) | Self::Closed | Self::Busy => None,
        }
    }
}

impl From<CipherError> for ReadingsError {
    fn from(error: CipherError) -> Self {
        Self::Cipher(error)
    }
}

impl From<TelemetryError> for ReadingsError {
    fn from(error: TelemetryError) -> Self {
        Self::Telemetry(error)
    }
}

/// Says what was being done when the database failed.
pub(super) trait While<T> {
    fn while_doing(self, act: &'static str) -> Result<T, ReadingsError>;
}

impl<T> While<T> for Result<T, sqlx::Error> {
    fn while_doing(self, act: &'static str) -> Result<T, ReadingsError> {
        self.map_err(|error| ReadingsError::Database(act, error))
    }
}
