use std::fmt;

use hedgerow_base::Fault;

/// Where a device is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Its maker told us of it.
    Made,
    /// A claim code waits for it.
    Claimed,
    /// It has a certificate and was not seen yet.
    Enrolled,
    /// It was seen.
    Active,
    /// A person keeps it apart.
    Quarantined,
    /// It will not come back.
    Retired,
    /// Nothing is left of it but this record.
    Erased,
}

/// What can happen to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A claim code was made for it.
    Claim,
    /// It got a certificate.
    Enrol,
    /// It connected.
    Connect,
    /// A person put it apart.
    Quarantine,
    /// A person let it back.
    Release,
    /// A person retired it.
    Retire,
    /// Its data was erased.
    Erase,
}

/// The only transitions that exist.
const TABLE: [(State, Step, State); 14] = [
    (State::Made, Step::Claim, State::Claimed),
    (State::Made, Step::Retire, State::Retired),
    (State::Claimed, Step::Enrol, State::Enrolled),
    (State::Claimed, Step::Retire, State::Retired),
    (State::Enrolled, Step::Connect, State::Active),
    (State::Enrolled, Step::Quarantine, State::Quarantined),
    (State::Enrolled, Step::Retire, State::Retired),
    (State::Enrolled, Step::Enrol, State::Enrolled),
    (State::Active, Step::Enrol, State::Active),
    (State::Active, Step::Quarantine, State::Quarantined),
    (State::Active, Step::Retire, State::Retired),
    (State::Quarantined, Step::Release, State::Active),
    (State::Quarantined, Step::Retire, State::Retired),
    (State::Retired, Step::Erase, State::Erased),
];

/// A step that a device can't take from where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongStep {
    /// Where it is.
    pub state: State,
    /// What was asked.
    pub step: Step,
}

impl WrongStep {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        Fault::Conflict
    }
}

impl fmt::Display for WrongStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, step) = (self.state.word(), self.step.word());
        write!(f, "a device that is {state} can't {step}")?;
        let mut possible = TABLE.iter().filter(|(from, ..)| *from == self.state).peekable();
        if possible.peek().is_some() {
            f.write_str("; it can ")?;
            possible.enumerate().try_for_each(|(at, (_, step, _))| {
                write!(f, "{}{}", if at > 0 { ", " } else { "" }, step.word())
            })?;
        }
        Ok(())
    }
}

impl std::error::Error for WrongStep {}

impl State {
    const ALL: [Self; 7] = [
        Self::Made,
        Self::Claimed,
        Self::Enrolled,
        Self::Active,
        Self::Quarantined,
        Self::Retired,
        Self::Erased,
    ];

    /// Where `step` leads from here.
    ///
    /// # Errors
    /// [`WrongStep`] when the table has no such transition.
    pub fn after(self, step: Step) -> Result<Self, WrongStep> {
        TABLE
            .iter()
            .find(|(from, taken, _)| (*from, *taken) == (self, step))
            .map(|(.., to)| *to)
            .ok_or(WrongStep { state: self, step })
    }

    /// The word in the API and the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Claimed => "claimed",
            Self::Enrolled => "enrolled",
            Self::Active => "active",
            Self::Quarantined => "quarantined",
            Self::Retired => "retired",
            Self::Erased => "erased",
        }
    }

    /// Reads [`State::word`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl Step {
    /// The word in messages and audit records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Claim => "be claimed",
            Self::Enrol => "enrol",
            Self::Connect => "connect",
            Self::Quarantine => "be quarantined",
            Self::Release => "be released",
            Self::Retire => "be retired",
            Self::Erase => "be erased",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_goes_from_made_to_erased() {
        use Step::*;
        let life = [Claim, Enrol, Connect, Quarantine, Release, Retire, Erase];
        let end = life.into_iter().try_fold(State::Made, State::after);
        assert_eq!(end, Ok(State::Erased));
    }

    #[test]
    fn nothing_leads_out_of_the_end() {
        use Step::*;
        for step in [Claim, Enrol, Connect, Quarantine, Release, Retire, Erase] {
            assert!(State::Erased.after(step).is_err());
        }
        for step in [Claim, Enrol, Connect, Quarantine, Release, Retire] {
            assert!(State::Retired.after(step).is_err());
        }
    }

    #[test]
    fn a_quarantined_device_is_not_let_back_by_connecting_or_enrolling() {
        assert!(State::Quarantined.after(Step::Connect).is_err());
        assert!(State::Quarantined.after(Step::Enrol).is_err());
    }

    #[test]
    fn a_wrong_step_says_what_is_possible() {
        let wrong = State::Quarantined.after(Step::Quarantine).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "a device that is quarantined can't be quarantined; it can be released, be retired"
        );
        let wrong = State::Erased.after(Step::Erase).unwrap_err();
        assert_eq!(wrong.to_string(), "a device that is erased can't be erased");
    }

    #[test]
    fn the_table_has_one_way_for_each_step() {
        for (at, (from, step, _)) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(at + 1).all(|(f, s, _)| (f, s) != (from, step)));
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(State::parse(state.word()), Some(state));
        }
    }
}
