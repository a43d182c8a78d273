//! The hub is killed, or its power is cut, at random moments while messages go through sessions that last:
//! none that was acknowledged is lost, and of QoS 2 each arrives once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use hedgerow_mqtt::{
    Connect, PacketKind, Place, PropertyId, PropertyWriter, QoS, Value, Version, Will,
};
use hedgerow_scenarios::{Answer, Courier, RunningHub, TestDevice};

const ROUNDS: u64 = 40;
const SEED: u64 = 20_261_122;

fn chance(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below
}

#[test]
fn messages_reach_lasting_sessions_though_the_hub_is_killed() {
    endure(RunningHub::start(&["--insecure-mqtt", "127.0.0.1:0"]), RunningHub::kill);
}

#[test]
fn messages_reach_lasting_sessions_though_the_power_is_cut() {
    let hub = RunningHub::start_on_disk_losing_power(&["--insecure-mqtt", "127.0.0.1:0"]);
    endure(hub, RunningHub::cut_power);
}

fn endure(mut hub: RunningHub, end: fn(&mut RunningHub)) {
    println!("seed {SEED}");
    let mut seed = SEED;
    let (mut publisher, mut subscriber) = (Courier::new("publisher"), Courier::new("subscriber"));
    let mut next = 0;
    for round in 0..ROUNDS {
        let port = hub.insecure_port();
        // Now and then the subscriber is away for a round, and messages wait for it.
        let is_there = round == 0 || chance(&mut seed, 3) > 0;
        assert_eq!(publisher.connect(port), round > 0, "the session of round {round}");
        if is_there {
            assert_eq!(subscriber.connect(port), round > 0, "the session of round {round}");
        }
        if round == 0 {
            subscriber.subscribe("courier/+", QoS::ExactlyOnce);
        }
        let until = Instant::now() + Duration::from_millis(20 + chance(&mut seed, 150));
        while Instant::now() < until {
            while publisher.unconfirmed() < 20 {
                next += 1;
                let qos = if next % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                publisher.publish(next, qos);
            }
            publisher.pump(Duration::from_millis(1));
            subscriber.pump(Duration::from_millis(1));
        }
        end(&mut hub);
        // What was on its way still counts.
        while publisher.pump(Duration::from_millis(20)) {}
        while subscriber.pump(Duration::from_millis(20)) {}
        publisher.vanish();
        subscriber.vanish();
        hub.restart();
    }
    let port = hub.insecure_port();
    publisher.connect(port);
    subscriber.connect(port);
    let begun = Instant::now();
    let mut quiet_since = Instant::now();
    while publisher.unconfirmed() > 0 || quiet_since.elapsed() < Duration::from_secs(1) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} wait", publisher.unconfirmed());
        publisher.pump(Duration::from_millis(1));
        if subscriber.pump(Duration::from_millis(1)) {
            quiet_since = Instant::now();
        }
    }
    for qos in [1, 2] {
        let (sent, came) = (&publisher.confirmed[qos], &subscriber.received[qos]);
        let set: BTreeSet<_> = came.iter().collect();
        let lost: Vec<_> = sent.iter().filter(|number| !set.contains(number)).collect();
        println!(
            "QoS {qos}: {} acknowledged, {} arrived, {} different",
            sent.len(),
            came.len(),
            set.len()
        );
        assert!(lost.is_empty(), "QoS {qos}: lost {lost:?}");
        assert!(sent.len() as u64 > ROUNDS * 3, "QoS {qos}: only {} were acknowledged", sent.len());
        if qos == 2 {
            assert_eq!(came.len(), set.len(), "QoS 2 arrives once");
        }
    }
}

#[test]
fn a_device_that_comes_back_at_any_shard_goes_on_over_the_same_tls() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "wanders");
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    let topic = device.topic("properties/load1");
    for round in 0..7 {
        let mut next = device.again();
        assert_eq!(next.connect("c", true).unwrap().0, 0, "round {round}");
        let goodbye = device.hear(Duration::from_secs(5));
        assert!(matches!(goodbye, Answer::Goodbye(0x8E, _)), "round {round}: {goodbye:?}");
        next.publish(&topic, b"0.5").unwrap();
        let answer = next.hear(Duration::from_secs(5));
        assert!(matches!(answer, Answer::Acknowledged(_, 0)), "round {round}: {answer:?}");
        device = next;
    }
}

/// A device that stays connected and leaves a will: that its load was 7.
fn mortal(hub: &RunningHub, name: &str, delay_s: u32) -> TestDevice {
    let mut device = TestDevice::enrolled(hub, name);
    let (mut buffers, topic) = (([0; 8], [0; 8]), device.topic("properties/load1"));
    let mut delay = PropertyWriter::new(&mut buffers.0, Place::Will);
    delay.push(PropertyId::WILL_DELAY_INTERVAL, Value::Word(delay_s)).unwrap();
    let mut expiry = PropertyWriter::new(&mut buffers.1, Place::Packet(PacketKind::Connect));
    expiry.push(PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(600)).unwrap();
    let will = Will {
        topic: &topic,
        payload: b"7",
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: delay.finish().unwrap(),
    };
    let connect = Connect {
        version: Version::V5,
        clean_start: false,
        keep_alive_s: 60,
        client_id: "c",
        will: Some(will),
        username: None,
        password: None,
        properties: expiry.finish().unwrap(),
    };
    assert_eq!(device.connect_as(&connect).unwrap().0, 0);
    // The answer to a subscription waits for the disk, and so for the will before it.
    device.subscribe(&device.topic("actions/identify"));
    assert!(matches!(device.hear(Duration::from_secs(5)), Answer::Subscribed(_)));
    device
}

#[test]
fn a_hub_that_was_killed_says_the_wills_of_those_who_stay_away() {
    let mut hub = RunningHub::start(&[]);
    let load = |hub: &RunningHub, device: &TestDevice| {
        let thing = hub.get(&format!("/things/urn:hedgerow:device:{}", device.id()));
        let place = thing["properties"]["load1"]["forms"][0]["href"].as_str().unwrap().to_owned();
        hub.ask("GET", &format!("/{place}"), &serde_json::Value::Null).0
    };
    let gone = mortal(&hub, "gone", 0);
    let held = mortal(&hub, "in quarantine", 5);
    let mut back = mortal(&hub, "back", 5);
    let waits = mortal(&hub, "waits", 5);
    hub.kill();
    hub.restart();
    assert_eq!(back.connect("c", false).unwrap().0, 0, "in time");
    let path = format!("/api/v1/devices/{}/quarantine", held.id());
    let (status, told) = hub.ask("POST", &path, &serde_json::json!({}));
    assert!((200..300).contains(&status), "{status} {told}");
    let begun = Instant::now();
    while [&gone, &waits].iter().any(|device| load(&hub, device) != 200) {
        assert!(begun.elapsed() < Duration::from_secs(30), "their wills stay unsaid");
        std::thread::yield_now();
    }
    assert_eq!(load(&hub, &back), 404, "it came back");
    assert_eq!(load(&hub, &held), 404, "it may say nothing now");
}
