use std::{borrow::Cow, fmt};

use hedgerow_base::Fault;

/// A request of the data plane that was not done: whose fault, and what to do, for the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose fault it is; each wire has a table from it.
    pub fault: Fault,
    /// What happened and what to do. Never holds a secret.
    pub reason: Cow<'static, str>,
    /// The kind, for counters and audit: a word that never changes.
    pub word: &'static str,
}

impl Refusal {
    pub(crate) const fn new(fault: Fault, word: &'static str, reason: &'static str) -> Self {
        Self { fault, reason: Cow::Borrowed(reason), word }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

impl From<hedgerow_policy::GrantDenial> for Refusal {
    fn from(denial: hedgerow_policy::GrantDenial) -> Self {
        Self::new(denial.fault(), denial.word(), denial.reason())
    }
}

impl From<hedgerow_model::mapping::CommandError> for Refusal {
    fn from(error: hedgerow_model::mapping::CommandError) -> Self {
        Self { fault: error.fault(), reason: Cow::Owned(error.to_string()), word: "input" }
    }
}

impl From<hedgerow_telemetry::TelemetryError> for Refusal {
    fn from(error: hedgerow_telemetry::TelemetryError) -> Self {
        use hedgerow_telemetry::TelemetryError as Error;
        let word = match &error {
            Error::Pack(_) | Error::Json(_) | Error::Foreign(_) => "unreadable",
            Error::TooLarge(_) => "too-large",
            Error::Denied(denial) => denial.word(),
            Error::Refused(reason) => reason.word(),
            Error::Corrupt(_) | Error::Question(_) => "broken",
        };
        let reason = match &error {
            Error::Denied(denial) => Cow::Borrowed(denial.reason()),
            Error::Refused(reason) => Cow::Borrowed(reason.advice()),
            other => Cow::Owned(other.to_string()),
        };
        Self { fault: error.fault(), reason, word }
    }
}
