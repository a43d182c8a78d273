//! `/metrics` and the status say what happened.

use std::time::Duration;

use hedgerow_scenarios::{Answer, RunningHub, TestDevice};
use serde_json::Value;

#[test]
fn what_devices_did_is_counted() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    for (name, reason) in [("load1", 0), ("load1", 0), ("colour", 0x87)] {
        let topic = device.topic(&format!("properties/{name}"));
        let id = device.publish(&topic, b"1").unwrap();
        assert_eq!(device.hear(Duration::from_secs(5)), Answer::Acknowledged(id, reason));
    }
    let (status, text) = hub.ask("GET", "/metrics", &Value::Null);
    assert_eq!(status, 200);
    let text = text.as_str().unwrap();
    for line in [
        "hedgerow_mqtt_connections 1",
        "hedgerow_mqtt_messages_received_total 3",
        "hedgerow_mqtt_messages_refused_total 1",
        "hedgerow_refusals_total{reason=\"undeclared\"} 1",
        "hedgerow_readings_stored_total 2",
        "hedgerow_http_connections{door=\"local\"} 1",
        "hedgerow_devices 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    let status = hub.get("/api/v1/status");
    assert_eq!(status["readings_stored"], 2);
    assert!(status["disk_free_bytes"].as_u64().unwrap() > 0, "{status}");
}
