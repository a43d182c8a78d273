//! The journal's format: readings as bytes, in the order in which they came.
//!
//! A reading is a tag, the series, the time and the value:
//!
//! 1. tag, one byte: the low four bits say the type and, for booleans, the value; the high bit says that
//!    the time is absolute, else it is the difference to the reading before;
//! 2. series and time as LEB128 varints, times zigzag;
//! 3. the value: eight bytes of a double, a zigzag varint, or a length and text.
//!
//! The first reading of a [`Batch`] is absolute, so that batches can be put together by appending. A
//! block is a header (`HJ`, version, CRC-32 of the readings, their count) and the readings.

use hedgerow_base::Timestamp;
use hedgerow_model::{Kind, ValueRef};

use crate::{SeriesId, TelemetryError, bytes::Cursor, bytes::crc32, bytes::varint, bytes::zigzag};

const MAGIC: [u8; 3] = *b"HJ\x01";

/// Bytes that stand before the readings of a block.
pub const BLOCK_HEADER_BYTES: usize = 3 + 4 + 4;

const ABSOLUTE: u8 = 0x80;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const NUMBER: u8 = 4;
const TEXT: u8 = 5;

/// One reading, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading<'a> {
    /// Which series.
    pub series: SeriesId,
    /// When it was measured, rounded to the resolution.
    pub at: Timestamp,
    /// What was measured.
    pub value: ValueRef<'a>,
}

/// Readings of one message, encoded. Made to be used again: [`Batch::clear`] keeps its memory.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u32,
    previous_ms: i64,
}

impl Batch {
    /// Appends a reading.
    #[inline]
    pub fn push(&mut self, reading: Reading<'_>) {
        let (tag, is_first) = (tag(&reading.value), self.count == 0);
        self.bytes.push(if is_first { tag | ABSOLUTE } else { tag });
        varint(&mut self.bytes, reading.series.0);
        let ms = reading.at.as_ms();
        let time = if is_first { ms } else { ms.wrapping_sub(self.previous_ms) };
        varint(&mut self.bytes, zigzag(time));
        self.previous_ms = ms;
        match reading.value {
            ValueRef::Boolean(_) => {}
            ValueRef::Integer(whole) => varint(&mut self.bytes, zigzag(whole)),
            ValueRef::Number(number) => self.bytes.extend_from_slice(&number.to_le_bytes()),
            ValueRef::Text(text) => {
                varint(&mut self.bytes, text.len() as u64);
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
        self.count += 1;
    }

    /// Forgets the readings and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// How many readings there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The readings as the journal holds them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The readings, one after the other.
    #[must_use]
    pub fn readings(&self) -> Readings<'_> {
        Readings::new(&self.bytes)
    }
}

const fn tag(value: &ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Boolean(false) => FALSE,
        ValueRef::Boolean(true) => TRUE,
        ValueRef::Integer(_) => INTEGER,
        ValueRef::Number(_) => NUMBER,
        ValueRef::Text(_) => TEXT,
    }
}

/// Reads encoded readings; ends at the first that is damaged, after saying so.
#[derive(Clone, Debug)]
pub struct Readings<'a> {
    cursor: Cursor<'a>,
    previous_ms: i64,
}

impl<'a> Readings<'a> {
    /// Over the bytes of one batch or several in a row.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes), previous_ms: 0 }
    }

    #[inline]
    fn read(&mut self) -> Option<Reading<'a>> {
        let tag = self.cursor.byte()?;
        let series = SeriesId(self.cursor.varint()?);
        let time = self.cursor.zigzag()?;
        let ms = if tag & ABSOLUTE == 0 { self.previous_ms.wrapping_add(time) } else { time };
        self.previous_ms = ms;
        let value = match tag & !ABSOLUTE {
            FALSE => ValueRef::Boolean(false),
            TRUE => ValueRef::Boolean(true),
            INTEGER => ValueRef::Integer(self.cursor.zigzag()?),
            NUMBER => ValueRef::Number(f64::from_le_bytes(self.cursor.array()?)),
            TEXT => ValueRef::Text(self.cursor.text()?),
            _ => return None,
        };
        Some(Reading { series, at: Timestamp::from_ms(ms), value })
    }
}

impl<'a> Iterator for Readings<'a> {
    type Item = Result<Reading<'a>, TelemetryError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let reading = self.read();
        if reading.is_none() {
            self.cursor = Cursor::new(&[]);
        }
        Some(reading.ok_or(TelemetryError::Corrupt("a reading in the journal")))
    }
}

/// The header of a block of `readings`.
#[must_use]
pub fn block_header(readings: &[u8], count: u32) -> [u8; BLOCK_HEADER_BYTES] {
    let mut header = [0; BLOCK_HEADER_BYTES];
    let parts = MAGIC.into_iter().chain(crc32(readings).to_le_bytes()).chain(count.to_le_bytes());
    header.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    header
}

/// The readings of a block, its header checked, and their count.
///
/// # Errors
/// [`TelemetryError::Corrupt`] when the header or the checksum is wrong.
pub fn open_block(block: &[u8]) -> Result<(Readings<'_>, u32), TelemetryError> {
    let mut cursor = Cursor::new(block);
    let corrupt = TelemetryError::Corrupt("a journal block");
    let (Some(magic), Some(crc), Some(count)) =
        (cursor.array::<3>(), cursor.array::<4>(), cursor.array::<4>())
    else {
        return Err(corrupt);
    };
    if magic != MAGIC || u32::from_le_bytes(crc) != crc32(cursor.rest()) {
        return Err(corrupt);
    }
    Ok((Readings::new(cursor.rest()), u32::from_le_bytes(count)))
}

/// The type that a reading's value has in its series.
#[must_use]
pub const fn kind(reading: &Reading<'_>) -> Kind {
    reading.value.kind()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(series: u64, ms: i64, value: ValueRef<'_>) -> Reading<'_> {
        Reading { series: SeriesId(series), at: Timestamp::from_ms(ms), value }
    }

    fn sample() -> Vec<Reading<'static>> {
        vec![
            reading(1, 1_800_000_000_000, ValueRef::Number(21.5)),
            reading(300, 1_800_000_000_000, ValueRef::Boolean(true)),
            reading(u64::MAX, 1_799_999_999_000, ValueRef::Integer(-(1 << 53))),
            reading(2, i64::MIN, ValueRef::Text("ä\"")),
            reading(2, i64::MAX, ValueRef::Boolean(false)),
        ]
    }

    fn block(readings: &[Reading<'_>]) -> Vec<u8> {
        let mut batch = Batch::default();
        readings.iter().for_each(|reading| batch.push(*reading));
        let mut block = block_header(batch.as_bytes(), batch.len()).to_vec();
        block.extend(batch.as_bytes());
        block
    }

    #[test]
    fn readings_survive_a_round_trip() {
        let block = block(&sample());
        let (readings, count) = open_block(&block).unwrap();
        assert_eq!(readings.collect::<Result<Vec<_>, _>>().unwrap(), sample());
        assert_eq!(count, 5);
    }

    #[test]
    fn batches_can_be_put_together_by_appending() {
        let mut batch = Batch::default();
        let mut all = Vec::new();
        for _ in 0..3 {
            batch.clear();
            sample().iter().for_each(|reading| batch.push(*reading));
            all.extend(batch.as_bytes());
        }
        let readings: Vec<_> = Readings::new(&all).map(Result::unwrap).collect();
        assert_eq!(readings, [sample(), sample(), sample()].concat());
    }

    #[test]
    fn a_damaged_block_is_refused() {
        let good = block(&sample());
        for at in 0..good.len() {
            if (7..11).contains(&at) {
                continue; // the count is a hint, held by no checksum
            }
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(open_block(&bad).is_err(), "byte {at}");
        }
        assert!(open_block(&good[..10]).is_err());
    }

    #[test]
    fn truncated_readings_end_with_an_error() {
        let mut batch = Batch::default();
        sample().iter().for_each(|reading| batch.push(*reading));
        let bytes = batch.as_bytes();
        let whole: Vec<_> = (0..=bytes.len())
            .filter(|end| Readings::new(&bytes[..*end]).all(|reading| reading.is_ok()))
            .collect();
        assert_eq!(whole.len(), 6, "only the ends of readings are ends");
        assert!(Readings::new(&[9, 1, 1]).next().unwrap().is_err(), "an unknown tag");
    }
}
