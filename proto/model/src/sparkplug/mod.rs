//! Sparkplug B payloads (Eclipse Sparkplug 3.0, chapter 6; Protocol Buffers wire format, proto2).
//!
//! Read is the payload's time, sequence number and metrics with name or alias, time, data type and a
//! value of one of the basic types. Data sets, templates, bytes, files, arrays, property sets and
//! metadata are passed over, compressed payloads are refused.
//!
//! 1. [`Payload::decode`] checks the whole payload once, so that nothing of a broken one is taken.
//! 2. [`Payload::metrics`] gives its metrics, borrowed.

mod encode;
mod wire;

use core::fmt;

use hedgerow_base::{Fault, Timestamp};

pub use encode::command;
use wire::{Field, Fields};

use crate::{
    limits::{INTEGER_MAX, METRICS_MAX, PACK_BYTES_MAX, POINTER_BYTES_MAX, TEXT_BYTES_MAX},
    value::ValueRef,
};

/// Why bytes are no Sparkplug B payload that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SparkplugError {
    /// A field ends beyond its bytes, or has a wire type that it can't have.
    Broken,
    /// A name or text is not UTF-8 or is too long.
    Text,
    /// More metrics than [`METRICS_MAX`], or longer than [`PACK_BYTES_MAX`].
    TooMany,
    /// The payload is compressed.
    Compressed,
}

impl SparkplugError {
    /// The sender's fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooMany => Fault::TooMuch,
            Self::Broken | Self::Text | Self::Compressed => Fault::Invalid,
        }
    }
}

impl fmt::Display for SparkplugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "no Sparkplug B payload: a field of it is broken",
            Self::Text => "a name or text in the Sparkplug B payload is not UTF-8 or too long",
            Self::TooMany => "the Sparkplug B payload is too large; send less at once",
            Self::Compressed => {
                "compressed Sparkplug B payloads are not read; turn compression off"
            }
        })
    }
}

impl core::error::Error for SparkplugError {}

/// A checked payload.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    bytes: &'a [u8],
    /// When it was sent.
    pub time: Option<Timestamp>,
    /// The sequence number, 0 to 255.
    pub seq: Option<u64>,
}

/// One metric. What is not said is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metric<'a> {
    /// Its name; a birth certificate always has it.
    pub name: Option<&'a str>,
    /// The number that stands for the name after the birth certificate.
    pub alias: Option<u64>,
    /// When it was measured.
    pub time: Option<Timestamp>,
    /// The number of its data type; a birth certificate always has it.
    pub datatype: Option<u32>,
    /// Whether it says that there is no value now.
    pub is_null: bool,
    raw: Raw<'a>,
}

/// A value as it is on the wire; what it means depends on the data type.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Raw<'a> {
    #[default]
    Nothing,
    Int(u32),
    Long(u64),
    Number(f64),
    Boolean(bool),
    Text(&'a str),
    Other,
}

const PAYLOAD_TIME: u32 = 1;
const PAYLOAD_METRIC: u32 = 2;
const PAYLOAD_SEQ: u32 = 3;
const PAYLOAD_UUID: u32 = 4;

/// The UUID that marks a payload whose body is another one, compressed (Sparkplug 3.0, 6.4).
const COMPRESSED: &[u8] = b"SPBV1.0_COMPRESSED";

impl<'a> Payload<'a> {
    /// Checks a payload.
    ///
    /// # Errors
    /// [`SparkplugError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, SparkplugError> {
        if bytes.len() > PACK_BYTES_MAX {
            return Err(SparkplugError::TooMany);
        }
        let mut payload = Self { bytes, time: None, seq: None };
        let mut metrics = 0usize;
        let mut fields = Fields::of(bytes);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (PAYLOAD_TIME, Field::Varint(ms)) => payload.time = time(ms),
                (PAYLOAD_SEQ, Field::Varint(seq)) => payload.seq = Some(seq),
                (PAYLOAD_METRIC, Field::Bytes(bytes)) => {
                    metric(bytes)?;
                    metrics += 1;
                }
                (PAYLOAD_UUID, Field::Bytes(COMPRESSED)) => return Err(SparkplugError::Compressed),
                (PAYLOAD_TIME | PAYLOAD_METRIC | PAYLOAD_SEQ, _) => {
                    return Err(SparkplugError::Broken);
                }
                _ => {}
            }
        }
        if metrics > METRICS_MAX {
            return Err(SparkplugError::TooMany);
        }
        Ok(payload)
    }

    /// Its metrics, in order.
    pub fn metrics(&self) -> impl Iterator<Item = Metric<'a>> + use<'a> {
        let mut fields = Fields::of(self.bytes);
        // INVARIANT: every field was checked by `decode`, so nothing ends early.
        core::iter::from_fn(move || {
            while let Ok(Some((number, field))) = fields.next() {
                if let (PAYLOAD_METRIC, Field::Bytes(bytes)) = (number, field) {
                    return metric(bytes).ok();
                }
            }
            None
        })
    }
}

impl<'a> Metric<'a> {
    /// The value, read as `datatype` says, or as this metric says itself. `None` when there is no value,
    /// or none of a basic type.
    #[must_use]
    pub fn value(&self, datatype: Option<u32>) -> Option<ValueRef<'a>> {
        if self.is_null {
            return None;
        }
        let datatype = self.datatype.or(datatype).unwrap_or(0);
        Some(match self.raw {
            Raw::Nothing | Raw::Other => return None,
            Raw::Boolean(truth) => ValueRef::Boolean(truth),
            Raw::Number(number) => ValueRef::Number(number),
            Raw::Text(text) => ValueRef::Text(text),
            Raw::Int(bits) => integer(u64::from(bits), datatype),
            Raw::Long(bits) => integer(bits, datatype),
        })
    }
}

/// Whole numbers are two's complement of their width (Sparkplug 3.0, 6.4.16); which is told by the type.
fn integer(bits: u64, datatype: u32) -> ValueRef<'static> {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    let signed = match datatype {
        1 => i64::from(i8::from_le_bytes([a])),
        2 => i64::from(i16::from_le_bytes([a, b])),
        3 => i64::from(i32::from_le_bytes([a, b, c, d])),
        4 => bits.cast_signed(),
        _ => i64::try_from(bits).unwrap_or(i64::MAX),
    };
    if signed.unsigned_abs() <= INTEGER_MAX.unsigned_abs() {
        return ValueRef::Integer(signed);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 53 bits only the nearest double is kept"
    )]
    let nearest = if datatype == 4 { signed as f64 } else { bits as f64 };
    ValueRef::Number(nearest)
}

fn time(ms: u64) -> Option<Timestamp> {
    i64::try_from(ms).ok().map(Timestamp::from_ms)
}

fn metric(bytes: &[u8]) -> Result<Metric<'_>, SparkplugError> {
    let mut metric = Metric::default();
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(name)) => metric.name = Some(text(name, POINTER_BYTES_MAX)?),
            (2, Field::Varint(alias)) => metric.alias = Some(alias),
            (3, Field::Varint(ms)) => metric.time = time(ms),
            (4, Field::Varint(datatype)) => metric.datatype = Some(low(datatype)),
            (5 | 6, Field::Varint(_)) | (8 | 9, Field::Bytes(_)) => {}
            (7, Field::Varint(truth)) => metric.is_null = truth != 0,
            (10, Field::Varint(bits)) => metric.raw = Raw::Int(low(bits)),
            (11, Field::Varint(bits)) => metric.raw = Raw::Long(bits),
            (12, Field::Fixed32(bits)) => metric.raw = Raw::Number(decimal(f32::from_bits(bits))),
            (13, Field::Fixed64(bits)) => metric.raw = Raw::Number(f64::from_bits(bits)),
            (14, Field::Varint(truth)) => metric.raw = Raw::Boolean(truth != 0),
            (15, Field::Bytes(value)) => metric.raw = Raw::Text(text(value, TEXT_BYTES_MAX)?),
            (16..=19, Field::Bytes(_)) => metric.raw = Raw::Other,
            (1..=19, _) => return Err(SparkplugError::Broken),
            _ => {}
        }
    }
    Ok(metric)
}

/// A number of 32 bits; a varint of it may be longer when it was sign-extended.
fn low(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A float as the double nearest to its shortest decimal: 21.3 stays 21.3.
fn decimal(float: f32) -> f64 {
    use core::fmt::Write;
    let mut text = Short::default();
    let fits = write!(text, "{float}").is_ok();
    let read = core::str::from_utf8(text.bytes.get(..text.len).unwrap_or_default());
    match read.ok().and_then(|text| text.parse().ok()) {
        Some(number) if fits => number,
        _ => f64::from(float),
    }
}

/// Room for the decimal of a usual float, without allocating.
#[derive(Default)]
struct Short {
    bytes: [u8; 24],
    len: usize,
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

fn text(bytes: &[u8], most: usize) -> Result<&str, SparkplugError> {
    if bytes.len() > most {
        return Err(SparkplugError::Text);
    }
    core::str::from_utf8(bytes).map_err(|_| SparkplugError::Text)
}

#[cfg(test)]
mod tests;
