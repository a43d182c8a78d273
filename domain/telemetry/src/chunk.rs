//! Sealed chunks: about a thousand points of one series in columns, with their summary in front.
//!
//! | part | content |
//! |---|---|
//! | version, type | one byte each |
//! | summary | count, first and last time as varints; minimum, maximum and sum as doubles unless text |
//! | times | `0` and the interval when they are regular, else `1`, a length and pco |
//! | values | numbers: `0` and the value when all are equal, else `1` and pco; booleans: runs; text: words, then runs of their numbers |

use hedgerow_base::Timestamp;
use hedgerow_model::Kind;
use pco::{ChunkConfig, data_types::Number, standalone};

use crate::{
    Points, TelemetryError,
    bytes::{Cursor, varint, zigzag},
    limits::CHUNK_POINTS_MAX,
    points::Values,
};

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const PACKED: u8 = 1;

/// What is known of a chunk without unpacking it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The type of the values.
    pub kind: Kind,
    /// How many points; at least one.
    pub count: u32,
    /// The first instant.
    pub first: Timestamp,
    /// The last instant.
    pub last: Timestamp,
    /// The least value; booleans count as 0 and 1, text as nothing.
    pub minimum: f64,
    /// The greatest value.
    pub maximum: f64,
    /// The sum of the values.
    pub sum: f64,
}

/// Seals points into bytes.
///
/// # Errors
/// [`TelemetryError::Corrupt`] when there is no point, more than [`CHUNK_POINTS_MAX`], or the compressor
/// fails, which it has no reason to.
pub fn seal(points: &Points) -> Result<(Summary, Vec<u8>), TelemetryError> {
    let summary = summarise(points).ok_or(TelemetryError::Corrupt("no points to seal"))?;
    if points.len() > CHUNK_POINTS_MAX {
        return Err(TelemetryError::Corrupt("too many points to seal"));
    }
    let mut out = Vec::with_capacity(64 + points.len());
    out.extend([VERSION, summary.kind.code()]);
    varint(&mut out, u64::from(summary.count));
    varint(&mut out, zigzag(summary.first.as_ms()));
    varint(&mut out, zigzag(summary.last.since_ms(summary.first)));
    if summary.kind != Kind::Text {
        for number in [summary.minimum, summary.maximum, summary.sum] {
            out.extend(number.to_le_bytes());
        }
    }
    seal_times(&points.times, &mut out)?;
    match &points.values {
        Values::Number(all) => seal_numbers(all, |number| number.to_bits(), &mut out)?,
        Values::Integer(all) => seal_numbers(all, |whole| whole.cast_unsigned(), &mut out)?,
        Values::Boolean(all) => runs(all.iter().map(|truth| u64::from(*truth)), &mut out),
        Values::Text(all) => seal_words(all, &mut out),
    }
    Ok((summary, out))
}

/// Reads the summary of a chunk.
///
/// # Errors
/// [`TelemetryError::Corrupt`].
pub fn summary(chunk: &[u8]) -> Result<Summary, TelemetryError> {
    open_summary(&mut Cursor::new(chunk)).ok_or(TelemetryError::Corrupt("the summary of a chunk"))
}

/// Unpacks the points of a chunk.
///
/// # Errors
/// [`TelemetryError::Corrupt`].
pub fn open(chunk: &[u8]) -> Result<(Summary, Points), TelemetryError> {
    let mut cursor = Cursor::new(chunk);
    open_points(&mut cursor).ok_or(TelemetryError::Corrupt("the points of a chunk"))
}

fn summarise(points: &Points) -> Option<Summary> {
    let (first, last) = points.span()?;
    let mut summary = Summary {
        kind: points.kind(),
        count: u32::try_from(points.len()).ok()?,
        first: Timestamp::from_ms(first),
        last: Timestamp::from_ms(last),
        minimum: f64::INFINITY,
        maximum: f64::NEG_INFINITY,
        sum: 0.0,
    };
    for number in points.iter().filter_map(|(_, value)| value.as_number()) {
        summary.minimum = summary.minimum.min(number);
        summary.maximum = summary.maximum.max(number);
        summary.sum += number;
    }
    Some(summary)
}

fn open_summary(cursor: &mut Cursor<'_>) -> Option<Summary> {
    if cursor.byte()? != VERSION {
        return None;
    }
    let kind = Kind::from_code(cursor.byte()?)?;
    let count = u32::try_from(cursor.varint()?).ok()?;
    let first = Timestamp::from_ms(cursor.zigzag()?);
    let last = first.plus_ms(cursor.zigzag()?);
    let mut numbers = [f64::INFINITY, f64::NEG_INFINITY, 0.0];
    if kind != Kind::Text {
        for number in &mut numbers {
            *number = f64::from_le_bytes(cursor.array()?);
        }
    }
    let [minimum, maximum, sum] = numbers;
    if count == 0 || usize::try_from(count).ok()? > CHUNK_POINTS_MAX || last < first {
        return None;
    }
    Some(Summary { kind, count, first, last, minimum, maximum, sum })
}

fn open_points(cursor: &mut Cursor<'_>) -> Option<(Summary, Points)> {
    let summary = open_summary(cursor)?;
    let count = usize::try_from(summary.count).ok()?;
    let times = open_times(cursor, &summary, count)?;
    let values = match summary.kind {
        Kind::Number => Values::Number(open_numbers(cursor, f64::from_bits, count)?),
        Kind::Integer => Values::Integer(open_numbers(cursor, u64::cast_signed, count)?),
        Kind::Boolean => {
            let mut all = Vec::with_capacity(count);
            open_runs(cursor, count, |number, times| {
                all.extend(std::iter::repeat_n(number == 1, times));
                (number <= 1).then_some(())
            })?;
            Values::Boolean(all)
        }
        Kind::Text => Values::Text(open_words(cursor, count)?),
    };
    let points = Points::from_columns(times, values)?;
    let is_as_said = points.span() == Some((summary.first.as_ms(), summary.last.as_ms()));
    (is_as_said && cursor.is_empty()).then_some((summary, points))
}

fn seal_times(times: &[i64], out: &mut Vec<u8>) -> Result<(), TelemetryError> {
    let interval = match times {
        [one, two, ..] => two - one,
        _ => 0,
    };
    if times.windows(2).all(|pair| matches!(pair, [one, two] if two - one == interval)) {
        out.push(PLAIN);
        varint(out, interval.cast_unsigned());
        return Ok(());
    }
    out.push(PACKED);
    let packed = pack(times)?;
    varint(out, packed.len() as u64);
    out.extend(packed);
    Ok(())
}

fn open_times(cursor: &mut Cursor<'_>, summary: &Summary, count: usize) -> Option<Vec<i64>> {
    let first = summary.first.as_ms();
    match cursor.byte()? {
        PLAIN => {
            let interval = i64::try_from(cursor.varint()?).ok()?;
            (0..i64::try_from(count).ok()?)
                .map(|step| first.checked_add(step.checked_mul(interval)?))
                .collect()
        }
        PACKED => {
            let length = usize::try_from(cursor.varint()?).ok()?;
            unpack(cursor.take(length)?, count)
        }
        _ => None,
    }
}

fn seal_numbers<T: Number + PartialEq>(
    all: &[T],
    bits: impl Fn(T) -> u64,
    out: &mut Vec<u8>,
) -> Result<(), TelemetryError> {
    match all {
        [first, rest @ ..] if rest.iter().all(|number| bits(*number) == bits(*first)) => {
            out.push(PLAIN);
            out.extend(bits(*first).to_le_bytes());
        }
        _ => {
            out.push(PACKED);
            out.extend(pack(all)?);
        }
    }
    Ok(())
}

fn open_numbers<T: Number>(
    cursor: &mut Cursor<'_>,
    from_bits: impl Fn(u64) -> T,
    count: usize,
) -> Option<Vec<T>> {
    match cursor.byte()? {
        PLAIN => Some(vec![from_bits(u64::from_le_bytes(cursor.array()?)); count]),
        PACKED => {
            let rest = cursor.take(cursor.rest().len())?;
            unpack(rest, count)
        }
        _ => None,
    }
}

fn pack<T: Number>(numbers: &[T]) -> Result<Vec<u8>, TelemetryError> {
    standalone::simple_compress(numbers, &ChunkConfig::default())
        .map_err(|_| TelemetryError::Corrupt("the compressor refused"))
}

fn unpack<T: Number>(packed: &[u8], count: usize) -> Option<Vec<T>> {
    let mut numbers = vec![T::default(); count];
    let progress = standalone::simple_decompress_into(packed, &mut numbers).ok()?;
    (progress.finished && progress.n_processed == count).then_some(numbers)
}

/// Writes numbers as runs: each number and how many times in a row, until all are said.
fn runs(numbers: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    let mut run: Option<(u64, u64)> = None;
    for number in numbers {
        match &mut run {
            Some((current, times)) if *current == number => *times += 1,
            _ => {
                if let Some((current, times)) = run.replace((number, 1)) {
                    varint(out, current);
                    varint(out, times);
                }
            }
        }
    }
    if let Some((current, times)) = run {
        varint(out, current);
        varint(out, times);
    }
}

fn open_runs(
    cursor: &mut Cursor<'_>,
    count: usize,
    mut take: impl FnMut(u64, usize) -> Option<()>,
) -> Option<()> {
    let mut left = count;
    while left > 0 {
        let number = cursor.varint()?;
        let times = usize::try_from(cursor.varint()?).ok()?;
        if times == 0 || times > left {
            return None;
        }
        left -= times;
        take(number, times)?;
    }
    Some(())
}

fn seal_words(all: &[Box<str>], out: &mut Vec<u8>) {
    let mut words: Vec<&str> = all.iter().map(|word| &**word).collect();
    words.sort_unstable();
    words.dedup();
    varint(out, words.len() as u64);
    for word in &words {
        varint(out, word.len() as u64);
        out.extend(word.as_bytes());
    }
    let number_of = |word: &str| words.binary_search(&word).unwrap_or(0) as u64;
    runs(all.iter().map(|word| number_of(word)), out);
}

fn open_words(cursor: &mut Cursor<'_>, count: usize) -> Option<Vec<Box<str>>> {
    let known = usize::try_from(cursor.varint()?).ok().filter(|known| *known <= count)?;
    let words: Vec<&str> = (0..known).map(|_| cursor.text()).collect::<Option<_>>()?;
    let mut all: Vec<Box<str>> = Vec::with_capacity(count);
    open_runs(cursor, count, |number, times| {
        let word = *words.get(usize::try_from(number).ok()?)?;
        all.extend(std::iter::repeat_n(word, times).map(Box::from));
        Some(())
    })?;
    Some(all)
}

#[cfg(test)]
mod tests;
