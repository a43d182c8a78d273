//! Messages from client to client, and their acknowledgements.

use std::io::Write;

use hedgerow_mqtt::{
    Connect, Filters, Packet, PacketKind, Place, Properties, PropertyId, PropertyWriter, Publish,
    QoS, Subscribe, SubscriptionOptions, Value, Version,
};
use hedgerow_wire::{
    Settings,
    limits::{SHARED_BY_FEW_BYTES_MIN, SHARED_BYTES_MIN},
};

use crate::peer::{Hub, connect};

const BOTH: [Version; 2] = [Version::V311, Version::V5];
const QUALITIES: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn a_message_goes_from_any_version_to_any_version_at_any_quality() {
    let hub = Hub::new(Settings::default());
    for (number, (from, to)) in BOTH.iter().flat_map(|a| BOTH.map(|b| (*a, b))).enumerate() {
        for (quality, wanted) in
            [(0, QoS::AtLeastOnce), (7, QoS::AtMostOnce), (7, QoS::AtLeastOnce)]
        {
            let topic = format!("t/{number}");
            let mut subscriber = hub.client(to, "s");
            subscriber.subscribe("t/+", wanted);
            let mut publisher = hub.client(from, "p");
            publisher.publish(&topic, b"payload", quality);
            if quality > 0 {
                assert_eq!(publisher.puback(), (7, 0));
            }
            let id = u16::from(quality > 0 && wanted == QoS::AtLeastOnce);
            assert_eq!(subscriber.message(), (topic, b"payload".to_vec(), id, false));
            if id > 0 {
                subscriber.acknowledge(id);
            }
            subscriber.expect_quiet();
        }
    }
}

#[test]
fn properties_arrive_as_they_were_published() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let (mut new, mut old) = (hub.client(Version::V5, "5"), hub.client(Version::V311, "4"));
    new.subscribe("t", QoS::AtLeastOnce);
    old.subscribe("t", QoS::AtMostOnce);
    let mut elsewhere = hub.client(Version::V5, "5, in another shard");
    elsewhere.subscribe("t", QoS::AtLeastOnce);
    let mut publisher = hub.client(Version::V5, "p");
    let mut buffer = [0; 128];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Publish));
    for (id, value) in [
        (PropertyId::USER_PROPERTY, Value::Pair("b", "1")),
        (PropertyId::CONTENT_TYPE, Value::Text("text/plain")),
        (PropertyId::USER_PROPERTY, Value::Pair("a", "2")),
        (PropertyId::PAYLOAD_FORMAT_INDICATOR, Value::Byte(1)),
        // What is written anew, because it gets less.
        (PropertyId::MESSAGE_EXPIRY_INTERVAL, Value::Word(100)),
        (PropertyId::RESPONSE_TOPIC, Value::Text("answer")),
        (PropertyId::CORRELATION_DATA, Value::Binary(b"\x01")),
        (PropertyId::USER_PROPERTY, Value::Pair("b", "0")),
    ] {
        writer.push(id, value).unwrap();
    }
    let properties = writer.finish().unwrap();
    let but_expiry = |properties: Properties<'_>| -> Vec<String> {
        let all = properties.iter().filter(|(id, _)| *id != PropertyId::MESSAGE_EXPIRY_INTERVAL);
        all.map(|(id, value)| format!("{id:?} {value:?}")).collect()
    };
    for id in [None, hedgerow_mqtt::PacketId::new(3)] {
        let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        let message = Publish { qos, id, properties, ..Publish::at_most_once("t", b"x") };
        publisher.send(&Packet::Publish(message));
        for peer in [&mut new, &mut elsewhere] {
            peer.expect(|packet| match packet {
                Packet::Publish(got) => {
                    assert_eq!(but_expiry(got.properties), but_expiry(properties));
                    assert!(got.properties.number(PropertyId::MESSAGE_EXPIRY_INTERVAL) > Some(90));
                }
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(old.message().1, b"x");
    }
}

#[test]
fn the_dup_flag_of_a_publisher_is_not_passed_on() {
    let hub = Hub::new(Settings::default());
    let mut subscribers: Vec<_> = BOTH
        .iter()
        .flat_map(|version| QUALITIES.map(|qos| (*version, qos)))
        .enumerate()
        .map(|(number, (version, qos))| {
            let mut peer = hub.client(version, &format!("s{number}"));
            peer.subscribe("t", qos);
            (peer, qos)
        })
        .collect();
    let mut plain = hub.client(Version::V5, "as published");
    let options = SubscriptionOptions {
        retain_as_published: true,
        ..SubscriptionOptions::of(QoS::AtMostOnce)
    };
    plain.subscribe_with("t", options, &[0]);
    subscribers.push((plain, QoS::AtMostOnce));
    let mut publisher = hub.client(Version::V5, "p");
    let id = hedgerow_mqtt::PacketId::new(9);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let again =
            Publish { dup: true, retain: true, qos, id, ..Publish::at_most_once("t", b"x") };
        publisher.send(&Packet::Publish(again));
        for (subscriber, wanted) in &mut subscribers {
            subscriber.expect(|packet| match packet {
                Packet::Publish(got) => assert_eq!((got.dup, got.qos), (false, qos.min(*wanted))),
                other => panic!("{other:?}"),
            });
        }
    }
}

#[test]
fn a_message_goes_at_the_lesser_of_both_qualities() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut subscribers: Vec<_> = QUALITIES
        .iter()
        .map(|wanted| {
            let mut peer = hub.client(Version::V5, &format!("{wanted:?}"));
            peer.subscribe("t", *wanted);
            (peer, *wanted)
        })
        .collect();
    let mut publisher = hub.client(Version::V5, "p");
    for qos in QUALITIES {
        let id = hedgerow_mqtt::PacketId::new(qos as u16);
        publisher.send(&Packet::Publish(Publish { qos, id, ..Publish::at_most_once("t", b"x") }));
        for (subscriber, wanted) in &mut subscribers {
            subscriber.expect(|packet| match packet {
                Packet::Publish(got) => assert_eq!(got.qos, qos.min(*wanted)),
                other => panic!("{other:?}"),
            });
        }
    }
}

#[test]
fn messages_of_a_client_keep_their_order_in_every_topic_and_quality() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    for qos in QUALITIES {
        // Connections go to the shards in turn.
        let mut subscribers = ["s", "in another shard"].map(|name| {
            let mut peer = hub.client(Version::V311, name);
            peer.subscribe("+", qos);
            peer
        });
        let mut publisher = hub.client(Version::V311, "p");
        for number in 1..=60u16 {
            let topic = ["a", "b", "c"][usize::from(number % 3)];
            let id = hedgerow_mqtt::PacketId::new(number).filter(|_| qos != QoS::AtMostOnce);
            let payload = number.to_be_bytes();
            let message = Publish { qos, id, ..Publish::at_most_once(topic, &payload) };
            publisher.send(&Packet::Publish(message));
        }
        for subscriber in &mut subscribers {
            for number in 1..=60u16 {
                assert_eq!(subscriber.message().1, number.to_be_bytes(), "{qos:?}");
            }
            subscriber.expect_quiet();
        }
    }
}

#[test]
fn nothing_is_sent_past_the_client_s_maximum_packet_size() {
    let hub = Hub::new(Settings::default());
    let mut buffer = [0; 8];
    let mut small = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    small.push(PropertyId::MAXIMUM_PACKET_SIZE, Value::Word(40)).unwrap();
    let properties = small.finish().unwrap();
    let mut narrow = hub.connect(&Connect { properties, ..connect(Version::V5, "narrow") });
    narrow.subscribe("t", QoS::AtMostOnce);
    let mut own = hub.connect(&Connect { properties, ..connect(Version::V5, "in its own words") });
    let options = SubscriptionOptions {
        retain_as_published: true,
        ..SubscriptionOptions::of(QoS::AtMostOnce)
    };
    own.subscribe_with("t", options, &[0]);
    let mut publisher = hub.client(Version::V5, "p");
    for (bytes, retain) in [(35, false), (34, false), (35, true), (34, true)] {
        // Kind, length, three of topic, no properties.
        let payload = vec![7; bytes];
        let message = Publish { retain, ..Publish::at_most_once("t", &payload) };
        publisher.send(&Packet::Publish(message));
        publisher.expect_quiet();
    }
    for peer in [&mut narrow, &mut own] {
        for _ in 0..2 {
            assert_eq!(peer.message().1.len(), 34);
        }
        peer.expect_quiet();
    }
    // A SUBACK of 40 bytes and one of 41.
    for (count, is_told) in [(35, true), (36, false)] {
        let filters = vec![("u", SubscriptionOptions::of(QoS::AtMostOnce)); count];
        narrow.send(&Packet::Subscribe(Subscribe {
            id: hedgerow_mqtt::PacketId::MIN,
            properties: Properties::NONE,
            filters: Filters::list(&filters),
        }));
        if is_told {
            narrow.expect(|packet| assert!(matches!(packet, Packet::SubAck(_)), "{packet:?}"));
        }
        narrow.expect_quiet();
    }
}

#[test]
fn a_client_with_several_matching_filters_gets_one_copy_at_the_best_quality() {
    let hub = Hub::new(Settings::default());
    let mut subscriber = hub.client(Version::V311, "s");
    for (filter, qos) in
        [("#", QoS::AtMostOnce), ("a/+", QoS::AtLeastOnce), ("a/b", QoS::AtMostOnce)]
    {
        subscriber.subscribe(filter, qos);
    }
    let mut publisher = hub.client(Version::V311, "p");
    publisher.publish("a/b", b"x", 1);
    assert_eq!(subscriber.message().2, 1);
    subscriber.acknowledge(1);
    subscriber.expect_quiet();
}

#[test]
fn no_local_spares_the_sender_and_only_the_sender() {
    let hub = Hub::new(Settings::default());
    let mut talker = hub.client(Version::V5, "t");
    let options =
        SubscriptionOptions { no_local: true, ..SubscriptionOptions::of(QoS::AtMostOnce) };
    talker.subscribe_with("t", options, &[0]);
    let mut other = hub.client(Version::V5, "o");
    other.subscribe_with("t", options, &[0]);
    talker.publish("t", b"x", 0);
    assert_eq!(other.message().1, b"x");
    talker.expect_quiet();
}

#[test]
fn a_changed_or_ended_subscription_counts_at_once() {
    let hub = Hub::new(Settings::default());
    let mut client = hub.client(Version::V311, "c");
    client.subscribe("t", QoS::AtMostOnce);
    client.publish("t", b"1", 9);
    assert_eq!(client.message().2, 0);
    assert_eq!(client.puback(), (9, 0));
    client.subscribe("t", QoS::AtLeastOnce);
    client.publish("t", b"2", 9);
    assert_eq!(client.puback(), (9, 0));
    assert_eq!(client.message().2, 1);
    client.acknowledge(1);
    client.subscribe("t", QoS::AtMostOnce);
    client.publish("t", b"less", 0);
    client.publish("t", b"than before", 9);
    assert_eq!((client.message().2, client.message().2), (0, 0));
    assert_eq!(client.puback(), (9, 0));
    let names = ["t"];
    client.send(&Packet::Unsubscribe(hedgerow_mqtt::Unsubscribe {
        id: hedgerow_mqtt::PacketId::MIN,
        properties: hedgerow_mqtt::Properties::NONE,
        filters: hedgerow_mqtt::Names::list(&names),
    }));
    client.expect(|packet| assert!(matches!(packet, Packet::UnsubAck(_))));
    client.publish("t", b"3", 0);
    client.expect_quiet();
}

#[test]
fn packets_may_arrive_in_any_pieces() {
    let hub = Hub::new(Settings::default());
    let mut subscriber = hub.client(Version::V311, "s");
    subscriber.subscribe("#", QoS::AtMostOnce);
    let mut publisher = hub.client(Version::V311, "p");
    let mut stream = vec![];
    let large = vec![b'l'; 100_000];
    for payload in [&b"small"[..], &large, b"", b"last"] {
        let message = Publish::at_most_once("topic", payload);
        message.encode(Version::V311, &mut stream).unwrap();
    }
    for size in [1, 3, 7, 1000, 70_000, 200_000] {
        let start = stream.len().min(if size < 10 { 40 } else { stream.len() });
        stream[..start].chunks(size).for_each(|piece| publisher.stream.write_all(piece).unwrap());
        publisher.stream.write_all(&stream[start..]).unwrap();
        for payload in [&b"small"[..], &large, b"", b"last"] {
            assert!(subscriber.message().1 == payload, "{size}");
        }
    }
}

#[test]
fn an_acknowledgement_leaves_after_the_commit_and_not_before() {
    let hub = Hub::new(Settings::default());
    for version in BOTH {
        let mut publisher = hub.client(version, "p");
        let before = hub.gate.pending();
        for id in 1..=3 {
            publisher.publish("later/t", b"x", id);
        }
        hub.wait_for("three pending", |hub, _| hub.gate.pending() == before + 3);
        publisher.expect_quiet();
        hub.gate.commit();
        for id in 1..=3 {
            assert_eq!(publisher.puback(), (id, 0));
        }
    }
}

#[test]
fn a_failed_commit_is_told_in_5_and_never_acknowledged_in_3_1_1() {
    let hub = Hub::new(Settings::default());
    let (mut new, mut old) = (hub.client(Version::V5, "5"), hub.client(Version::V311, "4"));
    new.publish("later/t", b"x", 1);
    old.publish("later/t", b"x", 1);
    hub.wait_for("two pending", |hub, _| hub.gate.pending() == 2);
    hub.gate.fail();
    assert_eq!(new.puback(), (1, 0x80));
    assert_eq!(old.until_end(), b"");
    hub.wait_for_end("storage-failed", 1);
}

#[test]
fn refusals_are_told_in_5_and_counted_in_3_1_1() {
    let hub = Hub::new(Settings::default());
    let (mut new, mut old) = (hub.client(Version::V5, "5"), hub.client(Version::V311, "4"));
    new.publish("denied/t", b"x", 1);
    assert_eq!(new.puback(), (1, 0x87));
    old.publish("denied/t", b"x", 1);
    assert_eq!(old.puback(), (1, 0), "sending it again would change nothing");
    new.publish("full/t", b"x", 2);
    assert_eq!(new.puback(), (2, 0x80));
    old.publish("full/t", b"x", 2);
    assert_eq!(old.until_end(), b"", "kept by the client, which sends it again");
    hub.wait_for_end("unavailable", 1);
    assert_eq!(hub.wire.counters().messages_refused, 4);
    new.subscribe_with("denied/t", SubscriptionOptions::of(QoS::AtMostOnce), &[0x87]);
}

#[test]
fn a_client_of_3_1_1_with_too_many_unacknowledged_messages_is_held_back_not_cut() {
    let mut settings = Settings::default();
    settings.mqtt.receive_maximum = 2;
    let hub = Hub::new(settings);
    let mut publisher = hub.client(Version::V311, "p");
    for id in 1..=5 {
        publisher.publish("later/t", b"x", id);
    }
    for id in [1, 3, 5] {
        hub.wait_for("two at a time", |hub, _| hub.gate.pending() == (id + 1).min(5));
        hub.gate.commit();
    }
    for id in 1..=5 {
        assert_eq!(publisher.puback(), (id, 0));
    }
}

#[test]
fn more_topics_than_are_remembered_still_find_their_subscribers() {
    let hub = Hub::new(Settings::default());
    let mut subscriber = hub.client(Version::V311, "s");
    subscriber.subscribe("t/+", QoS::AtMostOnce);
    let mut publisher = hub.client(Version::V311, "p");
    for number in (0..=hedgerow_wire::limits::ROUTES_MAX).chain([0]) {
        publisher.publish(&format!("t/{number}"), b"", 0);
        assert_eq!(subscriber.message().0, format!("t/{number}"));
    }
}

#[test]
fn what_the_hub_says_reaches_a_subscriber_of_quality_1() {
    let hub = Hub::new(Settings::default());
    let mut peer = hub.client(Version::V5, "c");
    peer.subscribe("things/x/actions/#", QoS::AtLeastOnce);
    hub.wire.voice().say("things/x/actions/identify", b"{}");
    let (topic, payload, id, _) = peer.message();
    assert_eq!((topic.as_str(), &payload[..]), ("things/x/actions/identify", &b"{}"[..]));
    assert!(id > 0, "it is acknowledged");
}

#[test]
fn packets_that_many_subscribers_share_come_whole_and_in_order_to_each() {
    for shards in [1, 2] {
        let hub = Hub::new(Settings { shards, ..Settings::default() });
        let mut subscribers: Vec<_> =
            (0..20).map(|n| hub.client(BOTH[n % 2], &format!("s{n}"))).collect();
        subscribers.iter_mut().for_each(|one| one.subscribe("t", QoS::AtMostOnce));
        let mut publisher = hub.client(Version::V311, "p");
        let (few, many) = (SHARED_BYTES_MIN, SHARED_BY_FEW_BYTES_MIN);
        let sizes = [1, few - 20, few, many, 3, 200_000, few + 1, 0, few * 3];
        for (number, size) in sizes.into_iter().enumerate() {
            publisher.publish("t", &vec![u8::try_from(number).unwrap(); size], 0);
        }
        for subscriber in &mut subscribers {
            for (number, size) in sizes.into_iter().enumerate() {
                let payload = subscriber.message().1;
                assert_eq!(payload.len(), size, "{number}");
                assert!(payload.iter().all(|byte| usize::from(*byte) == number), "{number}");
            }
            subscriber.expect_quiet();
        }
    }
}
