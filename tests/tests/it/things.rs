//! The Thing Directory: what it describes can be done as it says.

use std::time::Duration;

use hedgerow_scenarios::{Answer, RunningHub, TestDevice};
use serde_json::{Value, json};

#[test]
fn a_thing_is_described_and_its_forms_work() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    let topic = device.topic("properties/load1");
    let id = device.publish(&topic, b"1.5").unwrap();
    assert_eq!(device.hear(Duration::from_secs(5)), Answer::Acknowledged(id, 0));

    let all = hub.get("/things");
    let thing = &all[0];
    assert_eq!(all.as_array().unwrap().len(), 1);
    let urn = format!("urn:hedgerow:device:{}", device.id());
    assert_eq!((&thing["id"], &thing["title"]), (&json!(urn), &json!("lamp")));
    assert_eq!(thing["securityDefinitions"]["token"]["scheme"], "bearer");
    assert_eq!(hub.get(&format!("/things/{urn}")), *thing);
    let base = format!("http://localhost:{}/", hub.local_port());
    assert_eq!(thing["base"], json!(base));
    let place = |form: &Value| format!("/{}", form["href"].as_str().unwrap());
    let load = &thing["properties"]["load1"];
    assert_eq!(hub.get(&place(&load["forms"][0])), json!(1.5));
    assert_eq!(load["type"], "number");
    let (status, _) =
        hub.ask("GET", &place(&thing["properties"]["cpuPercent"]["forms"][0]), &Value::Null);
    assert_eq!(status, 404, "it has not sent one");
    let model = hub.get(&place(&thing["links"][0]));
    assert_eq!(model["hedgerow:model"], "linux-host");

    let topic = device.topic("actions/identify");
    device.subscribe(&topic);
    assert!(matches!(device.hear(Duration::from_secs(5)), Answer::Subscribed(_)));
    let form = &thing["actions"]["identify"]["forms"][0];
    assert_eq!((&form["op"], &form["htv:methodName"]), (&json!("invokeaction"), &json!("POST")));
    assert_eq!(hub.ask("POST", &place(form), &json!({})).0, 202);
    let Answer::Message(heard, _) = device.hear(Duration::from_secs(5)) else {
        panic!("not asked")
    };
    assert_eq!(heard, topic);

    let overlay = json!({"withheld": ["load1", "identify"]});
    let path = "/api/v1/profiles/linux-host/overlay";
    assert_eq!(hub.change("PUT", path, 0, &overlay).0, 200);
    let thing = hub.get(&format!("/things/{urn}"));
    assert!(
        thing["properties"].get("load1").is_none() && thing["actions"].get("identify").is_none()
    );
    assert_eq!(hub.ask("GET", &place(&load["forms"][0]), &Value::Null).0, 404, "withheld");
}

#[test]
fn things_come_in_pages() {
    let hub = RunningHub::start(&[]);
    let devices = ["one", "two", "three"].map(|name| TestDevice::enrolled(&hub, name));
    let mut ids: Vec<_> = devices.iter().map(TestDevice::id).collect();
    ids.sort_unstable();
    let first = hub.get("/things?limit=2");
    let last = first[1]["id"].as_str().unwrap().rsplit(':').next().unwrap();
    assert_eq!(last, ids[1]);
    let second = hub.get(&format!("/things?limit=2&after={last}"));
    assert_eq!(second.as_array().unwrap().len(), 1);
    assert!(second[0]["id"].as_str().unwrap().ends_with(ids[2]));
    assert_eq!(hub.ask("GET", "/things?limit=51", &Value::Null).0, 400);
}
