//! The disk is full: what can't be stored is refused with Unavailable, and the hub goes on by itself.

use std::{
    fs,
    io::Write,
    time::{Duration, Instant},
};

use hedgerow_scenarios::{Answer, RunningHub, TestDevice};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

fn publish(device: &mut TestDevice, number: u32) -> Answer {
    let topic = device.topic("telemetry");
    let pack = format!("[{{\"n\":\"uptimeSeconds\",\"v\":{number}}}]");
    match device.publish(&topic, pack.as_bytes()) {
        Some(_) => device.hear(Duration::from_secs(10)),
        None => Answer::Gone,
    }
}

#[test]
fn a_full_disk_refuses_for_now_and_recovers_by_itself() {
    let hub = RunningHub::start_on_small_disk(24);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    let Answer::Acknowledged(_, 0) = publish(&mut device, 1) else { panic!("not stored") };

    let filler = hub.data().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[7; 64 * 1024]).is_ok() {}
    while file.write_all(&[7; 1]).is_ok() {}
    drop(file);

    let begun = Instant::now();
    let mut number = 1;
    let refused = loop {
        number += 1;
        match publish(&mut device, number) {
            Answer::Acknowledged(_, 0) if begun.elapsed() < PATIENCE => {}
            other => break other,
        }
    };
    let Answer::Acknowledged(_, reason) = refused else { panic!("{refused:?}") };
    assert!(matches!(reason, 0x80 | 0x97), "not for good: {reason:#x}");
    let (status, answer) = hub.ask("POST", "/api/v1/claims", &json!({"name": "another"}));
    assert_eq!((status, &answer["kind"]), (503, &json!("unavailable")), "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("disk"), "{answer}");

    fs::remove_file(filler).unwrap();
    let begun = Instant::now();
    while !matches!(publish(&mut device, 9_999), Answer::Acknowledged(_, 0)) {
        assert!(begun.elapsed() < PATIENCE, "the hub did not recover: {}", hub.log());
    }
    let (status, answer) = hub.ask("POST", "/api/v1/claims", &json!({"name": "another"}));
    assert_eq!(status, 201, "{answer} {}", hub.log());
    let path = format!("/api/v1/devices/{}/values", device.id());
    assert!(hub.get(&path).to_string().contains("9999"));
}
