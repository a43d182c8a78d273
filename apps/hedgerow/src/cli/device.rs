use std::collections::BTreeMap;

use clap::Subcommand;
use qrcode::{QrCode, render::unicode::Dense1x2};
use serde_json::{Value, json};

use super::{
    Done,
    hub::{Hub, escaped},
    show::{self, out},
};

/// Devices.
#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Find devices
    ///
    /// Example: hedgerow device list --q lamp --state active --json
    List(Find),
    /// How the keys and certificates of all devices are
    ///
    /// Example: hedgerow device keys
    Keys,
    /// Everything about one device
    ///
    /// Example: hedgerow device show ID
    Show {
        /// The device's id
        id: String,
    },
    /// Make a single-use code for a device that will come
    ///
    /// Example: hedgerow device claim --name "Kitchen plug" --profile tasmota-plug --set topic=plug1
    Claim {
        /// What the device will be called
        #[arg(long)]
        name: String,
        /// The profile that it will be held to
        #[arg(long, default_value = "linux-host")]
        profile: String,
        /// A variable of its foreign topics, as the profile names it
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
        names: Vec<(String, String)>,
        /// How many seconds the code works
        #[arg(long, default_value_t = 86_400)]
        expires_in: u32,
    },
    /// Take in a device that another device's connection carries, such as a sensor behind a bridge
    ///
    /// Example: hedgerow device carry --by ID --name Hall --profile zigbee2mqtt-sensor --set name=hall/climate
    Carry {
        /// The id of the device whose connection carries it
        #[arg(long = "by", value_name = "ID")]
        carrier: String,
        /// What the device is called
        #[arg(long)]
        name: String,
        /// The profile that it is held to
        #[arg(long)]
        profile: String,
        /// A variable of its foreign topics, as the profile names it
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
        names: Vec<(String, String)>,
    },
    /// Take in a device that can do no better than TLS 1.2 and a password
    ///
    /// It is shown as weak, and may use its properties, events and actions only. The hub needs a door for it:
    /// `hedgerow up --mqtts-weak [::]:8884`. Example: hedgerow device admit-weak --name "Plug" --profile plug
    AdmitWeak {
        /// What the device will be called
        #[arg(long)]
        name: String,
        /// The profile that it will be held to
        #[arg(long)]
        profile: String,
        /// A variable of its foreign topics, as the profile names it
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
        names: Vec<(String, String)>,
    },
    /// Give a weak device another password; its sessions end
    ///
    /// Example: hedgerow device password ID
    Password {
        /// The device's id
        id: String,
    },
    /// Ask a connected device to do something that its profile declares
    ///
    /// Example: hedgerow device ask ID identify
    ///
    /// Example: hedgerow device ask ID switch --input true
    Ask {
        /// The device's id
        id: String,
        /// The action, as the profile names it
        action: String,
        /// Its input, as JSON
        #[arg(long, default_value = "{}", value_parser = input)]
        input: Value,
    },
    /// Tell a connected device to give a property another value
    ///
    /// Example: hedgerow device write ID on true
    Write {
        /// The device's id
        id: String,
        /// The property, as the profile names it
        property: String,
        /// The value, as JSON
        #[arg(value_parser = input, allow_hyphen_values = true)]
        value: Value,
    },
    /// Leave a device only what it needs to heal
    ///
    /// Example: hedgerow device quarantine ID --reason "acts oddly"
    Quarantine(Word),
    /// Let a device out of quarantine
    ///
    /// Example: hedgerow device release ID
    Release(Word),
    /// End a device's life here; can't be undone
    ///
    /// Example: hedgerow device retire ID --reason "sold"
    Retire(Word),
    /// Revoke every certificate of a device
    ///
    /// Example: hedgerow device revoke ID --reason "key was copied"
    Revoke(Word),
}

/// Which devices.
#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// In the name, at the beginning of the id, or in a label
    #[arg(long)]
    q: Option<String>,
    /// enrolled, active, quarantined, retired
    #[arg(long)]
    state: Option<String>,
    /// full, restricted, remediate, cut
    #[arg(long)]
    standing: Option<String>,
    /// Only those with an open session
    #[arg(long)]
    connected: bool,
    /// A label as key=value
    #[arg(long)]
    label: Option<String>,
    /// Only those whose certificate has fewer days left; 0 for those whose certificate has ended
    #[arg(long)]
    days_left: Option<u32>,
    /// unknown, sealed-file, tpm, token
    #[arg(long)]
    key_storage: Option<String>,
    /// `next` of the page before
    #[arg(long)]
    after: Option<String>,
    /// Devices in the page
    #[arg(long)]
    limit: Option<u32>,
}

impl Find {
    fn query(self) -> Vec<(&'static str, String)> {
        let named = [
            ("q", self.q),
            ("state", self.state),
            ("standing", self.standing),
            ("label", self.label),
            ("days_left", self.days_left.map(|days| days.to_string())),
            ("key_storage", self.key_storage),
            ("after", self.after),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("connected", self.connected.then(|| "true".into())),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A person's word about a device.
#[derive(Debug, clap::Args)]
pub(crate) struct Word {
    /// The device's id
    id: String,
    /// Why; kept in its timeline
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) fn run(hub: &Hub, json: bool, device: Device) -> Done {
    match device {
        Device::List(find) => list(&hub.get("/devices", &find.query())?, json),
        Device::Keys => keys(&hub.get("/fleet/keys", &[])?, json),
        Device::Show { id } => show_one(hub, &id, json)?,
        Device::Claim { name, profile, names, expires_in } => {
            let names: BTreeMap<_, _> = names.into_iter().collect();
            let body = json!({
                "name": name, "profile": profile, "names": names, "expires_in": expires_in,
            });
            claimed(&hub.post("/claims", &body)?, json)?;
        }
        Device::Carry { carrier, name, profile, names } => {
            let names: BTreeMap<_, _> = names.into_iter().collect();
            let body =
                json!({"name": name, "profile": profile, "names": names, "carrier": carrier});
            let device = hub.post("/devices", &body)?;
            match json {
                true => show::json(&device),
                false => out!("{} is {}", show::text(&device, "name"), show::text(&device, "id")),
            }
        }
        Device::AdmitWeak { name, profile, names } => {
            let names: BTreeMap<_, _> = names.into_iter().collect();
            let body = json!({"name": name, "profile": profile, "names": names});
            show_password(&hub.post("/weak-devices", &body)?, json);
        }
        Device::Password { id } => {
            let path = format!("/devices/{}/password", escaped(&id));
            show_password(&hub.post(&path, &json!({}))?, json);
        }
        Device::Ask { id, action, input } => {
            let path = format!("/devices/{}/actions/{}", escaped(&id), escaped(&action));
            hub.command(&path, &input)?;
            if !json {
                out!("the device was asked; its answer will be stored as result/{action}");
            }
        }
        Device::Write { id, property, value } => {
            let path = format!("/devices/{}/properties/{}", escaped(&id), escaped(&property));
            hub.set("PUT", &path, &value)?;
            if !json {
                out!("the device was told; its new value is shown when it says it");
            }
        }
        Device::Quarantine(word) => say(hub, json, &word, "quarantine")?,
        Device::Release(word) => say(hub, json, &word, "release")?,
        Device::Retire(word) => say(hub, json, &word, "retire")?,
        Device::Revoke(word) => say(hub, json, &word, "revoke")?,
    }
    Ok(())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

fn input(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))
}

fn show_password(made: &Value, json: bool) {
    if json {
        return show::json(made);
    }
    out!("user name  {}", show::text(made, "username"));
    out!("password   {}    (shown once)", show::text(made, "password"));
    match made.get("mqtts").and_then(Value::as_str) {
        Some(door) => out!("door       mqtts://{door}, TLS 1.2 or 1.3, no client certificate"),
        None => out!("door       none is open: start the hub with --mqtts-weak [::]:8884"),
    }
    out!("\nWEAK: whoever learns the password can pose as the device. Replace it when you can.");
}

fn list(found: &Value, json: bool) {
    if json {
        show::json(found);
    } else if show::items(found).next().is_none() {
        out!("no device fits; make a code for one with `hedgerow device claim --name NAME`");
    } else {
        show::table(
            found,
            &[
                ("ID", "id"),
                ("NAME", "name"),
                ("STATE", "state"),
                ("STANDING", "standing"),
                ("CONNECTED", "connected"),
                ("LAST SEEN", "last_seen"),
            ],
        );
    }
}

fn keys(found: &Value, json: bool) {
    if json {
        return show::json(found);
    }
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let left = &found["days_left"];
    out!("certificates");
    for (words, name) in [
        ("ended", "ended"),
        ("under 7 days left", "under_7"),
        ("7 to 13 days left", "under_14"),
        ("14 days and more", "more"),
        ("none", "none"),
    ] {
        out!("  {words:<20} {:>8}", number(&left[name]));
    }
    out!("private keys");
    for (word, count) in found["key_storage"].as_object().into_iter().flatten() {
        out!("  {word:<20} {:>8}", number(count));
    }
    out!("issuing CAs");
    for one in found["issuing"].as_array().into_iter().flatten() {
        let name = format!("number {}", number(&one["number"]));
        out!("  {name:<20} {:>8}", number(&one["devices"]));
    }
    let late = number(&left["ended"]) + number(&left["under_7"]);
    if late > 0 {
        out!("which ones: hedgerow device list --days-left 7");
    }
}

fn show_one(hub: &Hub, id: &str, json: bool) -> Done {
    let id = escaped(id);
    let device = hub.get(&format!("/devices/{id}"), &[])?;
    if json {
        show::json(&device);
        return Ok(());
    }
    for (label, name) in [
        ("id", "id"),
        ("name", "name"),
        ("state", "state"),
        ("standing", "standing"),
        ("because", "because"),
        ("profile", "profile"),
        ("group", "group"),
        ("key kept in", "key_storage"),
        ("certificate until", "certificate.not_after"),
        ("connected", "connected"),
        ("last seen", "last_seen"),
    ] {
        out!("{label:18} {}", show::text(&device, name));
    }
    out!("\nnewest readings");
    let values = hub.get(&format!("/devices/{id}/values"), &[])?;
    let columns =
        [("PROPERTY", "property"), ("VALUE", "value"), ("UNIT", "unit"), ("AT", "timestamp")];
    show::table(&values, &columns);
    out!("\nwhat happened");
    let timeline = hub.get(&format!("/devices/{id}/timeline"), &[("limit", "10".into())])?;
    show::table(&timeline, &[("AT", "at"), ("WHAT", "kind"), ("", "detail")]);
    Ok(())
}

fn claimed(made: &Value, json: bool) -> Done {
    if json {
        show::json(made);
        return Ok(());
    }
    let (code, url) = (show::text(made, "code"), show::text(made, "url"));
    out!("On the device, until {}:\n", show::text(made, "claim.expires"));
    out!("  hedgerow-agent enroll --hub {url} --claim {code}\n");
    out!("{}", QrCode::new(code.as_bytes())?.render::<Dense1x2>().build());
    out!("With curl instead (docs/guide/enrol-with-curl.md):");
    out!("  password     {}", show::text(made, "password"));
    out!("  fingerprint  {}", show::text(made, "hub"));
    out!("\nThe code works once and is not shown again.");
    Ok(())
}

fn say(hub: &Hub, json: bool, word: &Word, verb: &str) -> Done {
    let body = json!({"reason": word.reason});
    let device = hub.post(&format!("/devices/{}/{verb}", escaped(&word.id)), &body)?;
    if json {
        show::json(&device);
        return Ok(());
    }
    out!(
        "{} is {}, standing {}",
        show::text(&device, "name"),
        show::text(&device, "state"),
        show::text(&device, "standing")
    );
    Ok(())
}
