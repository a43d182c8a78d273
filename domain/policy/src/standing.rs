use std::fmt;

/// How far a device is trusted now, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Everything that its profile and its owner allow.
    Full,
    /// A narrower grant.
    Restricted,
    /// Only what it needs to heal: enrolment, attestation, update, wipe.
    Remediate,
    /// Nothing.
    Cut,
}

impl Standing {
    /// The word in the API and the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Restricted => "restricted",
            Self::Remediate => "remediate",
            Self::Cut => "cut",
        }
    }

    /// Reads [`Standing::word`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Full, Self::Restricted, Self::Remediate, Self::Cut]
            .into_iter()
            .find(|standing| standing.word() == word)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Something known about a device that bears on its standing.
///
/// Facts are kept with the decision that they led to, so that a change of the rules can be tried
/// against what really happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// It holds a certificate of ours that is neither revoked nor expired.
    Certified,
    /// Another device's connection carries it; it has no certificate of its own.
    Carried,
    /// It can do no better than a password, and its owner took it in all the same.
    Password,
    /// Its certificate was revoked.
    CertificateRevoked,
    /// A person put it in quarantine.
    Quarantined,
    /// A person retired it.
    Retired,
    /// An alert says that it behaves unlike itself. Derived: can only restrict.
    BehavesOddly,
}

impl Fact {
    /// The word in the API and the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Certified => "certified",
            Self::Carried => "carried",
            Self::Password => "password",
            Self::CertificateRevoked => "certificate-revoked",
            Self::Quarantined => "quarantined",
            Self::Retired => "retired",
            Self::BehavesOddly => "behaves-oddly",
        }
    }

    /// Reads [`Fact::word`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Certified,
            Self::Carried,
            Self::Password,
            Self::CertificateRevoked,
            Self::Quarantined,
            Self::Retired,
            Self::BehavesOddly,
        ]
        .into_iter()
        .find(|fact| fact.word() == word)
    }

    /// The most that a device may have while this fact holds.
    const fn ceiling(self) -> Standing {
        match self {
            // What a password may not have is left out of its grants in every standing.
            Self::Certified | Self::Carried | Self::Password => Standing::Full,
            Self::BehavesOddly => Standing::Restricted,
            Self::Quarantined => Standing::Remediate,
            Self::CertificateRevoked | Self::Retired => Standing::Cut,
        }
    }
}

/// A standing and the fact that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the device may have now.
    pub standing: Standing,
    /// The fact that holds it there; `None` when nothing is known, which means no.
    pub because: Option<Fact>,
}

/// Judges a device by what is known of it: the strictest fact decides, and without a certificate of
/// ours, a device that carries it, or its owner's word that a password does, there is nothing.
#[must_use]
pub fn judge(facts: &[Fact]) -> Judgement {
    let proofs = [Fact::Certified, Fact::Carried, Fact::Password];
    let has_proof = proofs.iter().any(|proof| facts.contains(proof));
    let strictest = facts.iter().copied().max_by_key(|fact| fact.ceiling());
    match strictest {
        Some(fact) if fact.ceiling() == Standing::Cut || has_proof => {
            Judgement { standing: fact.ceiling(), because: Some(fact) }
        }
        Some(_) | None => Judgement { standing: Standing::Cut, because: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_means_no() {
        assert_eq!(judge(&[]).standing, Standing::Cut);
        assert_eq!(judge(&[Fact::BehavesOddly]).standing, Standing::Cut);
        assert_eq!(judge(&[Fact::Quarantined]).standing, Standing::Cut);
    }

    #[test]
    fn the_strictest_fact_decides() {
        use Fact::*;
        assert_eq!(judge(&[Certified]).standing, Standing::Full);
        assert_eq!(judge(&[Certified, BehavesOddly]).standing, Standing::Restricted);
        assert_eq!(judge(&[BehavesOddly, Certified, Quarantined]).standing, Standing::Remediate);
        let cut = judge(&[Certified, CertificateRevoked, Quarantined]);
        assert_eq!(cut, Judgement { standing: Standing::Cut, because: Some(CertificateRevoked) });
        assert_eq!(judge(&[Retired, Certified]).standing, Standing::Cut);
    }

    #[test]
    fn a_carried_device_is_judged_like_one_with_a_certificate() {
        assert_eq!(judge(&[Fact::Carried]).standing, Standing::Full);
        assert_eq!(judge(&[Fact::Carried, Fact::Quarantined]).standing, Standing::Remediate);
        assert_eq!(judge(&[Fact::Carried, Fact::Retired]).standing, Standing::Cut);
        assert_eq!(Fact::parse(Fact::Carried.word()), Some(Fact::Carried));
    }

    #[test]
    fn a_derived_fact_never_cuts() {
        assert!(judge(&[Fact::Certified, Fact::BehavesOddly]).standing < Standing::Remediate);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["full", "restricted", "remediate", "cut"] {
            assert_eq!(Standing::parse(word).map(Standing::word), Some(word));
        }
    }
}
