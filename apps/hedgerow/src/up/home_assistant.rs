//! Home Assistant finds the devices of this hub: its MQTT discovery (home-assistant.io, integrations/mqtt,
//! "MQTT Discovery") as retained messages, one for each property of each device.
//!
//! 1. Whenever something about devices changed, what is to be told is made anew, and what differs is told.
//! 2. States are where devices publish them, `things/{id}/properties/{name}`. What a device says in a pack
//!    or on a foreign topic is said there by the hub in its place.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hedgerow_base::TenantId;
use hedgerow_control::{Failure, ports::Store};
use hedgerow_model::{Profile, Property, profile::Shape, unit::sign};
use hedgerow_plane::{LiveValue, Plane, Watched, Watcher};
use hedgerow_policy::{Overlay, Standing};
use hedgerow_registry::Device;
use serde_json::{Value, json};
use tokio::time::interval;

use super::{Problem, hub::Hub, profiles::Profiles, voice::Voice};

/// How often it is looked whether something changed.
const EVERY: Duration = Duration::from_secs(2);

/// Begins to tell, until the hub stops. To be called when the doors are open.
pub(super) fn start(hub: &Hub) -> Result<(), Problem> {
    let watcher = hub.bus.watch(Watched::Tenant(TenantId::FIRST))?;
    let teller = Teller {
        plane: hub.plane.clone(),
        store: Arc::clone(&hub.store) as _,
        profiles: Arc::clone(&hub.profiles),
        voice: Arc::clone(&hub.voice),
    };
    tokio::spawn(teller.run(watcher));
    Ok(())
}

/// What it is told by, and from.
struct Teller {
    plane: Plane,
    store: Arc<dyn Store>,
    profiles: Arc<Profiles>,
    voice: Arc<Voice>,
}

impl Teller {
    async fn run(self, mut watcher: Watcher) {
        let (mut told, mut seen) = (BTreeMap::new(), None);
        let mut clock = interval(EVERY);
        loop {
            tokio::select! {
                _ = clock.tick() => {
                    let revision = self.plane.directory().revision();
                    if seen == Some(revision) {
                        continue;
                    }
                    match self.configurations().await {
                        Ok(wanted) => {
                            self.tell(&told, &wanted);
                            (told, seen) = (wanted, Some(revision));
                        }
                        Err(failure) => tracing::warn!(%failure, "Home Assistant is told later"),
                    }
                }
                live = watcher.next() => self.say(&live),
            }
        }
    }

    async fn configurations(&self) -> Result<BTreeMap<String, String>, Failure> {
        let devices = self.store.all_devices().await?;
        let of_hub = devices.iter().filter(|device| device.key.tenant == TenantId::FIRST);
        let mut all = BTreeMap::new();
        for device in of_hub.filter(|device| device.standing != Standing::Cut) {
            let bounds = self.profiles.named(device.key.tenant, &device.profile);
            all.extend(of_device(device, &bounds.profile, &bounds.overlay));
        }
        Ok(all)
    }

    fn tell(&self, told: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) {
        let Some(voice) = self.voice.wire() else { return };
        // An empty message takes an entity away.
        for topic in told.keys().filter(|topic| !wanted.contains_key(*topic)) {
            voice.tell(topic, b"");
        }
        for (topic, text) in wanted.iter().filter(|(topic, text)| told.get(*topic) != Some(*text)) {
            voice.tell(topic, text.as_bytes());
        }
    }

    fn say(&self, live: &LiveValue) {
        let Some(voice) = self.voice.wire() else { return };
        if live.is_alone || live.name.contains('/') {
            return;
        }
        let topic = format!("things/{}/properties/{}", live.device.id, live.name);
        voice.say(&topic, live.value.borrow().to_string().as_bytes());
    }
}

/// The topics and texts that a device's properties are found by.
fn of_device(
    device: &Device,
    profile: &Profile,
    overlay: &Overlay,
) -> impl Iterator<Item = (String, String)> {
    let id = device.key.id;
    let shown = profile.properties().iter().filter(|one| !overlay.withheld.contains(&*one.name));
    shown.map(move |property| {
        let component = match property.shape {
            Shape::Boolean => "binary_sensor",
            Shape::Integer { .. } | Shape::Number { .. } | Shape::Text { .. } => "sensor",
        };
        let topic = format!("homeassistant/{component}/{id}/{}/config", property.name);
        (topic, configuration(device, profile, property).to_string())
    })
}

fn configuration(device: &Device, profile: &Profile, property: &Property) -> Value {
    let id = device.key.id;
    let mut told = json!({
        "name": property.title,
        "unique_id": format!("hedgerow_{id}_{}", property.name),
        "state_topic": format!("things/{id}/properties/{}", property.name),
        "device": {
            "identifiers": [format!("hedgerow_{id}")],
            "name": device.name,
            "manufacturer": profile.maker,
            "model": profile.model,
        },
        "origin": { "name": "Hedgerow", "sw_version": env!("CARGO_PKG_VERSION") },
    });
    let mut add = |key: &str, value: &str| {
        if let Value::Object(members) = &mut told {
            members.insert(key.into(), value.into());
        }
    };
    match property.shape {
        Shape::Boolean => {
            add("payload_on", "true");
            add("payload_off", "false");
        }
        // The payload is JSON, so text stands in quotation marks.
        Shape::Text { .. } => add("value_template", "{{ value_json }}"),
        Shape::Integer { .. } | Shape::Number { .. } => {
            if let Some((class, unit)) = class(&property.unit) {
                add("device_class", class);
                add("unit_of_measurement", unit);
                // What is counted up, such as energy, is told as such; all else is measured.
                add("state_class", if class == "energy" { "total" } else { "measurement" });
            } else {
                match sign(&property.unit) {
                    "" => {}
                    unit => add("unit_of_measurement", unit),
                }
                add("state_class", "measurement");
            }
        }
    }
    told
}

/// The device class of Home Assistant's sensors and its unit there, for units that are of one class alone.
fn class(unit: &str) -> Option<(&'static str, &'static str)> {
    Some(match unit {
        "%RH" => ("humidity", "%"),
        "%EL" => ("battery", "%"),
        "A" => ("current", "A"),
        "Cel" => ("temperature", "°C"),
        "Hz" => ("frequency", "Hz"),
        "Pa" => ("atmospheric_pressure", "Pa"),
        "V" => ("voltage", "V"),
        "VA" => ("apparent_power", "VA"),
        "W" => ("power", "W"),
        "dBm" => ("signal_strength", "dBm"),
        "kWh" => ("energy", "kWh"),
        "lx" => ("illuminance", "lx"),
        "var" => ("reactive_power", "var"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use hedgerow_base::{DeviceId, DeviceKey, Incarnation, Timestamp};
    use hedgerow_model::{TASMOTA_PLUG, mapping::Names};
    use hedgerow_registry::{KeyStorage, State};

    use super::*;

    /// The keys that home-assistant.io documents for a discovered sensor and binary sensor.
    const DOCUMENTED: [&str; 11] = [
        "device",
        "device_class",
        "name",
        "origin",
        "payload_off",
        "payload_on",
        "state_class",
        "state_topic",
        "unique_id",
        "unit_of_measurement",
        "value_template",
    ];

    fn plug() -> Device {
        let id = DeviceId::from_bytes([7; 16]);
        Device {
            key: DeviceKey { tenant: TenantId::FIRST, id, incarnation: Incarnation::FIRST },
            name: "Kitchen".into(),
            state: State::Active,
            standing: Standing::Full,
            because: None,
            profile: "tasmota-plug".into(),
            names: Names::default(),
            carrier: None,
            group: None,
            labels: vec![],
            key_storage: KeyStorage::Unknown,
            certificate: None,
            password: None,
            created: Timestamp::from_secs(0),
            last_seen: None,
            is_connected: false,
            revision: 1,
        }
    }

    fn told(document: &str, overlay: &Overlay) -> BTreeMap<String, Value> {
        let profile = Profile::parse(document.as_bytes()).unwrap();
        let of = of_device(&plug(), &profile, overlay).collect::<Vec<_>>();
        of.into_iter().map(|(topic, text)| (topic, serde_json::from_str(&text).unwrap())).collect()
    }

    #[test]
    fn a_property_is_told_with_documented_keys_alone() {
        let all = told(TASMOTA_PLUG, &Overlay::default());
        assert_eq!(all.len(), 12);
        for (topic, told) in &all {
            for key in told.as_object().unwrap().keys() {
                assert!(DOCUMENTED.contains(&&**key), "{topic}: {key}");
            }
            for needed in ["name", "unique_id", "state_topic", "device", "origin"] {
                assert!(!told[needed].is_null(), "{topic}: {needed}");
            }
            let levels: Vec<_> = topic.split('/').collect();
            assert_eq!((levels.len(), levels[0], levels[4]), (5, "homeassistant", "config"));
            assert!(topic.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c)));
        }
    }

    #[test]
    fn numbers_have_their_unit_and_class_and_switches_their_words() {
        let id = DeviceId::from_bytes([7; 16]);
        let all = told(TASMOTA_PLUG, &Overlay::default());
        let power = &all[&format!("homeassistant/sensor/{id}/power/config")];
        assert_eq!(power["state_topic"], json!(format!("things/{id}/properties/power")));
        assert_eq!(
            (&power["device_class"], &power["unit_of_measurement"]),
            (&json!("power"), &json!("W"))
        );
        assert_eq!(power["state_class"], "measurement");
        assert_eq!(power["device"]["name"], "Kitchen");
        assert_eq!(power["device"]["identifiers"], json!([format!("hedgerow_{id}")]));
        let energy = &all[&format!("homeassistant/sensor/{id}/energyTotal/config")];
        assert_eq!(
            (&energy["device_class"], &energy["state_class"]),
            (&json!("energy"), &json!("total"))
        );
        let factor = &all[&format!("homeassistant/sensor/{id}/powerFactor/config")];
        assert_eq!(factor.get("device_class"), None);
        assert_eq!(factor.get("unit_of_measurement"), None, "a number without a unit");
        let on = &all[&format!("homeassistant/binary_sensor/{id}/on/config")];
        assert_eq!((&on["payload_on"], &on["payload_off"]), (&json!("true"), &json!("false")));
        let shelly = told(hedgerow_model::SHELLY_PLUS_1PM, &Overlay::default());
        let source = &shelly[&format!("homeassistant/sensor/{id}/source/config")];
        assert_eq!(source["value_template"], "{{ value_json }}");
    }

    #[test]
    fn what_the_owner_withholds_is_not_told() {
        let withheld = Overlay { withheld: ["power"].map(Into::into).into(), ..Overlay::default() };
        let all = told(TASMOTA_PLUG, &withheld);
        assert_eq!(all.len(), 11);
        assert!(!all.keys().any(|topic| topic.contains("/power/")));
    }
}
