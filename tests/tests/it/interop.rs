//! Devices with topics and payloads of their own makers', over their usual connection.

use std::{collections::BTreeMap, time::Duration};

use hedgerow_scenarios::{Answer, RunningHub, TestDevice};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(5);

/// As a Sonoff POW with Tasmota sends it to `tele/%topic%/SENSOR`.
const SENSOR: &str = r#"{"Time":"2022-01-11T21:57:38","ENERGY":{"TotalStartTime":"2020-10-21T22:15:00","Total":3.705,"Yesterday":0.028,"Today":0.026,"Period":1,"Power":5,"ApparentPower":5,"ReactivePower":0,"Factor":1.00,"Voltage":233,"Current":0.021}}"#;

fn plug(topic: &str) -> Value {
    json!({"name": "plug", "profile": "tasmota-plug", "names": {"topic": topic}})
}

/// Says something at QoS 1; the reason of the answer.
fn say(device: &mut TestDevice, topic: &str, payload: &str) -> u8 {
    let id = device.publish(topic, payload.as_bytes()).unwrap();
    match device.hear(PATIENCE) {
        Answer::Acknowledged(known, reason) if known == id => reason,
        _ => panic!("{topic} was not answered"),
    }
}

fn values(hub: &RunningHub, device: &TestDevice) -> BTreeMap<String, Value> {
    let found = hub.get(&format!("/api/v1/devices/{}/values", device.id()));
    let items = found["items"].as_array().unwrap().clone();
    items
        .into_iter()
        .map(|one| (one["property"].as_str().unwrap().into(), one["value"].clone()))
        .collect()
}

#[test]
fn a_tasmota_plug_is_read_and_switched_in_its_own_words() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled_with(&hub, &plug("tasmota_switch"));
    assert_eq!(device.connect("DVES_3D5E26", true).unwrap().0, 0);
    assert_eq!(say(&mut device, "tele/tasmota_switch/LWT", "Online"), 0);
    assert_eq!(say(&mut device, "tele/tasmota_switch/SENSOR", SENSOR), 0);
    assert_eq!(say(&mut device, "stat/tasmota_switch/RESULT", "{\"POWER\":\"OFF\"}"), 0);
    assert_eq!(say(&mut device, "stat/tasmota_switch/POWER", "OFF"), 0);
    let found = values(&hub, &device);
    assert_eq!((&found["power"], &found["voltage"]), (&json!(5.0), &json!(233.0)));
    assert_eq!((&found["energyTotal"], &found["current"]), (&json!(3.705), &json!(0.021)));
    assert_eq!((&found["on"], &found["online"]), (&json!(false), &json!(true)));
    let shown = hub.get(&format!("/api/v1/devices/{}", device.id()));
    assert_eq!(shown["names"], json!({"topic": "tasmota_switch"}));

    device.subscribe("cmnd/tasmota_switch/#");
    let Answer::Subscribed(codes) = device.hear(PATIENCE) else { panic!("no SUBACK") };
    assert!(codes.iter().all(|code| *code < 0x80));
    let path = |action: &str| format!("/api/v1/devices/{}/actions/{action}", device.id());
    assert_eq!(hub.ask("POST", &path("toggle"), &json!({})).0, 202);
    let heard = |device: &mut TestDevice| match device.hear(PATIENCE) {
        Answer::Message(topic, payload) => (topic, String::from_utf8(payload).unwrap()),
        _ => panic!("not asked"),
    };
    let power = "cmnd/tasmota_switch/POWER".to_owned();
    let (toggle, switch) = (path("toggle"), path("switch"));
    assert_eq!(heard(&mut device), (power.clone(), "TOGGLE".into()));
    assert_eq!(hub.ask("POST", &switch, &json!(true)).0, 202);
    assert_eq!(heard(&mut device), (power.clone(), "ON".into()));
    let (code, _) = hub.command(&["device", "ask", device.id(), "switch", "--input", "false"]);
    assert_eq!((code, heard(&mut device)), (0, (power.clone(), "OFF".into())));
    let property = |name: &str| format!("/api/v1/devices/{}/properties/{name}", device.id());
    let (on, read_only, none) = (property("on"), property("power"), property("none"));
    assert_eq!(hub.ask("PUT", &on, &json!(true)).0, 202);
    assert_eq!(heard(&mut device), (power.clone(), "ON".into()));
    let (code, _) = hub.command(&["device", "write", device.id(), "on", "false"]);
    assert_eq!((code, heard(&mut device)), (0, (power, "OFF".into())));
    assert_eq!(values(&hub, &device)["on"], json!(false), "what it said, not what it was told");
    for (path, value, status, words) in [
        (&on, json!(7), 400, ""),
        (&on, json!("ON"), 400, ""),
        (&read_only, json!(7), 409, "does not say how"),
        (&none, json!(7), 404, "no such property"),
    ] {
        let (found, answer) = hub.ask("PUT", path, &value);
        assert_eq!(found, status, "{path} {value}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
    }
    let (status, answer) = hub.ask("POST", &switch, &json!({}));
    assert_eq!(status, 400, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("needs an input"), "{answer}");

    let thing = hub.get(&format!("/things/{}", device.id()));
    assert_eq!(thing["actions"]["switch"]["input"], json!({"type": "boolean"}));
    assert_eq!(thing["actions"]["toggle"].get("input"), None);
    let forms = &thing["properties"]["on"]["forms"];
    assert_eq!(
        (&forms[1]["op"], &forms[1]["htv:methodName"]),
        (&json!("writeproperty"), &json!("PUT"))
    );
    assert_eq!(format!("/{}", forms[1]["href"].as_str().unwrap()), on);
    assert_eq!(thing["properties"]["power"]["readOnly"], json!(true));

    let overlay = json!({"withheld": ["toggle", "on"]});
    assert_eq!(hub.change("PUT", "/api/v1/profiles/tasmota-plug/overlay", 0, &overlay).0, 200);
    assert_eq!(hub.ask("POST", &toggle, &json!({})).0, 403);
    assert_eq!(hub.ask("PUT", &on, &json!(true)).0, 403);
}

#[test]
fn topics_of_other_devices_are_refused_and_counted() {
    let hub = RunningHub::start(&[]);
    let mut one = TestDevice::enrolled_with(&hub, &plug("plug1"));
    let two = TestDevice::enrolled_with(&hub, &plug("plug2"));
    assert_eq!(one.connect("c", true).unwrap().0, 0);
    for topic in ["tele/plug2/SENSOR", "cmnd/plug2/POWER", "tele/plug1/Else", "anything"] {
        assert_eq!(say(&mut one, topic, SENSOR), 0x87, "{topic}");
    }
    assert_eq!(say(&mut one, "tele/plug1/SENSOR", "{\"ENERGY\":"), 0x99, "not JSON");
    assert_eq!(say(&mut one, "tele/plug1/LWT", "perhaps"), 0x99, "no word of the profile");
    assert!(values(&hub, &one).is_empty() && values(&hub, &two).is_empty());
    for filter in ["cmnd/plug2/#", "cmnd/#", "#", "tele/plug2/SENSOR", "cmnd/tasmotas/#"] {
        one.subscribe(filter);
        let Answer::Subscribed(codes) = one.hear(PATIENCE) else { panic!("no SUBACK") };
        assert_eq!(codes[0], 0x87, "{filter}");
    }
    let path = format!("/api/v1/devices/{}/quarantine", one.id());
    hub.post(&path, &json!({"reason": "acts oddly"}));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(say(&mut one, "tele/plug1/SENSOR", SENSOR), 0x87, "in quarantine");
}

#[test]
fn two_devices_are_never_given_the_same_topic() {
    let hub = RunningHub::start(&[]);
    let claim = |body: &Value| hub.ask("POST", "/api/v1/claims", body);
    let held = TestDevice::enrolled_with(&hub, &plug("plug1"));
    let refused = |body: &Value, status: u16, words: &str| {
        let (found, answer) = claim(body);
        assert_eq!(found, status, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
    };
    refused(&plug("plug1"), 409, "/plug1/");
    assert_eq!(claim(&plug("plug2")).0, 201);
    refused(&plug("plug2"), 409, "open claim code");
    refused(&plug("a/b"), 422, "no slash");
    refused(&plug("+"), 422, "no +");
    refused(&plug(&"x".repeat(129)), 422, "1 to 128 bytes");
    assert_eq!(claim(&plug(&"x".repeat(128))).0, 201);
    refused(
        &json!({"name": "x", "profile": "tasmota-plug", "names": {"colour": "red"}}),
        422,
        "no variable colour",
    );
    refused(&json!({"name": "x", "names": {"topic": "t"}}), 422, "maps no foreign topics");
    // Two without names are told apart by their ids.
    let body = json!({"name": "x", "profile": "tasmota-plug"});
    let mut nameless = TestDevice::enrolled_with(&hub, &body);
    let _other = TestDevice::enrolled_with(&hub, &body);
    assert_eq!(nameless.connect("c", true).unwrap().0, 0);
    let topic = format!("tele/{}/SENSOR", nameless.id());
    assert_eq!(say(&mut nameless, &topic, SENSOR), 0);
    hub.post(&format!("/api/v1/devices/{}/retire", held.id()), &json!({"reason": "sold"}));
    assert_eq!(claim(&plug("plug1")).0, 201, "a retired device gives its topics back");
    let claim = ["device", "claim", "--name", "Plug", "--profile", "tasmota-plug", "--set"];
    let made = |set: &str| hub.command(&[&claim[..], &[set]].concat()).0;
    assert_eq!((made("topic=plug9"), made("topic=plug9"), made("topic")), (0, 1, 2));
}

#[test]
fn names_and_what_they_allow_outlive_the_hub() {
    let mut hub = RunningHub::start(&[]);
    let claim =
        json!({"name": "s", "profile": "zigbee2mqtt-sensor", "names": {"name": "hall/climate"}});
    let mut device = TestDevice::enrolled_with(&hub, &claim);
    hub.kill();
    hub.restart();
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    let climate = "{\n  \"temperature\": 27.34,\n  \"humidity\": 44.72\n}";
    assert_eq!(say(&mut device, "zigbee2mqtt/hall/climate", climate), 0);
    let found = values(&hub, &device);
    assert_eq!((&found["temperature"], &found["humidity"]), (&json!(27.34), &json!(44.72)));
}

#[test]
fn a_bridge_carries_the_sensors_that_it_was_given_and_no_others() {
    let hub = RunningHub::start(&[]);
    let claim = json!({"name": "bridge", "profile": "zigbee2mqtt-bridge"});
    let mut bridge = TestDevice::enrolled_with(&hub, &claim);
    assert_eq!(bridge.connect("mqttjs_1", true).unwrap().0, 0);
    let climate = "{\n  \"temperature\": 27.34,\n  \"humidity\": 44.72\n}";
    assert_eq!(say(&mut bridge, "zigbee2mqtt/bridge/state", "{\"state\":\"online\"}"), 0);
    assert_eq!(say(&mut bridge, "zigbee2mqtt/hall", climate), 0x87, "nobody's sensor");
    let carried = |name: &str| json!({"name": name, "profile": "zigbee2mqtt-sensor", "names": {"name": name}, "carrier": bridge.id()});
    let made = hub.post("/api/v1/devices", &carried("hall"));
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["standing"], &made["because"]), (&json!("full"), &json!("carried")));
    assert_eq!(made["carrier"], json!(bridge.id()));
    let (status, answer) = hub.ask("POST", "/api/v1/devices", &carried("hall"));
    assert_eq!(status, 409, "{answer}");
    let over = json!({"name": "x", "profile": "zigbee2mqtt-sensor", "names": {"name": "y"}, "carrier": id});
    assert_eq!(hub.ask("POST", "/api/v1/devices", &over).0, 409, "carried devices carry none");
    let plain = json!({"name": "x", "profile": "linux-host", "carrier": bridge.id()});
    assert_eq!(hub.ask("POST", "/api/v1/devices", &plain).0, 409, "it has no topics");
    let lost = json!({"name": "x", "profile": "zigbee2mqtt-sensor", "carrier": "00000000000000000000000000"});
    assert_eq!(hub.ask("POST", "/api/v1/devices", &lost).0, 404);
    let attic = [
        "device",
        "carry",
        "--by",
        bridge.id(),
        "--name",
        "Attic",
        "--profile",
        "zigbee2mqtt-sensor",
        "--set",
        "name=attic",
    ];
    assert_eq!(hub.command(&attic).0, 0);

    let mut other = TestDevice::enrolled_with(&hub, &plug("plug1"));
    assert_eq!(other.connect("c", true).unwrap().0, 0);
    assert_eq!(say(&mut other, "zigbee2mqtt/hall", climate), 0x87, "not its carrier");
    assert_eq!(say(&mut bridge, "zigbee2mqtt/hall", climate), 0);
    assert_eq!(say(&mut bridge, "zigbee2mqtt/attic", climate), 0);
    let own = format!("things/{id}/properties/temperature");
    assert_eq!(say(&mut bridge, &own, "1"), 0x87, "mapped topics and nothing more");
    assert_eq!(say(&mut bridge, "tele/plug1/SENSOR", SENSOR), 0x87);
    let found = hub.get(&format!("/api/v1/devices/{id}/values")).to_string();
    assert!(found.contains("27.34") && found.contains("44.72"), "{found}");
    assert_eq!(hub.get(&format!("/api/v1/devices/{id}"))["connected"], json!(true));

    // Each end of it can be ended.
    let word = |id: &str, verb: &str| {
        hub.post(&format!("/api/v1/devices/{id}/{verb}"), &json!({"reason": "tried"}))
    };
    word(&id, "quarantine");
    assert_eq!(say(&mut bridge, "zigbee2mqtt/hall", climate), 0x87, "it is in quarantine");
    word(&id, "release");
    assert_eq!(say(&mut bridge, "zigbee2mqtt/hall", climate), 0);
    word(&id, "revoke");
    assert_eq!(say(&mut bridge, "zigbee2mqtt/hall", climate), 0x87, "it was revoked");
    assert_eq!(say(&mut bridge, "zigbee2mqtt/attic", climate), 0, "another goes on");
    word(bridge.id(), "quarantine");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(
        say(&mut bridge, "zigbee2mqtt/attic", climate),
        0x87,
        "its carrier is in quarantine"
    );
    word(bridge.id(), "revoke");
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        bridge
            .publish("zigbee2mqtt/attic", climate.as_bytes())
            .is_none_or(|_| { !matches!(bridge.hear(PATIENCE), Answer::Acknowledged(_, 0)) })
    );
}
