//! Foreign topics: exactly those of the device, as its owner and standing allow.

use hedgerow_model::{TASMOTA_PLUG, mapping::Names};

use super::*;

const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);

fn plug(overlay: &Overlay, standing: Standing) -> Grants {
    let profile = Profile::parse(TASMOTA_PLUG.as_bytes()).unwrap();
    let names = Names::new([("topic", "plug1")]).unwrap();
    let mapping = Mapping::compile(profile.plan(), &names, &DEVICE.to_string()).unwrap();
    Grants::compile(DEVICE, &profile, overlay, standing).with_mapping(Arc::new(mapping))
}

fn withholding(names: &[&str]) -> Overlay {
    Overlay { withheld: names.iter().map(|name| (*name).into()).collect(), ..Overlay::default() }
}

#[test]
fn a_device_publishes_its_own_foreign_topics_and_no_others() {
    let grants = plug(&Overlay::default(), Standing::Full);
    for topic in ["tele/plug1/SENSOR", "stat/plug1/POWER", "tele/plug1/LWT", "stat/plug1/RESULT"] {
        assert!(matches!(grants.publish(topic), Ok(Channel::Foreign(_))), "{topic}");
    }
    for topic in [
        "tele/plug2/SENSOR",
        "tele/plug1/OTHER",
        "tele/plug1",
        "cmnd/plug1/POWER",
        "$SYS/x",
        "",
        "tele/plug1/SENSOR/x",
        "homeassistant/x",
    ] {
        assert_eq!(grants.publish(topic), Err(GrantDenial::NotYours), "{topic}");
    }
    let own = format!("things/{DEVICE}/properties/power");
    assert!(matches!(grants.publish(&own), Ok(Channel::Property(_))), "and its usual topics");
    let other = format!("things/{}/telemetry", DeviceId::from_bytes([8; 16]));
    assert_eq!(grants.publish(&other), Err(GrantDenial::NotYours));
}

#[test]
fn a_device_hears_its_commands_and_nothing_else_of_what_its_filter_matches() {
    let grants = plug(&Overlay::default(), Standing::Full);
    for filter in ["cmnd/plug1/#", "cmnd/plug1/POWER", "cmnd/plug1/STATUS"] {
        assert_eq!(grants.subscribe(filter), Ok(()), "{filter}");
    }
    for filter in
        ["#", "cmnd/#", "cmnd/+/POWER", "cmnd/plug2/#", "tele/plug1/SENSOR", "cmnd/tasmotas/#"]
    {
        assert_eq!(grants.subscribe(filter), Err(GrantDenial::NotYours), "{filter}");
    }
    assert_eq!(grants.receive("cmnd/plug1/POWER"), Ok(()));
    for topic in ["cmnd/plug1/Upgrade", "cmnd/plug2/POWER", "tele/plug1/SENSOR"] {
        assert_eq!(grants.receive(topic), Err(GrantDenial::NotYours), "{topic}");
    }
    assert!(grants.is_wide(), "so each delivery is judged");
}

#[test]
fn what_the_owner_withholds_keeps_the_message_from_subscribers_and_the_rest_is_taken() {
    let route = |grants: &Grants, topic: &str| match grants.publish(topic) {
        Ok(Channel::Foreign(route)) => Ok(grants.hands_on(route)),
        Ok(_) => panic!("another channel"),
        Err(denial) => Err(denial),
    };
    let grants = plug(&Overlay::default(), Standing::Full);
    assert_eq!(route(&grants, "tele/plug1/SENSOR"), Ok(true));
    assert_eq!(route(&grants, "stat/plug1/RESULT"), Ok(true), "what is passed on alone too");
    let grants = plug(&withholding(&["power"]), Standing::Full);
    assert_eq!(route(&grants, "tele/plug1/SENSOR"), Ok(false));
    let grants = plug(&withholding(&["online", "switch", "on", "off"]), Standing::Full);
    assert_eq!(route(&grants, "tele/plug1/LWT"), Err(GrantDenial::Withheld));
    assert_eq!(grants.receive("cmnd/plug1/POWER"), Ok(()), "toggle is left");
    let grants = plug(&withholding(&["toggle", "switch", "on", "off"]), Standing::Full);
    assert_eq!(grants.receive("cmnd/plug1/POWER"), Err(GrantDenial::Withheld));
    assert_eq!(grants.subscribe("cmnd/plug1/POWER"), Err(GrantDenial::Withheld));
}

#[test]
fn a_narrower_standing_narrows_foreign_topics_too() {
    let overlay = Overlay { essential: ["power"].map(Into::into).into(), ..Overlay::default() };
    let denied = |standing| Err(GrantDenial::Standing(standing));
    let grants = plug(&overlay, Standing::Restricted);
    assert!(grants.publish("tele/plug1/SENSOR").is_ok());
    assert_eq!(grants.publish("tele/plug1/LWT"), denied(Standing::Restricted));
    assert_eq!(
        grants.receive("cmnd/plug1/POWER").map(|()| Channel::Reported),
        denied(Standing::Restricted)
    );
    assert_eq!(grants.subscribe("cmnd/plug1/POWER"), Ok(()), "it outlasts the restriction");
    for standing in [Standing::Remediate, Standing::Cut] {
        let grants = plug(&overlay, standing);
        assert_eq!(grants.publish("tele/plug1/SENSOR"), denied(standing));
        assert_eq!(grants.publish("stat/plug1/RESULT"), denied(standing));
        assert!(grants.receive("cmnd/plug1/POWER").is_err());
    }
}

#[test]
fn a_weak_device_has_its_foreign_topics_but_for_packs() {
    let grants = |document: &str, names: &[(&str, &str)]| {
        let profile = Profile::parse(document.as_bytes()).unwrap();
        let names = Names::new(names.iter().copied()).unwrap();
        let mapping = Arc::new(Mapping::compile(profile.plan(), &names, "id").unwrap());
        let compiled = Grants::compile(DEVICE, &profile, &Overlay::default(), Standing::Full);
        compiled.weak().with_mapping(mapping)
    };
    let plug = grants(TASMOTA_PLUG, &[("topic", "plug1")]);
    assert!(plug.publish("tele/plug1/SENSOR").is_ok());
    assert_eq!(plug.receive("cmnd/plug1/POWER"), Ok(()));
    let node = grants(hedgerow_model::SPARKPLUG_B_NODE, &[("group", "g"), ("node", "n")]);
    assert_eq!(node.publish("spBv1.0/g/NDATA/n"), Err(GrantDenial::Weak));
}
