//! Statements of the specification that no other test here is about; `docs/conformance/mqtt.md` has all.

use hedgerow_base::Fault;
use hedgerow_mqtt::{
    Connect, DeliveryOptions, KeptWill, Packet, PacketKind, Place, PropertyId, PropertyWriter,
    Publish, QoS, ReasonCode, Server, Settings, Value, Version, Will,
};

use crate::pair::{Pair, connect, message, with_will};

fn window_of_one() -> Settings {
    Settings { in_flight_max: 1, ..Settings::default() }
}

#[test]
fn other_packets_are_answered_while_the_window_is_full() {
    let mut pair = Pair::open(window_of_one(), &connect(Version::V5, true));
    for _ in 0..2 {
        pair.deliver(&message("t", QoS::AtLeastOnce));
    }
    assert_eq!(pair.down, b"\x32\x07\x00\x01t\x00\x01\x00x", "one of two");
    pair.down.clear();
    pair.serve(b"\xc0\x00\x82\x07\x00\x07\x00\x00\x01a\x01", &mut vec![]);
    assert_eq!(pair.down, b"\xd0\x00\x90\x04\x00\x07\x00\x01");
}

#[test]
fn an_unsubscribe_ends_the_very_filter_and_answers_for_each() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    pair.serve(b"\x82\x0d\x00\x01\x00\x00\x01+\x00\x00\x03a/b\x00", &mut vec![]);
    pair.down.clear();
    // `#` matches both and equals neither.
    pair.serve(b"\xa2\x10\x00\x02\x00\x00\x01#\x00\x03A/B\x00\x03a/b", &mut vec![]);
    assert_eq!(pair.down, b"\xb0\x06\x00\x02\x00\x11\x11\x00");
    let left: Vec<_> =
        pair.server.session().subscriptions().map(|(filter, _)| filter.to_owned()).collect();
    assert_eq!(left, ["+"]);
    pair.down.clear();
    pair.serve(b"\xa2\x06\x00\x03\x00\x00\x01#", &mut vec![]);
    assert_eq!(pair.down, b"\xb0\x04\x00\x03\x00\x11", "answered though nothing was deleted");
}

#[test]
fn what_was_begun_is_completed_after_an_unsubscribe() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    pair.serve(b"\x82\x07\x00\x01\x00\x00\x01t\x02", &mut vec![]);
    let exactly_once = QoS::ExactlyOnce;
    pair.deliver_as(&message("t", exactly_once), &DeliveryOptions::of(exactly_once));
    pair.serve(b"\xa2\x06\x00\x02\x00\x00\x01t", &mut vec![]);
    pair.down.clear();
    pair.serve(b"\x50\x02\x00\x01", &mut vec![]);
    assert_eq!(pair.down, b"\x62\x02\x00\x01");
    pair.serve(b"\x70\x02\x00\x01", &mut vec![]);
    assert_eq!((pair.server.session().queued(), pair.closed), (0, None));
}

#[test]
fn a_message_that_was_sent_does_not_expire() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let wish = connect(Version::V311, false);
        let mut pair = Pair::open(window_of_one(), &wish);
        let mut buffer = [0; 8];
        let mut writer =
            PropertyWriter::new(&mut buffer, Place::Packet(hedgerow_mqtt::PacketKind::Publish));
        writer.push(PropertyId::MESSAGE_EXPIRY_INTERVAL, Value::Word(1)).unwrap();
        let properties = writer.finish().unwrap();
        let fleeting = Publish { properties, ..message("t", qos) };
        for _ in 0..2 {
            pair.deliver_as(&fleeting, &DeliveryOptions::of(qos));
        }
        pair.now = pair.now.plus_ms(1_001);
        pair.kept = pair.server.take_session().map(|(session, _)| session);
        pair.server = hedgerow_mqtt::Server::new(window_of_one().into(), pair.now);
        pair.down.clear();
        hedgerow_mqtt::Packet::Connect(wish).encode(Version::V311, &mut pair.up).unwrap();
        let up = std::mem::take(&mut pair.up);
        pair.serve(&up, &mut vec![]);
        let again = [0x38 | (qos as u8) << 1, 6, 0, 1, b't', 0, 1, b'x'];
        assert_eq!(pair.down[4..], again, "sent again, with DUP");
        pair.down.clear();
        let acks: &[&[u8]] = match qos {
            QoS::AtLeastOnce => &[b"\x40\x02\x00\x01"],
            QoS::AtMostOnce | QoS::ExactlyOnce => &[b"\x50\x02\x00\x01", b"\x70\x02\x00\x01"],
        };
        for ack in acks {
            pair.serve(ack, &mut vec![]);
        }
        assert!(!pair.down.contains(&b't'), "the other had never left, and expired");
    }
}

#[test]
fn a_message_that_expires_on_its_way_in_is_answered_to_the_end() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    let expires_in_a_second = b"\x34\x0c\x00\x01t\x00\x07\x05\x02\x00\x00\x00\x01x";
    pair.serve(expires_in_a_second, &mut vec![]);
    pair.now = pair.now.plus_ms(10_000);
    let mut again = *expires_in_a_second;
    again[0] |= 8;
    pair.serve(&again, &mut vec![]);
    pair.serve(b"\x62\x02\x00\x07", &mut vec![]);
    assert_eq!(pair.down, b"\x50\x02\x00\x07\x50\x02\x00\x07\x70\x02\x00\x07");
}

#[test]
fn the_user_properties_of_a_will_keep_their_order() {
    let mut buffer = [0; 64];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Will);
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "0")] {
        writer.push(PropertyId::USER_PROPERTY, Value::Pair(name, value)).unwrap();
        if name == "a" {
            writer.push(PropertyId::WILL_DELAY_INTERVAL, Value::Word(5)).unwrap();
        }
    }
    let properties = writer.finish().unwrap();
    let wish = with_will(Version::V5);
    let will = wish.will.map(|will| Will { properties, ..will });
    let mut pair = Pair::open(Settings::default(), &Connect { will, ..wish });
    assert!(pair.server.broken("test").will);
    let kept = pair.server.take_will().unwrap();
    let found: Vec<_> = kept.message().properties.iter().map(|(_, value)| value).collect();
    let expected = [("b", "1"), ("a", "2"), ("b", "0")].map(|(k, v)| Value::Pair(k, v));
    assert_eq!(found, expected);
    assert_eq!(kept.delay_s, 5);
    let bytes = kept.to_bytes();
    assert_eq!(KeptWill::from_bytes(&bytes).as_ref(), Some(&*kept));
    for cut in 0..bytes.len() - kept.message().payload.len() {
        assert_eq!(KeptWill::from_bytes(&bytes[..cut]), None, "{cut}");
    }
}

#[test]
fn the_dup_flag_of_the_publisher_is_not_passed_on() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    pair.deliver(&Publish { dup: true, ..message("t", QoS::AtLeastOnce) });
    assert_eq!(pair.down, b"\x32\x07\x00\x01t\x00\x01\x00x");
}

#[test]
fn an_acknowledged_identifier_brings_a_new_message_whatever_its_dup_flag() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    let mut log = vec![];
    pair.serve(b"\x32\x06\x00\x01t\x00\x01\x00\x3a\x06\x00\x01t\x00\x01\x00", &mut log);
    assert_eq!((log.len(), &*pair.down), (2, &b"\x40\x02\x00\x01\x40\x02\x00\x01"[..]));
}

#[test]
fn nothing_is_processed_or_said_after_the_end() {
    let mut pair = Pair::new(Settings::default());
    let stream =
        b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01\x07\xc0\x00\x30\x04\x00\x01t\x00";
    let mut log = vec![];
    pair.serve(stream, &mut log);
    assert_eq!((log.len(), &*pair.down), (0, &b"\x20\x03\x00\x85\x00"[..]), "a refused CONNECT");
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    pair.serve(b"\x00\x00\xc0\x00\x30\x04\x00\x01t\x00", &mut log);
    assert_eq!((log.len(), &*pair.down), (0, &b"\xe0\x01\x81"[..]), "a DISCONNECT");
}

#[test]
fn a_connack_says_what_is_offered_and_nothing_else() {
    let mut pair = Pair::new(Settings::default());
    pair.serve(b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x02\x19\x00\x00\x01c", &mut vec![]);
    assert_eq!(pair.down, b"\x20\x0e\x00\x00\x0b\x21\x01\x00\x27\x00\x04\x00\x00\x22\x00\x20");
}

#[test]
fn identifiers_of_letters_and_digits_are_allowed() {
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for client_id in [&all[..1], &all[..23], &all[20..43], &all[39..]] {
        Pair::open(Settings::default(), &Connect { client_id, ..connect(Version::V5, true) });
    }
}

/// A server that has heard this CONNECT and not answered it.
fn deciding(connect: &Connect<'_>) -> Server {
    let mut bytes = vec![];
    Packet::Connect(*connect).encode(connect.version, &mut bytes).unwrap();
    let now = hedgerow_base::Timestamp::from_secs(1_000_000);
    let mut server = Server::new(Settings::default().into(), now);
    let Ok(hedgerow_mqtt::Split::Whole(frame, _)) = hedgerow_mqtt::split(&bytes, 1000) else {
        panic!("not whole")
    };
    let event = server.receive(frame, now, &mut vec![]);
    assert!(matches!(event, hedgerow_mqtt::Event::Connect(_)), "{event:?}");
    server
}

#[test]
fn whatever_the_reason_is_only_codes_of_the_packet_are_sent() {
    let client = connect(Version::V5, true);
    for reason in (1..=255).map(ReasonCode) {
        let mut out = vec![];
        deciding(&client).refuse(reason, "test", Fault::Denied, None, &mut out);
        let Packet::ConnAck(ack) = crate::vectors::decode(&out, Version::V5) else { panic!() };
        assert!(ack.reason.fits(PacketKind::ConnAck) && ack.reason.is_failure(), "{reason}");
        assert_eq!(ack.reason == reason, reason.fits(PacketKind::ConnAck), "{reason}");
        let mut pair = Pair::open(Settings::default(), &client);
        pair.server.close(reason, "test", Fault::Denied, None, &mut pair.down);
        let Packet::Disconnect(end) = crate::vectors::decode(&pair.down, Version::V5) else {
            panic!()
        };
        assert!(end.reason.fits(PacketKind::Disconnect), "{reason}");
    }
}

#[test]
fn a_refusal_leaves_out_a_reason_for_which_the_client_has_no_room() {
    let mut buffer = [0; 8];
    let mut small = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    small.push(PropertyId::MAXIMUM_PACKET_SIZE, Value::Word(16)).unwrap();
    let properties = small.finish().unwrap();
    for (text, told) in [("12345678", 16), ("123456789", 5)] {
        let mut server = deciding(&Connect { properties, ..connect(Version::V5, true) });
        let mut out = vec![];
        server.refuse(ReasonCode::BANNED, "test", Fault::Denied, Some(text), &mut out);
        assert_eq!(out.len(), told);
    }
}

#[test]
fn nothing_is_acknowledged_after_the_end() {
    for version in [Version::V311, Version::V5] {
        let mut pair = Pair::open(Settings::default(), &connect(version, false));
        pair.next_ticket = Some(1);
        for (id, qos) in [(1, QoS::AtLeastOnce), (2, QoS::ExactlyOnce)] {
            let id = hedgerow_mqtt::PacketId::new(id);
            Publish { id, ..message("t", qos) }.encode(version, &mut pair.up).unwrap();
        }
        let up = std::mem::take(&mut pair.up);
        pair.serve(&up, &mut vec![]);
        let (reason, fault) = (ReasonCode::SESSION_TAKEN_OVER, Fault::Conflict);
        pair.server.close(reason, "test", fault, None, &mut pair.down);
        assert!(pair.server.settle(|_| Some(ReasonCode::SUCCESS), &mut pair.down));
        let goodbye: &[u8] = if version == Version::V5 { b"\xe0\x01\x8e" } else { b"" };
        assert_eq!(pair.down, goodbye);
    }
}
