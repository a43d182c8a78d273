use std::{vec, vec::Vec};

use super::*;

/// A field with a varint.
fn whole(number: u8, value: u64) -> Vec<u8> {
    let mut out = vec![number << 3];
    let mut value = value;
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

/// A field with bytes, up to 127 of them.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let length = whole(1, content.len() as u64).split_off(1);
    [vec![number << 3 | 2], length, content.to_vec()].concat()
}

fn with(metric: &[Vec<u8>]) -> Vec<u8> {
    bytes(2, &metric.concat())
}

fn one(metric: &[Vec<u8>]) -> Option<ValueRef<'static>> {
    let bytes = with(metric).leak();
    let metric = Payload::decode(bytes).unwrap().metrics().next().unwrap();
    metric.value(None)
}

#[test]
fn a_payload_of_the_specification_is_read() {
    // Sparkplug 3.0, 6.4.19: NDATA with "Supply Voltage", Int32, 12.
    let metric =
        [bytes(1, b"Supply Voltage"), whole(3, 1_486_144_502_122), whole(4, 3), whole(10, 12)];
    let payload = [whole(1, 1_486_144_502_122), with(&metric), whole(3, 2)].concat();
    let read = Payload::decode(&payload).unwrap();
    let at = Some(Timestamp::from_ms(1_486_144_502_122));
    assert_eq!((read.time, read.seq), (at, Some(2)));
    let metrics: Vec<_> = read.metrics().collect();
    assert_eq!(metrics.len(), 1);
    assert_eq!((metrics[0].name, metrics[0].time), (Some("Supply Voltage"), at));
    assert_eq!(metrics[0].value(None), Some(ValueRef::Integer(12)));
}

#[test]
fn signed_numbers_have_the_width_of_their_type() {
    let int = |datatype: u64, bits: u64| one(&[whole(4, datatype), whole(10, bits)]);
    assert_eq!(int(1, 0xff), Some(ValueRef::Integer(-1)));
    assert_eq!(int(1, 0xffff_ffff), Some(ValueRef::Integer(-1)));
    assert_eq!(int(2, 0xfffe), Some(ValueRef::Integer(-2)));
    assert_eq!(int(3, 0xffff_fffd), Some(ValueRef::Integer(-3)));
    assert_eq!(int(7, 0xffff_ffff), Some(ValueRef::Integer(4_294_967_295)));
    let long = |datatype: u64, bits: u64| one(&[whole(4, datatype), whole(11, bits)]);
    assert_eq!(long(4, u64::MAX), Some(ValueRef::Integer(-1)));
    assert_eq!(long(8, 1 << 60), Some(ValueRef::Number(1.152_921_504_606_847e18)));
}

#[test]
fn the_data_type_of_the_birth_counts_where_none_is_said() {
    let bytes = with(&[whole(2, 7), whole(10, 0xfe)]);
    let metric = Payload::decode(&bytes).unwrap().metrics().next().unwrap();
    assert_eq!(metric.alias, Some(7));
    assert_eq!(metric.value(Some(1)), Some(ValueRef::Integer(-2)));
    assert_eq!(metric.value(Some(5)), Some(ValueRef::Integer(254)));
}

#[test]
fn floats_truths_texts_and_nothing_are_read() {
    let float = [vec![12 << 3 | 5], 21.3f32.to_bits().to_le_bytes().to_vec()].concat();
    assert_eq!(one(&[float]), Some(ValueRef::Number(21.3)));
    let double = [vec![13 << 3 | 1], 0.1f64.to_bits().to_le_bytes().to_vec()].concat();
    assert_eq!(one(&[double]), Some(ValueRef::Number(0.1)));
    assert_eq!(one(&[whole(14, 1)]), Some(ValueRef::Boolean(true)));
    assert_eq!(one(&[bytes(15, b"on")]), Some(ValueRef::Text("on")));
    assert_eq!(one(&[whole(10, 5), whole(7, 1)]), None, "null");
    assert_eq!(one(&[bytes(1, b"set")]), None, "no value at all");
}

#[test]
fn what_is_broken_is_refused_whole() {
    let good = [with(&[whole(10, 5)]), whole(3, 0)].concat();
    assert!(Payload::decode(&good).is_ok());
    for cut in 1..good.len() {
        if cut != good.len() - 2 {
            assert!(Payload::decode(&good[..cut]).is_err(), "cut at {cut}");
        }
    }
    for broken in [
        vec![0, 0],
        vec![2 << 3, 1],
        vec![2 << 3 | 3],
        with(&[vec![10 << 3 | 2, 0]]),
        with(&[bytes(1, b"\xff")]),
        vec![8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
    ] {
        assert!(Payload::decode(&broken).is_err(), "{broken:?}");
    }
    let compressed = bytes(4, b"SPBV1.0_COMPRESSED");
    assert_eq!(Payload::decode(&compressed).unwrap_err(), SparkplugError::Compressed);
}

#[test]
fn payloads_one_past_the_limits_are_refused() {
    let many = |count: usize| with(&[]).repeat(count);
    assert!(Payload::decode(&many(METRICS_MAX)).is_ok());
    let refused = Payload::decode(&many(METRICS_MAX + 1)).unwrap_err();
    assert_eq!((refused, refused.fault()), (SparkplugError::TooMany, Fault::TooMuch));
    let named = |length: usize| with(&[bytes(1, "n".repeat(length).as_bytes())]);
    assert!(Payload::decode(&named(POINTER_BYTES_MAX)).is_ok());
    assert_eq!(Payload::decode(&named(POINTER_BYTES_MAX + 1)).unwrap_err(), SparkplugError::Text);
    let said = |length: usize| with(&[bytes(15, "n".repeat(length).as_bytes())]);
    assert!(Payload::decode(&said(TEXT_BYTES_MAX)).is_ok());
    assert_eq!(Payload::decode(&said(TEXT_BYTES_MAX + 1)).unwrap_err(), SparkplugError::Text);
    let unknown = |length: usize| bytes(5, &vec![0; length]);
    assert!(Payload::decode(&unknown(PACK_BYTES_MAX - 4)).is_ok());
    assert_eq!(Payload::decode(&unknown(PACK_BYTES_MAX - 3)).unwrap_err(), SparkplugError::TooMany);
}

#[test]
fn a_command_is_read_as_it_was_written() {
    let now = Timestamp::from_secs(1_800_000_000);
    for value in [
        ValueRef::Boolean(true),
        ValueRef::Integer(-5),
        ValueRef::Number(0.5),
        ValueRef::Text("open"),
    ] {
        let bytes = command("Node Control/Rebirth", value, now);
        let read = Payload::decode(&bytes).unwrap();
        let metric = read.metrics().next().unwrap();
        assert_eq!((read.time, metric.time), (Some(now), Some(now)));
        assert_eq!(metric.name, Some("Node Control/Rebirth"));
        assert_eq!(metric.value(None), Some(value));
    }
}
