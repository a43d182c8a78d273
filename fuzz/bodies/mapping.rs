//! A payload on every topic of every shipped profile: nothing panics, and no message says more than the
//! profile has places, but for the metrics of Sparkplug B. Accepted is what some topic takes a value from.

use hedgerow_model::{
    ESPHOME_SENSOR_SWITCH, Profile, SHELLY_PLUS_1PM, SPARKPLUG_B_NODE, TASMOTA_PLUG,
    ZIGBEE2MQTT_SENSOR,
    mapping::{Births, Found},
    sparkplug::Payload,
};

const SHIPPED: [&str; 5] =
    [ESPHOME_SENSOR_SWITCH, SHELLY_PLUS_1PM, SPARKPLUG_B_NODE, TASMOTA_PLUG, ZIGBEE2MQTT_SENSOR];

thread_local! {
    static PROFILES: Vec<Profile> =
        SHIPPED.iter().map(|text| Profile::parse(text.as_bytes()).unwrap()).collect();
}

pub(super) fn run(payload: &[u8]) -> bool {
    // Each of them is read, whatever those before took.
    PROFILES.with(|profiles| profiles.iter().filter(|profile| hear(profile, payload)).count() > 0)
}

fn hear(profile: &Profile, payload: &[u8]) -> bool {
    let mut births = Births::default();
    let metrics = Payload::decode(payload).map_or(0, |payload| payload.metrics().count());
    let mut any = false;
    for (route, at) in profile.plan().routes().iter().zip(0u16..) {
        let mut heard = 0;
        let read = profile.plan().read(at, payload, &mut births, &mut |taken| {
            heard += 1;
            any |= matches!(taken.found, Found::Value(_) | Found::Json(_) | Found::Text(_));
        });
        assert!(read.is_err() || heard <= route.targets().len() + metrics);
    }
    any
}
