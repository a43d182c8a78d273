//! Packets written out by hand from the standards, both ways.

use Version::{V5, V311};
use hedgerow_mqtt::{
    Ack, Auth, ConnAck, Connect, Disconnect, Filters, Packet, PacketId, PacketKind, Place,
    Properties, PropertyId, PropertyWriter, Publish, QoS, ReasonCode, Split, SubAck, Subscribe,
    SubscriptionOptions, UnsubAck, Value, Version, Will, split,
};

pub(crate) fn decode(bytes: &[u8], version: Version) -> Packet<'_> {
    match split(bytes, 1 << 20) {
        Ok(Split::Whole(frame, [])) => match Packet::decode(frame, version) {
            Ok(packet) => packet,
            Err(error) => panic!("{bytes:02x?}: {error}"),
        },
        other => panic!("{bytes:02x?}: {other:?}"),
    }
}

fn both_ways(bytes: &[u8], version: Version, packet: Packet<'_>) {
    let mut wire = vec![];
    packet.encode(version, &mut wire).unwrap();
    assert_eq!(wire, bytes, "{packet:?}");
    let read = decode(bytes, version);
    let mut again = vec![];
    read.encode(version, &mut again).unwrap();
    assert_eq!(again, bytes, "{read:?}");
    match (read, packet) {
        // Lists to send and lists as read are told apart; the bytes above are what counts.
        (Packet::Subscribe(_), Packet::Subscribe(_)) => {}
        (Packet::Unsubscribe(_), Packet::Unsubscribe(_)) => {}
        (read, packet) => assert_eq!(read, packet),
    }
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

fn properties<'b>(
    buffer: &'b mut [u8],
    kind: PacketKind,
    list: &[(PropertyId, Value<'_>)],
) -> Properties<'b> {
    let mut writer = PropertyWriter::new(buffer, Place::Packet(kind));
    list.iter().for_each(|(id, value)| writer.push(*id, *value).unwrap());
    writer.finish().unwrap()
}

#[test]
fn connect_of_3_1_1_with_everything() {
    let connect = Connect {
        version: V311,
        clean_start: true,
        keep_alive_s: 60,
        client_id: "c1",
        will: Some(Will {
            topic: "w",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::NONE,
        }),
        username: Some("u"),
        password: Some(b"p"),
        properties: Properties::NONE,
    };
    let bytes =
        b"\x10\x1d\x00\x04MQTT\x04\xee\x00\x3c\x00\x02c1\x00\x01w\x00\x04gone\x00\x01u\x00\x01p";
    both_ways(bytes, V311, Packet::Connect(connect));
}

#[test]
fn connect_of_5_with_properties_in_both_places() {
    let mut buffers = ([0; 16], [0; 16]);
    let mut will = PropertyWriter::new(&mut buffers.1, Place::Will);
    will.push(PropertyId::WILL_DELAY_INTERVAL, Value::Word(5)).unwrap();
    let connect = Connect {
        version: V5,
        clean_start: false,
        keep_alive_s: 10,
        client_id: "",
        will: Some(Will {
            topic: "w",
            payload: b"",
            qos: QoS::AtMostOnce,
            retain: false,
            properties: will.finish().unwrap(),
        }),
        username: None,
        password: Some(b"t"),
        properties: properties(
            &mut buffers.0,
            PacketKind::Connect,
            &[
                (PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(3600)),
                (PropertyId::RECEIVE_MAXIMUM, Value::Short(20)),
            ],
        ),
    };
    let bytes = b"\x10\x23\x00\x04MQTT\x05\x44\x00\x0a\x08\x11\x00\x00\x0e\x10\x21\x00\x14\x00\x00\x05\x18\x00\x00\x00\x05\x00\x01w\x00\x00\x00\x01t";
    both_ways(bytes, V5, Packet::Connect(connect));
}

#[test]
fn connack_says_its_reason_in_both_versions() {
    let ack = |reason, session_present| {
        Packet::ConnAck(ConnAck { session_present, reason, properties: Properties::NONE })
    };
    both_ways(b"\x20\x02\x01\x00", V311, ack(ReasonCode::SUCCESS, true));
    both_ways(b"\x20\x02\x00\x05", V311, ack(ReasonCode::NOT_AUTHORIZED, false));
    both_ways(b"\x20\x03\x00\x87\x00", V5, ack(ReasonCode::NOT_AUTHORIZED, false));
    let mut buffer = [0; 16];
    let full = ConnAck {
        session_present: false,
        reason: ReasonCode::SUCCESS,
        properties: properties(
            &mut buffer,
            PacketKind::ConnAck,
            &[
                (PropertyId::MAXIMUM_QOS, Value::Byte(1)),
                (PropertyId::ASSIGNED_CLIENT_IDENTIFIER, Value::Text("x")),
            ],
        ),
    };
    both_ways(b"\x20\x09\x00\x00\x06\x24\x01\x12\x00\x01x", V5, Packet::ConnAck(full));
}

#[test]
fn publish_of_each_quality() {
    let plain = Publish::at_most_once("a/b", b"hi");
    both_ways(b"\x30\x07\x00\x03a/bhi", V311, Packet::Publish(plain));
    both_ways(b"\x30\x08\x00\x03a/b\x00hi", V5, Packet::Publish(plain));
    let again =
        Publish { dup: true, retain: true, qos: QoS::AtLeastOnce, id: Some(id(258)), ..plain };
    both_ways(b"\x3b\x09\x00\x03a/b\x01\x02hi", V311, Packet::Publish(again));
    let mut buffer = [0; 16];
    let once = Publish {
        qos: QoS::ExactlyOnce,
        id: Some(id(1)),
        properties: properties(
            &mut buffer,
            PacketKind::Publish,
            &[(PropertyId::USER_PROPERTY, Value::Pair("k", "v"))],
        ),
        ..plain
    };
    both_ways(
        b"\x34\x11\x00\x03a/b\x00\x01\x07\x26\x00\x01k\x00\x01vhi",
        V5,
        Packet::Publish(once),
    );
    let alias = decode(b"\x30\x06\x00\x00\x03\x23\x00\x01", V5);
    let Packet::Publish(alias) = alias else { panic!("another kind") };
    assert_eq!(alias.properties.number(PropertyId::TOPIC_ALIAS), Some(1));
}

#[test]
fn the_four_acknowledgements() {
    let plain = Ack::success(id(7));
    for (first, packet) in [
        (0x40, Packet::PubAck(plain)),
        (0x50, Packet::PubRec(plain)),
        (0x62, Packet::PubRel(plain)),
        (0x70, Packet::PubComp(plain)),
    ] {
        both_ways(&[first, 2, 0, 7], V311, packet);
        both_ways(&[first, 2, 0, 7], V5, packet);
    }
    let refused = Ack { reason: ReasonCode::NOT_AUTHORIZED, ..plain };
    both_ways(&[0x40, 3, 0, 7, 0x87], V5, Packet::PubAck(refused));
    let mut buffer = [0; 8];
    let reason = (PropertyId::REASON_STRING, Value::Text("no"));
    let said =
        Ack { properties: properties(&mut buffer, PacketKind::PubAck, &[reason]), ..refused };
    both_ways(b"\x40\x09\x00\x07\x87\x05\x1f\x00\x02no", V5, Packet::PubAck(said));
    assert_eq!(decode(&[0x40, 4, 0, 7, 0, 0], V5), Packet::PubAck(plain), "the long spelling");
}

#[test]
fn subscribe_and_unsubscribe() {
    let (most, least) = (
        SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: 2,
            identifier: None,
        },
        SubscriptionOptions::of(QoS::AtMostOnce),
    );
    let list = [("a/#", most), ("+", least)];
    let packet =
        Subscribe { id: id(10), properties: Properties::NONE, filters: Filters::list(&list) };
    both_ways(b"\x82\x0d\x00\x0a\x00\x00\x03a/#\x2d\x00\x01+\x00", V5, Packet::Subscribe(packet));
    both_ways(b"\x82\x0c\x00\x0a\x00\x03a/#\x01\x00\x01+\x00", V311, Packet::Subscribe(packet));
    let Packet::Subscribe(read) = decode(b"\x82\x0d\x00\x0a\x00\x00\x03a/#\x2d\x00\x01+\x00", V5)
    else {
        panic!("another kind")
    };
    assert!(read.filters.iter().eq(list));
    let names = ["a/#", "+"];
    let packet = hedgerow_mqtt::Unsubscribe {
        id: id(11),
        properties: Properties::NONE,
        filters: hedgerow_mqtt::Names::list(&names),
    };
    both_ways(b"\xa2\x0a\x00\x0b\x00\x03a/#\x00\x01+", V311, Packet::Unsubscribe(packet));
    both_ways(b"\xa2\x0b\x00\x0b\x00\x00\x03a/#\x00\x01+", V5, Packet::Unsubscribe(packet));
    let Packet::Unsubscribe(read) = decode(b"\xa2\x0a\x00\x0b\x00\x03a/#\x00\x01+", V311) else {
        panic!("another kind")
    };
    assert!(read.filters.iter().eq(names));
}

#[test]
fn suback_and_unsuback() {
    let ack = |codes| Packet::SubAck(SubAck { id: id(10), properties: Properties::NONE, codes });
    both_ways(b"\x90\x05\x00\x0a\x01\x00\x80", V311, ack(&[1, 0, 0x80]));
    both_ways(b"\x90\x05\x00\x0a\x00\x01\x87", V5, ack(&[1, 0x87]));
    let mut old = vec![];
    ack(&[1, 0x87]).encode(V311, &mut old).unwrap();
    assert_eq!(old, b"\x90\x04\x00\x0a\x01\x80", "3.1.1 knows one failure");
    let gone =
        |codes| Packet::UnsubAck(UnsubAck { id: id(11), properties: Properties::NONE, codes });
    both_ways(b"\xb0\x02\x00\x0b", V311, gone(&[]));
    both_ways(b"\xb0\x05\x00\x0b\x00\x00\x11", V5, gone(&[0, 0x11]));
}

#[test]
fn pings_disconnect_and_auth() {
    both_ways(b"\xc0\x00", V311, Packet::PingReq);
    both_ways(b"\xd0\x00", V5, Packet::PingResp);
    let end = |reason| Packet::Disconnect(Disconnect { reason, properties: Properties::NONE });
    both_ways(b"\xe0\x00", V311, end(ReasonCode::SUCCESS));
    both_ways(b"\xe0\x00", V5, end(ReasonCode::SUCCESS));
    both_ways(b"\xe0\x01\x8e", V5, end(ReasonCode::SESSION_TAKEN_OVER));
    let mut buffer = [0; 8];
    let auth = Auth {
        reason: ReasonCode::CONTINUE_AUTHENTICATION,
        properties: properties(
            &mut buffer,
            PacketKind::Auth,
            &[(PropertyId::AUTHENTICATION_METHOD, Value::Text("m"))],
        ),
    };
    both_ways(b"\xf0\x06\x18\x04\x15\x00\x01m", V5, Packet::Auth(auth));
}
