//! Devices on topics of their own makers'.

use std::sync::Arc;

use hedgerow_base::{DeviceId, TenantId};
use hedgerow_model::{LINUX_HOST, Profile, TASMOTA_PLUG, Value, mapping::Names};
use hedgerow_plane::{
    Admitted, DeviceAdmission, Message, Outcome, Published, Verdict, Watched, Wish,
};
use hedgerow_policy::{Overlay, PersonId, Role, Scopes, Standing, Witness};
use hedgerow_telemetry::DeviceKey;

use crate::house::{CERTIFICATE, DEVICE, House, NOW, OTHER, admission, house, peer_as};

const SENSOR: &str = r#"{"Time":"2022-01-11T21:57:38","ENERGY":{"Power":5,"Voltage":233}}"#;

fn plug(device: DeviceId, topic: &str, standing: Standing) -> DeviceAdmission {
    DeviceAdmission {
        profile_name: "tasmota-plug".into(),
        profile: Arc::new(Profile::parse(TASMOTA_PLUG.as_bytes()).unwrap()),
        names: Names::new([("topic", topic)]).unwrap(),
        ..admission(device, standing)
    }
}

/// A house with a plug, and its session.
fn with_plug() -> (House, Admitted) {
    let house = house();
    house.plane.directory().apply(plug(DEVICE, "plug1", Standing::Full));
    let session = house.session();
    (house, session)
}

fn publish(house: &House, session: &Admitted, topic: &str, payload: &str) -> Published {
    let payload = payload.as_bytes();
    let message = Message { topic, payload, needs_ack: true, retain: false };
    house.plane.publish(session, message, NOW)
}

fn refused(published: Published) -> &'static str {
    assert!(!published.route);
    let Outcome::Refused(refusal) = published.outcome else { panic!("taken") };
    refusal.word
}

fn key() -> DeviceKey {
    admission(DEVICE, Standing::Full).key()
}

#[test]
fn a_message_becomes_readings_and_goes_on() {
    let (house, session) = with_plug();
    let mut watcher = house.bus.watch(Watched::Device(TenantId::FIRST, DEVICE)).unwrap();
    let published = publish(&house, &session, "tele/plug1/SENSOR", SENSOR);
    assert!(published.route && matches!(published.outcome, Outcome::Pending(_)));
    let taken = house.journal.taken.lock().unwrap();
    let values: Vec<_> = taken.iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(values, [Value::Number(5.0), Value::Number(233.0)]);
    drop(taken);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(live) = watcher.poll_next(&mut context) else { panic!("nothing") };
    assert_eq!((&*live.name, live.value, live.is_alone), ("power", Value::Number(5.0), false));
    let own = format!("things/{DEVICE}/properties/power");
    publish(&house, &session, &own, "6");
    let alone = std::iter::from_fn(|| match watcher.poll_next(&mut context) {
        std::task::Poll::Ready(live) => Some(live.is_alone),
        std::task::Poll::Pending => None,
    });
    assert_eq!(alone.last(), Some(true), "as it is on its own topic");
    let passed = publish(&house, &session, "stat/plug1/RESULT", "anything");
    assert_eq!(passed, Published { route: true, outcome: Outcome::Done });
}

#[test]
fn whoever_sees_a_device_sees_the_topics_that_its_profile_maps() {
    let (house, _) = with_plug();
    let sees = |tenant, role, topic: &str| {
        let person = Witness::of_a_proof().person(tenant, PersonId(1), role);
        let session = house.plane.admit(person, NOW).unwrap();
        house.plane.may_receive(&session, topic)
    };
    for role in [Role::Owner, Role::Operator, Role::Viewer] {
        for topic in ["tele/plug1/SENSOR", "tele/plug1/LWT", "cmnd/plug1/POWER"] {
            assert!(sees(TenantId::FIRST, role, topic), "{role:?} {topic}");
            assert!(!sees(TenantId(2), role, topic), "{role:?} {topic}: not their device");
        }
        let is_owner = role == Role::Owner;
        for topic in ["stat/plug1/RESULT", "tele/plug1/other", "tele/plug2/SENSOR"] {
            assert_eq!(sees(TenantId::FIRST, role, topic), is_owner, "{role:?} {topic}");
        }
    }
    house.plane.directory().remove(TenantId::FIRST, DEVICE);
    assert!(!sees(TenantId::FIRST, Role::Viewer, "tele/plug1/SENSOR"), "nobody's topic");
}

#[test]
fn what_is_refused_is_counted_with_its_reason() {
    let (house, session) = with_plug();
    let heard = |topic: &str, payload: &str| refused(publish(&house, &session, topic, payload));
    assert_eq!(heard("tele/plug2/SENSOR", SENSOR), "not-yours");
    assert_eq!(heard("cmnd/plug1/POWER", "ON"), "not-yours");
    assert_eq!(heard("tele/plug1/SENSOR", "{"), "unreadable");
    assert_eq!(heard("tele/plug1/LWT", "perhaps"), "out-of-range");
    let some = r#"{"ENERGY":{"Power":5,"Voltage":900,"Factor":7}}"#;
    let published = publish(&house, &session, "tele/plug1/SENSOR", some);
    assert!(published.route, "the message goes on as it is");
    let counts: Vec<_> = house.plane.denials().collect();
    assert_eq!(counts, [("not-yours", 2), ("out-of-range", 3), ("unreadable", 1)]);
    assert_eq!(house.journal.taken.lock().unwrap().len(), 1);
}

#[test]
fn what_the_owner_withholds_does_not_go_on_with_the_rest() {
    let (house, session) = with_plug();
    let mut overlay = Overlay::default();
    overlay.withheld.insert("power".into());
    let withholding =
        DeviceAdmission { overlay: overlay.into(), ..plug(DEVICE, "plug1", Standing::Full) };
    house.plane.directory().apply(withholding);
    let mut session = session;
    house.plane.rejudge(&mut session, NOW);
    let published = publish(&house, &session, "tele/plug1/SENSOR", SENSOR);
    assert!(!published.route && matches!(published.outcome, Outcome::Pending(_)));
    assert_eq!(house.journal.taken.lock().unwrap().len(), 1, "the voltage alone");
}

#[test]
fn a_topic_belongs_to_one_device_until_that_is_gone() {
    let (house, _) = with_plug();
    let directory = house.plane.directory();
    directory.apply(plug(OTHER, "plug1", Standing::Full));
    let other = house.plane.admit(peer_as(TenantId::FIRST, OTHER, CERTIFICATE), NOW);
    let other = other.unwrap();
    assert_eq!(refused(publish(&house, &other, "tele/plug1/SENSOR", SENSOR)), "not-yours");
    assert!(house.plane.subscribe(&other, "cmnd/plug1/#").is_err());
    directory.apply(plug(DEVICE, "plug1", Standing::Cut));
    directory.apply(plug(OTHER, "plug1", Standing::Full));
    let other = house.plane.admit(peer_as(TenantId::FIRST, OTHER, CERTIFICATE), NOW);
    let other = other.unwrap();
    assert!(publish(&house, &other, "tele/plug1/SENSOR", SENSOR).route, "the first was cut off");
    directory.remove(TenantId::FIRST, OTHER);
    directory.apply(plug(DEVICE, "plug1", Standing::Full));
    assert!(publish(&house, &house.session(), "tele/plug1/SENSOR", SENSOR).route);
}

#[test]
fn an_action_is_asked_in_the_devices_words() {
    let (house, session) = with_plug();
    let ask = |action: &str, input: &str| {
        house.plane.ask(key(), Wish::Action(action), input.as_bytes(), NOW)
    };
    assert_eq!(ask("toggle", "{}").unwrap_err().word, "away");
    house.plane.connected(&session, "c", NOW);
    let asked = ask("toggle", "{}").unwrap();
    assert_eq!((&*asked.topic, &*asked.payload), ("cmnd/plug1/POWER", &b"TOGGLE"[..]));
    assert_eq!(ask("switch", "true").unwrap().payload, b"ON");
    for input in ["", "{}", "1", "\"ON\""] {
        assert_eq!(ask("switch", input).unwrap_err().word, "input", "{input}");
    }
    assert_eq!(ask("explode", "{}").unwrap_err().word, "undeclared");
    assert!(house.plane.subscribe(&session, "cmnd/plug1/#").is_ok());
    assert!(house.plane.judges_deliveries(&session));
    assert!(house.plane.may_receive(&session, "cmnd/plug1/POWER"));
    assert!(!house.plane.may_receive(&session, "cmnd/plug1/Upgrade"));
    house.plane.directory().apply(plug(DEVICE, "plug1", Standing::Remediate));
    assert_eq!(ask("toggle", "{}").unwrap_err().word, "standing");
    house.plane.directory().apply(admission(DEVICE, Standing::Full));
    assert_eq!(
        ask("identify", "{}").unwrap().topic,
        format!("things/{DEVICE}/actions/identify").into()
    );
    assert!(Profile::parse(LINUX_HOST.as_bytes()).unwrap().plan().is_empty());
}

#[test]
fn a_property_is_written_in_the_devices_words_and_only_where_the_profile_says_how() {
    let (house, session) = with_plug();
    let write = |property: &str, value: &str| {
        house.plane.ask(key(), Wish::Property(property), value.as_bytes(), NOW)
    };
    assert_eq!(write("on", "true").unwrap_err().word, "away");
    house.plane.connected(&session, "c", NOW);
    let told = write("on", "true").unwrap();
    assert_eq!((&*told.topic, &*told.payload), ("cmnd/plug1/POWER", &b"ON"[..]));
    for value in ["", "{}", "1", "\"ON\""] {
        assert_eq!(write("on", value).unwrap_err().word, "input", "{value}");
    }
    assert_eq!(write("power", "1").unwrap_err().word, "unwritable");
    assert_eq!(write("switch", "true").unwrap_err().word, "undeclared", "it is an action");
    let withheld = Overlay { withheld: ["on".into()].into(), ..Overlay::default() };
    let narrowed = plug(DEVICE, "plug1", Standing::Full);
    let narrowed = DeviceAdmission { overlay: Arc::new(withheld), ..narrowed };
    house.plane.directory().apply(narrowed);
    assert_eq!(write("on", "true").unwrap_err().word, "withheld");
    for standing in [Standing::Restricted, Standing::Remediate, Standing::Cut] {
        house.plane.directory().apply(plug(DEVICE, "plug1", standing));
        assert_eq!(write("on", "true").unwrap_err().word, "standing", "{standing:?}");
    }
    house.plane.directory().apply(admission(DEVICE, Standing::Full));
    assert_eq!(write("load1", "1").unwrap_err().word, "unwritable", "a host has no such form");
}

#[test]
fn programs_hear_and_command_devices_of_their_tenant_and_never_speak_for_them() {
    let (house, _) = with_plug();
    let program = house.program(TenantId::FIRST, Scopes::NONE, &["subscribe #", "publish #"]);
    assert!(house.plane.may_receive(&program, "tele/plug1/SENSOR"));
    assert!(publish(&house, &program, "cmnd/plug1/POWER", "ON").route);
    assert_eq!(refused(publish(&house, &program, "tele/plug1/SENSOR", SENSOR)), "not-yours");
    assert!(publish(&house, &program, "tele/free/SENSOR", SENSOR).route, "nobody's topic");
    let scoped = house.program(TenantId::FIRST, Scopes::DEVICES, &[]);
    assert!(publish(&house, &scoped, "cmnd/plug1/POWER", "ON").route);
    assert_eq!(refused(publish(&house, &scoped, "tele/free/SENSOR", "")), "not-yours");
    let stranger = house.program(TenantId(2), Scopes::NONE, &["subscribe #", "publish #"]);
    assert!(!house.plane.may_receive(&stranger, "tele/plug1/SENSOR"));
    assert_eq!(refused(publish(&house, &stranger, "cmnd/plug1/POWER", "ON")), "not-yours");
    house.plane.directory().apply(plug(DEVICE, "plug1", Standing::Remediate));
    assert_eq!(refused(publish(&house, &program, "cmnd/plug1/POWER", "ON")), "standing");
}

#[test]
fn a_tester_is_nobody_to_devices() {
    let (house, _) = with_plug();
    let tester = house.plane.admit(Witness::of_a_proof().loopback_tester(), NOW).unwrap();
    for topic in ["tele/plug1/SENSOR", "cmnd/plug1/POWER"] {
        assert!(!house.plane.may_receive(&tester, topic), "{topic}");
        assert_eq!(refused(publish(&house, &tester, topic, "ON")), "outside", "{topic}");
    }
    assert!(publish(&house, &tester, "tele/plug2/SENSOR", "1").route);
}

#[test]
fn a_carrier_speaks_and_hears_for_what_it_carries_while_both_are_trusted() {
    let (house, other) = with_plug();
    let carrier = DeviceId::from_bytes([9; 16]);
    let directory = house.plane.directory();
    directory.apply(admission(carrier, Standing::Full));
    let mut session =
        house.plane.admit(peer_as(TenantId::FIRST, carrier, CERTIFICATE), NOW).unwrap();
    assert!(!house.plane.judges_deliveries(&session));
    let carried = |standing| DeviceAdmission {
        carrier: Some(carrier),
        certificates: vec![],
        ..plug(OTHER, "plug2", standing)
    };
    directory.apply(carried(Standing::Full));
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Narrowed, "so it is judged anew");
    assert!(publish(&house, &session, "tele/plug2/SENSOR", SENSOR).route);
    assert_eq!(refused(publish(&house, &session, "tele/plug1/SENSOR", SENSOR)), "not-yours");
    assert_eq!(refused(publish(&house, &other, "tele/plug2/SENSOR", SENSOR)), "not-yours");
    assert!(house.plane.subscribe(&session, "cmnd/plug2/POWER").is_ok());
    assert!(house.plane.subscribe(&other, "cmnd/plug2/POWER").is_err());
    assert!(house.plane.may_receive(&session, "cmnd/plug2/POWER"));
    assert!(!house.plane.may_receive(&session, "cmnd/plug1/POWER"));
    let key = carried(Standing::Full).key();
    let ask = || house.plane.ask(key, Wish::Action("toggle"), b"{}", NOW);
    assert_eq!(ask().unwrap_err().word, "away");
    house.plane.connected(&session, "c", NOW);
    assert_eq!(&*ask().unwrap().topic, "cmnd/plug2/POWER");
    assert_eq!(directory.presence(TenantId::FIRST, OTHER).unwrap().sessions, 1);
    directory.apply(carried(Standing::Remediate));
    assert_eq!(refused(publish(&house, &session, "tele/plug2/SENSOR", SENSOR)), "standing");
    assert!(!house.plane.may_receive(&session, "cmnd/plug2/POWER"));
    directory.apply(carried(Standing::Full));
    directory.apply(admission(carrier, Standing::Restricted));
    house.plane.rejudge(&mut session, NOW);
    assert_eq!(refused(publish(&house, &session, "tele/plug2/SENSOR", SENSOR)), "standing");
    assert_eq!(ask().unwrap_err().word, "standing");
    directory.apply(admission(carrier, Standing::Full));
    house.plane.rejudge(&mut session, NOW);
    assert!(publish(&house, &session, "tele/plug2/SENSOR", SENSOR).route);
    directory.remove(TenantId::FIRST, OTHER);
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Narrowed);
    assert_eq!(refused(publish(&house, &session, "tele/plug2/SENSOR", SENSOR)), "not-yours");
}
