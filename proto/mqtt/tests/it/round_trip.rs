//! What is written is read back the same; what is random never panics.

use hedgerow_mqtt::{
    Ack, Connect, Error, Fixed, Packet, PacketId, PacketKind, Place, Properties, PropertyId,
    PropertyWriter, Publish, QoS, ReasonCode, Split, Value, Version, Will, split,
};
use proptest::prelude::*;

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

fn assert_same(packet: Packet<'_>, version: Version) {
    let mut wire = vec![];
    packet.encode(version, &mut wire).unwrap();
    let Ok(Split::Whole(frame, [])) = split(&wire, 1 << 24) else { panic!("not one frame") };
    assert_eq!(Packet::decode(frame, version), Ok(packet));
    let mut tight = vec![0; wire.len()];
    packet.encode(version, &mut Fixed::new(&mut tight)).unwrap();
    assert_eq!(tight, wire);
    let short = wire.len() - 1;
    let result = packet.encode(version, &mut Fixed::new(&mut tight[..short]));
    assert_eq!(result, Err(Error::NoRoom));
}

proptest! {
    #[test]
    fn a_message_survives(
        version in version(),
        (dup, retain, quality, id) in any::<(bool, bool, u8, u16)>(),
        topic in r"[^+#\p{Cc}]{1,40}",
        payload in proptest::collection::vec(any::<u8>(), 0..20_000),
        (name, value, expiry) in ("[^\0]{0,9}", "[^\0]{0,9}", any::<u32>()),
    ) {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(quality % 3)];
        let acknowledged = qos != QoS::AtMostOnce;
        let mut buffer = [0; 128];
        let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Publish));
        if version == Version::V5 {
            writer.push(PropertyId::MESSAGE_EXPIRY_INTERVAL, Value::Word(expiry)).unwrap();
            writer.push(PropertyId::USER_PROPERTY, Value::Pair(&name, &value)).unwrap();
        }
        let message = Publish {
            dup: dup && acknowledged,
            qos,
            retain,
            topic: &topic,
            id: acknowledged.then(|| PacketId::new(id.max(1)).unwrap()),
            properties: writer.finish().unwrap(),
            payload: &payload,
        };
        assert_same(Packet::Publish(message), version);
        let mut wire = vec![];
        message.encode(version, &mut wire).unwrap();
        assert_eq!(wire.len(), message.encoded_len(version));
    }

    #[test]
    fn a_connect_survives(
        version in version(),
        (clean_start, retain, keep_alive_s) in any::<(bool, bool, u16)>(),
        client_id in "[^\0]{0,30}",
        will in proptest::option::of(r"[^+#\p{Cc}]{1,40}"),
        username in proptest::option::of("[^\0]{0,30}"),
        password in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
    ) {
        let packet = Connect {
            version,
            clean_start,
            keep_alive_s,
            client_id: &client_id,
            will: will.as_deref().map(|topic| Will {
                topic,
                payload: client_id.as_bytes(),
                qos: QoS::AtLeastOnce,
                retain,
                properties: Properties::NONE,
            }),
            password: password.as_deref().filter(|_| username.is_some()),
            username: username.as_deref(),
            properties: Properties::NONE,
        };
        assert_same(Packet::Connect(packet), version);
    }

    #[test]
    fn an_acknowledgement_survives(id in 1u16.., failed in any::<bool>(), text in "[^\0]{0,90}") {
        let reason = if failed { ReasonCode::QUOTA_EXCEEDED } else { ReasonCode::SUCCESS };
        let mut buffer = [0; 512];
        let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::PubAck));
        writer.push(PropertyId::REASON_STRING, Value::Text(&text)).unwrap();
        let id = PacketId::new(id).unwrap();
        let ack = Ack { id, reason, properties: writer.finish().unwrap() };
        assert_same(Packet::PubAck(ack), Version::V5);
    }

    /// Whatever is read is written back as something that reads the same.
    #[test]
    fn random_bytes_are_refused_or_survive(
        version in version(),
        first in any::<u8>(),
        body in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..60),
    ) {
        let mut wire = vec![first, u8::try_from(body.len()).unwrap()];
        wire.extend_from_slice(&body);
        let Ok(Split::Whole(frame, [])) = split(&wire, 1 << 10) else { return Ok(()) };
        if let Ok(packet) = Packet::decode(frame, version) {
            let mut again = vec![];
            packet.encode(version, &mut again).unwrap();
            let Ok(Split::Whole(frame, [])) = split(&again, 1 << 10) else { panic!("not a frame") };
            let mut third = vec![];
            Packet::decode(frame, version).unwrap().encode(version, &mut third).unwrap();
            assert_eq!(again, third);
        }
    }
}
