//! Sessions across connections: takeover, resumption, wills, expiry.

use std::net::Shutdown;

use hedgerow_mqtt::{Connect, Packet, QoS, Version};
use hedgerow_wire::Settings;

use crate::peer::{Hub, connect, lasting, session_expiry, will};

#[test]
fn a_second_connection_takes_the_session_over() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V311, "w");
    watcher.subscribe("will", QoS::AtMostOnce);
    let mut buffer = [0; 8];
    let first = Connect {
        will: Some(will("will")),
        clean_start: false,
        properties: session_expiry(60, &mut buffer),
        ..connect(Version::V5, "c")
    };
    let mut first = hub.connect(&first);
    first.subscribe("t", QoS::AtMostOnce);
    let (mut second, present) = hub.connect_to_session(&lasting("c"));
    assert!(present);
    assert_eq!(first.disconnect(), 0x8E);
    assert_eq!(first.until_end(), b"");
    assert_eq!(watcher.message().1, b"gone");
    second.publish("t", b"to myself", 0);
    assert_eq!(second.message().1, b"to myself");
    hub.wait_for_end("taken-over", 1);
    assert_eq!(hub.gate.log(), ["+w", "+c", "-c taken-over", "+c"]);
}

#[test]
fn a_clean_start_takes_the_name_and_not_the_session() {
    let hub = Hub::new(Settings::default());
    let mut first = hub.connect(&lasting("c"));
    first.subscribe("t", QoS::AtMostOnce);
    let mut second = hub.client(Version::V311, "c");
    second.publish("t", b"x", 0);
    second.expect_quiet();
    assert_eq!(first.until_end(), b"");
}

#[test]
fn messages_wait_for_an_absent_client_and_unacknowledged_ones_come_again() {
    let hub = Hub::new(Settings::default());
    let mut client = hub.connect(&lasting("c"));
    client.subscribe("t", QoS::AtLeastOnce);
    let mut publisher = hub.client(Version::V311, "p");
    publisher.publish("t", b"1", 1);
    assert_eq!(publisher.puback(), (1, 0));
    assert_eq!(client.message(), ("t".into(), b"1".to_vec(), 1, false));
    client.stream.shutdown(Shutdown::Both).unwrap();
    hub.wait_for_end("peer-closed", 1);
    publisher.publish("t", b"2", 2);
    publisher.publish("t", b"lost, as promised", 0);
    assert_eq!(publisher.puback(), (2, 0));
    let (mut client, present) = hub.connect_to_session(&lasting("c"));
    assert!(present);
    assert_eq!(client.message(), ("t".into(), b"1".to_vec(), 1, true));
    assert_eq!(client.message(), ("t".into(), b"2".to_vec(), 2, false));
    client.acknowledge(1);
    client.acknowledge(2);
    client.expect_quiet();
}

#[test]
fn a_session_that_expired_is_gone() {
    let hub = Hub::new(Settings::default());
    let mut buffer = [0; 8];
    let short = Connect {
        clean_start: false,
        properties: session_expiry(1, &mut buffer),
        ..connect(Version::V5, "c")
    };
    let mut client = hub.connect(&short);
    client.subscribe("t", QoS::AtLeastOnce);
    client.send(&Packet::Disconnect(hedgerow_mqtt::Disconnect {
        reason: hedgerow_mqtt::ReasonCode::SUCCESS,
        properties: hedgerow_mqtt::Properties::NONE,
    }));
    assert_eq!(client.until_end(), b"");
    hub.wait_for_end("disconnect", 1);
    hub.wait_for_end("session-expired", 1);
    hub.connect(&short);
}

#[test]
fn the_will_speaks_for_a_client_that_vanishes_and_not_for_one_that_leaves() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("will/+", QoS::AtMostOnce);
    let leaves = Connect { will: Some(will("will/leaves")), ..connect(Version::V311, "l") };
    let mut leaves = hub.connect(&leaves);
    leaves.send(&Packet::Disconnect(hedgerow_mqtt::Disconnect {
        reason: hedgerow_mqtt::ReasonCode::SUCCESS,
        properties: hedgerow_mqtt::Properties::NONE,
    }));
    hub.wait_for_end("disconnect", 1);
    let vanishes = Connect { will: Some(will("will/vanishes")), ..connect(Version::V311, "v") };
    drop(hub.connect(&vanishes));
    assert_eq!(watcher.message().0, "will/vanishes");
    let denied = Connect { will: Some(will("denied/will")), ..connect(Version::V311, "v") };
    drop(hub.connect(&denied));
    hub.wait_for("the will is judged", |_, counters| counters.messages_refused == 1);
    watcher.expect_quiet();
}

#[test]
fn a_will_waits_for_its_delay_or_the_end_of_the_session() {
    use hedgerow_mqtt::{Place, PropertyId, PropertyWriter, Value, Will};
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("will/+", QoS::AtMostOnce);
    let mut buffers = ([0; 8], [0; 8], [0; 8]);
    let mut delay = PropertyWriter::new(&mut buffers.0, Place::Will);
    delay.push(PropertyId::WILL_DELAY_INTERVAL, Value::Word(60)).unwrap();
    let delay = delay.finish().unwrap();
    let late = |topic| Some(Will { properties: delay, ..will(topic) });
    let with_session = |properties, topic| Connect {
        will: late(topic),
        clean_start: false,
        properties,
        ..connect(Version::V5, "c")
    };
    let long = with_session(session_expiry(60, &mut buffers.1), "will/unsaid");
    drop(hub.connect(&long));
    hub.wait_for_end("peer-closed", 1);
    let short = with_session(session_expiry(1, &mut buffers.2), "will/said");
    let (client, present) = hub.connect_to_session(&short);
    assert!(present, "back before the delay has passed");
    drop(client);
    assert_eq!(watcher.message().0, "will/said", "the session ended first");
}

#[test]
fn a_client_without_a_name_is_given_one() {
    let hub = Hub::new(Settings::default());
    let mut peer = hub.raw();
    peer.version = Version::V5;
    peer.send(&Packet::Connect(connect(Version::V5, "")));
    let name = peer.expect(|packet| match packet {
        Packet::ConnAck(ack) => ack
            .properties
            .text(hedgerow_mqtt::PropertyId::ASSIGNED_CLIENT_IDENTIFIER)
            .unwrap()
            .to_owned(),
        other => panic!("{other:?}"),
    });
    assert!(name.len() <= hedgerow_mqtt::limits::ASSIGNED_ID_BYTES_MAX, "{name}");
    let other = hub.client(Version::V311, "");
    hub.wait_for("both are open", |hub, _| hub.gate.log().len() == 2);
    let log = hub.gate.log();
    assert_eq!(log[0], format!("+{name}"));
    assert_ne!(log[0], log[1]);
    drop(other);
}

#[test]
fn the_queue_of_an_absent_client_is_bounded() {
    let mut settings = Settings::default();
    settings.mqtt.queue.messages_max = 3;
    let hub = Hub::new(settings);
    let mut client = hub.connect(&lasting("c"));
    client.subscribe("t", QoS::AtLeastOnce);
    drop(client);
    hub.wait_for_end("peer-closed", 1);
    let mut publisher = hub.client(Version::V311, "p");
    for id in 1..=4 {
        publisher.publish("t", &[u8::try_from(id).unwrap()], id);
        assert_eq!(publisher.puback(), (id, 0));
    }
    assert_eq!(hub.wire.counters().dropped_queue_full, 1);
    let (mut client, _) = hub.connect_to_session(&lasting("c"));
    for number in 1..=3 {
        assert_eq!(client.message().1, [number]);
    }
    client.expect_quiet();
}

#[test]
fn sessions_of_absent_clients_are_limited() {
    let hub = Hub::new(Settings { away_sessions_max: 1, ..Settings::default() });
    drop(hub.connect(&lasting("kept")));
    hub.wait_for_end("peer-closed", 1);
    drop(hub.connect(&lasting("dropped")));
    hub.wait_for_end("away-sessions-full", 1);
    assert!(hub.connect_to_session(&lasting("kept")).1);
    assert!(!hub.connect_to_session(&lasting("dropped")).1);
}
