use std::fmt;

use hedgerow_base::Fault;
use hedgerow_model::{NotJson, mapping::Unreadable, senml::SenmlError};
use hedgerow_policy::GrantDenial;

/// Why readings could not be taken, kept or given.
#[derive(Clone, Debug, PartialEq)]
pub enum TelemetryError {
    /// The payload is no SenML pack.
    Pack(SenmlError),
    /// The payload is not the JSON that its topic asks for.
    Json(NotJson),
    /// The payload is not what the profile says of its foreign topic.
    Foreign(Unreadable),
    /// The payload is larger than its topic allows: bytes allowed.
    TooLarge(usize),
    /// The grants of the device deny it.
    Denied(GrantDenial),
    /// Every reading of the message was refused, the first for this reason.
    Refused(crate::Reason),
    /// A stored block or chunk is not what was written: which part.
    Corrupt(&'static str),
    /// A question beyond the limits: what to do.
    Question(&'static str),
}

impl TelemetryError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Pack(SenmlError::TooMuch(_)) | Self::TooLarge(_) => Fault::TooMuch,
            Self::Foreign(error) => error.fault(),
            Self::Pack(_) | Self::Json(_) | Self::Refused(_) | Self::Question(_) => Fault::Invalid,
            Self::Denied(denial) => denial.fault(),
            Self::Corrupt(_) => Fault::Broken,
        }
    }
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(error) => error.fmt(f),
            Self::Json(error) => write!(f, "the payload is not what its topic asks for: {error}"),
            Self::Foreign(error) => {
                write!(f, "the payload is not what the profile says of its topic: {error}")
            }
            Self::TooLarge(bytes) => {
                write!(f, "the payload is larger than {bytes} bytes; send less at once")
            }
            Self::Denied(denial) => denial.fmt(f),
            Self::Refused(reason) => reason.fmt(f),
            Self::Corrupt(part) => write!(f, "stored readings are damaged: {part}"),
            Self::Question(advice) => f.write_str(advice),
        }
    }
}

impl std::error::Error for TelemetryError {}
