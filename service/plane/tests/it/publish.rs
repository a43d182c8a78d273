use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use hedgerow_base::{Fault, TenantId};
use hedgerow_model::Value;
use hedgerow_plane::{Message, Outcome, Ticket, Verdict, Watched};
use hedgerow_policy::{Overlay, Scopes, Standing, Witness};

use crate::house::{DEVICE, NOW, OTHER, admission, house, own};

#[test]
fn a_declared_property_is_stored_and_waits_for_its_ticket() {
    let house = house();
    let session = house.session();
    assert_eq!(
        house.publish(&session, &own("properties/cpuPercent"), "21.5"),
        Outcome::Pending(Ticket(1))
    );
    let pack = r#"[{"n":"load1","v":1},{"n":"uptimeSeconds","v":70}]"#;
    assert_eq!(house.publish(&session, &own("telemetry"), pack), Outcome::Pending(Ticket(3)));
    let specs = house.journal.specs.lock().unwrap().clone();
    let taken = house.journal.taken.lock().unwrap().clone();
    let named: Vec<_> = taken
        .iter()
        .map(|(series, value)| (&*specs[usize::try_from(series.0).unwrap()].name, value.clone()))
        .collect();
    let expected = [
        ("cpuPercent", Value::Number(21.5)),
        ("load1", Value::Number(1.0)),
        ("uptimeSeconds", Value::Integer(70)),
    ];
    assert_eq!(named, expected);
}

#[test]
fn without_an_acknowledgement_there_is_nothing_to_wait_for() {
    let house = house();
    let topic = own("events/identified");
    let message = Message { topic: &topic, payload: b"{}", needs_ack: false, retain: false };
    let published = house.plane.publish(&house.session(), message, NOW);
    assert_eq!((published.route, published.outcome), (true, Outcome::Done));
    assert_eq!(house.journal.taken.lock().unwrap().len(), 1, "but it is stored");
}

#[test]
fn every_refusal_has_its_word_and_its_counter() {
    let house = house();
    let session = house.session();
    let cpu = own("properties/cpuPercent");
    for (topic, payload, word) in [
        (format!("things/{OTHER}/telemetry"), "[]", "not-yours"),
        ("elsewhere".into(), "1", "not-yours"),
        (own("properties/other"), "1", "undeclared"),
        (cpu.clone(), "true", "wrong-type"),
        (cpu.clone(), "100.5", "out-of-range"),
        (cpu.clone(), "NaN", "unreadable"),
        (own("telemetry"), "[{", "unreadable"),
        (own("telemetry"), r#"[{"n":"cpuPercent","v":1,"t":301}]"#, "too-far-ahead"),
        (own("telemetry"), r#"[{"n":"cpuPercent","v":1,"bt":1e9}]"#, "too-old"),
        (own("telemetry"), r#"[{"n":"cpuPercent","u":"Cel","v":1}]"#, "wrong-unit"),
    ] {
        assert_eq!(house.refused(&session, &topic, payload), word, "{topic} {payload}");
        assert!(house.plane.denials().any(|(counted, _)| counted == word), "{word}");
    }
    let long = format!("\"{}\"", "x".repeat(20_000));
    assert_eq!(house.refused(&session, &own("reported"), &long), "too-large");
    assert!(house.journal.taken.lock().unwrap().is_empty(), "nothing of it is stored");
}

#[test]
fn refused_readings_of_a_good_pack_are_counted() {
    let house = house();
    let pack = r#"[{"n":"load1","v":1},{"n":"x","v":1},{"n":"y","v":1}]"#;
    let outcome = house.publish(&house.session(), &own("telemetry"), pack);
    assert_eq!(outcome, Outcome::Pending(Ticket(1)));
    assert_eq!(house.plane.denials().collect::<Vec<_>>(), [("undeclared", 2)]);
}

#[test]
fn the_first_of_a_kind_is_noticed_and_no_more() {
    let house = house();
    let session = house.session();
    for _ in 0..3 {
        house.refused(&session, &own("properties/other"), "1");
        house.refused(&session, &own("properties/cpuPercent"), "true");
    }
    house.plane.directory().apply(admission(DEVICE, Standing::Full));
    house.refused(&house.session(), &own("properties/more"), "1");
    let expected = [
        format!("known undeclared {}", own("properties/other")),
        format!("known wrong-type {}", own("properties/cpuPercent")),
    ];
    assert_eq!(house.log(), expected);
}

#[test]
fn a_full_disk_refuses_for_now_and_recovers() {
    let house = house();
    let session = house.session();
    *house.journal.is_full.lock().unwrap() = true;
    match house.publish(&session, &own("properties/cpuPercent"), "1") {
        Outcome::Refused(refusal) => assert_eq!(refusal.fault, Fault::Unavailable),
        other => panic!("{other:?}"),
    }
    *house.journal.is_full.lock().unwrap() = false;
    let outcome = house.publish(&session, &own("properties/cpuPercent"), "1");
    assert!(matches!(outcome, Outcome::Pending(_)));
}

#[test]
fn a_session_publishes_nothing_after_its_certificate_expired() {
    let house = house();
    let session = house.session();
    let topic = own("properties/cpuPercent");
    let message = Message { topic: &topic, payload: b"1", needs_ack: true, retain: false };
    let expires = session.expires().unwrap();
    let before = house.plane.publish(&session, message, expires.plus_ms(-1));
    assert!(matches!(before.outcome, Outcome::Pending(_)));
    let after = house.plane.publish(&session, message, expires);
    assert!(matches!(after.outcome, Outcome::Refused(_)));
}

#[test]
fn who_looks_on_sees_the_values_of_the_device() {
    let house = house();
    let session = house.session();
    house.publish(&session, &own("properties/load1"), "1");
    let mut watcher = house.bus.watch(Watched::Device(TenantId::FIRST, DEVICE)).unwrap();
    house.publish(&session, &own("properties/cpuPercent"), "21.54");
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(live) = watcher.poll_next(&mut context) else { panic!("a value is there") };
    assert_eq!((&*live.name, live.value, live.at), ("cpuPercent", Value::Number(21.5), NOW));
    assert!(watcher.poll_next(&mut context).is_pending());
}

#[test]
fn the_overlay_holds_in_topics_and_packs() {
    let house = house();
    let mut narrowed = admission(DEVICE, Standing::Full);
    let withheld = ["load1"].map(Into::into).into();
    narrowed.overlay = Overlay { withheld, ..Overlay::default() }.into();
    house.plane.directory().apply(narrowed);
    let session = house.session();
    assert_eq!(house.refused(&session, &own("properties/load1"), "1"), "withheld");
    assert_eq!(house.refused(&session, &own("telemetry"), r#"[{"n":"load1","v":1}]"#), "withheld");
}

#[test]
fn a_profile_that_changes_judges_its_devices_open_sessions_and_no_others() {
    let house = house();
    let mut session = house.session();
    house.publish(&session, &own("properties/load1"), "1");
    let before = admission(DEVICE, Standing::Full);
    let withheld = ["load1"].map(Into::into).into();
    let overlay = Arc::new(Overlay { withheld, ..Overlay::default() });
    let apply = |tenant, name: &str, overlay: &Arc<Overlay>| {
        house.plane.directory().apply_profile(tenant, name, &before.profile, overlay);
    };
    apply(TenantId::FIRST, "another", &overlay);
    apply(TenantId(2), "linux-host", &overlay);
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Unchanged);
    let revision = house.plane.revision();
    apply(TenantId::FIRST, "linux-host", &overlay);
    assert!(house.plane.revision() > revision);
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Narrowed);
    assert_eq!(house.refused(&session, &own("properties/load1"), "1"), "withheld");
    let presence = house.plane.directory().presence(TenantId::FIRST, DEVICE).unwrap();
    assert_eq!(presence.last_seen, Some(NOW), "what was known of it stays");
    apply(TenantId::FIRST, "linux-host", &before.overlay);
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Narrowed);
    house.publish(&session, &own("properties/load1"), "1");
}

#[test]
fn testers_stay_outside_of_things() {
    let house = house();
    let tester = Witness::of_a_proof().loopback_tester();
    let session = house.plane.admit(tester, NOW).unwrap();
    assert_eq!(house.publish(&session, "bench/1", "anything"), Outcome::Done);
    assert_eq!(house.publish(&session, "thingsome", "x"), Outcome::Done);
    for topic in ["things", "things/x", &own("telemetry")] {
        assert_eq!(house.refused(&session, topic, "1"), "outside");
    }
    assert!(house.journal.taken.lock().unwrap().is_empty(), "nothing of it is stored");
}

#[test]
fn a_program_sends_actions_to_devices_of_its_tenant_only() {
    let house = house();
    let admit = |tenant, scopes| house.program(tenant, scopes, &[]);
    let session = admit(TenantId::FIRST, Scopes::DEVICES);
    assert_eq!(house.publish(&session, &own("actions/identify"), "{}"), Outcome::Done);
    assert_eq!(house.refused(&session, &own("properties/cpuPercent"), "1"), "undeclared");
    assert_eq!(house.refused(&session, &own("actions/other"), "1"), "undeclared");
    assert_eq!(house.refused(&session, "elsewhere", "1"), "not-yours");
    let foreign = admit(TenantId(2), Scopes::DEVICES);
    assert_eq!(house.refused(&foreign, &own("actions/identify"), "{}"), "not-yours");
    let reader = admit(TenantId::FIRST, Scopes::READ);
    assert_eq!(house.refused(&reader, &own("actions/identify"), "{}"), "scope");
}
