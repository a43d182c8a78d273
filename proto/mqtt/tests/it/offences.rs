//! What the server machine refuses, in which words, and its limits: at them and one past them.

use hedgerow_base::Fault;
use hedgerow_mqtt::{
    Connect, DeliveryOptions, Packet, PacketKind, Place, Properties, PropertyId, PropertyWriter,
    Publish, QoS, ReasonCode, Settings, SubscriptionOptions, Value, Version, limits,
};

use crate::pair::{Pair, connect, message, with_will};

/// Sends raw bytes to an open pair; gives what the client saw, and the word of the end.
fn offend(version: Version, bytes: &[u8]) -> (Vec<String>, Option<&'static str>) {
    let mut pair = Pair::open(Settings::default(), &with_will(version));
    pair.up.extend_from_slice(bytes);
    let log = pair.exchange();
    assert!(pair.closed.is_none_or(|closed| closed.will), "an offence lets the will speak");
    (log, pair.closed.map(|closed| closed.why))
}

#[test]
fn an_offence_in_5_is_answered_with_its_reason() {
    let cases: &[(&[u8], &str, &str)] = &[
        (b"\x30\x07\x00\x01t\x03\x23\x00\x21", "disconnect 0x94", "topic-alias"),
        (b"\x30\x06\x00\x00\x03\x23\x00\x01", "disconnect 0x82", "protocol-error"),
        (b"\x30\x06\x00\x01t\x02\x0b\x01", "disconnect 0x82", "protocol-error"),
        (b"\x30\x04\x00\x01+\x00", "disconnect 0x81", "topic-name"),
        (b"\x30\x04\x00\x01\x07\x00", "disconnect 0x81", "topic-name"),
        (b"\x30\x03\x00\x00\x00", "disconnect 0x82", "protocol-error"),
        (b"\x82\x08\x00\x01\x00\x00\x02a#\x00", "disconnect 0x81", "topic-filter"),
        (b"\xf0\x00", "disconnect 0x82", "protocol-error"),
        (b"\x20\x03\x00\x00\x00", "disconnect 0x82", "protocol-error"),
        (b"\xd0\x00", "disconnect 0x82", "protocol-error"),
        (b"\x2f\x00", "disconnect 0x81", "malformed"),
        (b"\xe1\x00", "disconnect 0x81", "malformed"),
        (b"\x90\x01\x00", "disconnect 0x82", "protocol-error"),
        (b"\xb0\x02\x00\x00", "disconnect 0x82", "protocol-error"),
        (b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00", "disconnect 0x82", "protocol-error"),
        (b"\x30\x81\x80\x40", "disconnect 0x95", "packet-too-large"),
        (b"\x30\xff\xff\xff\xff", "disconnect 0x81", "malformed"),
        (b"\x00\x00", "disconnect 0x81", "malformed"),
        (b"\xe0\x07\x00\x05\x11\x00\x00\x00\x01", "disconnect 0x82", "protocol-error"),
    ];
    for (bytes, told, why) in cases {
        let (log, end) = offend(Version::V5, bytes);
        assert_eq!(
            (log.last().map(String::as_str), end),
            (Some(*told), Some(*why)),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn an_offence_in_3_1_1_ends_in_silence_and_a_counted_word() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x30\x03\x00\x01#", "topic-name"),
        (b"\x82\x02\x00\x01", "protocol-error"),
        (b"\xf0\x00", "malformed"),
        (b"\x30\x81\x80\x40", "packet-too-large"),
    ];
    for (bytes, why) in cases {
        assert_eq!(offend(Version::V311, bytes), (vec![], Some(*why)), "{bytes:02x?}");
    }
}

#[test]
fn a_release_of_something_unknown_is_answered() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    let up = b"\x62\x02\x00\x09";
    pair.serve(up, &mut vec![]);
    assert_eq!(pair.down, b"\x70\x03\x00\x09\x92");
}

#[test]
fn anything_before_a_connect_ends_without_a_word() {
    let cases: [(&[u8], Option<&str>); 5] = [
        (b"\xc0\x00", Some("no-connect")),
        (b"\x30\x03\x00\x01t", Some("no-connect")),
        (b"\xe0\x00", Some("no-connect")),
        // These read as the beginning of a packet: the deadline ends them.
        (b"\x16\x03\x01\x00", None),
        (b"GET / HTTP/1.1\r\n", None),
    ];
    for (bytes, why) in cases {
        let mut pair = Pair::new(Settings::default());
        pair.serve(bytes, &mut vec![]);
        assert_eq!(pair.closed.map(|end| end.why), why, "{bytes:02x?}");
        assert_eq!(pair.server.deadline().is_some(), why.is_none(), "{bytes:02x?}");
        assert_eq!(pair.down, b"");
    }
}

#[test]
fn a_connect_that_does_not_come_in_time_ends_the_connection() {
    let mut pair = Pair::new(Settings::default());
    let begun = pair.now;
    let max = limits::CONNECT_MS_MAX;
    assert_eq!(pair.server.expire(begun.plus_ms(max - 1), &mut pair.down), None);
    let closed = pair.server.expire(begun.plus_ms(max), &mut pair.down).unwrap();
    assert_eq!((closed.why, closed.will, pair.down.len()), ("connect-timeout", false, 0));
}

/// What a client saw that was turned away, and its connection ended.
fn refused(connect: &Connect<'_>) -> Vec<String> {
    let mut pair = Pair::new(Settings::default());
    let log = pair.dial(connect);
    assert!(pair.closed.is_some() && !pair.server.is_open(), "{log:?}");
    log
}

#[test]
fn connects_are_refused_with_the_reason_that_their_version_has() {
    let long = "i".repeat(limits::CLIENT_ID_BYTES_MAX + 1);
    for (version, told) in [(Version::V311, "refused 0x85"), (Version::V5, "refused 0x85")] {
        assert_eq!(refused(&Connect { client_id: &long, ..connect(version, true) }), [told]);
        let fits = Connect { client_id: &long[1..], ..connect(version, true) };
        Pair::open(Settings::default(), &fits);
    }
    let nameless = Connect { client_id: "", ..connect(Version::V311, false) };
    assert_eq!(refused(&nameless), ["refused 0x85"], "nameless and to be remembered");
    let mut buffer = [0; 16];
    let mut method = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    method.push(PropertyId::AUTHENTICATION_METHOD, Value::Text("SCRAM")).unwrap();
    let properties = method.finish().unwrap();
    assert_eq!(refused(&Connect { properties, ..connect(Version::V5, true) }), ["refused 0x8C"]);
}

#[test]
fn other_versions_are_told_which_are_spoken() {
    for (level, told) in [(3, &b"\x20\x02\x00\x01"[..]), (6, b"\x20\x03\x00\x84\x00")] {
        let mut pair = Pair::new(Settings::default());
        let mut bytes = *b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00";
        bytes[8] = level;
        pair.serve(&bytes, &mut vec![]);
        assert_eq!((&*pair.down, pair.closed.map(|end| end.why)), (told, Some("version")));
    }
}

#[test]
fn the_oldest_version_is_told_and_another_protocol_is_not() {
    let cases: [(&[u8], &[u8], &str); 2] = [
        (b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00", b"\x20\x02\x00\x01", "version"),
        (b"\x10\x0d\x00\x05MQTTT\x05\x02\x00\x00\x00\x00", b"", "malformed"),
    ];
    for (bytes, told, why) in cases {
        let mut pair = Pair::new(Settings::default());
        pair.serve(bytes, &mut vec![]);
        assert_eq!((&*pair.down, pair.closed.map(|end| end.why)), (told, Some(why)));
    }
}

#[test]
fn names_with_control_characters_are_refused_at_the_door() {
    for version in [Version::V311, Version::V5] {
        let bell = Connect { client_id: "c\u{7}", ..connect(version, true) };
        assert_eq!(refused(&bell), ["refused 0x85"]);
        let escape = Connect { username: Some("\u{9b}31m"), ..connect(version, true) };
        assert_eq!(refused(&escape), ["refused 0x86"]);
    }
}

#[test]
fn a_topic_of_the_hub_s_own_is_not_published_to() {
    for version in [Version::V311, Version::V5] {
        let mut pair = Pair::open(Settings::default(), &connect(version, true));
        for topic in ["$SYS/uptime", "$share/g/a"] {
            let publish = message(topic, QoS::AtLeastOnce);
            pair.client.publish(&publish, pair.now, &mut pair.up).unwrap();
        }
        let code = if version == Version::V5 { "0x87" } else { "0x00" };
        let log = pair.exchange();
        assert_eq!(log[..2], ["refused topic-reserved"; 2]);
        assert_eq!(log[2..], [format!("puback 1 {code}"), format!("puback 2 {code}")]);
        assert!(pair.closed.is_none());
        pair.client.publish(&message("$own/a", QoS::AtMostOnce), pair.now, &mut pair.up).unwrap();
        assert!(pair.exchange()[0].starts_with("publish $own/a"));
        let mut last = with_will(version);
        last.will.as_mut().unwrap().topic = "$SYS/last";
        assert_eq!(refused(&last), ["refused 0x87"]);
    }
}

#[test]
fn an_acknowledgement_of_another_quality_ends_the_connection() {
    let (puback, pubrec, pubcomp) = (b"\x40\x02\x00\x01", b"\x50\x02\x00\x01", b"\x70\x02\x00\x01");
    let cases: [(QoS, &[&[u8]]); 5] = [
        (QoS::AtLeastOnce, &[pubrec]),
        (QoS::AtLeastOnce, &[pubcomp]),
        (QoS::ExactlyOnce, &[puback]),
        (QoS::ExactlyOnce, &[pubcomp]),
        (QoS::ExactlyOnce, &[pubrec, puback]),
    ];
    for version in [Version::V311, Version::V5] {
        for (qos, answers) in cases {
            let mut pair = Pair::open(Settings::default(), &connect(version, true));
            pair.deliver_as(&message("t", qos), &DeliveryOptions::of(qos));
            for answer in answers {
                assert_eq!(pair.closed, None);
                pair.serve(answer, &mut vec![]);
            }
            assert_eq!(pair.closed.map(|end| end.why), Some("protocol-error"), "{answers:02x?}");
            assert_eq!(pair.down.ends_with(b"\xe0\x01\x82"), version == Version::V5);
        }
    }
}

#[test]
fn a_client_that_has_no_room_for_the_connack_is_turned_away_within_its_room() {
    for (room, client_id, told) in
        [(16, "c", 16), (15, "c", 5), (5, "c", 5), (4, "c", 0), (83, "", 16), (82, "", 5)]
    {
        let mut buffer = [0; 8];
        let mut small = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
        small.push(PropertyId::MAXIMUM_PACKET_SIZE, Value::Word(room)).unwrap();
        let properties = small.finish().unwrap();
        let mut pair = Pair::new(Settings::default());
        let wish = Connect { properties, client_id, ..connect(Version::V5, true) };
        Packet::Connect(wish).encode(Version::V5, &mut pair.up).unwrap();
        let up = std::mem::take(&mut pair.up);
        pair.serve(&up, &mut vec![]);
        assert_eq!(pair.down.len(), told, "{room}");
        assert_eq!(pair.server.is_open(), told > 5);
    }
}

#[test]
fn a_stranger_gets_less_room_than_a_client() {
    let mut pair = Pair::new(Settings::default());
    assert_eq!(pair.server.packet_bytes_max(), limits::CONNECT_BYTES_MAX);
    pair.dial(&connect(Version::V5, true));
    assert_eq!(pair.server.packet_bytes_max(), limits::PACKET_BYTES_MAX);
}

#[test]
fn more_messages_than_the_receive_maximum_end_a_client_of_5_and_hold_one_of_3_1_1_back() {
    let settings = Settings { receive_maximum: 3, ..Settings::default() };
    for version in [Version::V311, Version::V5] {
        let mut pair = Pair::open(settings.clone(), &connect(version, true));
        pair.next_ticket = Some(0);
        for id in 1..=4 {
            let id = hedgerow_mqtt::PacketId::new(id);
            let publish = Publish { id, ..message("t", QoS::AtLeastOnce) };
            publish.encode(version, &mut pair.up).unwrap();
        }
        let up = std::mem::take(&mut pair.up);
        let mut log = vec![];
        pair.serve(&up, &mut log);
        assert_eq!(log.len(), 3);
        match version {
            Version::V5 => assert_eq!(pair.closed.unwrap().why, "receive-maximum"),
            Version::V311 => {
                assert!(!pair.server.wants_input() && pair.closed.is_none());
                pair.server.settle(|_| Some(ReasonCode::SUCCESS), &mut pair.down);
                assert!(pair.server.wants_input());
                assert_eq!(pair.exchange().len(), 1, "the fourth, which had waited");
            }
        }
    }
}

#[test]
fn a_topic_beyond_the_limits_is_refused_and_the_connection_lives() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    let long = "t".repeat(limits::TOPIC_BYTES_MAX + 1);
    let publish = Publish { qos: QoS::AtLeastOnce, ..Publish::at_most_once(&long, b"x") };
    pair.client.publish(&publish, pair.now, &mut pair.up).unwrap();
    pair.client.publish(&Publish::at_most_once(&long, b"x"), pair.now, &mut pair.up).unwrap();
    let log = pair.exchange();
    assert_eq!(log, ["refused topic-limits", "refused topic-limits", "puback 1 0x90"]);
    let fits = Publish { topic: &long[1..], ..publish };
    pair.client.publish(&fits, pair.now, &mut pair.up).unwrap();
    assert!(pair.exchange()[0].starts_with("publish t"));
}

#[test]
fn subscriptions_have_limits_and_a_code_for_each() {
    let settings = Settings { subscriptions_max: 2, ..Settings::default() };
    let mut pair = Pair::open(settings, &connect(Version::V5, true));
    let long = "f".repeat(limits::TOPIC_BYTES_MAX + 1);
    let deep = ["+"; limits::TOPIC_LEVELS_MAX + 1].join("/");
    let of = |filter| (filter, SubscriptionOptions::of(QoS::AtMostOnce));
    let wanted =
        [of("a"), of(&long), of(&deep), of("$share/g/a"), of("c"), of("a"), of(&long[1..])];
    pair.client.subscribe(&wanted, pair.now, &mut pair.up).unwrap();
    let told = "suback [00, 8f, 8f, 00, 97, 00, 97]";
    assert_eq!(pair.exchange(), ["beyond subscriptions-full", told], "the last that did not fit");
}

#[test]
fn a_subscribe_with_too_many_filters_is_refused_whole() {
    for (count, open) in [(limits::FILTERS_MAX, true), (limits::FILTERS_MAX + 1, false)] {
        let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
        let wanted = vec![("a", SubscriptionOptions::of(QoS::AtMostOnce)); count];
        pair.client.subscribe(&wanted, pair.now, &mut pair.up).unwrap();
        pair.exchange();
        assert_eq!(pair.server.is_open(), open, "{count}");
        let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
        pair.client.unsubscribe(&vec!["a"; count], pair.now, &mut pair.up).unwrap();
        pair.exchange();
        assert_eq!(pair.server.is_open(), open, "{count}");
    }
}

#[test]
fn reason_strings_are_cut_to_their_limit_between_characters() {
    let long = "é".repeat(limits::REASON_STRING_BYTES_MAX);
    let mut pair = Pair::open(Settings::default(), &connect(Version::V5, true));
    let fault = Fault::Denied;
    pair.server.close(ReasonCode::NOT_AUTHORIZED, "test", fault, Some(&long), &mut pair.down);
    let Packet::Disconnect(end) = crate::vectors::decode(&pair.down, Version::V5) else {
        panic!("no disconnect")
    };
    let text = end.properties.text(PropertyId::REASON_STRING).unwrap();
    assert_eq!(text.len(), limits::REASON_STRING_BYTES_MAX);
    assert_eq!(
        Properties::check(end.properties.as_bytes(), Place::Packet(PacketKind::Disconnect)),
        Ok(end.properties)
    );
}

#[test]
fn nothing_is_sent_past_the_client_s_maximum_packet_size() {
    let mut buffer = [0; 8];
    let mut small = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    small.push(PropertyId::MAXIMUM_PACKET_SIZE, Value::Word(16)).unwrap();
    let properties = small.finish().unwrap();
    let mut pair = Pair::new(Settings::default());
    pair.dial(&Connect { properties, ..connect(Version::V5, true) });
    assert!(pair.server.takes(16) && !pair.server.takes(17));
    let text = Some("a text that is long");
    for (qos, told) in
        [(QoS::AtLeastOnce, b"\x40\x03\x00\x01\x87"), (QoS::ExactlyOnce, b"\x50\x03\x00\x01\x87")]
    {
        let asked = (hedgerow_mqtt::PacketId::MIN, qos);
        pair.server.acknowledge(asked, ReasonCode::NOT_AUTHORIZED, text, &mut pair.down);
        assert_eq!(pair.down, told, "without the reason string");
        pair.down.clear();
    }
    pair.deliver(&Publish { payload: b"1234567890", ..message("t", QoS::AtLeastOnce) });
    assert_eq!((pair.down.len(), pair.server.session().queued()), (0, 0), "18 bytes");
    pair.deliver(&Publish { payload: b"12345678", ..message("t", QoS::AtLeastOnce) });
    assert_eq!(pair.down.len(), 16);
    pair.down.clear();
    pair.server.close(ReasonCode::SERVER_BUSY, "test", Fault::Unavailable, text, &mut pair.down);
    assert_eq!(pair.down, b"\xe0\x01\x89", "without the reason string");
}
