//! Quarantine narrows, retire cuts, seen from the device's side of an open session.

use std::time::{Duration, Instant};

use hedgerow_scenarios::{Answer, RunningHub, TestDevice};
use serde_json::json;

const SOON: Duration = Duration::from_secs(1);

fn publish(device: &mut TestDevice, rest: &str, payload: &str) -> u8 {
    let topic = device.topic(rest);
    let id = device.publish(&topic, payload.as_bytes()).unwrap();
    match device.hear(Duration::from_secs(5)) {
        Answer::Acknowledged(acknowledged, reason) if acknowledged == id => reason,
        other => panic!("no acknowledgement: {other:?}"),
    }
}

#[test]
fn quarantine_narrows_an_open_session_and_release_widens_it_again() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    assert_eq!(publish(&mut device, "properties/cpuPercent", "12.5"), 0);
    let path = format!("/api/v1/devices/{}", device.id());
    hub.post(&format!("{path}/quarantine"), &json!({"reason": "test"}));
    assert_eq!(publish(&mut device, "properties/cpuPercent", "12.5"), 0x87, "not authorised");
    assert_eq!(publish(&mut device, "reported", "{\"os\":\"x\"}"), 0, "it may say what it is");
    hub.post(&format!("{path}/release"), &json!({}));
    assert_eq!(publish(&mut device, "properties/cpuPercent", "12.5"), 0);
}

#[test]
fn retire_closes_an_open_session_within_a_second_and_says_why() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    let path = format!("/api/v1/devices/{}", device.id());
    let begun = Instant::now();
    hub.post(&format!("{path}/retire"), &json!({"reason": "sold"}));
    let answer = device.hear(SOON);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let Answer::Goodbye(reason, words) = answer else { panic!("{answer:?}") };
    assert!(reason >= 0x80, "{reason:#x} {words}");
    assert!(!words.is_empty());
    device.vanish();
    let (reason, words) = device.connect("c", true).unwrap();
    assert_eq!(
        reason, 0x87,
        "a revoked certificate passes TLS and is refused with a reason: {words}"
    );
    assert!(!words.is_empty());
}

#[test]
fn every_session_of_a_device_follows_within_a_second_whichever_core_has_it() {
    let hub = RunningHub::start(&[]);
    let device = TestDevice::enrolled(&hub, "lamp");
    let mut others: Vec<_> =
        (0..4).map(|number| TestDevice::enrolled(&hub, &format!("other {number}"))).collect();
    // Connections go to one shard after the other: both kinds are on each.
    let mut sessions = Vec::new();
    for (number, other) in others.iter_mut().enumerate() {
        for client_id in [format!("c{number}"), format!("d{number}")] {
            let mut session = device.again();
            assert_eq!(session.connect(&client_id, true).unwrap().0, 0);
            sessions.push(session);
        }
        assert_eq!(other.connect("c", true).unwrap().0, 0);
    }
    let path = format!("/api/v1/devices/{}", device.id());
    hub.post(&format!("{path}/quarantine"), &json!({"reason": "test"}));
    for session in &mut sessions {
        assert_eq!(publish(session, "properties/load1", "1"), 0x87, "narrowed");
    }
    let begun = Instant::now();
    hub.post(&format!("{path}/retire"), &json!({"reason": "sold"}));
    for session in &mut sessions {
        let answer = session.hear(SOON);
        assert!(matches!(answer, Answer::Goodbye(0x80.., _)), "{answer:?}");
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    for other in &mut others {
        assert_eq!(publish(other, "properties/load1", "1"), 0, "nothing happened to it");
    }
}

#[test]
fn nobody_takes_another_devices_session_by_its_client_id() {
    let hub = RunningHub::start(&[]);
    let (mut one, mut two) = (TestDevice::enrolled(&hub, "one"), TestDevice::enrolled(&hub, "two"));
    assert_eq!(one.connect("same", true).unwrap().0, 0);
    assert_eq!(two.connect("same", true).unwrap().0, 0);
    assert_eq!(publish(&mut one, "properties/load1", "1"), 0, "it was not thrown out");
    assert_eq!(publish(&mut two, "properties/load1", "2"), 0);
    let topic = one.topic("properties/load1");
    let id = two.publish(&topic, b"3").unwrap();
    assert_eq!(two.hear(SOON), Answer::Acknowledged(id, 0x87));
}

#[test]
fn what_is_refused_is_counted_and_told_once() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    for (rest, payload, reason) in [
        ("properties/colour", "1", 0x87),
        ("properties/cpuPercent", "\"warm\"", 0x99),
        ("properties/cpuPercent", "101", 0x99),
        ("properties/cpuPercent", "NaN", 0x99),
        ("telemetry", "[{\"n\":\"load1\",\"t\":99999,\"v\":1}]", 0x99),
        ("telemetry", "[{\"n\":\"load1\"", 0x99),
    ] {
        assert_eq!(publish(&mut device, rest, payload), reason, "{rest} {payload}");
        assert_eq!(publish(&mut device, rest, payload), reason, "again {rest} {payload}");
    }
    let status = hub.get("/api/v1/status");
    let counted: u64 =
        status["refusals"].as_object().unwrap().values().filter_map(|v| v.as_u64()).sum();
    assert!(counted >= 12, "{status}");
    let path = format!("/api/v1/devices/{}/timeline", device.id());
    let begun = Instant::now();
    let told = loop {
        let timeline = hub.get(&path);
        let items = timeline["items"].as_array().unwrap().clone();
        let told = items.iter().filter(|item| item["kind"] == "denied").count();
        if told >= 4 || begun.elapsed() > Duration::from_secs(5) {
            break told;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!((4..=6).contains(&told), "each kind is told once, not each time: {told}");
}
