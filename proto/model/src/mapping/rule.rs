//! From a device's words and numbers to values, and back.

use alloc::boxed::Box;

use crate::value::{Value, ValueRef, double};

/// Words of a device and the values that they mean.
pub(crate) type Words = Box<[(Box<str>, Value)]>;

/// How a value is translated.
// INVARIANT: words are sorted, without repeats; the scale is finite and not 0, the offset finite.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) words: Words,
    pub(crate) scale: f64,
    pub(crate) offset: f64,
    /// The value whenever a message comes, whatever it says.
    pub(crate) constant: Option<Value>,
}

impl Default for Rule {
    fn default() -> Self {
        Self { words: Box::default(), scale: 1.0, offset: 0.0, constant: None }
    }
}

impl Rule {
    fn is_linear(&self) -> bool {
        self.scale.to_bits() != 1f64.to_bits() || self.offset.to_bits() != 0f64.to_bits()
    }

    /// The value that a device's value means; nothing when it says a word that is not listed.
    #[inline]
    pub(crate) fn read<'v>(&'v self, value: ValueRef<'v>) -> Option<ValueRef<'v>> {
        let value = match value {
            ValueRef::Text(word) if !self.words.is_empty() => self.word(word)?,
            other => other,
        };
        match value.as_number() {
            Some(number) if self.is_linear() && !matches!(value, ValueRef::Boolean(_)) => {
                Some(ValueRef::Number(number * self.scale + self.offset))
            }
            _ => Some(value),
        }
    }

    pub(crate) fn word(&self, word: &str) -> Option<ValueRef<'_>> {
        let at = self.words.binary_search_by(|(known, _)| (**known).cmp(word)).ok()?;
        self.words.get(at).map(|(_, value)| value.borrow())
    }

    /// What a device is told for a value; nothing when it has no word for it. Of several words that mean
    /// the same the first by name is said.
    pub(crate) fn write<'v>(&'v self, value: ValueRef<'v>) -> Option<ValueRef<'v>> {
        if !self.words.is_empty() {
            let means = |known: &Value| same(known.borrow(), value);
            let found = self.words.iter().find(|(_, known)| means(known));
            return found.map(|(word, _)| ValueRef::Text(word));
        }
        match value.as_number() {
            Some(number) if self.is_linear() && !matches!(value, ValueRef::Boolean(_)) => {
                Some(ValueRef::Number((number - self.offset) / self.scale))
            }
            _ => Some(value),
        }
    }
}

/// Whether two values are the same, whole numbers and doubles alike.
fn same(one: ValueRef<'_>, other: ValueRef<'_>) -> bool {
    match (one, other) {
        (ValueRef::Integer(whole), ValueRef::Number(number))
        | (ValueRef::Number(number), ValueRef::Integer(whole)) => {
            double(whole).to_bits() == number.to_bits()
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_off() -> Rule {
        let words = [("OFF", false), ("ON", true)];
        let words = words.map(|(word, truth)| (word.into(), Value::Boolean(truth)));
        Rule { words: words.into(), ..Rule::default() }
    }

    #[test]
    fn words_mean_values_both_ways_and_others_nothing() {
        let rule = on_off();
        assert_eq!(rule.read(ValueRef::Text("ON")), Some(ValueRef::Boolean(true)));
        assert_eq!(rule.read(ValueRef::Text("on")), None);
        assert_eq!(rule.read(ValueRef::Boolean(true)), Some(ValueRef::Boolean(true)));
        assert_eq!(rule.write(ValueRef::Boolean(false)), Some(ValueRef::Text("OFF")));
        assert_eq!(rule.write(ValueRef::Number(1.0)), None);
    }

    #[test]
    fn scale_and_offset_are_undone_on_the_way_back() {
        let rule = Rule { scale: 0.5, offset: -40.0, ..Rule::default() };
        assert_eq!(rule.read(ValueRef::Integer(100)), Some(ValueRef::Number(10.0)));
        assert_eq!(rule.write(ValueRef::Number(10.0)), Some(ValueRef::Number(100.0)));
        assert_eq!(rule.read(ValueRef::Text("x")), Some(ValueRef::Text("x")));
        assert_eq!(rule.read(ValueRef::Boolean(true)), Some(ValueRef::Boolean(true)));
    }

    #[test]
    fn without_a_rule_a_value_stays_as_it_is() {
        let rule = Rule::default();
        assert_eq!(rule.read(ValueRef::Integer(7)), Some(ValueRef::Integer(7)));
        assert_eq!(rule.write(ValueRef::Text("x")), Some(ValueRef::Text("x")));
    }
}
