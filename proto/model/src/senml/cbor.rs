//! Records of a pack in CBOR (RFC 8428 section 6, RFC 8949).
//!
//! Arrays and maps of indefinite length are read; strings in pieces are not, since they can't be
//! borrowed. Decimal fractions (tag 4) are numbers, other tags are passed over in unknown fields only.

use alloc::borrow::Cow;

use super::{Fields, Label, SenmlError, set};
use crate::{limits::PACK_DEPTH_MAX, value::double};

type Cbor<T> = Result<T, SenmlError>;

pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: Left,
}

/// How many items of an array or map are still to come.
#[derive(Clone, Copy)]
enum Left {
    Known(u64),
    UntilBreak,
}

/// The head of a data item: its major type and argument.
#[derive(Clone, Copy)]
struct Head {
    major: u8,
    info: u8,
    argument: u64,
}

enum Key<'a> {
    Label(Label),
    Number,
    Text(&'a str),
}

impl<'a> Records<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Cbor<Self> {
        let mut records = Self { bytes, at: 0, left: Left::Known(0) };
        let head = records.head()?;
        if head.major != 4 {
            return records.fail("an array is needed here");
        }
        records.left = records.length(head);
        Ok(records)
    }

    /// Reads the next record into `fields`; `false` at the end of the pack.
    pub(super) fn read(&mut self, fields: &mut Fields<'a>, number: usize) -> Cbor<bool> {
        let mut left = self.left;
        let more = self.more(&mut left)?;
        self.left = left;
        if !more {
            if self.at != self.bytes.len() {
                return self.fail("something follows the pack");
            }
            return Ok(false);
        }
        let head = self.head()?;
        if head.major != 5 {
            return self.fail("a map is needed here");
        }
        let mut members = self.length(head);
        while self.more(&mut members)? {
            match self.key()? {
                Key::Label(label) => self.field(label, fields, number)?,
                Key::Text(name) if name.ends_with('_') => {
                    let why = "it has a field that must be understood and is not";
                    return Err(SenmlError::Record(number, why));
                }
                Key::Text(_) | Key::Number => self.skip(PACK_DEPTH_MAX)?,
            }
        }
        Ok(true)
    }

    fn field(&mut self, label: Label, fields: &mut Fields<'a>, number: usize) -> Cbor<()> {
        let done = match label {
            Label::BaseVersion => set(&mut fields.base_version, self.number()?),
            Label::BaseName => set(&mut fields.base_name, Cow::Borrowed(self.text()?)),
            Label::BaseTime => set(&mut fields.base_time, self.number()?),
            Label::BaseUnit => set(&mut fields.base_unit, Cow::Borrowed(self.text()?)),
            Label::BaseValue => set(&mut fields.base_value, self.number()?),
            Label::BaseSum => set(&mut fields.base_sum, self.number()?),
            Label::Name => set(&mut fields.name, Cow::Borrowed(self.text()?)),
            Label::Unit => set(&mut fields.unit, Cow::Borrowed(self.text()?)),
            Label::Value => set(&mut fields.value, self.number()?),
            Label::Text => set(&mut fields.text, Cow::Borrowed(self.text()?)),
            Label::Truth => set(&mut fields.truth, self.truth()?),
            Label::Sum => set(&mut fields.sum, self.number()?),
            Label::Time => set(&mut fields.time, self.number()?),
            Label::Update => set(&mut fields.update, self.number()?),
            Label::Data => {
                self.data()?;
                fields.data_bytes = true;
                set(&mut fields.data, Cow::Borrowed(""))
            }
        };
        done.map_err(|why| SenmlError::Record(number, why))
    }

    fn key(&mut self) -> Cbor<Key<'a>> {
        let head = self.head()?;
        let label = match (head.major, head.argument) {
            (0, 0) => Label::Name,
            (0, 1) => Label::Unit,
            (0, 2) => Label::Value,
            (0, 3) => Label::Text,
            (0, 4) => Label::Truth,
            (0, 5) => Label::Sum,
            (0, 6) => Label::Time,
            (0, 7) => Label::Update,
            (0, 8) => Label::Data,
            (1, 0) => Label::BaseVersion,
            (1, 1) => Label::BaseName,
            (1, 2) => Label::BaseTime,
            (1, 3) => Label::BaseUnit,
            (1, 4) => Label::BaseValue,
            (1, 5) => Label::BaseSum,
            (0 | 1, _) => return Ok(Key::Number),
            (3, _) => return self.text_of(head).map(Key::Text),
            _ => return self.fail("a label is a whole number or text"),
        };
        Ok(Key::Label(label))
    }

    const fn fail<T>(&self, why: &'static str) -> Cbor<T> {
        Err(SenmlError::Cbor(self.at, why))
    }

    fn byte(&mut self) -> Cbor<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => self.fail("the pack ends too early"),
        }
    }

    fn slice(&mut self, length: u64) -> Cbor<&'a [u8]> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(slice) => {
                self.at += slice.len();
                Ok(slice)
            }
            None => self.fail("the pack ends too early"),
        }
    }

    fn head(&mut self) -> Cbor<Head> {
        let first = self.byte()?;
        let info = first & 0x1f;
        let argument = match info {
            0..=23 => u64::from(info),
            24..=27 => {
                let bytes = self.slice(1 << (info - 24))?;
                bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
            }
            31 => 0,
            _ => return self.fail("a reserved length"),
        };
        let head = Head { major: first >> 5, info, argument };
        if info == 31 && !matches!(head.major, 4 | 5 | 7) {
            return self.fail("a string in pieces, or a number without length");
        }
        Ok(head)
    }

    const fn length(&self, head: Head) -> Left {
        if head.info == 31 { Left::UntilBreak } else { Left::Known(head.argument) }
    }

    fn more(&mut self, left: &mut Left) -> Cbor<bool> {
        match left {
            Left::Known(0) => Ok(false),
            Left::Known(count) => {
                *count -= 1;
                Ok(true)
            }
            Left::UntilBreak if self.bytes.get(self.at) == Some(&0xff) => {
                self.at += 1;
                *left = Left::Known(0);
                Ok(false)
            }
            Left::UntilBreak => Ok(true),
        }
    }

    fn text(&mut self) -> Cbor<&'a str> {
        let head = self.head()?;
        self.text_of(head)
    }

    fn text_of(&mut self, head: Head) -> Cbor<&'a str> {
        if head.major != 3 {
            return self.fail("text is needed here");
        }
        let slice = self.slice(head.argument)?;
        core::str::from_utf8(slice).or_else(|_| self.fail("not UTF-8"))
    }

    fn data(&mut self) -> Cbor<&'a [u8]> {
        let head = self.head()?;
        if head.major != 2 {
            return self.fail("a byte string is needed here");
        }
        self.slice(head.argument)
    }

    fn truth(&mut self) -> Cbor<bool> {
        match self.byte()? {
            0xf4 => Ok(false),
            0xf5 => Ok(true),
            _ => self.fail("true or false is needed here"),
        }
    }

    fn number(&mut self) -> Cbor<f64> {
        let head = self.head()?;
        let number = match (head.major, head.info) {
            (0 | 1, _) => whole(head),
            (6, _) if head.argument == 4 => return self.decimal_fraction(),
            (7, 25) => half(head.argument),
            (7, 26) => f64::from(f32::from_bits(u32::try_from(head.argument).unwrap_or(0))),
            (7, 27) => f64::from_bits(head.argument),
            _ => return self.fail("a number is needed here"),
        };
        if number.is_finite() { Ok(number) } else { self.fail("a number that is not finite") }
    }

    /// Tag 4 (RFC 8949 section 3.4.4): [exponent, mantissa] to the base ten.
    fn decimal_fraction(&mut self) -> Cbor<f64> {
        if self.byte()? != 0x82 {
            return self.fail("a decimal fraction is an array of two");
        }
        let (exponent, mantissa) = (self.head()?, self.head()?);
        if exponent.major > 1 || mantissa.major > 1 || exponent.argument > 400 {
            return self.fail("a decimal fraction of two whole numbers is needed here");
        }
        // Through text, so that the result is the nearest double, as in JSON.
        let text = alloc::format!("{}e{}", signed(mantissa), signed(exponent));
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => self.fail("a number too large for a double"),
        }
    }

    fn skip(&mut self, depth: usize) -> Cbor<()> {
        let head = self.head()?;
        match head.major {
            0 | 1 => Ok(()),
            2 | 3 => self.slice(head.argument).map(drop),
            7 if head.info == 31 => self.fail("a break where a value is needed"),
            7 => Ok(()),
            _ if depth == 0 => self.fail("nested too deeply"),
            6 => self.skip(depth - 1),
            major => {
                let mut left = self.length(head);
                while self.more(&mut left)? {
                    self.skip(depth - 1)?;
                    if major == 5 {
                        self.skip(depth - 1)?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn signed(head: Head) -> i128 {
    if head.major == 0 { i128::from(head.argument) } else { -1 - i128::from(head.argument) }
}

fn whole(head: Head) -> f64 {
    i64::try_from(signed(head)).map_or(f64::INFINITY, double)
}

/// A half-precision float (RFC 8949 appendix D).
fn half(bits: u64) -> f64 {
    let exponent = (bits >> 10) & 0x1f;
    let mantissa = double(i64::try_from(bits & 0x3ff).unwrap_or(0));
    let magnitude = match exponent {
        0 => mantissa * (-24f64).exp2_exact(),
        31 if bits & 0x3ff == 0 => f64::INFINITY,
        31 => f64::NAN,
        _ => {
            (mantissa + 1024.0) * (double(i64::try_from(exponent).unwrap_or(0)) - 25.0).exp2_exact()
        }
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// Two to a small whole power; `core` has no `exp2`.
trait Exp2Exact {
    fn exp2_exact(self) -> f64;
}

impl Exp2Exact for f64 {
    fn exp2_exact(self) -> f64 {
        let exponent = crate::value::whole(self).unwrap_or(0) + 1023;
        f64::from_bits(u64::try_from(exponent).unwrap_or(0) << 52)
    }
}
