//! Topics as long as the wire can say them, far beyond what the hub takes: refused by the word that the
//! packet has for it, and by nothing else.

use std::io::Write;

use hedgerow_mqtt::{
    Connect, Filters, Names, Packet, PacketId, PacketKind, Place, Properties, PropertyId,
    PropertyWriter, Publish, QoS, Subscribe, SubscriptionOptions, Unsubscribe, Value, Version,
};
use hedgerow_wire::Settings;

use crate::peer::{Hub, TestPeer, connect, will};

/// Bytes of the longest string of the protocol.
const LONGEST: usize = 65_535;

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// The longest topics: one level, and as many levels as bytes.
fn longest() -> [String; 2] {
    ["t".repeat(LONGEST), "/".repeat(LONGEST)]
}

fn alias(number: u16, buffer: &mut [u8]) -> Properties<'_> {
    let mut writer = PropertyWriter::new(buffer, Place::Packet(PacketKind::Publish));
    writer.push(PropertyId::TOPIC_ALIAS, Value::Short(number)).unwrap();
    writer.finish().unwrap()
}

fn say(peer: &mut TestPeer, topic: &str, qos: QoS, properties: Properties<'_>) {
    let id = (qos != QoS::AtMostOnce).then_some(PacketId::MIN);
    peer.send(&Packet::Publish(Publish {
        qos,
        id,
        properties,
        ..Publish::at_most_once(topic, b"x")
    }));
}

/// The reason of the PUBACK or PUBREC that must come next.
fn answer(peer: &mut TestPeer) -> u8 {
    peer.expect(|packet| match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) => ack.reason.0,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_message_to_the_longest_topic_is_refused_and_its_connection_lives() {
    let hub = Hub::new(Settings::default());
    let mut listener = hub.client(Version::V5, "listener");
    listener.subscribe("#", QoS::ExactlyOnce);
    // 3.1.1 has no word for it: the message is answered and goes nowhere.
    for (version, told) in [(Version::V311, 0), (Version::V5, 0x90)] {
        for topic in longest() {
            let mut peer = hub.client(version, "c");
            say(&mut peer, &topic, QoS::AtMostOnce, Properties::NONE);
            peer.expect_quiet();
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                say(&mut peer, &topic, qos, Properties::NONE);
                assert_eq!(answer(&mut peer), told, "{version:?} {qos:?}");
            }
            peer.expect_quiet();
        }
    }
    listener.expect_quiet();
    assert_eq!(hub.wire.counters().refusals.get("topic-limits"), Some(&12));
}

#[test]
fn an_alias_of_the_longest_topic_goes_nowhere_and_not_where_it_went_before() {
    let hub = Hub::new(Settings::default());
    let mut listener = hub.client(Version::V5, "listener");
    listener.subscribe("#", QoS::AtMostOnce);
    let mut peer = hub.client(Version::V5, "c");
    let mut buffer = [0; 4];
    let alias = alias(1, &mut buffer);
    say(&mut peer, "before", QoS::AtMostOnce, alias);
    assert_eq!(listener.message().0, "before");
    for topic in longest() {
        say(&mut peer, &topic, QoS::AtLeastOnce, alias);
        assert_eq!(answer(&mut peer), 0x90);
        say(&mut peer, "", QoS::ExactlyOnce, alias);
        assert_eq!(answer(&mut peer), 0x90);
        say(&mut peer, "", QoS::AtMostOnce, alias);
        peer.expect_quiet();
        listener.expect_quiet();
    }
    say(&mut peer, "after", QoS::AtMostOnce, alias);
    say(&mut peer, "", QoS::AtMostOnce, alias);
    assert_eq!([listener.message().0, listener.message().0], ["after", "after"]);
}

#[test]
fn the_longest_filter_is_refused_among_others_and_may_be_unsubscribed_from() {
    let hub = Hub::new(Settings::default());
    for (version, told) in [(Version::V311, 0x80), (Version::V5, 0x8F)] {
        for filter in [&longest()[..], &["+/".repeat(LONGEST / 2) + "#"]].concat() {
            let mut peer = hub.client(version, "c");
            let of = |filter| (filter, SubscriptionOptions::of(QoS::AtLeastOnce));
            let filters = [of("a"), of(&filter), of("b")];
            let (id, properties) = (PacketId::MIN, Properties::NONE);
            let filters = Filters::list(&filters);
            peer.send(&Packet::Subscribe(Subscribe { id, properties, filters }));
            peer.expect(|packet| match packet {
                Packet::SubAck(ack) => assert_eq!(ack.codes, [1, told, 1], "{version:?}"),
                other => panic!("{other:?}"),
            });
            let names = [&*filter];
            let filters = Names::list(&names);
            peer.send(&Packet::Unsubscribe(Unsubscribe { id, properties, filters }));
            peer.expect(|packet| match (packet, version) {
                (Packet::UnsubAck(ack), Version::V5) => assert_eq!(ack.codes, [0x11]),
                (Packet::UnsubAck(_), Version::V311) => {}
                (other, _) => panic!("{other:?}"),
            });
            peer.expect_quiet();
        }
    }
}

#[test]
fn a_will_for_the_longest_topic_keeps_its_client_out() {
    let hub = Hub::new(Settings::default());
    let fits = "t".repeat(512);
    let past = "t".repeat(513);
    for version in VERSIONS {
        let _in = hub.connect(&Connect { will: Some(will(&fits)), ..connect(version, "fits") });
        let refused = |topic: &str| {
            let mut peer = hub.raw();
            peer.version = version;
            let connect = Connect { will: Some(will(topic)), ..connect(version, "c") };
            let mut bytes = vec![];
            Packet::Connect(connect).encode(version, &mut bytes).unwrap();
            // The hub may be gone before it has all of it.
            let _ = peer.stream.write_all(&bytes);
            peer.until_end()
        };
        let told = refused(&past);
        match version {
            Version::V311 => assert_eq!(told, b"\x20\x02\x00\x03", "3.1.1 has no word for it"),
            Version::V5 => assert_eq!(told[..4], *b"\x20\x03\x00\x90"),
        }
        // More than a stranger may say: nothing is read, and nothing said.
        assert_eq!(refused(&longest()[0]), b"");
    }
    hub.wait_for_end("topic-limits", 2);
    hub.wait_for_end("packet-too-large", 2);
}
