//! What the hub says in Sparkplug B: a command with one metric (NCMD and DCMD).

use alloc::vec::Vec;

use hedgerow_base::Timestamp;

use crate::value::ValueRef;

/// The payload of a command that sets `metric` to `value` (Sparkplug 3.0, 6.4.20 and 6.4.21).
#[must_use]
pub fn command(metric: &str, value: ValueRef<'_>, now: Timestamp) -> Vec<u8> {
    let ms = u64::try_from(now.as_ms()).unwrap_or(0);
    let mut inner = Vec::with_capacity(metric.len() + 32);
    bytes(&mut inner, 1, metric.as_bytes());
    whole(&mut inner, 3, ms);
    match value {
        ValueRef::Boolean(truth) => {
            whole(&mut inner, 4, 11);
            whole(&mut inner, 14, u64::from(truth));
        }
        ValueRef::Integer(number) => {
            whole(&mut inner, 4, 4);
            whole(&mut inner, 11, number.cast_unsigned());
        }
        ValueRef::Number(number) => {
            whole(&mut inner, 4, 10);
            key(&mut inner, 13, 1);
            inner.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        ValueRef::Text(text) => {
            whole(&mut inner, 4, 12);
            bytes(&mut inner, 15, text.as_bytes());
        }
    }
    let mut payload = Vec::with_capacity(inner.len() + 16);
    whole(&mut payload, 1, ms);
    bytes(&mut payload, 2, &inner);
    payload
}

fn key(out: &mut Vec<u8>, number: u64, wire: u64) {
    varint(out, number << 3 | wire);
}

fn whole(out: &mut Vec<u8>, number: u64, value: u64) {
    key(out, number, 0);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    key(out, number, 2);
    varint(out, u64::try_from(content.len()).unwrap_or(0));
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}
