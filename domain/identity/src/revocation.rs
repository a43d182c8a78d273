//! The list of revoked certificates (RFC 5280 section 5).

use std::collections::BTreeSet;

use hedgerow_base::Timestamp;

use crate::{
    Serial,
    limits::{CRL_BASE_LIFE_MS, CRL_LIFE_MS},
};

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
    /// Of a delta, the number of the list that it adds to.
    pub base: Option<u64>,
    /// Of a whole list, where its delta is.
    pub freshest: Option<String>,
}

/// Plans the list: certificates that ended by themselves are left out.
#[must_use]
pub fn list(revoked: impl IntoIterator<Item = Revoked>, number: u64, now: Timestamp) -> CrlPlan {
    CrlPlan {
        number,
        this_update: now,
        next_update: now.plus_ms(CRL_LIFE_MS),
        revoked: revoked.into_iter().filter(|one| one.not_after > now).collect(),
        base: None,
        freshest: None,
    }
}

/// A whole list that deltas add to (RFC 5280 section 5.2.4). It knows what it had rather than when it was made: a
/// revocation may be written down after its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    number: u64,
    at: Timestamp,
    had: BTreeSet<Serial>,
}

impl Base {
    /// A list as the base of those to come.
    #[must_use]
    pub fn of(list: &CrlPlan) -> Self {
        let had = list.revoked.iter().map(|one| one.serial).collect();
        Self { number: list.number, at: list.this_update, had }
    }

    /// Whether deltas go on to add to it: whoever has a list that is still good has this one or a later one,
    /// for most of the time.
    #[must_use]
    pub const fn is_good(&self, now: Timestamp) -> bool {
        let age = now.since_ms(self.at);
        0 <= age && age < CRL_BASE_LIFE_MS
    }

    /// What a list has that this one had not.
    #[must_use]
    pub fn delta(&self, list: &CrlPlan) -> CrlPlan {
        let mut delta = CrlPlan { base: Some(self.number), freshest: None, ..list.clone() };
        delta.revoked.retain(|one| !self.had.contains(&one.serial));
        delta
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
    fn a_delta_has_what_came_since_its_base_whatever_the_times_say() {
        let now = Timestamp::from_secs(1000);
        let one = |serial, at| Revoked {
            serial: Serial::from_random([serial; 16]),
            at: now.plus_ms(at),
            reason: Reason::Superseded,
            not_after: now.plus_ms(1_000_000_000),
        };
        let base = Base::of(&list([one(1, 0), one(2, 0)], 7, now));
        // The third was written down late: its time is before the base's.
        let later = list([one(1, 0), one(3, -50), one(4, 50)], 8, now.plus_ms(60));
        let delta = base.delta(&later);
        assert_eq!(delta.revoked, [one(3, -50), one(4, 50)]);
        assert_eq!((delta.number, delta.base), (8, Some(7)));
        assert_eq!(delta.this_update, later.this_update);
        assert!(base.delta(&list([one(2, 0)], 9, now)).revoked.is_empty());
    }

    #[test]
    fn a_base_lasts_so_long_and_not_a_millisecond_more() {
        let now = Timestamp::from_secs(1000);
        let base = Base::of(&list([], 1, now));
        assert!(base.is_good(now) && base.is_good(now.plus_ms(CRL_BASE_LIFE_MS - 1)));
        assert!(!base.is_good(now.plus_ms(CRL_BASE_LIFE_MS)));
        assert!(!base.is_good(now.plus_ms(-1)), "the clock went back");
    }

    #[test]
    fn reasons_are_read_as_they_are_written() {
        for code in [0, 1, 2, 4, 5] {
            assert_eq!(Reason::from_code(code).code(), code);
        }
        assert_eq!(Reason::from_code(99), Reason::Unspecified);
    }
}
