//! Shipped profiles with the payloads that their projects document, and the edges of the translator.

use std::{format, string::String, string::ToString, vec, vec::Vec};

use super::*;
use crate::{
    ESPHOME_SENSOR_SWITCH, Profile, SHELLY_PLUS_1PM, SPARKPLUG_B_NODE, TASMOTA_PLUG,
    ZIGBEE2MQTT_BRIDGE, ZIGBEE2MQTT_SENSOR,
    limits::{
        BODY_BYTES_MAX, FOREIGN_TOPICS_MAX, FORMS_MAX, PACK_BYTES_MAX, TIMES_MAX,
        VARIABLE_LEVELS_MAX, WORDS_MAX,
    },
    sparkplug,
    value::ValueRef,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A device of a profile.
struct Bench {
    profile: Profile,
    mapping: Mapping,
    births: Births,
}

impl Bench {
    fn new(document: &str, names: &[(&str, &str)]) -> Self {
        let profile = Profile::parse(document.as_bytes()).unwrap();
        let names = Names::new(names.iter().copied()).unwrap();
        let mapping = Mapping::compile(profile.plan(), &names, "id").unwrap();
        Self { profile, mapping, births: Births::default() }
    }

    /// What is taken from a message: `name=value`, with the time in milliseconds where one is said.
    fn hear(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> Result<Vec<String>, Unreadable> {
        let route = self.mapping.route_of(topic).unwrap_or_else(|| panic!("{topic} is not mapped"));
        let (profile, mut heard) = (&self.profile, Vec::new());
        let plan = self.mapping.plan();
        plan.read(route, payload.as_ref(), &mut self.births, &mut |taken| {
            let (name, property) = match taken.place {
                Place::Property(at) => {
                    let property = &profile.properties()[usize::from(at)];
                    (&property.name, Some(property))
                }
                Place::Event(at) => (&profile.events()[usize::from(at)].name, None),
            };
            let said = match taken.found {
                Found::Value(value) => match property.unwrap().fit(value) {
                    Ok(value) => value.to_string(),
                    Err(misfit) => format!("{misfit:?}"),
                },
                Found::Json(json) => json.into(),
                other => format!("{other:?}"),
            };
            let time = taken.time.map(|time| format!("@{}", time.as_ms())).unwrap_or_default();
            heard.push(format!("{name}={said}{time}"));
        })?;
        Ok(heard)
    }

    fn told(&self, action: &str, input: &str) -> (String, String) {
        self.command(self.asked(action), input).unwrap().unwrap()
    }

    /// What the device hears when a property is written.
    fn written(&self, property: &str, value: &str) -> Result<(String, String), CommandError> {
        let at = u16::try_from(self.profile.property_index(property).unwrap()).unwrap();
        self.command(Told::Property(at), value).map(|told| told.expect("it can be written"))
    }

    fn asked(&self, action: &str) -> Told {
        Told::Action(u16::try_from(self.profile.action_index(action).unwrap()).unwrap())
    }

    fn command(&self, told: Told, input: &str) -> Result<Option<(String, String)>, CommandError> {
        let told = self.mapping.command(told, input.as_bytes(), NOW)?;
        Ok(told.map(|(topic, payload)| (topic.into(), String::from_utf8(payload).unwrap())))
    }
}

#[test]
fn a_tasmota_plug_is_understood() {
    let mut plug = Bench::new(TASMOTA_PLUG, &[("topic", "tasmota_switch")]);
    // tasmota.github.io/docs, MQTT, "Command flow".
    assert_eq!(plug.hear("stat/tasmota_switch/POWER", "OFF").unwrap(), ["on=false"]);
    assert_eq!(plug.hear("stat/tasmota_switch/POWER", "ON").unwrap(), ["on=true"]);
    assert!(plug.hear("stat/tasmota_switch/RESULT", "{\"POWER\":\"OFF\"}").unwrap().is_empty());
    // The same page, "Examples": a sensor that a plug has not.
    let other = "{\"Time\":\"2017-02-16T10:13:52\", \"DS18B20\":{\"Temperature\":20.6}}";
    assert!(plug.hear("tele/tasmota_switch/SENSOR", other).unwrap().is_empty());
    // As a Sonoff POW sends it to tele/%topic%/SENSOR.
    let sensor = r#"{"Time":"2022-01-11T21:57:38","ENERGY":{"TotalStartTime":"2020-10-21T22:15:00",
        "Total":3.705,"Yesterday":0.028,"Today":0.026,"Period":1,"Power":5,"ApparentPower":5,
        "ReactivePower":0,"Factor":1.00,"Voltage":233,"Current":0.021}}"#;
    let energy = [
        "energyTotal=3.705",
        "energyYesterday=0.028",
        "energyToday=0.026",
        "power=5",
        "apparentPower=5",
        "reactivePower=0",
        "powerFactor=1",
        "voltage=233",
        "current=0.021",
    ];
    assert_eq!(plug.hear("tele/tasmota_switch/SENSOR", sensor).unwrap(), energy);
    let status = format!("{{\"StatusSNS\":{sensor}}}");
    assert_eq!(plug.hear("stat/tasmota_switch/STATUS8", status).unwrap(), energy);
    let state = r#"{"Time":"2025-05-17T10:34:19","Uptime":"1T00:17:38","UptimeSec":87458,"Heap":24,
        "SleepMode":"Dynamic","Sleep":50,"LoadAvg":19,"MqttCount":1,"POWER":"OFF","Wifi":{"AP":1,
        "SSId":"home","BSSId":"00:00:5E:00:53:01","Channel":11,"Mode":"11n","RSSI":98,
        "Signal":-51,"LinkCount":1,"Downtime":"0T00:00:06"}}"#;
    assert_eq!(plug.hear("tele/tasmota_switch/STATE", state).unwrap(), ["on=false", "signal=-51"]);
    assert_eq!(plug.hear("tele/tasmota_switch/LWT", "Online").unwrap(), ["online=true"]);
    assert_eq!(plug.hear("tele/tasmota_switch/LWT", "Offline").unwrap(), ["online=false"]);

    let power = "cmnd/tasmota_switch/POWER".to_string();
    assert_eq!(plug.told("toggle", "{}"), (power.clone(), "TOGGLE".into()));
    assert_eq!(plug.told("switch", "true"), (power.clone(), "ON".into()));
    assert_eq!(plug.told("switch", "false"), (power.clone(), "OFF".into()));
    assert_eq!(plug.written("on", "true"), Ok((power.clone(), "ON".into())));
    assert_eq!(plug.written("on", "false"), Ok((power, "OFF".into())));
    assert!(matches!(plug.written("on", "1"), Err(CommandError::Misfit(_))));
    assert!(matches!(plug.written("on", "ON"), Err(CommandError::Input(_))));
    assert_eq!(plug.mapping.filters().collect::<Vec<_>>(), ["cmnd/tasmota_switch/#"]);
    assert_eq!(plug.mapping.route_of("tele/other/SENSOR"), None);
}

#[test]
fn a_shelly_of_the_second_generation_is_understood() {
    let mut shelly = Bench::new(SHELLY_PLUS_1PM, &[("prefix", "shellyplus1pm-a8032ab636ec")]);
    // shelly-api-docs.shelly.cloud, gen2, Switch, "Status example".
    let status = r#"{"id":0,"source":"timer","output":true,"timer_started_at":1626935739.79,
        "timer_duration":60,"apower":8.9,"voltage":237.5,"aenergy":{"total":6.532,
        "by_minute":[45.199,47.141,88.397],"minute_ts":1626935779},
        "temperature":{"tC":23.5,"tF":74.4}}"#;
    let heard = [
        "source=\"timer\"",
        "on=true",
        "power=8.9",
        "voltage=237.5",
        "energyTotal=0.006532",
        "temperature=23.5",
    ];
    let topic = "shellyplus1pm-a8032ab636ec/status/switch:0";
    assert_eq!(shelly.hear(topic, status).unwrap(), heard);
    // The same site, "Notifications": only what changed, and when.
    let notify = r#"{"src":"shellyplus1pm-a8032ab636ec","dst":"shellyplus1pm-a8032ab636ec/events",
        "method":"NotifyStatus","params":{"ts":1736603810.49,
        "switch:0":{"id":0,"output":false,"source":"HTTP_in"}}}"#;
    let rpc = "shellyplus1pm-a8032ab636ec/events/rpc";
    let heard = ["on=false@1736603810490", "source=\"HTTP_in\"@1736603810490"];
    assert_eq!(shelly.hear(rpc, notify).unwrap(), heard);
    let event = r#"{"src":"shellyplus1pm-a8032ab636ec","method":"NotifyEvent","params":{
        "ts":1745666408.35,"events":[{"component":"input:0","id":0,"event":"single_push","ts":1745666408.35}]}}"#;
    let events =
        r#"noticed=[{"component":"input:0","id":0,"event":"single_push","ts":1745666408.35}]"#;
    assert_eq!(shelly.hear(rpc, event).unwrap(), [events]);
    assert_eq!(shelly.hear("shellyplus1pm-a8032ab636ec/online", "true").unwrap(), ["online=true"]);

    let command = "shellyplus1pm-a8032ab636ec/command/switch:0".to_string();
    assert_eq!(shelly.told("on", "{}"), (command.clone(), "on".into()));
    assert_eq!(shelly.told("switch", "false"), (command.clone(), "off".into()));
    assert_eq!(shelly.written("on", "true"), Ok((command, "on".into())));
}

#[test]
fn an_esphome_node_is_understood() {
    let names = [("prefix", "home/living_room"), ("sensor", "outside"), ("switch", "pump")];
    let mut node = Bench::new(ESPHOME_SENSOR_SWITCH, &names);
    // esphome.io, MQTT client component: default topics, birth and last will message.
    assert_eq!(
        node.hear("home/living_room/sensor/outside/state", "21.5").unwrap(),
        ["measured=21.5"]
    );
    assert_eq!(
        node.hear("home/living_room/sensor/outside/state", "nan").unwrap(),
        ["measured=Wrong"]
    );
    assert_eq!(node.hear("home/living_room/switch/pump/state", "ON").unwrap(), ["on=true"]);
    assert_eq!(node.hear("home/living_room/status", "online").unwrap(), ["online=true"]);
    assert_eq!(node.hear("home/living_room/status", "offline").unwrap(), ["online=false"]);
    let command = "home/living_room/switch/pump/command".to_string();
    assert_eq!(node.told("switch", "true"), (command.clone(), "ON".into()));
    assert_eq!(node.written("on", "false"), Ok((command, "OFF".into())));
}

#[test]
fn a_zigbee_sensor_is_understood() {
    let mut sensor = Bench::new(ZIGBEE2MQTT_SENSOR, &[("name", "kitchen/climate")]);
    let topic = "zigbee2mqtt/kitchen/climate";
    // zigbee2mqtt.io, "MQTT Topics and Messages": WSDCGQ01LM, WXKG01LM, RTCGQ01LM.
    let climate = "{\n  \"temperature\": 27.34,\n  \"humidity\": 44.72\n}";
    assert_eq!(sensor.hear(topic, climate).unwrap(), ["temperature=27.34", "humidity=44.72"]);
    assert_eq!(
        sensor.hear(topic, "{\n  \"action\": \"single\"\n}").unwrap(),
        ["action=\"single\""]
    );
    assert_eq!(sensor.hear(topic, "{\n  \"occupancy\": true\n}").unwrap(), ["occupancy=true"]);
    let whole = r#"{"temperature":22.75,"linkquality":97,"humidity":55.43,"pressure":1000.6,"battery":86,"voltage":2985,"contact":null}"#;
    let heard = [
        "temperature=22.75",
        "linkQuality=97",
        "humidity=55.43",
        "pressure=100060",
        "battery=86",
        "batteryVoltage=2.985",
    ];
    assert_eq!(sensor.hear(topic, whole).unwrap(), heard, "null says nothing");
    let availability = format!("{topic}/availability");
    assert_eq!(sensor.hear(&availability, "{\"state\":\"offline\"}").unwrap(), ["online=false"]);
}

#[test]
fn zigbee2mqtt_itself_is_understood() {
    let mut bridge = Bench::new(ZIGBEE2MQTT_BRIDGE, &[]);
    // zigbee2mqtt.io, "MQTT Topics and Messages": bridge/state, bridge/event, bridge/request/permit_join.
    let state = "zigbee2mqtt/bridge/state";
    assert_eq!(bridge.hear(state, "{\"state\":\"offline\"}").unwrap(), ["online=false"]);
    let joined = r#"{"type":"device_joined","data":{"friendly_name":"0x90fd9ffffe6494fc","ieee_address":"0x90fd9ffffe6494fc"}}"#;
    let heard = bridge.hear("zigbee2mqtt/bridge/event", joined).unwrap();
    assert_eq!(heard, [format!("happened={joined}")]);
    assert!(bridge.hear("zigbee2mqtt/bridge/logging", "anything").unwrap().is_empty());
    let request = "zigbee2mqtt/bridge/request/permit_join".to_string();
    assert_eq!(bridge.told("permitJoin", "{}"), (request, r#"{"value":true,"time":240}"#.into()));
    assert_eq!(bridge.mapping.filters().collect::<Vec<_>>(), ["zigbee2mqtt/#"]);
}

/// Protocol Buffers by hand, so that the reader is not tested by a writer of its own.
fn whole(number: u8, mut value: u64) -> Vec<u8> {
    let mut out = vec![number << 3];
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], whole(1, content.len() as u64).split_off(1), content.to_vec()].concat()
}

const AT: u64 = 1_486_144_502_122;

fn metric(name: &str, alias: u64, datatype: u64, value: Vec<u8>) -> Vec<u8> {
    let name = if name.is_empty() { Vec::new() } else { bytes(1, name.as_bytes()) };
    bytes(2, &[name, whole(2, alias), whole(3, AT), whole(4, datatype), value].concat())
}

fn float(value: f32) -> Vec<u8> {
    [vec![12 << 3 | 5], value.to_bits().to_le_bytes().to_vec()].concat()
}

#[test]
fn a_sparkplug_node_is_understood_by_names_and_by_the_aliases_of_its_birth() {
    let names = [("group", "Sparkplug B Devices"), ("node", "Raspberry Pi")];
    let mut node = Bench::new(SPARKPLUG_B_NODE, &names);
    let topic = |message: &str| format!("spBv1.0/Sparkplug B Devices/{message}/Raspberry Pi");
    let by_alias = |value: Vec<u8>| bytes(2, &[whole(2, 9), whole(3, AT + 1), value].concat());
    let early = node.hear(&topic("NDATA"), by_alias(float(12.0))).unwrap();
    assert_eq!(early, ["hardwareMake=Unborn"], "counted for a property of the topic");
    // Eclipse Sparkplug 3.0, 6.4.16 NBIRTH, with aliases.
    let birth = [
        whole(1, AT),
        metric("bdSeq", 1, 8, whole(11, 0)),
        metric("Node Control/Rebirth", 3, 11, whole(14, 0)),
        metric("Node Control/Scan Rate", 5, 4, whole(11, 3000)),
        metric("Properties/Hardware Make", 6, 12, bytes(15, b"Raspberry Pi")),
        metric("Properties/OS", 8, 12, bytes(15, b"Raspbian")),
        metric("Supply Voltage", 9, 9, float(12.1)),
        whole(3, 0),
    ];
    let heard = [
        "online=true@1486144502122",
        "scanRate=3000@1486144502122",
        "hardwareMake=\"Raspberry Pi\"@1486144502122",
        "os=\"Raspbian\"@1486144502122",
        "supplyVoltage=12.1@1486144502122",
    ];
    assert_eq!(node.hear(&topic("NBIRTH"), birth.concat()).unwrap(), heard);
    // 6.4.19 NDATA: the changed voltage, here by its alias.
    let heard = node.hear(&topic("NDATA"), by_alias(float(12.3))).unwrap();
    assert_eq!(heard, ["supplyVoltage=12.3@1486144502123"]);
    let unmapped = bytes(2, &[whole(2, 77), whole(10, 5)].concat());
    assert!(node.hear(&topic("NDATA"), unmapped).unwrap().is_empty(), "a metric of no interest");
    let again = metric("Properties/OS", 9, 12, bytes(15, b"Debian"));
    node.hear(&topic("NBIRTH"), again).unwrap();
    let heard = node.hear(&topic("NDATA"), by_alias(bytes(15, b"Alpine"))).unwrap();
    assert_eq!(heard, ["os=\"Alpine\"@1486144502123"], "a new birth, new aliases");
    // 6.4.25 NDEATH.
    let death = [whole(1, AT), metric("bdSeq", 0, 8, whole(11, 0))].concat();
    assert_eq!(node.hear(&topic("NDEATH"), death).unwrap(), ["online=false@1486144502122"]);

    let rebirth = node.asked("rebirth");
    let (at, payload) = node.mapping.command(rebirth, b"{}", NOW).unwrap().unwrap();
    assert_eq!(at, topic("NCMD"));
    let command = sparkplug::Payload::decode(&payload).unwrap().metrics().next().unwrap();
    assert_eq!(command.name, Some("Node Control/Rebirth"));
    assert_eq!(command.value(None), Some(ValueRef::Boolean(true)));
    let rate = node.asked("setScanRate");
    assert!(matches!(node.mapping.command(rate, b"0", NOW), Err(CommandError::Misfit(_))));
    assert!(matches!(node.mapping.command(rate, b"{}", NOW), Err(CommandError::Input(_))));
    let (_, payload) = node.mapping.command(rate, b"500", NOW).unwrap().unwrap();
    let command = sparkplug::Payload::decode(&payload).unwrap().metrics().next().unwrap();
    assert_eq!(command.value(None), Some(ValueRef::Integer(500)));
}

/// A profile with these members of the thing and one property `p` of these forms.
fn model(thing: &str, property: &str, forms: &str) -> String {
    format!(
        r#"{{"@context":["https://www.w3.org/2022/wot/td/v1.1",{{"hedgerow":"urn:hedgerow:vocabulary:1#",
            "mqv":"https://www.w3.org/2019/wot/mqtt#"}}],"@type":"tm:ThingModel","title":"t",
            "hedgerow:maker":"m","hedgerow:model":"x",{thing}
            "hedgerow:variables":{{"v":{{}}}},
            "properties":{{"p":{{{property},"forms":{forms}}}}}}}"#
    )
}

fn refused(thing: &str, property: &str, forms: &str) -> String {
    let document = model(thing, property, forms);
    match Profile::parse(document.as_bytes()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

const NUMBER: &str = r#""type":"number""#;

/// Members of the thing, the property, its forms, and words of the refusal.
const NOT_MEANT: &[(&str, &str, &str, &str)] = &[
    ("", NUMBER, r#"[{"mqv:filter":"things/x"}]"#, "the hub's own"),
    ("", NUMBER, r#"[{"mqv:filter":"$SYS/{v}"}]"#, "the hub's own"),
    ("", NUMBER, r#"[{"mqv:filter":"a/+/{v}"}]"#, "no wildcards"),
    ("", NUMBER, r#"[{"mqv:filter":"a/{w}"}]"#, "does not declare"),
    ("", NUMBER, r#"[{"mqv:filter":7}]"#, "/mqv:filter: it must be a string"),
    ("", NUMBER, r#"[{"hedgerow:pointer":"/a"}]"#, "1 to 8 topics"),
    ("", NUMBER, r#"[{"mqv:topic":"a/{v}"}]"#, "for actions"),
    ("", NUMBER, r#"[{"op":"invokeaction","mqv:filter":"a/{v}"}]"#, "must be observeproperty or"),
    ("", NUMBER, r#"[{"op":"writeproperty","mqv:filter":"a/{v}"}]"#, "here it is mqv:topic"),
    (
        "",
        NUMBER,
        r#"[{"op":"writeproperty","mqv:qos":1}]"#,
        "name the topic that the device listens to",
    ),
    (
        "",
        NUMBER,
        r#"[{"op":["readproperty","writeproperty"],"mqv:topic":"a/{v}"}]"#,
        "must be writeproperty",
    ),
    (
        "",
        r#""type":"number","readOnly":true"#,
        r#"[{"op":"writeproperty","mqv:topic":"a/{v}"}]"#,
        "the property is readOnly",
    ),
    (
        "",
        NUMBER,
        r#"[{"op":"writeproperty","mqv:topic":"a/{v}","hedgerow:body":"7"}]"#,
        "write {input}",
    ),
    (
        "",
        NUMBER,
        r#"[{"op":"writeproperty","mqv:topic":"a/{v}"},{"op":"writeproperty","mqv:topic":"b/{v}"}]"#,
        "leave one form that writes",
    ),
    (
        "",
        NUMBER,
        r#"[{"op":"writeproperty","mqv:topic":"a/{v}","hedgerow:payload":"sparkplug-b","hedgerow:metric":"m","hedgerow:constant":1}]"#,
        "the value does not stand in it",
    ),
    ("", NUMBER, r#"[{"mqv:controlPacket":"publish","mqv:filter":"a/{v}"}]"#, "must be subscribe"),
    ("", NUMBER, r#"[{"mqv:filter":"a/{v}","mqv:colour":1}]"#, "not known here"),
    ("", NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:color":1}]"#, "not known here"),
    (
        "",
        NUMBER,
        r#"[{"mqv:filter":"a/{v}","hedgerow:payload":"xml"}]"#,
        "json, text or sparkplug-b",
    ),
    ("", NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:pointer":"a"}]"#, "begins with a slash"),
    (
        "",
        NUMBER,
        r#"[{"mqv:filter":"a/{v}","hedgerow:payload":"text","hedgerow:pointer":"/a"}]"#,
        "only JSON",
    ),
    ("", NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:scale":0}]"#, "a scale of 0"),
    ("", NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:words":{}}]"#, "1 to 64 words"),
    ("", NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:words":{"a":null}}]"#, "1 to 64 words"),
    (
        "",
        NUMBER,
        r#"[{"mqv:filter":"a/{v}","hedgerow:time":"/t","hedgerow:timeFormat":"sundial"}]"#,
        "rfc3339",
    ),
    ("", r#""type":"string""#, r#"[{"mqv:filter":"a/{v}","hedgerow:scale":2}]"#, "only a number"),
    (
        "",
        NUMBER,
        r#"[{"mqv:filter":"a/{v}"},{"mqv:filter":"a/{v}","hedgerow:payload":"text"}]"#,
        "in another way",
    ),
    ("", NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:payload":"sparkplug-b"}]"#, "name the metric"),
    (
        "",
        NUMBER,
        r#"[{"mqv:filter":"a/{v}","hedgerow:payload":"sparkplug-b","hedgerow:metric":"m"}]"#,
        "spBv1.0/GROUP",
    ),
    (r#""hedgerow:passes":["a/{v}"],"#, NUMBER, r#"[{"mqv:filter":"a/{v}"}]"#, "in another way"),
    (r#""hedgerow:subscribes":["a/#"],"#, NUMBER, r#"[{"mqv:filter":"a/{v}"}]"#, "has a variable"),
    (r#""hedgerow:subscribes":["{v}/a#"],"#, NUMBER, r#"[{"mqv:filter":"a/{v}"}]"#, "whole level"),
    ("", NUMBER, "[]", "no form uses them"),
];

#[test]
fn forms_that_can_not_be_meant_are_refused_at_their_place() {
    for (thing, property, forms, words) in NOT_MEANT {
        let said = refused(thing, property, forms);
        assert!(said.contains(*words), "{forms}: {said}");
    }
    assert_eq!(refused("", NUMBER, r#"[{"href":"x"},{"mqv:filter":"a/{v}"}]"#), "");
    let unbound = model("", NUMBER, r#"[{"mqv:filter":"a/{v}"}]"#)
        .replace(r#""mqv":"https://www.w3.org/2019/wot/mqtt#""#, r#""x":"y""#);
    assert_eq!(Profile::parse(unbound.as_bytes()).unwrap_err().pointer, "/@context");
}

#[test]
fn forms_and_topics_one_past_the_limits_are_refused() {
    let topics = |count: usize| -> String {
        let form = |at: usize| format!(r#"{{"mqv:filter":"a/{{v}}/{at}"}}"#);
        format!("[{}]", (0..count).map(form).collect::<Vec<_>>().join(","))
    };
    assert_eq!(refused("", NUMBER, &topics(FORMS_MAX)), "");
    assert!(refused("", NUMBER, &topics(FORMS_MAX + 1)).contains("more than 8"));
    let passes = |count: usize| -> String {
        let topics: Vec<_> = (0..count).map(|at| format!("\"b/{{v}}/{at}\"")).collect();
        format!("\"hedgerow:passes\":[{}],", topics.join(","))
    };
    assert_eq!(refused(&passes(FOREIGN_TOPICS_MAX - 1), NUMBER, &topics(1)), "");
    assert!(refused(&passes(FOREIGN_TOPICS_MAX), NUMBER, &topics(1)).contains("more than 64"));
    let words = |count: usize| -> String {
        let words: Vec<_> = (0..count).map(|at| format!("\"w{at}\":{at}")).collect();
        format!(r#"[{{"mqv:filter":"a/{{v}}","hedgerow:words":{{{}}}}}]"#, words.join(","))
    };
    assert_eq!(refused("", NUMBER, &words(WORDS_MAX)), "");
    assert!(refused("", NUMBER, &words(WORDS_MAX + 1)).contains("1 to 64 words"));
}

#[test]
fn a_value_is_written_as_it_would_be_read() {
    let written = |property: &str, rest: &str, value: &str| {
        let form = format!(r#"[{{"op":"writeproperty","mqv:topic":"z/{{v}}/set"{rest}}}]"#);
        let (topic, payload) = Bench::new(&model("", property, &form), &[("v", "lamp")])
            .written("p", value)
            .map_err(|error| error.to_string())?;
        assert_eq!(topic, "z/lamp/set");
        Ok::<_, String>(payload)
    };
    // As Zigbee2MQTT documents `FRIENDLY_NAME/set`.
    let state = r#","hedgerow:payload":"json","hedgerow:body":"{\"state\": {input}}","hedgerow:words":{"ON":true,"OFF":false}"#;
    let (boolean, text) = (r#""type":"boolean""#, r#""type":"string","maxLength":5"#);
    assert_eq!(written(boolean, state, "true").unwrap(), r#"{"state": "ON"}"#);
    let tenths = r#","hedgerow:scale":0.1,"hedgerow:offset":-40"#;
    assert_eq!(written(NUMBER, tenths, "20").unwrap(), "600");
    assert_eq!(written(NUMBER, "", "21.5").unwrap(), "21.5", "the value alone if nothing is said");
    assert_eq!(written(text, "", r#""a\"b""#).unwrap(), "a\"b");
    assert!(written(text, "", "\"longer\"").is_err(), "held to its own shape");
    assert!(written(boolean, state, "7").is_err() && written(NUMBER, "", "{}").is_err());
    let one_word = r#","hedgerow:words":{"ON":true}"#;
    assert!(written(boolean, one_word, "false").unwrap_err().contains("word"));
}

/// A profile with these properties on topics of one variable.
fn of_properties(properties: &str, actions: &str) -> Result<Profile, crate::ProfileError> {
    let document = model("", NUMBER, r#"[{"mqv:filter":"a/{v}"}]"#).replace(
        "\"properties\":{",
        &format!("\"actions\":{{{actions}}},\"properties\":{{{properties}"),
    );
    Profile::parse(document.as_bytes())
}

#[test]
fn times_bodies_and_levels_one_past_the_limits_are_refused() {
    let timed = |count: usize| -> String {
        let one = |at: usize| {
            format!(
                r#""q{at}":{{"type":"number","forms":[{{"mqv:filter":"b/{{v}}","hedgerow:time":"/{at}"}}]}},"#
            )
        };
        (0..count).map(one).collect()
    };
    assert!(of_properties(&timed(TIMES_MAX), "").is_ok());
    let refused = of_properties(&timed(TIMES_MAX + 1), "").unwrap_err().to_string();
    assert!(refused.contains("8 places of times"), "{refused}");
    let body = |bytes: usize| {
        format!(
            r#""b":{{"forms":[{{"mqv:topic":"t/{{v}}","hedgerow:body":"{}"}}]}}"#,
            "b".repeat(bytes)
        )
    };
    assert!(of_properties("", &body(BODY_BYTES_MAX)).is_ok());
    assert!(of_properties("", &body(BODY_BYTES_MAX + 1)).is_err());
    let levels = |levels: usize| {
        let document = model("", NUMBER, r#"[{"mqv:filter":"a/{v}"}]"#)
            .replace(r#""v":{}"#, &format!("\"v\":{{\"levels\":{levels}}}"));
        Profile::parse(document.as_bytes())
    };
    assert!(levels(VARIABLE_LEVELS_MAX).is_ok() && levels(VARIABLE_LEVELS_MAX + 1).is_err());
}

/// The device `d` of a profile with one property.
fn bench(property: &str, forms: &str) -> Bench {
    Bench::new(&model("", property, forms), &[("v", "d")])
}

#[test]
fn a_time_of_the_payload_is_taken_wherever_it_stands() {
    let with = |format: &str| {
        let form = format!(
            r#"[{{"mqv:filter":"a/{{v}}","hedgerow:pointer":"/x","hedgerow:time":"/t","hedgerow:timeFormat":"{format}"}}]"#
        );
        bench(NUMBER, &form)
    };
    let hear = |format: &str, payload: &str| with(format).hear("a/d", payload).unwrap().join(" ");
    assert_eq!(hear("seconds", r#"{"x":1,"t":1736603810.49}"#), "p=1@1736603810490");
    assert_eq!(hear("milliseconds", r#"{"t":1736603810490,"x":1}"#), "p=1@1736603810490");
    assert_eq!(hear("rfc3339", r#"{"x":1,"t":"2026-01-31T12:00:00Z"}"#), "p=1@1769860800000");
    assert_eq!(hear("seconds", r#"{"x":1}"#), "p=1", "none is said");
    assert_eq!(hear("seconds", r#"{"x":1,"t":null}"#), "p=1", "none is said");
    for wrong in [r#""2026""#, "-1", "1e300", "true", "{}"] {
        let payload = format!("{{\"x\":1,\"t\":{wrong}}}");
        assert_eq!(hear("seconds", &payload), "p=Wrong", "{wrong}");
    }
    assert_eq!(hear("rfc3339", r#"{"x":1,"t":"2022-01-11T21:57:38"}"#), "p=Wrong", "no time zone");
}

#[test]
fn what_a_payload_says_twice_counts_once_and_what_it_can_not_say_is_counted() {
    let mut one = bench(NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:pointer":"/x"}]"#);
    assert_eq!(one.hear("a/d", r#"{"x":1,"x":2}"#).unwrap(), ["p=1"]);
    assert_eq!(one.hear("a/d", r#"{"x":{}}"#).unwrap(), ["p=Wrong"]);
    assert_eq!(one.hear("a/d", r#"{"x":"1"}"#).unwrap(), ["p=WrongType"]);
    for broken in ["", "{", "{\"x\":1", "x", "{\"x\":1}}", "[1,]"] {
        assert!(matches!(one.hear("a/d", broken), Err(Unreadable::Json(_))), "{broken}");
    }
    assert!(matches!(one.hear("a/d", b"{\"x\":\"\xff\"}"), Err(Unreadable::Json(_))));
    let padded = |bytes: usize| format!("{{\"x\":1{}}}", " ".repeat(bytes - 7));
    assert_eq!(one.hear("a/d", padded(PACK_BYTES_MAX)).unwrap(), ["p=1"]);
    assert_eq!(one.hear("a/d", padded(PACK_BYTES_MAX + 1)), Err(Unreadable::TooLong));
    let mut text = bench(NUMBER, r#"[{"mqv:filter":"a/{v}","hedgerow:payload":"text"}]"#);
    assert_eq!(text.hear("a/d", " -2.5e1\n").unwrap(), ["p=-25"]);
    assert_eq!(text.hear("a/d", "2,5").unwrap(), ["p=Wrong"]);
    assert_eq!(text.hear("a/d", b"\xff"), Err(Unreadable::Text));
}

#[test]
fn two_topics_that_become_one_are_refused() {
    let document = model("", NUMBER, r#"[{"mqv:filter":["{v}/x","y/x"]}]"#);
    let profile = Profile::parse(document.as_bytes()).unwrap();
    let compile = |value: &str| {
        let names = Names::new([("v", value)]).unwrap();
        Mapping::compile(profile.plan(), &names, "id").err()
    };
    assert_eq!(compile("z"), None);
    assert_eq!(compile("y"), Some(MappingError::Twice("y/x".into())));
    assert!(matches!(compile("things"), Some(MappingError::Topic(..))));
    let names = Names::new([("w", "z")]).unwrap();
    let unknown = Mapping::compile(profile.plan(), &names, "id").unwrap_err();
    assert_eq!(unknown, MappingError::Unknown("w".into()));
}

#[test]
fn an_input_is_written_in_the_form_of_the_payload() {
    let model = |form: &str, input: &str| {
        format!(
            r#"{{"@context":["https://www.w3.org/2022/wot/td/v1.1",{{"hedgerow":"urn:hedgerow:vocabulary:1#",
                "mqv":"https://www.w3.org/2019/wot/mqtt#"}}],"@type":"tm:ThingModel","title":"t",
                "hedgerow:maker":"m","hedgerow:model":"x","properties":{{}},
                "actions":{{"a":{{"input":{{{input}}},"forms":[{{"mqv:topic":"t",{form}}}]}}}}}}"#
        )
    };
    let told = |form: &str, input: &str, said: &str| {
        Bench::new(&model(form, input), &[]).told("a", said).1
    };
    let json = r#""hedgerow:payload":"json","hedgerow:body":"{\"set\":{input}}""#;
    assert_eq!(told(json, r#""type":"number""#, "21.5"), r#"{"set":21.5}"#);
    assert_eq!(told(json, r#""type":"string""#, r#""a\",\"b""#), r#"{"set":"a\",\"b"}"#);
    let scaled = r#""hedgerow:body":"{input}","hedgerow:scale":0.5"#;
    assert_eq!(told(scaled, r#""type":"number""#, "10"), "20");
    let parse = |form: &str, input: &str| Profile::parse(model(form, input).as_bytes());
    let text = r#""hedgerow:body":"{input} {input}""#;
    assert!(parse(text, r#""type":"string""#).is_err());
    assert!(parse(r#""hedgerow:body":"{input}""#, r#""type":"object""#).is_err());
    assert!(parse(r#""hedgerow:body":"x","mqv:filter":"y""#, r#""type":"string""#).is_err());
    assert!(parse(r#""mqv:qos":"1""#, r#""type":"string""#).is_ok());
}
