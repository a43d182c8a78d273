//! Sensor Measurement Lists (RFC 8428): packs in JSON and CBOR, read one resolved record at a time.
//!
//! 1. The payload is opened with `now`, for times that are relative to it.
//! 2. Each record's fields are read; a field seen twice, or one whose name ends in `_`, refuses the pack.
//! 3. Base fields are taken over, and the record is resolved: name, unit, absolute time, value.
//! 4. The record is lent out; nothing is allocated for it.
//!
//! A pack whose end is broken has lent out good records before: the caller keeps nothing of a pack
//! until its end was read.

mod cbor;
mod encode;
mod json;

use alloc::borrow::Cow;
use core::fmt;

use hedgerow_base::Timestamp;

pub use encode::{Entry, encode_cbor, encode_json};

use crate::{
    json::NotJson,
    limits::{PACK_BYTES_MAX, PACK_RECORDS_MAX, RELATIVE_SECONDS_END},
    value::ValueRef,
};

/// The SenML version that is understood (RFC 8428 section 4.4).
pub const VERSION: f64 = 10.0;

/// Why a pack is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenmlError {
    /// The payload is not JSON in UTF-8.
    Json(NotJson),
    /// The payload is not well-formed CBOR, or uses what SenML does not: the offset, and what it is.
    Cbor(usize, &'static str),
    /// More bytes or records than the limits allow: which.
    TooMuch(&'static str),
    /// The record with this number, from 0, breaks a rule of RFC 8428.
    Record(usize, &'static str),
}

impl fmt::Display for SenmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the pack is not JSON: {error}"),
            Self::Cbor(at, why) => write!(f, "the pack is not SenML in CBOR: {why} at byte {at}"),
            Self::TooMuch(what) => write!(f, "the pack is too large: {what}"),
            Self::Record(number, why) => write!(f, "record {number} of the pack: {why}"),
        }
    }
}

impl core::error::Error for SenmlError {}

impl From<NotJson> for SenmlError {
    fn from(error: NotJson) -> Self {
        Self::Json(error)
    }
}

/// What a record measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured<'a> {
    /// `v`, `vs` or `vb`, base value added.
    Value(ValueRef<'a>),
    /// `vd`: base64url without padding, checked for its alphabet, not decoded.
    Data(&'a str),
    /// A sum without a value.
    Nothing,
}

/// One resolved record (RFC 8428 section 4.6), lent by the reader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// The base name that stands before [`Record::name`].
    pub base_name: &'a str,
    /// The record's own name; both together are the name.
    pub name: &'a str,
    /// The unit, if any was said.
    pub unit: Option<&'a str>,
    /// When, to the millisecond.
    pub time: Timestamp,
    /// What was measured.
    pub measured: Measured<'a>,
    /// The integral over time, base sum added.
    pub sum: Option<f64>,
    /// Seconds until the next reading is due at the latest.
    pub update_seconds: Option<f64>,
}

impl Record<'_> {
    /// Whether the whole name is `prefix`, then `separator`-free `rest`, without putting it together.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        name.strip_prefix(self.base_name).is_some_and(|rest| rest == self.name)
    }
}

/// A pack that is being read.
pub struct Pack<'a> {
    reader: Reader<'a>,
    base: Base<'a>,
    fields: Fields<'a>,
    records: usize,
    now: Timestamp,
}

enum Reader<'a> {
    Json(json::Records<'a>),
    Cbor(cbor::Records<'a>),
}

impl<'a> Pack<'a> {
    /// Opens `payload` as JSON.
    ///
    /// # Errors
    /// [`SenmlError::TooMuch`] past [`PACK_BYTES_MAX`], [`SenmlError::Json`] when it is no JSON array.
    pub fn json(payload: &'a [u8], now: Timestamp) -> Result<Self, SenmlError> {
        check_size(payload)?;
        json::Records::open(payload).map(|records| Self::new(Reader::Json(records), now))
    }

    /// Opens `payload` as CBOR.
    ///
    /// # Errors
    /// [`SenmlError::TooMuch`] past [`PACK_BYTES_MAX`], [`SenmlError::Cbor`] when it is no CBOR array.
    pub fn cbor(payload: &'a [u8], now: Timestamp) -> Result<Self, SenmlError> {
        check_size(payload)?;
        cbor::Records::open(payload).map(|records| Self::new(Reader::Cbor(records), now))
    }

    /// Opens `payload` as what its first byte says: a JSON array begins with `[` or white space, a CBOR
    /// array never does.
    ///
    /// # Errors
    /// As [`Pack::json`] and [`Pack::cbor`].
    pub fn open(payload: &'a [u8], now: Timestamp) -> Result<Self, SenmlError> {
        match payload.first() {
            Some(0x80..=0x9f) => Self::cbor(payload, now),
            _ => Self::json(payload, now),
        }
    }

    fn new(reader: Reader<'a>, now: Timestamp) -> Self {
        Self { reader, base: Base::default(), fields: Fields::default(), records: 0, now }
    }

    /// The next record, or `None` after the last one of a pack that was good to its end.
    ///
    /// # Errors
    /// [`SenmlError`]; the pack is then refused as a whole.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, SenmlError> {
        self.fields = Fields::default();
        let more = match &mut self.reader {
            Reader::Json(records) => records.read(&mut self.fields, self.records)?,
            Reader::Cbor(records) => records.read(&mut self.fields, self.records)?,
        };
        if !more {
            return Ok(None);
        }
        if self.records == PACK_RECORDS_MAX {
            return Err(SenmlError::TooMuch("split it: it has more records than one pack may"));
        }
        let number = self.records;
        self.records += 1;
        self.base.take_over(&mut self.fields, number)?;
        self.base
            .resolve(&self.fields, self.now)
            .map(Some)
            .map_err(|why| SenmlError::Record(number, why))
    }
}

fn check_size(payload: &[u8]) -> Result<(), SenmlError> {
    if payload.len() > PACK_BYTES_MAX {
        return Err(SenmlError::TooMuch("split it: it has more bytes than one pack may"));
    }
    Ok(())
}

/// The fields of one record as they were read.
#[derive(Default)]
struct Fields<'a> {
    base_name: Option<Cow<'a, str>>,
    base_time: Option<f64>,
    base_unit: Option<Cow<'a, str>>,
    base_value: Option<f64>,
    base_sum: Option<f64>,
    base_version: Option<f64>,
    name: Option<Cow<'a, str>>,
    unit: Option<Cow<'a, str>>,
    value: Option<f64>,
    text: Option<Cow<'a, str>>,
    truth: Option<bool>,
    data: Option<Cow<'a, str>>,
    data_bytes: bool,
    sum: Option<f64>,
    time: Option<f64>,
    update: Option<f64>,
}

/// The labels of RFC 8428 section 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    BaseVersion,
    BaseName,
    BaseTime,
    BaseUnit,
    BaseValue,
    BaseSum,
    Name,
    Unit,
    Value,
    Text,
    Truth,
    Sum,
    Time,
    Update,
    Data,
}

/// Puts a field where it belongs; a field that is there already is a fault of the sender.
fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if slot.replace(value).is_some() { Err("a field appears twice") } else { Ok(()) }
}

/// The base fields in effect.
#[derive(Default)]
struct Base<'a> {
    name: Cow<'a, str>,
    time: f64,
    unit: Option<Cow<'a, str>>,
    value: f64,
    sum: f64,
    version: Option<f64>,
}

impl<'a> Base<'a> {
    fn take_over(&mut self, fields: &mut Fields<'a>, number: usize) -> Result<(), SenmlError> {
        if let Some(name) = fields.base_name.take() {
            self.name = name;
        }
        if let Some(unit) = fields.base_unit.take() {
            self.unit = Some(unit);
        }
        self.time = fields.base_time.unwrap_or(self.time);
        self.value = fields.base_value.unwrap_or(self.value);
        self.sum = fields.base_sum.unwrap_or(self.sum);
        let Some(version) = fields.base_version else { return Ok(()) };
        let refuse = |why| Err(SenmlError::Record(number, why));
        if !(1.0..=VERSION).contains(&version) || crate::value::whole(version).is_none() {
            return refuse("the SenML version is not one from 1 to 10");
        }
        if number > 0 && self.version.unwrap_or(VERSION).to_bits() != version.to_bits() {
            return refuse("a pack has one version for all its records");
        }
        self.version = Some(version);
        Ok(())
    }

    fn resolve<'r>(
        &'r self,
        fields: &'r Fields<'a>,
        now: Timestamp,
    ) -> Result<Record<'r>, &'static str> {
        let name = fields.name.as_deref().unwrap_or_default();
        check_name(&self.name, name)?;
        let measured = self.measured(fields)?;
        let sum = match fields.sum {
            Some(sum) => Some(finite(sum + self.sum)?),
            None if matches!(measured, Measured::Nothing) => {
                return Err("it has no value: one of v, vs, vb, vd or s is needed");
            }
            None => None,
        };
        Ok(Record {
            base_name: &self.name,
            name,
            unit: fields.unit.as_deref().or(self.unit.as_deref()),
            time: time(self.time + fields.time.unwrap_or(0.0), now)?,
            measured,
            sum,
            update_seconds: fields.update,
        })
    }

    fn measured<'r>(&self, fields: &'r Fields<'a>) -> Result<Measured<'r>, &'static str> {
        let text = fields.text.as_deref();
        let data = fields.data.as_deref();
        match (fields.value, text, fields.truth, data) {
            (Some(value), None, None, None) => {
                Ok(Measured::Value(ValueRef::Number(finite(value + self.value)?)))
            }
            (None, Some(text), None, None) => Ok(Measured::Value(ValueRef::Text(text))),
            (None, None, Some(truth), None) => Ok(Measured::Value(ValueRef::Boolean(truth))),
            (None, None, None, Some(data)) if fields.data_bytes || is_base64url(data) => {
                Ok(Measured::Data(data))
            }
            (None, None, None, Some(_)) => Err("vd is base64url without padding"),
            (None, None, None, None) => Ok(Measured::Nothing),
            _ => Err("it has more than one of v, vs, vb and vd"),
        }
    }
}

fn finite(number: f64) -> Result<f64, &'static str> {
    if number.is_finite() { Ok(number) } else { Err("a number is not finite") }
}

/// Holds the name rule of RFC 8428 section 4.5.1 over both halves.
fn check_name(base: &str, name: &str) -> Result<(), &'static str> {
    let mut bytes = base.bytes().chain(name.bytes());
    match bytes.next() {
        None => return Err("it has no name"),
        Some(first) if !first.is_ascii_alphanumeric() => {
            return Err("its name does not begin with a letter or digit");
        }
        Some(_) => {}
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-:./_".contains(&byte);
    if bytes.all(known) {
        Ok(())
    } else {
        Err("its name has characters beyond A-Z a-z 0-9 - : . / _")
    }
}

/// Seconds of SenML as a moment: absolute from 2^28 on, else relative to now (section 4.5.3).
fn time(seconds: f64, now: Timestamp) -> Result<Timestamp, &'static str> {
    let ms = seconds * 1000.0;
    let rounded = if ms < 0.0 { ms - 0.5 } else { ms + 0.5 };
    if !rounded.is_finite() || rounded.abs() > crate::value::double(crate::limits::INTEGER_MAX) {
        return Err("its time is beyond what can be said");
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "held within 53 bits above; cut after + 0.5"
    )]
    let ms = rounded as i64;
    Ok(if seconds < RELATIVE_SECONDS_END { now.plus_ms(ms) } else { Timestamp::from_ms(ms) })
}

fn is_base64url(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() % 4 != 1 && text.bytes().all(known)
}
