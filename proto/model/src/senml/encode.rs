//! Writing packs, for devices.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use hedgerow_base::Timestamp;

use crate::value::{ValueRef, double, write_text};

/// One record to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The name after the base name.
    pub name: &'a str,
    /// The unit, if it is to be said.
    pub unit: Option<&'a str>,
    /// When.
    pub time: Timestamp,
    /// What was measured.
    pub value: ValueRef<'a>,
}

/// Writes a pack as JSON: base name (left out when empty) and base time in the first record, times of
/// the others relative to it. Numbers that are not finite have no JSON and are left out.
pub fn encode_json(base_name: &str, entries: &[Entry<'_>], out: &mut String) {
    let base = entries.first().map_or(Timestamp::from_ms(0), |entry| entry.time);
    out.push('[');
    for (number, entry) in entries.iter().filter(|entry| is_finite(entry)).enumerate() {
        out.push_str(if number == 0 { "{" } else { ",{" });
        if number == 0 {
            if !base_name.is_empty() {
                out.push_str("\"bn\":");
                let _ = write_text(out, base_name);
                out.push(',');
            }
            let _ = write!(out, "\"bt\":{},", seconds(base.as_ms()));
        }
        out.push_str("\"n\":");
        let _ = write_text(out, entry.name);
        if let Some(unit) = entry.unit {
            out.push_str(",\"u\":");
            let _ = write_text(out, unit);
        }
        let ms = entry.time.since_ms(base);
        if ms != 0 {
            let _ = write!(out, ",\"t\":{}", seconds(ms));
        }
        let key = match entry.value {
            ValueRef::Boolean(_) => "vb",
            ValueRef::Integer(_) | ValueRef::Number(_) => "v",
            ValueRef::Text(_) => "vs",
        };
        let _ = write!(out, ",\"{key}\":{}}}", entry.value);
    }
    out.push(']');
}

/// Writes a pack as CBOR with the same content as [`encode_json`], numbers in their shortest form.
pub fn encode_cbor(base_name: &str, entries: &[Entry<'_>], out: &mut Vec<u8>) {
    let base = entries.first().map_or(Timestamp::from_ms(0), |entry| entry.time);
    let count = entries.iter().filter(|entry| is_finite(entry)).count();
    head(out, 4, count);
    for (number, entry) in entries.iter().filter(|entry| is_finite(entry)).enumerate() {
        let ms = entry.time.since_ms(base);
        let named = number == 0 && !base_name.is_empty();
        let members = 2
            + usize::from(named)
            + usize::from(number == 0)
            + usize::from(entry.unit.is_some())
            + usize::from(ms != 0);
        head(out, 5, members);
        if named {
            out.push(0x21);
            text(out, base_name);
        }
        if number == 0 {
            out.push(0x22);
            number_of(out, seconds(base.as_ms()));
        }
        out.push(0x00);
        text(out, entry.name);
        if let Some(unit) = entry.unit {
            out.push(0x01);
            text(out, unit);
        }
        if ms != 0 {
            out.push(0x06);
            number_of(out, seconds(ms));
        }
        match entry.value {
            ValueRef::Boolean(truth) => out.extend([0x04, if truth { 0xf5 } else { 0xf4 }]),
            ValueRef::Integer(whole) => {
                out.push(0x02);
                integer(out, whole);
            }
            ValueRef::Number(number) => {
                out.push(0x02);
                number_of(out, number);
            }
            ValueRef::Text(words) => {
                out.push(0x03);
                text(out, words);
            }
        }
    }
}

const fn is_finite(entry: &Entry<'_>) -> bool {
    match entry.value {
        ValueRef::Number(number) => number.is_finite(),
        ValueRef::Boolean(_) | ValueRef::Integer(_) | ValueRef::Text(_) => true,
    }
}

fn seconds(ms: i64) -> f64 {
    double(ms) / 1000.0
}

fn head(out: &mut Vec<u8>, major: u8, argument: usize) {
    unsigned(out, major, u64::try_from(argument).unwrap_or(u64::MAX));
}

fn unsigned(out: &mut Vec<u8>, major: u8, argument: u64) {
    let [.., b4, b5, b6, b7] = argument.to_be_bytes();
    let major = major << 5;
    match argument {
        0..=23 => out.push(major | b7),
        24..=0xff => out.extend([major | 24, b7]),
        0x100..=0xffff => out.extend([major | 25, b6, b7]),
        0x1_0000..=0xffff_ffff => out.extend([major | 26, b4, b5, b6, b7]),
        _ => {
            out.push(major | 27);
            out.extend(argument.to_be_bytes());
        }
    }
}

fn integer(out: &mut Vec<u8>, whole: i64) {
    match u64::try_from(whole) {
        Ok(magnitude) => unsigned(out, 0, magnitude),
        Err(_) => unsigned(out, 1, (-1i64).wrapping_sub(whole).unsigned_abs()),
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len());
    out.extend(text.as_bytes());
}

fn number_of(out: &mut Vec<u8>, number: f64) {
    if let Some(whole) = crate::value::whole(number) {
        return integer(out, whole);
    }
    #[expect(clippy::cast_possible_truncation, reason = "only kept when nothing was lost")]
    let single = number as f32;
    if f64::from(single).to_bits() == number.to_bits() {
        out.push(0xfa);
        out.extend(single.to_be_bytes());
    } else {
        out.push(0xfb);
        out.extend(number.to_be_bytes());
    }
}
