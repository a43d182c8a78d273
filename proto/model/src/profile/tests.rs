use std::{format, string::String, string::ToString, vec::Vec};

use super::*;
use crate::limits::{
    AFFORDANCES_MAX, ENUM_WORDS_MAX, NAME_BYTES_MAX, PROFILE_BYTES_MAX, PROFILE_DEPTH_MAX,
    PROFILE_ERRORS_MAX, TITLE_BYTES_MAX,
};

/// A thing model with `properties` as its member of that name.
fn model(properties: &str) -> String {
    format!(
        r#"{{"@context":["{}",{{"hedgerow":"{}"}}],"@type":"tm:ThingModel","title":"t",
            "hedgerow:maker":"m","hedgerow:model":"x","properties":{properties}}}"#,
        vocabulary::TD_CONTEXT,
        vocabulary::NAMESPACE
    )
}

fn parse(document: &str) -> Result<Profile, ProfileError> {
    Profile::parse(document.as_bytes())
}

/// The one property `p` with this data schema.
fn property(schema: &str) -> Property {
    parse(&model(&format!("{{\"p\":{schema}}}"))).unwrap().properties()[0].clone()
}

fn refused_at(document: &str) -> String {
    parse(document).unwrap_err().pointer
}

#[test]
fn the_linux_host_is_a_profile() {
    let profile = parse(LINUX_HOST).unwrap();
    let names: Vec<_> = profile.properties().iter().map(|property| &*property.name).collect();
    assert!(names.is_sorted());
    assert_eq!(names.len(), 10);
    let cpu = profile.property("cpuPercent").unwrap();
    assert_eq!(cpu.shape, Shape::Number { minimum: 0.0, maximum: 100.0 });
    assert_eq!((&*cpu.unit, cpu.access, cpu.resolution_ms), ("%", Access::ReadOnly, 1000));
    assert_eq!(cpu.collection.data_class, DataClass::Technical);
    assert!(profile.action_index("identify").is_some());
    assert!(profile.property("cpupercent").is_none());
}

#[test]
fn an_error_names_the_place_and_what_to_do() {
    let error = parse(&model(r#"{"a":{"type":"object"}}"#)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/properties/a/type: it must be boolean, integer, number or string"
    );
    assert_eq!(error.fault(), hedgerow_base::Fault::Invalid);
}

#[test]
fn every_error_of_a_document_is_found() {
    let document = r#"{"title":7,"hedgerow:color":"red","properties":{
        "a":{"type":"object","hedgerow:dataClass":"secret","hedgerow:retentionDays":0},
        "1b":{"type":"number"},"c":{"type":"number","unit":5},"d":{"type":"number"}},
        "events":[],"actions":{"go":{"title":[]}}}"#;
    let errors = Profile::check(document.as_bytes()).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    let expected = [
        "/@context",
        "/@type",
        "/hedgerow:color",
        "/title",
        "/hedgerow:maker",
        "/hedgerow:model",
        "/properties/1b",
        "/properties/a/type",
        "/properties/a/hedgerow:dataClass",
        "/properties/a/hedgerow:retentionDays",
        "/properties/c/unit",
        "/events",
        "/actions/go/title",
    ];
    assert_eq!(places, expected);
    assert_eq!(Profile::parse(document.as_bytes()).unwrap_err(), errors[0]);
}

#[test]
fn errors_past_the_limit_are_left_out() {
    let wrong = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"p{n}\":{{}}")).collect();
        let document = model(&format!("{{{}}}", members.join(",")));
        Profile::check(document.as_bytes()).unwrap_err().len()
    };
    assert_eq!(wrong(PROFILE_ERRORS_MAX), PROFILE_ERRORS_MAX);
    assert_eq!(wrong(PROFILE_ERRORS_MAX + 1), PROFILE_ERRORS_MAX);
}

#[test]
fn what_is_not_a_thing_model_is_refused_where_it_is_wrong() {
    let good = model("{}");
    assert!(parse(&good).is_ok());
    assert_eq!(refused_at("[]"), "");
    assert_eq!(refused_at("{"), "");
    assert_eq!(refused_at(&good.replace("tm:ThingModel", "Thing")), "/@type");
    assert_eq!(
        refused_at(&good.replace(vocabulary::TD_CONTEXT, "https://example.org")),
        "/@context"
    );
    assert_eq!(refused_at(&good.replace(vocabulary::NAMESPACE, "urn:other:")), "/@context");
    assert_eq!(refused_at(&good.replace("\"title\"", "\"titel\"")), "/title");
    assert_eq!(
        refused_at(&good.replace("hedgerow:maker\":\"m", "hedgerow:maker\":\"")),
        "/hedgerow:maker"
    );
    let dated = |date: &str| {
        good.replace("\"title\"", &format!("\"hedgerow:endOfSupport\":\"{date}\",\"title\""))
    };
    assert!(parse(&dated("2031-12-31")).unwrap().end_of_support.is_some());
    assert_eq!(refused_at(&dated("2031-02-30")), "/hedgerow:endOfSupport");
    assert!(Profile::parse(b"\xff").is_err());
}

#[test]
fn a_term_of_ours_with_a_typing_error_is_refused() {
    let document = model(r#"{"p":{"type":"number","hedgerow:retentiondays":3}}"#);
    assert_eq!(refused_at(&document), "/properties/p/hedgerow:retentiondays");
    let foreign = model(r#"{"p":{"type":"number","schema:other":3,"forms":[{}]}}"#);
    assert!(parse(&foreign).is_ok(), "what others add is passed over");
}

#[test]
fn a_name_that_is_no_topic_level_is_refused() {
    for name in ["", "a/b", "a b", "+", "#", "1a", "_a", "ä", "a.b", "a\\u0000"] {
        let document = model(&format!("{{\"{name}\":{{\"type\":\"number\"}}}}"));
        assert!(parse(&document).is_err(), "{name}");
    }
    let longest = "a".repeat(NAME_BYTES_MAX);
    assert!(parse(&model(&format!("{{\"{longest}\":{{\"type\":\"number\"}}}}"))).is_ok());
    assert!(parse(&model(&format!("{{\"{longest}a\":{{\"type\":\"number\"}}}}"))).is_err());
}

#[test]
fn limits_hold_at_and_one_past() {
    let many = |count: usize| {
        let list: Vec<_> =
            (0..count).map(|i| format!("\"p{i}\":{{\"type\":\"number\"}}")).collect();
        model(&format!("{{{}}}", list.join(",")))
    };
    assert_eq!(parse(&many(AFFORDANCES_MAX)).unwrap().properties().len(), AFFORDANCES_MAX);
    assert_eq!(refused_at(&many(AFFORDANCES_MAX + 1)), "/properties");

    let padded = |bytes: usize| {
        let document = model("{}");
        let space = " ".repeat(bytes - document.len());
        document + &space
    };
    assert!(parse(&padded(PROFILE_BYTES_MAX)).is_ok());
    assert!(parse(&padded(PROFILE_BYTES_MAX + 1)).is_err());

    let deep = |levels: usize| {
        let nest = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        model(&format!("{{\"p\":{{\"type\":\"number\",\"x\":{nest}}}}}"))
    };
    assert!(parse(&deep(PROFILE_DEPTH_MAX - 3)).is_ok());
    assert!(parse(&deep(PROFILE_DEPTH_MAX - 2)).is_err());

    let titled = |bytes: usize| {
        model(&format!("{{\"p\":{{\"type\":\"number\",\"title\":\"{}\"}}}}", "t".repeat(bytes)))
    };
    assert!(parse(&titled(TITLE_BYTES_MAX)).is_ok());
    assert_eq!(refused_at(&titled(TITLE_BYTES_MAX + 1)), "/properties/p/title");

    let words = |count: usize| {
        let list: Vec<_> = (0..count).map(|i| format!("\"w{i}\"")).collect();
        model(&format!("{{\"p\":{{\"type\":\"string\",\"enum\":[{}]}}}}", list.join(",")))
    };
    assert!(parse(&words(ENUM_WORDS_MAX)).is_ok());
    assert_eq!(refused_at(&words(ENUM_WORDS_MAX + 1)), "/properties/p/enum");
}

#[test]
fn numbers_out_of_their_limits_are_refused() {
    for (member, good, bad) in [
        ("hedgerow:retentionDays", "3653", "3654"),
        ("hedgerow:retentionDays", "1", "0"),
        ("hedgerow:resolution", "86400000", "86400001"),
        ("hedgerow:rateMax", "60000", "60001"),
        ("hedgerow:precision", "0.25", "0.3"),
        ("hedgerow:precision", "0.1", "-0.1"),
        ("hedgerow:precision", "5", "5.5"),
        ("maximum", "-1", "\"1\""),
    ] {
        let with =
            |value: &str| model(&format!("{{\"p\":{{\"type\":\"number\",\"{member}\":{value}}}}}"));
        assert!(parse(&with(good)).is_ok(), "{member} {good}");
        assert!(parse(&with(bad)).is_err(), "{member} {bad}");
    }
    assert!(parse(&model(r#"{"p":{"type":"string","maxLength":4096}}"#)).is_ok());
    assert!(parse(&model(r#"{"p":{"type":"string","maxLength":4097}}"#)).is_err());
    assert!(parse(&model(r#"{"p":{"type":"number","minimum":2,"maximum":1}}"#)).is_err());
    assert!(parse(&model(r#"{"p":{"type":"integer","minimum":1.5}}"#)).is_err());
}

#[test]
fn unfinished_models_are_refused() {
    assert!(parse(&model(r#"{"p":{"tm:ref":"other.tm.json#/properties/p"}}"#)).is_err());
    assert!(parse(&model(r#"{"p":{"type":"number","unit":"{{UNIT}}"}}"#)).is_err());
    let extended = model("{}")
        .replace("\"title\"", "\"links\":[{\"rel\":\"tm:extends\",\"href\":\"x\"}],\"title\"");
    assert_eq!(refused_at(&extended), "/links");
}

#[test]
fn values_of_another_type_are_refused() {
    let number = property(r#"{"type":"number"}"#);
    assert_eq!(number.fit(ValueRef::Text("1")), Err(Misfit::WrongType));
    assert_eq!(number.fit(ValueRef::Boolean(true)), Err(Misfit::WrongType));
    assert_eq!(number.fit(ValueRef::Integer(1)), Ok(ValueRef::Number(1.0)));
    let integer = property(r#"{"type":"integer"}"#);
    assert_eq!(integer.fit(ValueRef::Number(3.0)), Ok(ValueRef::Integer(3)));
    assert_eq!(integer.fit(ValueRef::Number(3.5)), Err(Misfit::WrongType));
    let truth = property(r#"{"type":"boolean"}"#);
    assert_eq!(truth.fit(ValueRef::Number(1.0)), Err(Misfit::WrongType));
}

#[test]
fn values_out_of_range_are_refused() {
    let number = property(r#"{"type":"number","minimum":0,"maximum":100}"#);
    assert!(number.fit(ValueRef::Number(100.0)).is_ok());
    assert_eq!(number.fit(ValueRef::Number(100.000_01)), Err(Misfit::OutOfRange));
    assert_eq!(number.fit(ValueRef::Number(-0.1)), Err(Misfit::OutOfRange));
    let word = property(r#"{"type":"string","enum":["on","off"]}"#);
    assert!(word.fit(ValueRef::Text("on")).is_ok());
    assert_eq!(word.fit(ValueRef::Text("On")), Err(Misfit::OutOfRange));
    let short = property(r#"{"type":"string","maxLength":2}"#);
    assert!(short.fit(ValueRef::Text("äö")).is_ok(), "lengths are characters");
    assert_eq!(short.fit(ValueRef::Text("abc")), Err(Misfit::OutOfRange));
}

#[test]
fn what_is_not_finite_is_refused() {
    for shape in ["number", "integer"] {
        let property = property(&format!("{{\"type\":\"{shape}\"}}"));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(property.fit(ValueRef::Number(number)), Err(Misfit::NotFinite));
        }
    }
}

#[test]
fn numbers_are_rounded_to_the_precision() {
    let tenth = property(r#"{"type":"number","hedgerow:precision":0.1}"#);
    assert_eq!(tenth.fit(ValueRef::Number(21.449)), Ok(ValueRef::Number(21.4)));
    assert_eq!(tenth.fit(ValueRef::Number(-21.45)), Ok(ValueRef::Number(-21.5)));
    assert_eq!(tenth.fit(ValueRef::Number(1e300)), Ok(ValueRef::Number(1e300)));
    let five = property(r#"{"type":"number","hedgerow:precision":5}"#);
    assert_eq!(five.fit(ValueRef::Number(12.6)), Ok(ValueRef::Number(15.0)));
}
