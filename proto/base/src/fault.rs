use core::fmt;

/// The seven ways in which a request can fail. Every error in Hedgerow has one of them, and each wire
/// has one table from it (HTTP status, MQTT reason code, CoAP response code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The caller is known and may not do this, or is not known.
    Denied,
    /// What was asked for does not exist, or the caller may not know that it does.
    Absent,
    /// The state of the thing does not allow this now.
    Conflict,
    /// The request itself is wrong; sending it again changes nothing.
    Invalid,
    /// A named limit was reached; less, or later, may pass.
    TooMuch,
    /// The hub can't do it at the moment; the same request may pass later.
    Unavailable,
    /// Our own fault.
    Broken,
}

impl Fault {
    /// Whether the same request can succeed later without being changed.
    #[must_use]
    pub const fn may_pass_later(self) -> bool {
        matches!(self, Self::TooMuch | Self::Unavailable)
    }

    /// The word used in logs, metrics and the `kind` member of problem documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Absent => "absent",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::TooMuch => "too-much",
            Self::Unavailable => "unavailable",
            Self::Broken => "broken",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
