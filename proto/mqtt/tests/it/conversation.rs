//! What a well-behaved client lives through, in both versions.

use hedgerow_mqtt::{
    Error, Place, Properties, PropertyId, PropertyWriter, Publish, QoS, ReasonCode, Settings,
    SubscriptionOptions, Value, Version,
};

use crate::pair::{Pair, connect, message, with_will};

const BOTH: [Version; 2] = [Version::V311, Version::V5];

#[test]
fn a_message_of_each_quality_goes_around() {
    for version in BOTH {
        let mut pair = Pair::open(Settings::default(), &connect(version, true));
        let wanted = [("a/+", SubscriptionOptions::of(QoS::ExactlyOnce))];
        pair.client.subscribe(&wanted, pair.now, &mut pair.up).unwrap();
        assert_eq!(pair.exchange(), ["suback [02]"]);
        pair.client.publish(&message("a/b", QoS::AtMostOnce), pair.now, &mut pair.up).unwrap();
        assert_eq!(pair.exchange(), ["publish a/b None dup=false", "message a/b 0 dup=false"]);
        pair.client.publish(&message("a/b", QoS::AtLeastOnce), pair.now, &mut pair.up).unwrap();
        let log = pair.exchange();
        assert_eq!(log[1..], ["puback 2 0x00", "message a/b 1 dup=false", "acknowledged"]);
        assert_eq!(pair.server.session().queued(), 0);
        pair.client.unsubscribe(&["a/+", "b"], pair.now, &mut pair.up).unwrap();
        assert_eq!(pair.exchange(), ["unsuback"]);
        assert_eq!(pair.server.session().subscription_count(), 0);
    }
}

#[test]
fn a_goodbye_leaves_the_will_unsaid() {
    for version in BOTH {
        let mut pair = Pair::open(Settings::default(), &with_will(version));
        pair.client.disconnect(pair.now, &mut pair.up).unwrap();
        pair.exchange();
        let closed = pair.closed.unwrap();
        assert_eq!((closed.why, closed.fault, closed.will), ("disconnect", None, false));
        assert!(pair.server.take_will().is_none());
    }
}

#[test]
fn a_silent_client_is_pinged_for_and_then_its_will_speaks() {
    for version in BOTH {
        let mut pair = Pair::open(Settings::default(), &with_will(version));
        let (begun, later) = (pair.now, pair.now.plus_ms(60_000));
        assert_eq!(pair.client.deadline().unwrap().at, later);
        assert_eq!(pair.server.deadline().unwrap().at, begun.plus_ms(90_000));
        pair.now = later;
        pair.client.tick(later, &mut pair.up).unwrap();
        pair.exchange();
        assert_eq!(pair.server.deadline().unwrap().at, later.plus_ms(90_000), "the ping counted");
        assert_eq!(pair.server.expire(later.plus_ms(89_999), &mut pair.down), None);
        let closed = pair.server.expire(later.plus_ms(90_000), &mut pair.down).unwrap();
        assert_eq!((closed.why, closed.will), ("keep-alive", true));
        let will = pair.server.take_will().unwrap();
        assert_eq!((will.message().topic, will.message().payload), ("will", &b"gone"[..]));
        let told = pair.exchange();
        match version {
            Version::V311 => assert!(told.is_empty()),
            Version::V5 => assert_eq!(told, ["disconnect 0x8D"]),
        }
    }
}

#[test]
fn a_silent_server_is_noticed() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    let ping = pair.now.plus_ms(60_000);
    pair.client.tick(ping, &mut pair.up).unwrap();
    assert_eq!(pair.up, [0xC0, 0]);
    pair.client.tick(ping.plus_ms(9_999), &mut pair.up).unwrap();
    let late = pair.client.tick(ping.plus_ms(10_000), &mut pair.up);
    assert!(matches!(late, Err(Error::State(_))));
    assert!(!pair.client.is_open());
}

#[test]
fn the_server_says_what_it_offers() {
    let mut pair = Pair::new(Settings { keep_alive_s_max: 50, ..Settings::default() });
    let mut bytes = vec![];
    pair.client.connect(&connect(Version::V5, true), pair.now, &mut pair.up).unwrap();
    let up = std::mem::take(&mut pair.up);
    pair.serve(&up, &mut vec![]);
    std::mem::swap(&mut bytes, &mut pair.down);
    let hedgerow_mqtt::Packet::ConnAck(ack) = crate::vectors::decode(&bytes, Version::V5) else {
        panic!("no connack")
    };
    let number = |id| ack.properties.number(id);
    // What is not said is offered.
    for id in [
        PropertyId::MAXIMUM_QOS,
        PropertyId::RETAIN_AVAILABLE,
        PropertyId::WILDCARD_SUBSCRIPTION_AVAILABLE,
        PropertyId::SHARED_SUBSCRIPTION_AVAILABLE,
        PropertyId::SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    ] {
        assert_eq!(number(id), None);
    }
    assert_eq!(number(PropertyId::RECEIVE_MAXIMUM), Some(256));
    assert_eq!(number(PropertyId::MAXIMUM_PACKET_SIZE), Some(256 * 1024));
    assert_eq!(number(PropertyId::TOPIC_ALIAS_MAXIMUM), Some(32));
    assert_eq!(number(PropertyId::SERVER_KEEP_ALIVE), Some(50));
    pair.answer(&bytes, &mut vec![]);
    assert_eq!(pair.client.deadline().unwrap().at, pair.now.plus_ms(50_000));
}

#[test]
fn acknowledgements_leave_in_order_when_their_tickets_are_stored() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    pair.next_ticket = Some(10);
    for _ in 0..3 {
        pair.client.publish(&message("t", QoS::AtLeastOnce), pair.now, &mut pair.up).unwrap();
    }
    assert_eq!(pair.exchange().len(), 3, "published, none acknowledged");
    pair.next_ticket = None;
    pair.client.publish(&message("t", QoS::AtLeastOnce), pair.now, &mut pair.up).unwrap();
    assert_eq!(pair.exchange().len(), 1, "decided at once, and still its turn comes last");
    let stored = |up_to| move |ticket| (ticket <= up_to).then_some(ReasonCode::SUCCESS);
    pair.server.settle(|ticket| (ticket == 11).then_some(ReasonCode::SUCCESS), &mut pair.down);
    assert!(pair.down.is_empty(), "the first one is not stored yet");
    pair.server.settle(stored(11), &mut pair.down);
    assert_eq!(pair.exchange(), ["puback 1 0x00", "puback 2 0x00"]);
    pair.server.settle(|_| Some(ReasonCode::UNSPECIFIED), &mut pair.down);
    assert_eq!(pair.exchange(), ["puback 3 0x80", "puback 4 0x00"]);
    assert_eq!((pair.server.unacknowledged(), pair.client.room()), (0, 4));
}

#[test]
fn the_client_keeps_to_its_window() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    pair.next_ticket = Some(0);
    let publish = message("t", QoS::AtLeastOnce);
    for _ in 0..4 {
        assert!(pair.client.publish(&publish, pair.now, &mut pair.up).is_ok());
    }
    let full = pair.client.publish(&publish, pair.now, &mut pair.up);
    assert_eq!(full, Err(Error::WindowFull));
    pair.exchange();
    pair.server.settle(|_| Some(ReasonCode::SUCCESS), &mut pair.down);
    pair.exchange();
    assert_eq!(pair.client.room(), 4);
}

#[test]
fn a_reason_is_told_unless_the_client_wants_none() {
    let mut buffer = [0; 8];
    let connect_place = Place::Packet(hedgerow_mqtt::PacketKind::Connect);
    let mut quiet = PropertyWriter::new(&mut buffer, connect_place);
    quiet.push(PropertyId::REQUEST_PROBLEM_INFORMATION, Value::Byte(0)).unwrap();
    let quiet = quiet.finish().unwrap();
    for (properties, bytes) in [(Properties::NONE, 11), (quiet, 5)] {
        let wants = hedgerow_mqtt::Connect { properties, ..connect(Version::V5, true) };
        let mut pair = Pair::open(Settings::default(), &wants);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let asked = (hedgerow_mqtt::PacketId::MIN, qos);
            pair.server.acknowledge(asked, ReasonCode::NOT_AUTHORIZED, Some("no"), &mut pair.down);
            assert_eq!(pair.down.len(), bytes, "{:02x?}", pair.down);
            pair.down.clear();
        }
    }
}

#[test]
fn messages_that_expire_while_they_wait_are_not_sent() {
    let mut buffer = [0; 8];
    let mut expiring =
        PropertyWriter::new(&mut buffer, Place::Packet(hedgerow_mqtt::PacketKind::Publish));
    expiring.push(PropertyId::MESSAGE_EXPIRY_INTERVAL, Value::Word(10)).unwrap();
    let expiring =
        Publish { properties: expiring.finish().unwrap(), ..message("t", QoS::AtLeastOnce) };
    for (wait_ms, left) in [(3_000, Some(7)), (9_999, Some(0)), (10_000, None)] {
        let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
        let kept = hedgerow_mqtt::Kept::new(&expiring, pair.now);
        pair.server.deliver(&kept, &hedgerow_mqtt::DeliveryOptions::of(QoS::AtLeastOnce), pair.now);
        let dropped =
            pair.server.send(pair.now.plus_ms(wait_ms), usize::MAX, u64::MAX, &mut pair.down);
        let Some(left) = left else {
            assert_eq!((dropped, pair.down.len(), pair.server.session().queued_bytes()), (1, 0, 0));
            continue;
        };
        let hedgerow_mqtt::Packet::Publish(sent) = crate::vectors::decode(&pair.down, Version::V5)
        else {
            panic!("no message")
        };
        assert_eq!(sent.properties.number(PropertyId::MESSAGE_EXPIRY_INTERVAL), Some(left));
    }
}
