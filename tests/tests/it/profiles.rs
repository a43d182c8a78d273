//! A profile that an owner adds: what its devices may do, and how that gets narrower and wider.

use std::time::{Duration, Instant};

use hedgerow_scenarios::{Answer, RunningHub, TestDevice};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/profiles/greenhouse";
const SOON: Duration = Duration::from_secs(1);
const NOT_AUTHORISED: u8 = 0x87;
/// What the hub takes in profiles, the built-in ones included, how many those are, and bytes of one.
const PROFILES: usize = 100;
const BUILT_IN: usize = 7;
const BYTES: usize = 256 * 1024;

fn model(version: &str, properties: &Value) -> Value {
    json!({
        "@context": ["https://www.w3.org/2022/wot/td/v1.1", {"hedgerow": "urn:hedgerow:vocabulary:1#"}],
        "@type": "tm:ThingModel", "title": "Greenhouse sensor", "version": {"model": version},
        "hedgerow:maker": "Example Gardens", "hedgerow:model": "GH-2", "properties": properties
    })
}

fn first() -> Value {
    let number = json!({"type": "number", "minimum": 0, "maximum": 50});
    model("1", &json!({"temperature": number, "humidity": number}))
}

fn publish(device: &mut TestDevice, name: &str) -> u8 {
    let topic = device.topic(&format!("properties/{name}"));
    let id = device.publish(&topic, b"21").unwrap();
    match device.hear(Duration::from_secs(5)) {
        Answer::Acknowledged(acknowledged, reason) if acknowledged == id => reason,
        other => panic!("no acknowledgement: {other:?}"),
    }
}

fn added() -> RunningHub {
    let hub = RunningHub::start(&[]);
    let (status, answer) = hub.ask("PUT", PATH, &first());
    assert_eq!((status, &answer["revision"]), (201, &json!(1)), "{answer}");
    hub
}

fn connected(hub: &RunningHub) -> TestDevice {
    let mut device = TestDevice::enrolled_as(hub, "shed", "greenhouse");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    device
}

#[test]
fn a_device_of_an_added_profile_may_publish_its_property_and_no_other() {
    let hub = added();
    let mut device = connected(&hub);
    assert_eq!(publish(&mut device, "temperature"), 0);
    assert_eq!(publish(&mut device, "cpuPercent"), NOT_AUTHORISED, "that is another profile's");
    let path = format!("/api/v1/devices/{}", device.id());
    assert_eq!(hub.get(&path)["profile"], "greenhouse");
    assert!(hub.get(&format!("{path}/values")).to_string().contains("temperature"));
}

#[test]
fn narrowing_refuses_within_a_second_on_the_open_session_and_survives_a_restart() {
    let mut hub = added();
    let mut device = connected(&hub);
    assert_eq!(publish(&mut device, "humidity"), 0);
    let begun = Instant::now();
    let overlay = json!({"withheld": ["humidity"]});
    let (status, answer) = hub.change("PUT", &format!("{PATH}/overlay"), 1, &overlay);
    assert_eq!((status, &answer["overlay"]["withheld"]), (200, &json!(["humidity"])), "{answer}");
    assert_eq!(publish(&mut device, "humidity"), NOT_AUTHORISED);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(publish(&mut device, "temperature"), 0, "the rest stays");
    device.vanish();
    hub.kill();
    hub.restart();
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    assert_eq!(publish(&mut device, "humidity"), NOT_AUTHORISED);
    let (status, _) = hub.change("PUT", &format!("{PATH}/overlay"), 2, &json!({}));
    assert_eq!(status, 200);
    assert_eq!(publish(&mut device, "humidity"), 0, "the owner gave it back");
}

#[test]
fn a_wider_version_waits_for_the_owner_and_a_narrower_one_does_not() {
    let hub = added();
    let mut device = connected(&hub);
    let wider =
        model("2", &json!({"temperature": {"type": "number"}, "light": {"type": "number"}}));
    let (status, answer) = hub.change("PUT", PATH, 1, &wider);
    assert_eq!(
        (status, &answer["version"], &answer["waiting"]["version"]),
        (200, &json!("1"), &json!("2"))
    );
    let widens = answer["waiting"]["widens"].to_string();
    assert!(widens.contains("/properties/light") && widens.contains("more values"), "{widens}");
    assert_eq!(publish(&mut device, "light"), NOT_AUTHORISED, "it only waits");
    assert_eq!(publish(&mut device, "humidity"), 0, "the version in force stays");

    let (status, answer) = hub.change("POST", &format!("{PATH}/accept"), 1, &json!({}));
    assert_eq!(status, 412, "consent is to what was seen: {answer}");
    let (status, answer) = hub.change("POST", &format!("{PATH}/accept"), 2, &json!({}));
    assert_eq!((status, &answer["version"], &answer["waiting"]), (200, &json!("2"), &Value::Null));
    assert_eq!(publish(&mut device, "light"), 0);
    assert_eq!(publish(&mut device, "humidity"), NOT_AUTHORISED);
    let (status, _) = hub.change("POST", &format!("{PATH}/accept"), 3, &json!({}));
    assert_eq!(status, 409, "nothing waits any more");

    let narrower = model("3", &json!({"temperature": {"type": "number"}}));
    let (status, answer) = hub.change("PUT", PATH, 3, &narrower);
    assert_eq!((status, &answer["waiting"]), (200, &Value::Null), "{answer}");
    assert_eq!(publish(&mut device, "light"), NOT_AUTHORISED);
    assert_eq!(publish(&mut device, "temperature"), 0);

    let acts = hub.get("/api/v1/audit?subject=profile:greenhouse").to_string();
    assert_eq!(acts.matches("\"profile.add\"").count(), 3, "{acts}");
    assert_eq!(acts.matches("\"profile.accept\"").count(), 1, "{acts}");
    assert!(acts.contains("waits for consent") && acts.contains("sha256"), "{acts}");
}

#[test]
fn what_is_no_profile_is_refused_with_all_that_is_wrong() {
    let hub = added();
    let wrong = model("1", &json!({"a": {"type": "colour"}, "b": {}}));
    let (status, answer) = hub.ask("PUT", "/api/v1/profiles/wrong", &wrong);
    let detail = answer["detail"].to_string();
    assert_eq!(status, 422, "{detail}");
    assert!(
        detail.contains("/properties/a/type") && detail.contains("/properties/b/type"),
        "{detail}"
    );
    let (status, _) = hub.ask("PUT", "/api/v1/profiles/Wrong", &first());
    assert_eq!(status, 422, "a name in capitals");
    let (status, _) = hub.ask("PUT", PATH, &first());
    assert_eq!(status, 428, "a new version says what it replaces");
    let (status, _) = hub.change("PUT", PATH, 7, &first());
    assert_eq!(status, 412);
    let (status, _) = hub.change("PUT", "/api/v1/profiles/unknown", 1, &first());
    assert_eq!(status, 412);
    let mut other = first();
    other["hedgerow:model"] = json!("GH-3");
    let (status, answer) = hub.change("PUT", PATH, 1, &other);
    assert_eq!(status, 409, "another model under the same name: {answer}");
    let (status, answer) = hub.change("PUT", "/api/v1/profiles/linux-host", 0, &first());
    assert_eq!(status, 409, "built in: {answer}");
    let overlay = json!({"withheld": ["temprature"]});
    let (status, answer) = hub.change("PUT", &format!("{PATH}/overlay"), 1, &overlay);
    assert_eq!(status, 422, "a typing error guards nothing: {answer}");
    let (status, answer) =
        hub.ask("POST", "/api/v1/claims", &json!({"name": "x", "profile": "none"}));
    assert_eq!(status, 409, "{answer}");
    assert_eq!(hub.get(PATH)["revision"], 1, "nothing of all that had an effect");
}

#[test]
fn the_built_in_profile_can_be_narrowed() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "host");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    assert_eq!(publish(&mut device, "load1"), 0);
    let path = "/api/v1/profiles/linux-host";
    let (status, answer) =
        hub.change("PUT", &format!("{path}/overlay"), 0, &json!({"withheld": ["load1"]}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(publish(&mut device, "load1"), NOT_AUTHORISED);
    assert_eq!(hub.change("DELETE", path, 1, &Value::Null).0, 409, "it is part of the hub");
}

#[test]
fn limits_on_count_and_size_hold_at_and_one_past() {
    let hub = added();
    let mut long = first();
    let size = long.to_string().len();
    long["x"] = json!("y".repeat(BYTES - size - "\"x\":\"\",".len()));
    assert_eq!(long.to_string().len(), BYTES);
    assert_eq!(hub.change("PUT", PATH, 1, &long).0, 200);
    long["x"] = json!("y".repeat(BYTES - size - "\"x\":\"\",".len() + 1));
    assert_eq!(hub.change("PUT", PATH, 2, &long).0, 413);

    let known = hub.get("/api/v1/profiles")["items"].as_array().unwrap().len();
    assert_eq!(known, BUILT_IN + 1);
    for number in known..PROFILES {
        assert_eq!(hub.ask("PUT", &format!("/api/v1/profiles/p{number}"), &first()).0, 201);
    }
    let (status, answer) = hub.ask("PUT", "/api/v1/profiles/more", &first());
    assert_eq!(status, 429, "{answer}");
    let _device = TestDevice::enrolled_as(&hub, "shed", "greenhouse");
    assert_eq!(hub.change("DELETE", PATH, 2, &Value::Null).0, 409, "a device needs it");
    assert_eq!(hub.change("DELETE", &format!("/api/v1/profiles/p{known}"), 1, &Value::Null).0, 204);
    assert_eq!(hub.ask("PUT", "/api/v1/profiles/more", &first()).0, 201);
}

#[test]
fn the_command_line_does_the_same() {
    let hub = RunningHub::start(&[]);
    let write = |name: &str, model: &Value| {
        let path = hub.folder().join(name);
        std::fs::write(&path, model.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let wrong = write("wrong.json", &model("1", &json!({"a": {"type": "colour"}, "b": {}})));
    let (code, text) = hub.command(&["profile", "check", &wrong]);
    assert_eq!((code, text.lines().count()), (1, 2), "{text}");
    let good = write("good.json", &first());
    assert_eq!(hub.command(&["profile", "check", &good]).0, 0);
    assert_eq!(hub.command(&["profile", "add", &good]).0, 0);
    let wider = write("wider.json", &model("2", &json!({"light": {"type": "number"}})));
    let (code, text) = hub.command(&["profile", "add", &wider]);
    assert!(code == 0 && text.contains("/properties/light") && text.contains("waits"), "{text}");
    let named = "/api/v1/profiles/gh-2";
    assert_eq!(hub.get(named)["version"], "1");
    assert_eq!(hub.command(&["profile", "accept", "gh-2"]).0, 0);
    assert_eq!(hub.get(named)["version"], "2");
    let narrow = ["profile", "narrow", "gh-2", "--without", "light", "--keep-days", "7"];
    assert_eq!(hub.command(&narrow).0, 0);
    let overlay = json!({"withheld": ["light"], "essential": [], "retention_days_max": 7});
    assert_eq!(hub.get(named)["overlay"], overlay);
    assert_eq!(hub.command(&["profile", "narrow", "gh-2"]).0, 2, "it has to say what");
    let (_, text) = hub.command(&["profile", "list", "--json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    let items = list["items"].as_array().unwrap();
    assert!(items.iter().any(|item| item["name"] == "gh-2"), "{text}");
    let (_, text) = hub.command(&["profile", "show", "gh-2", "--document"]);
    assert_eq!(text.trim_end(), std::fs::read_to_string(&wider).unwrap());
    assert_eq!(hub.command(&["profile", "remove", "gh-2"]).0, 0);
    assert_eq!(hub.command(&["profile", "show", "gh-2"]).0, 1);
}
