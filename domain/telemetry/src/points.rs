use hedgerow_model::{Kind, ValueRef};

use crate::Kept;

/// Points of one series in columns, in order of time, each instant once.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    // INVARIANT: strictly rising, and as many as there are values.
    pub(crate) times: Vec<i64>,
    pub(crate) values: Values,
    text_bytes: usize,
}

/// The values, one vector for each type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Boolean(Vec<bool>),
    Integer(Vec<i64>),
    Number(Vec<f64>),
    Text(Vec<Box<str>>),
}

impl Points {
    /// No points yet, of this type.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Boolean(Vec::new()),
            Kind::Integer => Values::Integer(Vec::new()),
            Kind::Number => Values::Number(Vec::new()),
            Kind::Text => Values::Text(Vec::new()),
        };
        Self { times: Vec::new(), values, text_bytes: 0 }
    }

    /// From columns that were read back; `None` when they are not what they must be.
    pub(crate) fn from_columns(times: Vec<i64>, values: Values) -> Option<Self> {
        let (count, text_bytes) = match &values {
            Values::Boolean(all) => (all.len(), 0),
            Values::Integer(all) => (all.len(), 0),
            Values::Number(all) => (all.len(), 0),
            Values::Text(all) => (all.len(), all.iter().map(|text| text.len()).sum()),
        };
        let is_rising = times.is_sorted_by(|one, next| one < next);
        (count == times.len() && is_rising).then_some(Self { times, values, text_bytes })
    }

    /// Keeps a value in its place; one for the same instant is overwritten.
    #[inline]
    pub fn push(&mut self, at_ms: i64, value: ValueRef<'_>) -> Kept {
        if value.kind() != self.kind() {
            return Kept::WrongType;
        }
        let place = match self.times.last() {
            Some(last) if *last >= at_ms => self.times.binary_search(&at_ms),
            Some(_) | None => Err(self.times.len()),
        };
        if let (Values::Text(_), ValueRef::Text(text)) = (&self.values, value) {
            self.text_bytes += text.len();
        }
        match place {
            Err(at) => {
                self.times.insert(at, at_ms);
                match (&mut self.values, value) {
                    (Values::Boolean(all), ValueRef::Boolean(truth)) => all.insert(at, truth),
                    (Values::Integer(all), ValueRef::Integer(whole)) => all.insert(at, whole),
                    (Values::Number(all), ValueRef::Number(number)) => all.insert(at, number),
                    (Values::Text(all), ValueRef::Text(text)) => all.insert(at, text.into()),
                    _ => return Kept::WrongType,
                }
                Kept::Added
            }
            Ok(at) => {
                match (&mut self.values, value) {
                    (Values::Boolean(all), ValueRef::Boolean(truth)) => replace(all, at, truth),
                    (Values::Integer(all), ValueRef::Integer(whole)) => replace(all, at, whole),
                    (Values::Number(all), ValueRef::Number(number)) => replace(all, at, number),
                    (Values::Text(all), ValueRef::Text(text)) => {
                        let old = all.get(at).map_or(0, |old| old.len());
                        self.text_bytes = self.text_bytes.saturating_sub(old);
                        replace(all, at, text.into());
                    }
                    _ => return Kept::WrongType,
                }
                Kept::Overwritten
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The type of the values.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.values {
            Values::Boolean(_) => Kind::Boolean,
            Values::Integer(_) => Kind::Integer,
            Values::Number(_) => Kind::Number,
            Values::Text(_) => Kind::Text,
        }
    }

    /// Bytes that the points take in memory, but for what is allocated ahead.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        let each = match self.values {
            Values::Boolean(_) => 8 + 1,
            Values::Integer(_) | Values::Number(_) => 8 + 8,
            Values::Text(_) => 8 + 16,
        };
        self.times.len() * each + self.text_bytes
    }

    /// The points, in order of time (milliseconds since the epoch).
    pub fn iter(&self) -> impl Iterator<Item = (i64, ValueRef<'_>)> {
        self.times.iter().enumerate().filter_map(|(at, ms)| Some((*ms, self.value(at)?)))
    }

    /// The first instant and the last.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((*self.times.first()?, *self.times.last()?))
    }

    /// The newest point.
    #[must_use]
    pub fn last(&self) -> Option<(i64, ValueRef<'_>)> {
        let at = self.times.len().checked_sub(1)?;
        Some((*self.times.get(at)?, self.value(at)?))
    }

    fn value(&self, at: usize) -> Option<ValueRef<'_>> {
        Some(match &self.values {
            Values::Boolean(all) => ValueRef::Boolean(*all.get(at)?),
            Values::Integer(all) => ValueRef::Integer(*all.get(at)?),
            Values::Number(all) => ValueRef::Number(*all.get(at)?),
            Values::Text(all) => ValueRef::Text(all.get(at)?),
        })
    }
}

fn replace<T>(all: &mut [T], at: usize, value: T) {
    if let Some(slot) = all.get_mut(at) {
        *slot = value;
    }
}
