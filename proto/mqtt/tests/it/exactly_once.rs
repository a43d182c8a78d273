//! QoS 2 on both ways, across connections; and topic aliases.

use hedgerow_mqtt::{
    Connect, DeliveryOptions, Later, PacketKind, Place, PropertyId, PropertyWriter, Publish, QoS,
    ReasonCode, Settings, Value, Version, limits,
};

use crate::pair::{Pair, connect, message};

const TWICE: QoS = QoS::ExactlyOnce;

fn lasting(version: Version) -> Pair {
    let mut buffer = [0; 8];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    writer.push(PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(60)).unwrap();
    let properties = match version {
        Version::V5 => writer.finish().unwrap(),
        Version::V311 => hedgerow_mqtt::Properties::NONE,
    };
    Pair::open(Settings::default(), &Connect { properties, ..connect(version, false) })
}

/// A new connection of the same client; gives what the server says after CONNACK.
fn again(pair: &mut Pair) -> Vec<u8> {
    let mut buffer = [0; 8];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    writer.push(PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(60)).unwrap();
    let connect = match pair.server.version() {
        Version::V5 => {
            Connect { properties: writer.finish().unwrap(), ..connect(Version::V5, false) }
        }
        Version::V311 => connect(Version::V311, false),
    };
    // Only the server's part is looked at: the client machine does not do QoS 2.
    pair.kept = pair.server.take_session().map(|(session, _)| session);
    pair.server = hedgerow_mqtt::Server::new(Settings::default().into(), pair.now);
    (pair.up, pair.down, pair.closed) = (vec![], vec![], None);
    let mut up = vec![];
    hedgerow_mqtt::Packet::Connect(connect).encode(connect.version, &mut up).unwrap();
    hear(pair, &up);
    let all = said(pair);
    all[2 + usize::from(all[1])..].to_vec()
}

/// The server takes these bytes; gives what it saw.
fn hear(pair: &mut Pair, bytes: &[u8]) -> Vec<String> {
    let mut log = vec![];
    pair.serve(bytes, &mut log);
    log
}

fn said(pair: &mut Pair) -> Vec<u8> {
    std::mem::take(&mut pair.down)
}

fn publish(version: Version, id: u16, dup: bool) -> Vec<u8> {
    let mut bytes = vec![];
    let id = hedgerow_mqtt::PacketId::new(id);
    Publish { id, dup, ..message("t", TWICE) }.encode(version, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_message_that_comes_again_before_its_release_goes_nowhere() {
    for version in [Version::V311, Version::V5] {
        let mut pair = lasting(version);
        assert_eq!(hear(&mut pair, &publish(version, 7, false)).len(), 1);
        assert_eq!(said(&mut pair), b"\x50\x02\x00\x07");
        assert!(hear(&mut pair, &publish(version, 7, true)).is_empty(), "the same connection");
        assert_eq!(said(&mut pair), b"\x50\x02\x00\x07");
        again(&mut pair);
        assert!(hear(&mut pair, &publish(version, 7, true)).is_empty(), "the next one");
        assert_eq!(said(&mut pair), b"\x50\x02\x00\x07");
        hear(&mut pair, b"\x62\x02\x00\x07");
        assert_eq!(said(&mut pair), b"\x70\x02\x00\x07");
        assert_eq!(hear(&mut pair, &publish(version, 7, false)).len(), 1, "released: a new one");
    }
}

#[test]
fn a_ticket_that_outlives_its_connection_answers_on_the_next() {
    let mut pair = lasting(Version::V5);
    pair.next_ticket = Some(40);
    hear(&mut pair, &publish(Version::V5, 7, false));
    assert!(said(&mut pair).is_empty());
    assert!(hear(&mut pair, &publish(Version::V5, 7, true)).is_empty(), "it waits already");
    again(&mut pair);
    assert_eq!(hear(&mut pair, &publish(Version::V5, 7, true)), ["repeated"]);
    pair.server.settle(|ticket| (ticket == 40).then_some(ReasonCode::SUCCESS), &mut pair.down);
    assert_eq!(said(&mut pair), b"\x50\x02\x00\x07");
}

#[test]
fn a_message_that_was_refused_may_come_again_as_a_new_one() {
    let mut pair = lasting(Version::V5);
    pair.next_ticket = Some(1);
    hear(&mut pair, &publish(Version::V5, 7, false));
    pair.server.settle(|_| Some(ReasonCode::QUOTA_EXCEEDED), &mut pair.down);
    assert_eq!(said(&mut pair), b"\x50\x03\x00\x07\x97");
    assert_eq!(hear(&mut pair, &publish(Version::V5, 7, false)), ["publish t Some(7) dup=false"]);
}

#[test]
fn answers_to_both_qualities_leave_in_the_order_of_their_messages() {
    let mut pair = lasting(Version::V5);
    pair.next_ticket = Some(1);
    hear(&mut pair, &publish(Version::V5, 7, false));
    pair.next_ticket = None;
    let mut once = vec![];
    let id = hedgerow_mqtt::PacketId::new(8);
    Publish { id, ..message("t", QoS::AtLeastOnce) }.encode(Version::V5, &mut once).unwrap();
    hear(&mut pair, &once);
    assert!(said(&mut pair).is_empty());
    pair.server.settle(|_| Some(ReasonCode::SUCCESS), &mut pair.down);
    assert_eq!(said(&mut pair), b"\x50\x02\x00\x07\x40\x02\x00\x08");
}

#[test]
fn unreleased_messages_count_against_the_limits_and_not_one_more_is_taken() {
    for (version, max) in [
        (Version::V5, usize::from(limits::RECEIVE_MAXIMUM)),
        (Version::V311, limits::UNRELEASED_MAX),
    ] {
        let mut pair = lasting(version);
        for id in 1..=max {
            hear(&mut pair, &publish(version, u16::try_from(id).unwrap(), false));
        }
        assert!(pair.closed.is_none(), "{max} fit");
        hear(&mut pair, b"\x62\x02\x00\x01");
        hear(&mut pair, &publish(version, 1, false));
        assert!(pair.closed.is_none(), "a released one makes room");
        hear(&mut pair, &publish(version, u16::try_from(max + 1).unwrap(), false));
        assert_eq!(pair.closed.unwrap().why, "receive-maximum");
    }
}

#[test]
fn a_message_for_the_client_goes_on_from_where_the_connection_broke() {
    for version in [Version::V311, Version::V5] {
        let mut pair = lasting(version);
        let options = DeliveryOptions::of(TWICE);
        pair.deliver_as(&message("t", TWICE), &options);
        let first = said(&mut pair);
        assert_eq!(first[0], 0x34);
        let dup = |packet: &[u8]| [&[packet[0] | 8], &packet[1..]].concat();
        assert_eq!(again(&mut pair), dup(&first));
        hear(&mut pair, b"\x50\x02\x00\x01");
        assert_eq!(said(&mut pair), b"\x62\x02\x00\x01");
        assert_eq!(again(&mut pair), b"\x62\x02\x00\x01", "the client has it: only the release");
        pair.server.send(pair.now, usize::MAX, u64::MAX, &mut pair.down);
        assert!(said(&mut pair).is_empty(), "once a connection");
        hear(&mut pair, b"\x50\x02\x00\x01");
        assert_eq!(said(&mut pair), b"\x62\x02\x00\x01", "asked again, it is said again");
        hear(&mut pair, b"\x70\x02\x00\x01");
        assert_eq!(pair.server.session().queued(), 0);
        hear(&mut pair, b"\x70\x02\x00\x01");
        assert!(pair.closed.is_none(), "a PUBCOMP too many is harmless");
        assert_eq!(again(&mut pair), b"", "it is complete");
    }
}

#[test]
fn a_message_that_the_client_refuses_is_done() {
    let mut pair = lasting(Version::V5);
    for (qos, refusal) in
        [(TWICE, b"\x50\x03\x00\x01\x97"), (QoS::AtLeastOnce, b"\x40\x03\x00\x02\x97")]
    {
        pair.deliver_as(&message("t", qos), &DeliveryOptions::of(qos));
        said(&mut pair);
        assert_eq!(hear(&mut pair, refusal), ["acknowledged"]);
        assert!(said(&mut pair).is_empty());
        assert_eq!((pair.server.session().queued(), pair.server.session().queued_bytes()), (0, 0));
        assert_eq!(again(&mut pair), b"");
    }
}

#[test]
fn a_receipt_for_something_unknown_is_answered_so() {
    let mut pair = lasting(Version::V5);
    hear(&mut pair, b"\x50\x02\x00\x09");
    assert_eq!(said(&mut pair), b"\x62\x03\x00\x09\x92");
    hear(&mut pair, b"\x50\x03\x00\x09\x80");
    assert!(said(&mut pair).is_empty(), "a refusal of it needs no answer");
}

#[test]
fn an_alias_stands_for_its_topic_until_it_is_given_another() {
    let mut pair = lasting(Version::V5);
    assert_eq!(hear(&mut pair, b"\x30\x07\x00\x01t\x03\x23\x00\x20"), ["aliased t []"]);
    assert_eq!(
        hear(&mut pair, b"\x30\x08\x00\x00\x05\x01\x01\x23\x00\x20"),
        ["aliased t [01, 01]"]
    );
    assert_eq!(hear(&mut pair, b"\x30\x07\x00\x01u\x03\x23\x00\x20"), ["aliased u []"]);
    assert_eq!(hear(&mut pair, b"\x30\x06\x00\x00\x03\x23\x00\x20"), ["aliased u []"]);
    again(&mut pair);
    hear(&mut pair, b"\x30\x06\x00\x00\x03\x23\x00\x20");
    assert_eq!(pair.closed.unwrap().why, "protocol-error", "aliases end with their connection");
}

#[test]
fn an_alias_of_a_topic_that_is_turned_away_no_longer_names_the_one_before() {
    let long = "t".repeat(limits::TOPIC_BYTES_MAX + 1);
    for (topic, why, told) in
        [(&*long, "topic-limits", 0x90), ("$SYS/uptime", "topic-reserved", 0x87)]
    {
        let mut pair = lasting(Version::V5);
        assert_eq!(hear(&mut pair, b"\x30\x07\x00\x01t\x03\x23\x00\x20"), ["aliased t []"]);
        let mut buffer = [0; 4];
        let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Publish));
        writer.push(PropertyId::TOPIC_ALIAS, Value::Short(0x20)).unwrap();
        let properties = writer.finish().unwrap();
        let message = Publish { properties, ..Publish::at_most_once(topic, b"") };
        let mut bytes = vec![];
        message.encode(Version::V5, &mut bytes).unwrap();
        let refused = format!("refused {why}");
        assert_eq!(hear(&mut pair, &bytes), std::slice::from_ref(&refused));
        said(&mut pair);
        assert_eq!(hear(&mut pair, b"\x32\x08\x00\x00\x00\x07\x03\x23\x00\x20"), [refused]);
        let told_now = said(&mut pair);
        assert_eq!((told_now[0], &told_now[2..5]), (0x40, &[0, 7, told][..]));
        assert_eq!(pair.closed, None, "the client did nothing wrong");
    }
}

#[test]
fn a_client_that_takes_aliases_hears_a_topic_once() {
    let mut buffer = [0; 8];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    writer.push(PropertyId::TOPIC_ALIAS_MAXIMUM, Value::Short(1)).unwrap();
    let properties = writer.finish().unwrap();
    let connect = Connect { properties, ..connect(Version::V5, true) };
    let mut pair = Pair::open(Settings::default(), &connect);
    let now = DeliveryOptions::of(QoS::AtMostOnce);
    assert!(!pair.server.takes_plain(&now));
    let send = |pair: &mut Pair, topic| {
        assert!(pair.server.send_now(&message(topic, QoS::AtMostOnce), &now, None, &mut pair.down));
        said(pair)
    };
    assert_eq!(send(&mut pair, "long"), b"\x30\x0b\x00\x04long\x03\x23\x00\x01x");
    assert_eq!(send(&mut pair, "long"), b"\x30\x07\x00\x00\x03\x23\x00\x01x");
    assert_eq!(send(&mut pair, "b"), b"\x30\x05\x00\x01b\x00x", "one is all that it takes");
    pair.deliver(&message("long", QoS::AtLeastOnce));
    assert_eq!(said(&mut pair), b"\x32\x09\x00\x00\x00\x01\x03\x23\x00\x01x");
}

#[test]
fn a_message_carries_the_identifiers_and_the_flag_of_its_subscriptions() {
    let mut pair = lasting(Version::V5);
    let identifiers = Some([1, 300].into());
    let options = DeliveryOptions { qos: QoS::AtLeastOnce, retain: true, identifiers };
    pair.deliver_as(&message("t", QoS::AtLeastOnce), &options);
    assert_eq!(said(&mut pair), b"\x33\x0c\x00\x01t\x00\x01\x05\x0b\x01\x0b\xac\x02x");
}

#[test]
fn in_a_session_that_is_kept_promises_wait_for_the_disk() {
    let mut pair = lasting(Version::V5);
    pair.server.session_mut().keep_as(Some(1));
    hear(&mut pair, &publish(Version::V5, 7, false));
    said(&mut pair);
    assert_eq!(hear(&mut pair, b"\x62\x02\x00\x07"), ["released 7"]);
    assert!(said(&mut pair).is_empty(), "PUBCOMP waits");
    pair.server.answer_later(Later::PubComp(hedgerow_mqtt::PacketId::new(7).unwrap()), 5);
    let kept = hedgerow_mqtt::Kept::new(&message("t", TWICE), pair.now);
    pair.server.deliver(&kept, &DeliveryOptions::of(TWICE), pair.now);
    pair.server.session_mut().wait_for(0, 6);
    pair.server.send(pair.now, usize::MAX, 5, &mut pair.down);
    assert!(said(&mut pair).is_empty() && pair.server.is_waiting(5), "the message waits");
    assert!(
        pair.server.settle(|ticket| (ticket <= 5).then_some(ReasonCode::SUCCESS), &mut pair.down)
    );
    pair.server.send(pair.now, usize::MAX, 6, &mut pair.down);
    assert_eq!(said(&mut pair)[..5], *b"\x70\x02\x00\x07\x34");
    assert_eq!(hear(&mut pair, b"\x50\x02\x00\x01"), ["recorded 1 0"]);
    assert!(said(&mut pair).is_empty(), "PUBREL waits");
    pair.server.answer_later(Later::PubRel(hedgerow_mqtt::PacketId::MIN), 8);
    assert!(hear(&mut pair, b"\x50\x02\x00\x01").is_empty(), "asked again, it still does");
    assert!(pair.server.settle(|_| Some(ReasonCode::SUCCESS), &mut pair.down));
    assert_eq!(said(&mut pair), b"\x62\x02\x00\x01");
    hear(&mut pair, b"\x70\x02\x00\x01");
    assert_eq!(pair.server.session_mut().take_done(), [0]);
    pair.server.answer_later(Later::Bytes(b"?".as_slice().into()), 9);
    assert!(!pair.server.settle(|_| Some(ReasonCode::UNSPECIFIED), &mut pair.down));
    assert!(said(&mut pair).is_empty(), "what failed is never said");
}
