use std::fmt;

use hedgerow_base::Fault;

use crate::limits::{LABEL_CHARS_MAX, NAME_CHARS_MAX};

/// Why a name or a label is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameProblem {
    /// Nothing but white space.
    Empty,
    /// Over the limit that it carries.
    TooLong(usize),
    /// Control characters.
    Unprintable,
    /// A label's key has characters beside a-z, 0-9, `-`, `_` and `.`.
    Key,
}

impl NameProblem {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        Fault::Invalid
    }
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong(limit) => write!(f, "the name is longer than {limit} characters"),
            Self::Unprintable => f.write_str("the name has control characters"),
            Self::Key => {
                f.write_str("a label's key is made of a-z, 0-9, hyphen, underscore and dot")
            }
        }
    }
}

impl std::error::Error for NameProblem {}

/// Takes a device's name as a person wrote it, without the white space around it.
///
/// # Errors
/// [`NameProblem`] when it is empty, over [`NAME_CHARS_MAX`] or unprintable.
pub fn check_name(name: &str) -> Result<&str, NameProblem> {
    check_text(name, NAME_CHARS_MAX)
}

fn check_text(text: &str, limit: usize) -> Result<&str, NameProblem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NameProblem::Empty);
    }
    if text.chars().nth(limit).is_some() {
        return Err(NameProblem::TooLong(limit));
    }
    if text.chars().any(char::is_control) { Err(NameProblem::Unprintable) } else { Ok(text) }
}

/// A key and a value by which people sort devices: `room: kitchen`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    key: String,
    value: String,
}

impl Label {
    /// Checks both parts.
    ///
    /// # Errors
    /// [`NameProblem`].
    pub fn new(key: &str, value: &str) -> Result<Self, NameProblem> {
        let key = check_text(key, LABEL_CHARS_MAX)?;
        let is_plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
        if !key.chars().all(is_plain) {
            return Err(NameProblem::Key);
        }
        let value = check_text(value, LABEL_CHARS_MAX)?;
        Ok(Self { key: key.into(), value: value.into() })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_to_the_limit_and_not_past_it() {
        let name = "é".repeat(NAME_CHARS_MAX);
        assert_eq!(check_name(&format!(" {name} ")), Ok(name.as_str()));
        let long = "é".repeat(NAME_CHARS_MAX + 1);
        assert_eq!(check_name(&long), Err(NameProblem::TooLong(NAME_CHARS_MAX)));
    }

    #[test]
    fn empty_and_unprintable_names_are_refused() {
        assert_eq!(check_name(" \t "), Err(NameProblem::Empty));
        assert_eq!(check_name("a\u{7}b"), Err(NameProblem::Unprintable));
    }

    #[test]
    fn labels_have_plain_keys() {
        assert!(Label::new("room", "Küche").is_ok());
        assert_eq!(Label::new("Room", "x"), Err(NameProblem::Key));
        assert_eq!(Label::new("room", ""), Err(NameProblem::Empty));
        assert!(Label::new(&"k".repeat(LABEL_CHARS_MAX), "x").is_ok());
        let long = "k".repeat(LABEL_CHARS_MAX + 1);
        assert_eq!(Label::new(&long, "x"), Err(NameProblem::TooLong(LABEL_CHARS_MAX)));
    }
}
