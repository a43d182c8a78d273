use alloc::boxed::Box;
use core::fmt;

/// A value that a device can measure or state, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// True or false.
    Boolean(bool),
    /// A whole number within what JSON holds exactly.
    Integer(i64),
    /// A finite double.
    Number(f64),
    /// UTF-8 text.
    Text(&'a str),
}

/// A value that a device can measure or state.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Boolean(bool),
    /// A whole number within what JSON holds exactly.
    Integer(i64),
    /// A finite double.
    Number(f64),
    /// UTF-8 text.
    Text(Box<str>),
}

/// The four types of values; what a series is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// True or false.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Doubles.
    Number,
    /// Text.
    Text,
}

impl Kind {
    /// The `type` of a Thing Model's data schema.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "string",
        }
    }

    /// Reads [`Kind::word`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Boolean, Self::Integer, Self::Number, Self::Text]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    /// The number in stored rows and journals; it never changes.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Boolean => 1,
            Self::Integer => 2,
            Self::Number => 3,
            Self::Text => 4,
        }
    }

    /// Reads [`Kind::code`].
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Boolean, Self::Integer, Self::Number, Self::Text]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

impl ValueRef<'_> {
    /// The type of the value.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Boolean(_) => Kind::Boolean,
            Self::Integer(_) => Kind::Integer,
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
        }
    }

    /// The value as a number for sums and charts: booleans are 0 and 1, text has none.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Boolean(truth) => Some(f64::from(u8::from(*truth))),
            Self::Integer(whole) => Some(double(*whole)),
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// A copy that stands on its own.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::Integer(whole) => Value::Integer(whole),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Text(text.into()),
        }
    }
}

impl Value {
    /// The value, borrowed.
    #[must_use]
    pub fn borrow(&self) -> ValueRef<'_> {
        match self {
            Self::Boolean(truth) => ValueRef::Boolean(*truth),
            Self::Integer(whole) => ValueRef::Integer(*whole),
            Self::Number(number) => ValueRef::Number(*number),
            Self::Text(text) => ValueRef::Text(text),
        }
    }
}

impl fmt::Display for ValueRef<'_> {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(truth) => truth.fmt(f),
            Self::Integer(whole) => whole.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write_text(f, text),
        }
    }
}

/// Writes `text` as a JSON string.
pub(crate) fn write_text(out: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\u{0}'..='\u{1f}' => write!(out, "\\u{:04x}", u32::from(character))?,
            other => out.write_char(other)?,
        }
    }
    out.write_char('"')
}

/// The double nearest to a whole number; exact within [`crate::limits::INTEGER_MAX`].
#[must_use]
pub const fn double(whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "integers are held within 53 bits at the door")]
    let number = whole as f64;
    number
}

/// The whole number that `number` is, when it is one that JSON holds exactly.
#[must_use]
pub fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates and is checked below")]
    let candidate = number as i64;
    (candidate.unsigned_abs() <= crate::limits::INTEGER_MAX.unsigned_abs()
        && double(candidate).to_bits() == (number + 0.0).to_bits())
    .then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::INTEGER_MAX;

    #[test]
    fn only_whole_numbers_within_53_bits_are_whole() {
        assert_eq!(whole(3.0), Some(3));
        assert_eq!(whole(-0.0), Some(0));
        assert_eq!(whole(3.5), None);
        assert_eq!(whole(double(INTEGER_MAX)), Some(INTEGER_MAX));
        assert_eq!(whole(double(INTEGER_MAX) + 1.0), None);
        assert_eq!(whole(f64::NAN), None);
        assert_eq!(whole(f64::INFINITY), None);
    }

    #[test]
    fn values_are_written_as_json() {
        assert_eq!(std::format!("{}", ValueRef::Number(21.5)), "21.5");
        assert_eq!(std::format!("{}", ValueRef::Boolean(true)), "true");
        assert_eq!(std::format!("{}", ValueRef::Text("a\"\n")), "\"a\\\"\\u000a\"");
    }

    #[test]
    fn codes_and_words_are_read_as_they_are_written() {
        for kind in [Kind::Boolean, Kind::Integer, Kind::Number, Kind::Text] {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
            assert_eq!(Kind::parse(kind.word()), Some(kind));
        }
        assert_eq!(Kind::parse("object"), None);
        assert_eq!(Kind::from_code(0), None);
    }
}
