use hedgerow_base::Timestamp;
use hedgerow_model::{
    ValueRef,
    limits::{PACK_BYTES_MAX, PACK_RECORDS_MAX},
    senml::{Entry, Measured, Pack, SenmlError, encode_cbor, encode_json},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

#[derive(Clone, Debug, PartialEq)]
struct Resolved {
    name: String,
    unit: String,
    ms: i64,
    value: String,
    sum: Option<f64>,
}

fn drain(mut pack: Pack<'_>) -> Result<Vec<Resolved>, SenmlError> {
    let mut all = Vec::new();
    while let Some(record) = pack.next_record()? {
        let name = format!("{}{}", record.base_name, record.name);
        assert!(record.is_named(&name));
        all.push(Resolved {
            name,
            unit: record.unit.unwrap_or_default().into(),
            ms: record.time.as_ms(),
            value: match record.measured {
                Measured::Value(value) => value.to_string(),
                Measured::Data(data) => format!("data {data}"),
                Measured::Nothing => "nothing".into(),
            },
            sum: record.sum,
        });
    }
    Ok(all)
}

fn json(text: &str) -> Result<Vec<Resolved>, SenmlError> {
    Pack::json(text.as_bytes(), NOW).and_then(drain)
}

fn short(records: &[Resolved]) -> Vec<(&str, &str, i64, &str)> {
    records.iter().map(|r| (&*r.name, &*r.unit, r.ms, &*r.value)).collect()
}

/// RFC 8428 section 5.1.1.
#[test]
fn a_single_datapoint() {
    let records = json(r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#).unwrap();
    let expected = [("urn:dev:ow:10e2073a01080063", "Cel", NOW.as_ms(), "23.1")];
    assert_eq!(short(&records), expected);
}

const VOLTAGE_AND_CURRENT: &str = r#"[
    {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,
     "bu":"A","bver":5,
     "n":"voltage","u":"V","v":120.1},
    {"n":"current","t":-5,"v":1.2},
    {"n":"current","t":-4,"v":1.3},
    {"n":"current","t":-3,"v":1.4},
    {"n":"current","t":-2,"v":1.5},
    {"n":"current","t":-1,"v":1.6},
    {"n":"current","v":1.7}
]"#;

/// The same pack in CBOR, RFC 8428 section 6.
const VOLTAGE_AND_CURRENT_CBOR: &str = "87a721781b75726e3a6465763a6f773a313065323037336130313038303036\
3a22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666a3006763757272656e740624\
02fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff66666\
66666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999999aa300676375727265\
6e74060002fb3ffb333333333333";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// RFC 8428 section 5.1.2, third example.
#[test]
fn base_time_and_relative_times_make_absolute_ones() {
    let records = json(VOLTAGE_AND_CURRENT).unwrap();
    let (voltage, current) =
        ("urn:dev:ow:10e2073a0108006:voltage", "urn:dev:ow:10e2073a0108006:current");
    let expected = [
        (voltage, "V", 1_276_020_076_001, "120.1"),
        (current, "A", 1_276_020_071_001, "1.2"),
        (current, "A", 1_276_020_072_001, "1.3"),
        (current, "A", 1_276_020_073_001, "1.4"),
        (current, "A", 1_276_020_074_001, "1.5"),
        (current, "A", 1_276_020_075_001, "1.6"),
        (current, "A", 1_276_020_076_001, "1.7"),
    ];
    assert_eq!(short(&records), expected);
}

#[test]
fn the_published_cbor_says_the_same_as_the_json() {
    let payload = bytes(VOLTAGE_AND_CURRENT_CBOR);
    let records = Pack::open(&payload, NOW).and_then(drain).unwrap();
    assert_eq!(records, json(VOLTAGE_AND_CURRENT).unwrap());
}

/// RFC 8428 sections 5.1.3 and 5.1.4: base unit overridden, then the same resolved.
#[test]
fn a_pack_and_its_resolved_form_are_equal() {
    let packed = json(
        r#"[{"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,"bu":"%RH","v":20},
            {"u":"lon","v":24.30621},{"u":"lat","v":60.07965},{"t":60,"v":20.3},
            {"u":"lon","t":60,"v":24.30622},{"u":"%EL","t":150,"v":98}]"#,
    );
    let resolved = json(
        r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"%RH","t":1.320067464e+09,"v":20},
            {"n":"urn:dev:ow:10e2073a01080063","u":"lon","t":1.320067464e+09,"v":24.30621},
            {"n":"urn:dev:ow:10e2073a01080063","u":"lat","t":1.320067464e+09,"v":60.07965},
            {"n":"urn:dev:ow:10e2073a01080063","u":"%RH","t":1.320067524e+09,"v":20.3},
            {"n":"urn:dev:ow:10e2073a01080063","u":"lon","t":1.320067524e+09,"v":24.30622},
            {"n":"urn:dev:ow:10e2073a01080063","u":"%EL","t":1.320067614e+09,"v":98}]"#,
    );
    assert_eq!(packed.unwrap(), resolved.unwrap());
}

/// RFC 8428 section 5.1.5.
#[test]
fn every_type_of_value_is_read() {
    let records = json(
        r#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},
            {"n":"label","vs":"Machine Room"},{"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]"#,
    )
    .unwrap();
    let values: Vec<_> = records.iter().map(|record| &*record.value).collect();
    assert_eq!(values, ["23.1", "\"Machine Room\"", "false", "data aGkgCg"]);
}

#[test]
fn base_values_and_sums_are_added() {
    let records = json(r#"[{"bn":"a","bv":20,"bs":100,"v":1.5,"s":1},{"s":2},{"v":-1}]"#).unwrap();
    let seen: Vec<_> = records.iter().map(|r| (&*r.value, r.sum)).collect();
    assert_eq!(seen, [("21.5", Some(101.0)), ("nothing", Some(102.0)), ("19", None)]);
}

/// RFC 8428 section 4.5.3.
#[test]
fn times_below_two_to_the_28_are_relative_to_now() {
    let at = |t: &str| json(&format!(r#"[{{"n":"a","v":1,"t":{t}}}]"#)).map(|all| all[0].ms);
    assert_eq!(at("0"), Ok(NOW.as_ms()));
    assert_eq!(at("-0.25"), Ok(NOW.as_ms() - 250));
    assert_eq!(at("268435455"), Ok(NOW.as_ms() + 268_435_455_000));
    assert_eq!(at("268435456"), Ok(268_435_456_000));
    assert_eq!(at("1.7e9"), Ok(1_700_000_000_000));
    assert!(at("1e20").is_err());
    assert!(at("-1e20").is_err());
}

#[test]
fn a_field_that_must_be_understood_refuses_the_pack() {
    assert!(json(r#"[{"n":"a","v":1,"other":{"deep":[1,2]}}]"#).is_ok());
    assert_eq!(
        json(r#"[{"n":"a","v":1},{"n":"a","v":1,"other_":1}]"#).unwrap_err(),
        SenmlError::Record(1, "it has a field that must be understood and is not")
    );
    let cbor = |field: &str| {
        let mut payload = bytes("81a30061610201");
        payload.push(0x60 + u8::try_from(field.len()).unwrap());
        payload.extend(field.bytes());
        payload.push(0x01);
        Pack::cbor(&payload, NOW).and_then(drain)
    };
    assert!(cbor("x").is_ok());
    assert!(cbor("x_").is_err());
}

#[test]
fn broken_records_are_refused() {
    for record in [
        r#"{"n":"a"}"#,
        r#"{"v":1}"#,
        r#"{"n":"_a","v":1}"#,
        r#"{"n":"a b","v":1}"#,
        r#"{"n":"a","v":1,"vb":true}"#,
        r#"{"n":"a","v":1,"v":2}"#,
        r#"{"n":"a","v":"1"}"#,
        r#"{"n":"a","v":null}"#,
        r#"{"n":"a","v":NaN}"#,
        r#"{"n":"a","vb":1}"#,
        r#"{"n":"a","vd":"a+b="}"#,
        r#"{"n":"a","v":1,"bver":11}"#,
        r#"{"n":"a","v":1,"bver":1.5}"#,
        r#"{"n":"a","v":1e308,"bv":1e308}"#,
        r#"{"n":1,"v":1}"#,
        "1",
    ] {
        assert!(json(&format!("[{record}]")).is_err(), "{record}");
    }
    assert!(json(r#"[{"n":"a","v":1},{"n":"a","v":1,"bver":5}]"#).is_err(), "one version a pack");
    for text in ["", "{}", "[", "[{\"n\":\"a\",\"v\":1}", "[{\"n\":\"a\",\"v\":1}] x", "[,]"] {
        assert!(json(text).is_err(), "{text}");
    }
    assert!(Pack::json(b"[{\"n\":\"\xff\",\"v\":1}]", NOW).is_err());
    assert_eq!(json("[]"), Ok(vec![]));
}

#[test]
fn escaped_names_are_read() {
    let records = json(r#"[{"bn":"a\/","n":"\u0062","vs":"x\ny"}]"#).unwrap();
    assert_eq!((&*records[0].name, &*records[0].value), ("a/b", "\"x\\u000ay\""));
}

#[test]
fn broken_cbor_is_refused() {
    for hex in [
        "",
        "80ff",
        "a0",
        "81",
        "8100",
        "81a1",
        "81a100",
        "81a1006161",
        "81a20061610261",
        "9f",
        "81a2006161027f61616161ff",
        "81a200616102f97e00",
        "81a200616102f97c00",
        "81a200616102fb7ff0000000000000",
        "81a2006161021c",
        "81a20061ff0201",
        "81a2006161025820",
        "9bffffffffffffffff",
        "81bbffffffffffffffff",
        "81a30061610201021818",
        "81a2006161040a",
    ] {
        let payload = bytes(hex);
        assert!(Pack::cbor(&payload, NOW).and_then(drain).is_err(), "{hex}");
    }
}

#[test]
fn every_number_of_cbor_is_read() {
    for (hex, value) in [
        ("01", "1"),
        ("20", "-1"),
        ("3903e7", "-1000"),
        ("f93e00", "1.5"),
        ("f90001", "0.00000005960464477539063"),
        ("f9c400", "-4"),
        ("fa47c35000", "100000"),
        ("fb3ff199999999999a", "1.1"),
        ("c48221196ab3", "273.15"),
        ("1b0020000000000000", "9007199254740992"),
    ] {
        let payload = bytes(&format!("81a200616102{hex}"));
        let records = Pack::cbor(&payload, NOW).and_then(drain).unwrap();
        assert_eq!(records[0].value, value, "{hex}");
    }
}

#[test]
fn indefinite_arrays_and_maps_are_read() {
    let payload = bytes("9fbf0061610201ffff");
    let records = Pack::open(&payload, NOW).and_then(drain).unwrap();
    assert_eq!((&*records[0].name, &*records[0].value), ("a", "1"));
}

#[test]
fn limits_of_a_pack_hold_at_and_one_past() {
    let many = |count: usize| {
        let list: Vec<_> = (0..count).map(|_| r#"{"n":"a","v":1}"#).collect();
        json(&format!("[{}]", list.join(","))).map(|all| all.len())
    };
    assert_eq!(many(PACK_RECORDS_MAX), Ok(PACK_RECORDS_MAX));
    assert!(matches!(many(PACK_RECORDS_MAX + 1), Err(SenmlError::TooMuch(_))));
    let long = |bytes: usize| json(&format!("[{}]", " ".repeat(bytes - 2)));
    assert!(long(PACK_BYTES_MAX).is_ok());
    assert!(matches!(long(PACK_BYTES_MAX + 1), Err(SenmlError::TooMuch(_))));
    let deep = |levels: usize| {
        json(&format!(r#"[{{"n":"a","v":1,"x":{}{}}}]"#, "[".repeat(levels), "]".repeat(levels)))
    };
    assert!(deep(8).is_ok());
    assert!(deep(9).is_err());
}

#[test]
fn what_is_written_is_read_back() {
    let entries = [
        Entry {
            name: "cpuPercent",
            unit: Some("%"),
            time: NOW.plus_ms(5),
            value: ValueRef::Number(21.5),
        },
        Entry { name: "bad", unit: None, time: NOW, value: ValueRef::Number(f64::NAN) },
        Entry { name: "uptimeSeconds", unit: None, time: NOW, value: ValueRef::Integer(-70_000) },
        Entry {
            name: "state",
            unit: None,
            time: NOW.plus_ms(-2500),
            value: ValueRef::Text("a\"b"),
        },
        Entry { name: "open", unit: None, time: NOW.plus_ms(1000), value: ValueRef::Boolean(true) },
        Entry { name: "load1", unit: None, time: NOW, value: ValueRef::Number(0.1) },
    ];
    let mut text = String::new();
    encode_json("urn:x:", &entries, &mut text);
    let mut binary = Vec::new();
    encode_cbor("urn:x:", &entries, &mut binary);
    let read = json(&text).unwrap();
    assert_eq!(read, Pack::open(&binary, NOW).and_then(drain).unwrap());
    let expected = [
        ("urn:x:cpuPercent", "%", NOW.as_ms() + 5, "21.5"),
        ("urn:x:uptimeSeconds", "", NOW.as_ms(), "-70000"),
        ("urn:x:state", "", NOW.as_ms() - 2500, "\"a\\\"b\""),
        ("urn:x:open", "", NOW.as_ms() + 1000, "true"),
        ("urn:x:load1", "", NOW.as_ms(), "0.1"),
    ];
    assert_eq!(short(&read), expected);
}
