use std::fmt;

use hedgerow_base::{DeviceId, Fault, Timestamp};
use hedgerow_policy::Standing;

use crate::{
    KeyStorage, Label, State,
    limits::{DAYS_LEFT_MAX, PAGE_DEFAULT, PAGE_MAX, SEARCH_CHARS_MAX},
};

const DAY_MS: i64 = 86_400_000;

/// Which devices a person wants to see. Everything that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In the name, or the beginning of the id, or a label's value; case does not matter.
    pub text: Option<String>,
    /// Where it is in its life.
    pub state: Option<State>,
    /// How far it is trusted.
    pub standing: Option<Standing>,
    /// Whether it has an open session.
    pub is_connected: Option<bool>,
    /// The group.
    pub group: Option<String>,
    /// Labels.
    pub labels: Vec<Label>,
    /// Its certificate ends before this moment, and it should have one: it is not retired, erased or cut.
    pub ends_before: Option<Timestamp>,
    /// Where it says that its key is kept.
    pub key_storage: Option<KeyStorage>,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterProblem {
    /// The search is over [`SEARCH_CHARS_MAX`].
    SearchTooLong,
    /// No such state.
    State(String),
    /// No such standing.
    Standing(String),
    /// No such place for a key.
    KeyStorage(String),
    /// Over [`DAYS_LEFT_MAX`].
    DaysLeft(u32),
    /// Not `key=value`.
    Label(String),
    /// Over [`PAGE_MAX`], or 0.
    PageSize(u32),
}

impl FilterProblem {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Invalid
    }
}

impl fmt::Display for FilterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SearchTooLong => {
                write!(f, "the search is over {SEARCH_CHARS_MAX} characters; make it shorter")
            }
            Self::State(word) => write!(
                f,
                "no state {word}; there are made, claimed, enrolled, active, quarantined, retired, erased"
            ),
            Self::Standing(word) => {
                write!(f, "no standing {word}; there are full, restricted, remediate, cut")
            }
            Self::KeyStorage(word) => {
                write!(f, "no key storage {word}; there are unknown, sealed-file, tpm, token")
            }
            Self::DaysLeft(days) => {
                write!(f, "a certificate has at most {DAYS_LEFT_MAX} days left, not {days}")
            }
            Self::Label(text) => write!(f, "{text} is not a label; write key=value"),
            Self::PageSize(size) => write!(f, "a page has 1 to {PAGE_MAX} devices, not {size}"),
        }
    }
}

impl std::error::Error for FilterProblem {}

impl Filter {
    /// Sets the search text; empty text is no search.
    ///
    /// # Errors
    /// [`FilterProblem::SearchTooLong`].
    pub fn search(mut self, text: &str) -> Result<Self, FilterProblem> {
        let text = text.trim();
        if text.chars().nth(SEARCH_CHARS_MAX).is_some() {
            return Err(FilterProblem::SearchTooLong);
        }
        self.text = (!text.is_empty()).then(|| text.to_lowercase());
        Ok(self)
    }

    /// Sets the state by its word.
    ///
    /// # Errors
    /// [`FilterProblem::State`].
    pub fn state(mut self, word: &str) -> Result<Self, FilterProblem> {
        self.state = Some(State::parse(word).ok_or_else(|| FilterProblem::State(word.into()))?);
        Ok(self)
    }

    /// Sets the standing by its word.
    ///
    /// # Errors
    /// [`FilterProblem::Standing`].
    pub fn standing(mut self, word: &str) -> Result<Self, FilterProblem> {
        let unknown = || FilterProblem::Standing(word.into());
        self.standing = Some(Standing::parse(word).ok_or_else(unknown)?);
        Ok(self)
    }

    /// Only devices whose certificate has fewer days left than so many.
    ///
    /// # Errors
    /// [`FilterProblem::DaysLeft`].
    pub fn days_left(mut self, days: u32, now: Timestamp) -> Result<Self, FilterProblem> {
        if days > DAYS_LEFT_MAX {
            return Err(FilterProblem::DaysLeft(days));
        }
        self.ends_before = Some(now.plus_ms(i64::from(days) * DAY_MS));
        Ok(self)
    }

    /// Sets the place of the key by its word.
    ///
    /// # Errors
    /// [`FilterProblem::KeyStorage`].
    pub fn key_storage(mut self, word: &str) -> Result<Self, FilterProblem> {
        let storage = KeyStorage::parse(word);
        if storage.word() != word {
            return Err(FilterProblem::KeyStorage(word.into()));
        }
        self.key_storage = Some(storage);
        Ok(self)
    }

    /// Adds a label written `key=value`.
    ///
    /// # Errors
    /// [`FilterProblem::Label`].
    pub fn label(mut self, text: &str) -> Result<Self, FilterProblem> {
        let wrong = || FilterProblem::Label(text.into());
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        self.labels.push(Label::new(key, value).map_err(|_| wrong())?);
        Ok(self)
    }
}

/// A stretch of a list in the order of ids: what comes after one, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last id of the page before.
    pub after: Option<DeviceId>,
    /// How many at most.
    pub size: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, size: PAGE_DEFAULT }
    }
}

impl Page {
    /// A page of `size` devices after `after`.
    ///
    /// # Errors
    /// [`FilterProblem::PageSize`].
    pub fn new(after: Option<DeviceId>, size: u32) -> Result<Self, FilterProblem> {
        if (1..=PAGE_MAX).contains(&size) {
            Ok(Self { after, size })
        } else {
            Err(FilterProblem::PageSize(size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_from_words() {
        let filter = Filter::default().search(" Lamp ").and_then(|f| f.state("active"));
        let filter = filter.and_then(|f| f.standing("full")).and_then(|f| f.label("room=kitchen"));
        let filter = filter.unwrap();
        assert_eq!(filter.text.as_deref(), Some("lamp"));
        assert_eq!((filter.state, filter.standing), (Some(State::Active), Some(Standing::Full)));
        assert_eq!(filter.labels, [Label::new("room", "kitchen").unwrap()]);
    }

    #[test]
    fn unknown_words_are_refused_with_the_known_ones() {
        let problem = Filter::default().state("alive").unwrap_err();
        assert!(problem.to_string().contains("quarantined"));
        assert!(Filter::default().standing("good").is_err());
        assert!(Filter::default().label("kitchen").is_err());
    }

    #[test]
    fn certificates_are_filtered_by_the_days_that_they_have_left() {
        let now = Timestamp::from_secs(1_000_000);
        let filter = Filter::default().days_left(7, now).and_then(|f| f.key_storage("tpm"));
        let filter = filter.unwrap();
        assert_eq!(filter.ends_before, Some(Timestamp::from_secs(1_000_000 + 7 * 86_400)));
        assert_eq!(filter.key_storage, Some(KeyStorage::Tpm));
        assert_eq!(Filter::default().days_left(0, now).unwrap().ends_before, Some(now), "over");
        assert!(Filter::default().days_left(DAYS_LEFT_MAX, now).is_ok());
        assert!(Filter::default().days_left(DAYS_LEFT_MAX + 1, now).is_err());
        assert!(Filter::default().key_storage("safe").is_err());
    }

    #[test]
    fn searches_and_pages_one_past_the_limit_are_refused() {
        assert!(Filter::default().search(&"x".repeat(SEARCH_CHARS_MAX)).is_ok());
        assert!(Filter::default().search(&"x".repeat(SEARCH_CHARS_MAX + 1)).is_err());
        assert!(Page::new(None, PAGE_MAX).is_ok());
        assert!(Page::new(None, PAGE_MAX + 1).is_err());
        assert!(Page::new(None, 0).is_err());
    }
}
