//! The list of revoked certificates (RFC 5280 section 5).

use hedgerow_base::Timestamp;

use crate::{Serial, limits::CRL_LIFE_MS};

/// Why a certificate was revoked; the CRLReason of RFC 5280 section 5.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// unspecified (0).
    Unspecified,
    /// keyCompromise (1).
    KeyCompromise,
    /// cACompromise (2): the key of the CA that issued it is in other hands.
    CaCompromise,
    /// superseded (4).
    Superseded,
    /// cessationOfOperation (5): the device was retired.
    CessationOfOperation,
}

impl Reason {
    /// The number in a CRL and in the store.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }

    /// The name in RFC 5280.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
        }
    }

    /// Reads [`Reason::code`]; an unknown one is unspecified, never a reason to forget the revocation.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            _ => Self::Unspecified,
        }
    }
}

/// A revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Which.
    pub serial: Serial,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// When it would have ended anyway.
    pub not_after: Timestamp,
}

/// A list to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlPlan {
    /// cRLNumber: grows with every list.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is there at the latest.
    pub next_update: Timestamp,
    /// What is revoked and not yet ended.
    pub revoked: Vec<Revoked>,
}

/// Plans the list: certificates that ended by themselves are left out.
#[must_use]
pub fn list(revoked: impl IntoIterator<Item = Revoked>, number: u64, now: Timestamp) -> CrlPlan {
    CrlPlan {
        number,
        this_update: now,
        next_update: now.plus_ms(CRL_LIFE_MS),
        revoked: revoked.into_iter().filter(|one| one.not_after > now).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_certificates_leave_the_list() {
        let now = Timestamp::from_secs(1000);
        let one = |end| Revoked {
            serial: Serial::from_random([end; 16]),
            at: now,
            reason: Reason::Superseded,
            not_after: Timestamp::from_secs(990 + i64::from(end)),
        };
        let plan = list([one(10), one(11)], 3, now);
        assert_eq!(plan.revoked, [one(11)]);
        assert!(plan.next_update > plan.this_update);
    }

    #[test]
    fn reasons_are_read_as_they_are_written() {
        for code in [0, 1, 2, 4, 5] {
            assert_eq!(Reason::from_code(code).code(), code);
        }
        assert_eq!(Reason::from_code(99), Reason::Unspecified);
    }
}
