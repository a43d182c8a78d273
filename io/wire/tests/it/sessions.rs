//! Sessions across connections: takeover, resumption, wills, expiry.

use std::net::Shutdown;

use hedgerow_mqtt::{
    Connect, Disconnect, Packet, Place, Properties, PropertyId, PropertyWriter, QoS, ReasonCode,
    Value, Version, Will,
};
use hedgerow_wire::Settings;

use crate::peer::{Hub, TestPeer, connect, lasting, session_expiry, will};

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

fn goodbye(peer: &mut TestPeer, reason: ReasonCode) {
    peer.send(&Packet::Disconnect(Disconnect { reason, properties: Properties::NONE }));
    assert_eq!(peer.until_end(), b"");
}

#[test]
fn a_session_that_expired_is_gone_and_one_whose_client_is_there_is_not() {
    let hub = Hub::new(Settings::default());
    let mut buffer = [0; 8];
    let properties = session_expiry(1, &mut buffer);
    let short = |id| Connect { clean_start: false, properties, ..connect(Version::V5, id) };
    let mut stays = hub.connect(&short("stays"));
    stays.subscribe("t", QoS::AtLeastOnce);
    let mut leaves = hub.connect(&short("leaves"));
    leaves.subscribe("t", QoS::AtLeastOnce);
    goodbye(&mut leaves, ReasonCode::SUCCESS);
    hub.wait_for_end("disconnect", 1);
    hub.wait_for_end("session-expired", 1);
    hub.connect(&short("leaves"));
    let (mut back, present) = hub.connect_to_session(&short("stays"));
    assert!(present, "its second has not begun");
    back.publish("t", b"x", 0);
    assert_eq!(back.message().1, b"x");
}

#[test]
fn the_will_speaks_for_a_client_that_vanishes_and_not_for_one_that_leaves() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("will/+", QoS::AtMostOnce);
    let leaves = Connect { will: Some(will("will/leaves")), ..connect(Version::V5, "l") };
    let mut leaves = hub.connect(&leaves);
    goodbye(&mut leaves, ReasonCode::SUCCESS);
    hub.wait_for_end("disconnect", 1);
    let wants = Connect { will: Some(will("will/wants")), ..connect(Version::V5, "l") };
    let mut wants = hub.connect(&wants);
    goodbye(&mut wants, ReasonCode::DISCONNECT_WITH_WILL);
    assert_eq!(watcher.message().0, "will/wants");
    let vanishes = Connect { will: Some(will("will/vanishes")), ..connect(Version::V311, "v") };
    drop(hub.connect(&vanishes));
    assert_eq!(watcher.message().0, "will/vanishes");
    let denied = Connect { will: Some(will("denied/will")), ..connect(Version::V311, "v") };
    drop(hub.connect(&denied));
    hub.wait_for("the will is judged", |_, counters| counters.messages_refused == 1);
    watcher.expect_quiet();
}

/// Seconds of delay and of the session's life after its connection.
fn with_late_will<'a>(
    topic: &'a str,
    (delay_s, expiry_s): (u32, u32),
    buffers: &'a mut ([u8; 8], [u8; 8]),
) -> Connect<'a> {
    let mut delay = PropertyWriter::new(&mut buffers.0, Place::Will);
    delay.push(PropertyId::WILL_DELAY_INTERVAL, Value::Word(delay_s)).unwrap();
    let properties = delay.finish().unwrap();
    let will = Some(Will { properties, ..will(topic) });
    let properties = session_expiry(expiry_s, &mut buffers.1);
    Connect { will, clean_start: false, properties, ..connect(Version::V5, "c") }
}

#[test]
fn a_will_waits_for_its_delay_or_the_end_of_the_session() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("will/+", QoS::AtMostOnce);
    let mut buffers = ([0; 8], [0; 8]);
    drop(hub.connect(&with_late_will("will/delayed", (1, 600), &mut buffers)));
    hub.wait_for_end("peer-closed", 1);
    watcher.expect_quiet();
    assert_eq!(watcher.message().0, "will/delayed", "the session lives on");
    let unsaid = with_late_will("will/unsaid", (4, 600), &mut buffers);
    let (client, present) = hub.connect_to_session(&unsaid);
    assert!(present);
    drop(client);
    hub.wait_for_end("peer-closed", 2);
    let brief = with_late_will("will/said", (60, 5), &mut buffers);
    let (client, present) = hub.connect_to_session(&brief);
    assert!(present, "back before the delay has passed");
    drop(client);
    // By now the delay of the one before has passed as well.
    assert_eq!(watcher.message().0, "will/said", "the session ended first");
    hub.wait_for_end("session-expired", 1);
    watcher.expect_quiet();
}

#[test]
fn a_will_is_said_once() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("will/+", QoS::AtMostOnce);
    let mut buffers = ([0; 8], [0; 8]);
    drop(hub.connect(&with_late_will("will/once", (1, 2), &mut buffers)));
    assert_eq!(watcher.message().0, "will/once");
    hub.wait_for_end("session-expired", 1);
    watcher.expect_quiet();
}

#[test]
fn a_clean_start_ends_the_session_and_lets_its_will_speak_whatever_its_delay() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("will/+", QoS::AtMostOnce);
    let mut buffers = ([0; 8], [0; 8]);
    let late = with_late_will("will/c", (60, 600), &mut buffers);
    for is_there in [true, false] {
        let client = hub.connect(&late);
        let kept = is_there.then_some(client);
        if kept.is_none() {
            hub.wait_for_end("peer-closed", 1);
        }
        watcher.expect_quiet();
        goodbye(&mut hub.client(Version::V5, "c"), ReasonCode::SUCCESS);
        assert_eq!(watcher.message().0, "will/c", "{is_there}");
    }
    watcher.expect_quiet();
}

#[test]
fn a_client_that_comes_back_hears_the_will_of_its_last_connection() {
    let hub = Hub::new(Settings::default());
    let mut first = hub.connect(&Connect {
        will: Some(Will { qos: QoS::AtLeastOnce, ..will("t") }),
        ..lasting("c")
    });
    first.subscribe("t", QoS::AtLeastOnce);
    let (mut second, present) = hub.connect_to_session(&lasting("c"));
    assert!(present);
    assert_eq!(second.message().1, b"gone");
    second.acknowledge(1);
    second.expect_quiet();
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
