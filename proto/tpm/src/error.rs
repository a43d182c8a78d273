use core::fmt;

use hedgerow_base::Fault;

use crate::{Meaning, ResponseCode};

/// Why a command can't be written, or a response does not give what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// What was to be sent is longer than its limit; says what.
    TooLong(&'static str),
    /// The response is not what the specification says; says how.
    Malformed(&'static str),
    /// The response is well formed and not what was asked for; says how.
    Unexpected(&'static str),
    /// The TPM refused.
    Refused(ResponseCode),
}

impl Problem {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::TooLong(_) => Fault::Invalid,
            Self::Malformed(_) | Self::Unexpected(_) => Fault::Broken,
            Self::Refused(code) => match code.meaning() {
                Meaning::TryAgain | Meaning::Lockout | Meaning::NoRoom | Meaning::NotReady => {
                    Fault::Unavailable
                }
                Meaning::WrongAuth | Meaning::NotItsOwn => Fault::Denied,
                Meaning::NoSuchHandle => Fault::Absent,
                Meaning::NotSupported => Fault::Invalid,
                Meaning::Other => Fault::Broken,
            },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(what) => write!(f, "{what} is too long for a TPM"),
            Self::Malformed(how) => write!(f, "the TPM's answer can't be read: {how}"),
            Self::Unexpected(how) => write!(f, "the TPM's answer is not to the question: {how}"),
            Self::Refused(code) => write!(f, "the TPM answered {code}"),
        }
    }
}

impl core::error::Error for Problem {}
