use hedgerow_base::Timestamp;
use hedgerow_model::{LINUX_HOST, Value};
use hedgerow_policy::{Overlay, Standing};

use super::*;
use crate::layout;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);

/// What was taken, with the names of the series, and what was refused.
type Taken = Result<(Vec<(String, i64, Value)>, Vec<(Reason, u32)>), TelemetryError>;

fn take_as(overlay: &Overlay, standing: Standing, channel: Channel, payload: &[u8]) -> Taken {
    let profile = Profile::parse(LINUX_HOST.as_bytes()).unwrap();
    let grants = Grants::compile(DEVICE, &profile, overlay, standing);
    let specs = layout(&profile, overlay);
    let series: Vec<_> = (0..specs.len()).map(|at| SeriesId(at as u64)).collect();
    let intake = Intake {
        device: DEVICE,
        profile: &profile,
        grants: &grants,
        series: &series,
        retention_days_max: overlay.retention_days_max,
        now: NOW,
    };
    let mut batch = Batch::default();
    let refusals = intake.take(channel, payload, &mut batch);
    assert!(refusals.is_ok() || batch.is_empty(), "nothing is kept of what was refused");
    let taken = batch.readings().map(Result::unwrap).map(|reading| {
        let name = specs[usize::try_from(reading.series.0).unwrap()].name.to_string();
        (name, reading.at.since_ms(NOW), reading.value.to_value())
    });
    refusals.map(|refusals| (taken.collect(), refusals.iter().collect()))
}

fn pack(payload: &str) -> Taken {
    take_as(&Overlay::default(), Standing::Full, Channel::Telemetry, payload.as_bytes())
}

fn reason(record: &str) -> Option<Reason> {
    match pack(&format!("[{record}]")) {
        Err(TelemetryError::Refused(reason)) => Some(reason),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn readings_are_typed_rounded_and_named() {
    let (taken, refused) = pack(
        r#"[{"n":"cpuPercent","u":"%","v":21.449,"t":-1.4},{"n":"uptimeSeconds","v":70},
            {"n":"load1","v":1}]"#,
    )
    .unwrap();
    let expected = [
        ("cpuPercent".to_owned(), -1000, Value::Number(21.4)),
        ("uptimeSeconds".to_owned(), 0, Value::Integer(70)),
        ("load1".to_owned(), 0, Value::Number(1.0)),
    ];
    assert_eq!((taken, refused), (expected.into(), vec![]));
}

#[test]
fn names_may_begin_with_the_devices_own_and_no_others() {
    for base in [format!("urn:hedgerow:device:{DEVICE}:"), format!("urn:hedgerow:device:{DEVICE}/")]
    {
        let (taken, _) = pack(&format!(r#"[{{"bn":"{base}","n":"load1","v":1}}]"#)).unwrap();
        assert_eq!(taken[0].0, "load1");
    }
    assert_eq!(reason(r#"{"bn":"load","n":"1","v":1}"#), None, "halves make a whole name");
    let other = DeviceId::from_bytes([8; 16]);
    let foreign = format!(r#"{{"bn":"urn:hedgerow:device:{other}:","n":"load1","v":1}}"#);
    assert_eq!(reason(&foreign), Some(Reason::Undeclared));
    let long = format!(r#"{{"bn":"{}","n":"load1","v":1}}"#, "a".repeat(FULL_NAME_BYTES_MAX));
    assert_eq!(reason(&long), Some(Reason::Undeclared));
}

#[test]
fn every_reason_to_refuse_is_told_apart() {
    for (record, expected) in [
        (r#"{"n":"other","v":1}"#, Reason::Undeclared),
        (r#"{"n":"cpuPercent","vs":"1"}"#, Reason::WrongType),
        (r#"{"n":"cpuPercent","vd":"aGk"}"#, Reason::WrongType),
        (r#"{"n":"cpuPercent","s":1}"#, Reason::WrongType),
        (r#"{"n":"uptimeSeconds","v":1.5}"#, Reason::WrongType),
        (r#"{"n":"cpuPercent","v":100.5}"#, Reason::OutOfRange),
        (r#"{"n":"cpuPercent","u":"/","v":1}"#, Reason::WrongUnit),
    ] {
        assert_eq!(reason(record), Some(expected), "{record}");
    }
    assert_eq!(
        pack(r#"[{"n":"cpuPercent","v":NaN}]"#).unwrap_err().fault(),
        hedgerow_base::Fault::Invalid
    );
}

#[test]
fn a_time_too_far_ahead_or_too_old_is_refused() {
    let at = |seconds: i64| reason(&format!(r#"{{"n":"cpuPercent","v":1,"t":{seconds}}}"#));
    assert_eq!(at(FUTURE_MS_MAX / 1000), None);
    assert_eq!(at(FUTURE_MS_MAX / 1000 + 1), Some(Reason::TooFarAhead));
    let year = 365 * 86_400;
    assert_eq!(at(-year), None);
    assert_eq!(at(-year - 1), Some(Reason::TooOld));
    let overlay = Overlay { retention_days_max: Some(1), ..Overlay::default() };
    let old = br#"[{"n":"cpuPercent","v":1,"t":-86401}]"#;
    let taken = take_as(&overlay, Standing::Full, Channel::Telemetry, old);
    assert_eq!(taken, Err(TelemetryError::Refused(Reason::TooOld)));
}

#[test]
fn good_readings_of_a_pack_are_taken_and_the_others_counted() {
    let (taken, refused) =
        pack(r#"[{"n":"cpuPercent","v":1},{"n":"x","v":1},{"n":"y","v":1},{"n":"load1","v":-1}]"#)
            .unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(refused, [(Reason::Undeclared, 2), (Reason::OutOfRange, 1)]);
}

#[test]
fn nothing_is_taken_of_a_pack_with_a_broken_end() {
    assert!(matches!(pack(r#"[{"n":"load1","v":1},{"n":"load1"}]"#), Err(TelemetryError::Pack(_))));
    assert!(matches!(pack(r#"[{"n":"load1","v":1}"#), Err(TelemetryError::Pack(_))));
    assert_eq!(pack("[]").unwrap(), (vec![], vec![]));
}

#[test]
fn standing_and_owner_hold_inside_a_pack() {
    let payload = br#"[{"n":"cpuPercent","v":1},{"n":"load1","v":1}]"#;
    let overlay = Overlay {
        essential: ["cpuPercent"].map(Into::into).into(),
        withheld: ["load1"].map(Into::into).into(),
        ..Overlay::default()
    };
    let (taken, refused) =
        take_as(&overlay, Standing::Restricted, Channel::Telemetry, payload).unwrap();
    assert_eq!((taken[0].0.as_str(), refused), ("cpuPercent", vec![(Reason::Withheld, 1)]));
    let none = take_as(&Overlay::default(), Standing::Restricted, Channel::Telemetry, payload);
    assert_eq!(none, Err(TelemetryError::Refused(Reason::Standing)));
}

#[test]
fn a_single_value_is_measured_now() {
    let profile = Profile::parse(LINUX_HOST.as_bytes()).unwrap();
    let cpu = u16::try_from(profile.property_index("cpuPercent").unwrap()).unwrap();
    let take =
        |payload| take_as(&Overlay::default(), Standing::Full, Channel::Property(cpu), payload);
    let (taken, _) = take(b"21.5").unwrap();
    assert_eq!(taken, [("cpuPercent".to_owned(), 0, Value::Number(21.5))]);
    assert_eq!(take(b"101"), Err(TelemetryError::Refused(Reason::OutOfRange)));
    assert_eq!(take(b"true"), Err(TelemetryError::Refused(Reason::WrongType)));
    assert!(matches!(take(b"x"), Err(TelemetryError::Json(_))));
}

#[test]
fn documents_are_kept_as_they_are_up_to_their_limit() {
    let take =
        |payload: &[u8]| take_as(&Overlay::default(), Standing::Full, Channel::Reported, payload);
    let (taken, _) = take(br#"{"os":"x"}"#).unwrap();
    assert_eq!(taken, [("reported".to_owned(), 0, Value::Text(r#"{"os":"x"}"#.into()))]);
    assert!(matches!(take(b"{"), Err(TelemetryError::Json(_))));
    let longest = format!("\"{}\"", "x".repeat(DOCUMENT_BYTES_MAX - 2));
    assert!(take(longest.as_bytes()).is_ok());
    let longer = format!("\"{}\"", "x".repeat(DOCUMENT_BYTES_MAX - 1));
    assert_eq!(take(longer.as_bytes()), Err(TelemetryError::TooLarge(DOCUMENT_BYTES_MAX)));
}
