use hedgerow_model::ValueRef;

use super::*;
use crate::limits::CHUNK_POINTS;

fn numbers(count: i64, interval: impl Fn(i64) -> i64, value: impl Fn(i64) -> f64) -> Points {
    let mut points = Points::of(Kind::Number);
    let mut ms = 1_800_000_000_000;
    for at in 0..count {
        points.push(ms, ValueRef::Number(value(at)));
        ms += interval(at);
    }
    points
}

fn round_trip(points: &Points) -> Vec<u8> {
    let (summary_sealed, chunk) = seal(points).unwrap();
    let (summary_read, back) = open(&chunk).unwrap();
    assert_eq!(&back, points);
    assert_eq!(summary_read, summary_sealed);
    assert_eq!(summary(&chunk), Ok(summary_sealed));
    chunk
}

/// A small generator, so that the data is the same everywhere.
fn noise(at: i64) -> f64 {
    let mixed = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    f64::from(u16::try_from((mixed >> 33) & 0xfff).unwrap()) / 4096.0
}

#[test]
fn every_type_survives_a_round_trip() {
    round_trip(&numbers(1024, |_| 1000, |at| f64::from(i32::try_from(at).unwrap()) / 10.0));
    round_trip(&numbers(1, |_| 1000, |_| -0.0));
    round_trip(&numbers(700, |at| 1 + at % 7, noise));
    let mut integers = Points::of(Kind::Integer);
    let mut truths = Points::of(Kind::Boolean);
    let mut words = Points::of(Kind::Text);
    for at in 0..1000 {
        integers.push(at * 500 - 7, ValueRef::Integer(at * at - 5000));
        truths.push(at * 500, ValueRef::Boolean(at % 100 < 30));
        words.push(at * 500, ValueRef::Text(if at % 50 < 20 { "on" } else { "off ä" }));
    }
    round_trip(&integers);
    round_trip(&truths);
    let chunk = round_trip(&words);
    assert!(chunk.len() < 200, "runs of words are short: {}", chunk.len());
}

#[test]
fn the_summary_is_that_of_the_points() {
    let (summary, _) =
        seal(&numbers(5, |_| 1000, |at| [3.0, -1.0, 4.0, 1.5, 0.5][usize::try_from(at).unwrap()]))
            .unwrap();
    assert_eq!((summary.minimum, summary.maximum, summary.sum, summary.count), (-1.0, 4.0, 8.0, 5));
    assert_eq!(summary.last.since_ms(summary.first), 4000);
}

#[test]
fn rounded_sensors_take_at_most_one_byte_a_reading() {
    let count = i64::try_from(CHUNK_POINTS).unwrap();
    let tenth = |number: f64| (number * 10.0).round() / 10.0;
    let slow = |at: i64| f64::from(i32::try_from(at).unwrap()) / 200.0;
    let sensors: [(&str, Points); 4] = [
        (
            "temperature",
            numbers(count, |_| 1000, |at| tenth(21.0 + slow(at).sin() * 2.0 + noise(at) * 0.2)),
        ),
        ("cpu", numbers(count, |_| 1000, |at| tenth(12.0 + noise(at) * noise(at + 9) * 8.0))),
        ("memory", numbers(count, |_| 1000, |at| tenth(43.0 + slow(at) + noise(at) * 0.3))),
        (
            "late",
            numbers(count, |at| if at % 97 == 0 { 2000 } else { 1000 }, |at| tenth(5.0 + slow(at))),
        ),
    ];
    let mut total = 0;
    for (name, points) in &sensors {
        let chunk = round_trip(points);
        assert!(chunk.len() <= CHUNK_POINTS, "{name}: {} bytes", chunk.len());
        total += chunk.len();
    }
    assert!(total <= sensors.len() * CHUNK_POINTS, "{total} bytes");
}

#[test]
fn a_damaged_chunk_is_refused_or_read_but_never_more() {
    let chunk = round_trip(&numbers(300, |at| 1000 + at % 3, noise));
    for at in 0..chunk.len() {
        let mut bad = chunk.clone();
        bad[at] ^= 0x41;
        if let Ok((summary, points)) = open(&bad) {
            assert_eq!(points.len(), usize::try_from(summary.count).unwrap());
        }
        assert!(open(&chunk[..at]).is_err());
    }
    assert!(open(&[]).is_err());
}

#[test]
fn limits_of_a_chunk_hold_at_and_one_past() {
    let most = i64::try_from(CHUNK_POINTS_MAX).unwrap();
    assert!(seal(&numbers(most, |_| 1, |_| 1.0)).is_ok());
    assert!(seal(&numbers(most + 1, |_| 1, |_| 1.0)).is_err());
    assert!(seal(&Points::of(Kind::Text)).is_err());
    let mut chunk = seal(&numbers(1, |_| 1, |_| 1.0)).unwrap().1;
    assert!(open(&chunk).is_ok());
    chunk.splice(2..3, [0x81, 0x80, 0x01]); // a count of 16,385
    assert!(open(&chunk).is_err());
}
