//! What outlives a connection, and the queue's limits.

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{
    Connect, Delivery, DeliveryOptions, Kept, PacketKind, Place, PropertyId, PropertyWriter,
    Publish, QoS, QueueBounds, QueuePolicy, Settings, SubscriptionOptions, Value, Version,
};

use crate::pair::{Pair, connect, message};

const QOS_1: QoS = QoS::AtLeastOnce;
const PLAIN: DeliveryOptions = DeliveryOptions::of(QOS_1);

#[test]
fn unacknowledged_messages_come_again_with_dup_and_their_identifiers() {
    let lasting = connect(Version::V311, false);
    let mut pair = Pair::open(Settings::default(), &lasting);
    let wanted = [("t/#", SubscriptionOptions::of(QOS_1))];
    pair.client.subscribe(&wanted, pair.now, &mut pair.up).unwrap();
    pair.exchange();
    for topic in ["t/1", "t/2", "t/3"] {
        pair.deliver(&message(topic, QOS_1));
    }
    let sent = std::mem::take(&mut pair.down);
    let mut log = vec![];
    pair.server.send(pair.now.plus_ms(86_400_000), usize::MAX, u64::MAX, &mut pair.down);
    assert!(pair.down.is_empty(), "not before the next connection");
    pair.answer(&sent, &mut log);
    // Only the acknowledgement of the second one arrives.
    let acks = std::mem::take(&mut pair.up);
    pair.serve(&acks[4..8], &mut log);
    let log = pair.redial(Settings::default(), &lasting);
    assert_eq!(
        log[..3],
        ["connected present=true", "message t/1 1 dup=true", "message t/3 3 dup=true"]
    );
    assert_eq!(pair.server.session().subscription_count(), 1);
    assert_eq!((pair.server.session().queued(), pair.server.session().queued_bytes()), (0, 0));
}

#[test]
fn messages_wait_for_a_client_that_is_away() {
    let lasting = connect(Version::V311, false);
    let mut pair = Pair::open(Settings::default(), &lasting);
    let (mut session, seconds) = pair.server.take_session().unwrap();
    assert_eq!(seconds, hedgerow_mqtt::limits::SESSION_EXPIRY_S_MAX);
    assert!(
        session
            .enqueue(
                &Kept::new(&message("t", QOS_1), pair.now),
                &PLAIN,
                &QueueBounds::default(),
                pair.now
            )
            .is_some()
    );
    pair.server = hedgerow_mqtt::Server::new(Settings::default().into(), pair.now);
    pair.kept = Some(session);
    let log = pair.dial(&lasting);
    assert_eq!(log, ["connected present=true", "message t 1 dup=false", "acknowledged"]);
}

#[test]
fn a_clean_start_begins_with_nothing() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V311, false));
    pair.deliver(&message("t", QOS_1));
    let log = pair.redial(Settings::default(), &connect(Version::V311, true));
    assert_eq!(log, ["connected present=false"]);
    assert!(pair.server.take_session().is_none(), "and leaves nothing");
}

#[test]
fn a_session_of_5_lives_as_long_as_it_asked_for() {
    for (asked, max, kept) in [(0, 100, None), (60, 100, Some(60)), (u32::MAX, 100, Some(100))] {
        let mut buffer = [0; 8];
        let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
        writer.push(PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(asked)).unwrap();
        let settings = Settings { session_expiry_s_max: max, ..Settings::default() };
        let properties = writer.finish().unwrap();
        let mut pair = Pair::open(settings, &Connect { properties, ..connect(Version::V5, true) });
        assert_eq!(pair.server.take_session().map(|(_, seconds)| seconds), kept);
    }
}

#[test]
fn a_goodbye_can_change_the_life_of_the_session() {
    let mut buffer = [0; 8];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    writer.push(PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(60)).unwrap();
    let properties = writer.finish().unwrap();
    let mut pair = Pair::new(Settings::default());
    pair.dial(&Connect { properties, ..connect(Version::V5, true) });
    pair.up.extend_from_slice(b"\xe0\x07\x00\x05\x11\x00\x00\x00\x00");
    pair.exchange();
    assert_eq!(pair.closed.map(|closed| closed.why), Some("disconnect"));
    assert!(pair.server.take_session().is_none());
}

#[test]
fn the_window_of_the_client_is_kept_and_refilled() {
    let mut buffer = [0; 8];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Connect));
    writer.push(PropertyId::RECEIVE_MAXIMUM, Value::Short(2)).unwrap();
    let properties = writer.finish().unwrap();
    let mut pair = Pair::new(Settings::default());
    pair.dial(&Connect { properties, ..connect(Version::V5, true) });
    for _ in 0..5 {
        pair.server.deliver(&Kept::new(&message("t", QOS_1), pair.now), &PLAIN, pair.now);
    }
    pair.server.send(pair.now, usize::MAX, u64::MAX, &mut pair.down);
    let one = 3 + 1 + 2 + 1 + 1 + 1;
    assert_eq!(pair.down.len(), 2 * one, "two in flight");
    let log = pair.exchange();
    let ids: Vec<_> = log.iter().filter(|line| line.starts_with("message")).collect();
    assert_eq!(ids.len(), 5, "{log:?}");
    assert_eq!(pair.server.session().queued(), 0);
}

#[test]
fn the_queue_holds_so_many_messages_and_bytes_and_not_one_more() {
    let queue = QueueBounds { messages_max: 3, bytes_max: 10, ..QueueBounds::default() };
    let settings = Settings { queue, ..Settings::default() };
    let mut pair = Pair::open(settings.clone(), &connect(Version::V5, true));
    let two_bytes = Kept::new(&message("t", QOS_1), pair.now);
    for _ in 0..3 {
        assert!(matches!(pair.server.deliver(&two_bytes, &PLAIN, pair.now), Delivery::Kept(_)));
    }
    assert_eq!(
        pair.server.deliver(&two_bytes, &PLAIN, pair.now),
        Delivery::QueueFull,
        "a fourth message"
    );
    let mut pair = Pair::open(settings, &connect(Version::V5, true));
    let nine = Kept::new(&Publish { payload: b"12345678", ..message("t", QOS_1) }, pair.now);
    assert!(matches!(pair.server.deliver(&nine, &PLAIN, pair.now), Delivery::Kept(_)));
    assert_eq!(
        pair.server.deliver(&two_bytes, &PLAIN, pair.now),
        Delivery::QueueFull,
        "an eleventh byte"
    );
}

fn drop_oldest(messages_max: usize, bytes_max: usize) -> Settings {
    let policy = QueuePolicy::DropOldest;
    let queue = QueueBounds { messages_max, bytes_max, policy, ..QueueBounds::default() };
    Settings { queue, in_flight_max: 2, ..Settings::default() }
}

fn numbered(number: u16, now: Timestamp) -> Kept {
    Kept::new(&Publish { payload: &number.to_be_bytes(), ..message("t", QOS_1) }, now)
}

/// The numbers in the PUBLISH packets.
fn numbers(mut bytes: &[u8]) -> Vec<u16> {
    let mut numbers = vec![];
    while let Ok(hedgerow_mqtt::Split::Whole(frame, rest)) = hedgerow_mqtt::split(bytes, 1000) {
        let packet = hedgerow_mqtt::Packet::decode(frame, Version::V5);
        if let Ok(hedgerow_mqtt::Packet::Publish(publish)) = packet {
            numbers.push(u16::from_be_bytes(publish.payload.try_into().unwrap()));
        }
        bytes = rest;
    }
    numbers
}

#[test]
fn where_the_oldest_make_room_the_latest_arrive_and_what_was_sent_stays() {
    let mut pair = Pair::open(drop_oldest(4, 1000), &connect(Version::V5, true));
    pair.server.session_mut().keep_as(Some(1));
    for number in 0..2 {
        pair.server.deliver(&numbered(number, pair.now), &PLAIN, pair.now);
    }
    pair.server.send(pair.now, usize::MAX, u64::MAX, &mut pair.down);
    assert_eq!(numbers(&pair.down), [0, 1], "two in flight");
    pair.down.clear();
    for number in 2..16 {
        let delivery = pair.server.deliver(&numbered(number, pair.now), &PLAIN, pair.now);
        assert!(matches!(delivery, Delivery::Kept(_)), "{number}");
    }
    assert_eq!(pair.server.session().queued(), 4);
    // Identifiers go round in order, so what made room takes a place until the first is acknowledged.
    assert_eq!(pair.server.deliver(&numbered(16, pair.now), &PLAIN, pair.now), Delivery::QueueFull);
    for id in [1, 2] {
        pair.serve(&[0x40, 2, 0, id], &mut vec![]);
    }
    pair.server.send(pair.now, usize::MAX, u64::MAX, &mut pair.down);
    assert_eq!(numbers(&pair.down), [14, 15], "the latest");
    assert!(matches!(
        pair.server.deliver(&numbered(17, pair.now), &PLAIN, pair.now),
        Delivery::Kept(_)
    ));
}

#[test]
fn a_client_that_comes_back_gets_the_latest_when_the_oldest_make_room() {
    for (settings, left) in [(drop_oldest(4, 1000), 4), (drop_oldest(100, 9), 3)] {
        let mut session = hedgerow_mqtt::Session::new();
        session.keep_as(Some(1));
        let now = Timestamp::from_secs(1);
        for number in 0..50 {
            assert!(
                session.enqueue(&numbered(number, now), &PLAIN, &settings.queue, now).is_some()
            );
            assert!(session.queued() <= left);
        }
        assert_eq!(session.take_displaced(), 50 - left);
        assert_eq!(session.take_displaced(), 0);
        let gone: Vec<u64> = (0..50 - left as u64).collect();
        assert_eq!(session.take_done(), gone, "the disk is told");
        let too_large = Kept::new(&Publish { payload: &[0; 1000], ..message("t", QOS_1) }, now);
        assert_eq!(session.enqueue(&too_large, &PLAIN, &settings.queue, now), None);
        assert_eq!(session.queued(), left, "for what never fits nothing makes room");
    }
}

#[test]
fn a_message_that_waited_too_long_is_dropped_and_a_moment_earlier_it_is_not() {
    for (waited_ms, dropped) in [(999, 0), (1000, 1)] {
        let queue = QueueBounds { age_ms_max: 1000, ..QueueBounds::default() };
        let settings = Settings { queue, ..Settings::default() };
        let mut pair = Pair::open(settings, &connect(Version::V5, true));
        pair.server.deliver(&numbered(1, pair.now), &PLAIN, pair.now);
        let now = pair.now.plus_ms(waited_ms);
        assert_eq!(pair.server.send(now, usize::MAX, u64::MAX, &mut pair.down), dropped);
        assert_eq!(pair.server.session().queued(), 1 - dropped);
    }
}

#[test]
fn identifiers_wrap_around_without_zero() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V311, true));
    for _ in 0..65_534 {
        pair.deliver(&message("t", QOS_1));
        pair.exchange();
    }
    let mut seen = vec![];
    for _ in 0..3 {
        pair.deliver(&message("t", QOS_1));
    }
    seen.extend(pair.exchange().into_iter().filter(|line| line.starts_with("message")));
    let ids = ["message t 65535 dup=false", "message t 1 dup=false", "message t 2 dup=false"];
    assert_eq!(seen, ids);
    assert_eq!(pair.server.session().queued(), 0);
}

#[test]
fn a_full_out_buffer_holds_messages_back_without_losing_them() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V311, true));
    for _ in 0..4 {
        pair.server.deliver(&Kept::new(&message("t", QOS_1), pair.now), &PLAIN, pair.now);
    }
    pair.server.send(pair.now, 10, u64::MAX, &mut pair.down);
    assert!(pair.server.has_more() && pair.down.len() < 20);
    pair.exchange();
    pair.server.send(pair.now, usize::MAX, u64::MAX, &mut pair.down);
    pair.exchange();
    assert_eq!(pair.server.session().queued(), 0);
}

#[test]
fn messages_no_longer_wanted_leave_the_queue_and_the_rest_goes_on() {
    let mut pair = Pair::open(Settings::default(), &connect(Version::V311, true));
    for topic in ["no", "yes", "no", "yes"] {
        pair.deliver(&message(topic, QOS_1));
    }
    for topic in ["no", "yes"] {
        pair.server.deliver(&Kept::new(&message(topic, QOS_1), pair.now), &PLAIN, pair.now);
    }
    assert_eq!(pair.server.session_mut().retain(|topic| topic == "yes"), 3);
    let log = pair.exchange();
    assert_eq!(log.iter().filter(|line| *line == "acknowledged").count(), 3, "{log:?}");
    assert!(log.contains(&"message yes 6 dup=false".into()), "{log:?}");
    assert_eq!((pair.server.session().queued(), pair.server.session().queued_bytes()), (0, 0));
}

#[test]
fn what_was_kept_comes_back_as_it_was() {
    let mut buffer = [0; 16];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Publish));
    writer.push(PropertyId::MESSAGE_EXPIRY_INTERVAL, Value::Word(10)).unwrap();
    writer.push(PropertyId::USER_PROPERTY, Value::Pair("k", "v")).unwrap();
    let now = hedgerow_base::Timestamp::from_secs(1_000_000);
    let full = Publish { properties: writer.finish().unwrap(), ..message("a/b", QOS_1) };
    for message in [full, message("t", QOS_1), Publish { payload: b"", ..message("t", QOS_1) }] {
        let kept = Kept::new(&message, now);
        let bytes = kept.to_bytes();
        let again = Kept::from_bytes(&bytes).unwrap();
        assert_eq!((again.message(), again.to_bytes()), (kept.message(), bytes.clone()));
        assert_eq!(again.is_expired(now.plus_ms(10_000)), kept.is_expired(now.plus_ms(10_000)));
        for cut in 0..16 + message.topic.len() {
            assert!(Kept::from_bytes(&bytes[..cut]).is_none(), "{cut}");
        }
    }
    for options in
        [PLAIN, DeliveryOptions { identifiers: Some([1, 2].into()), retain: true, ..PLAIN }]
    {
        assert_eq!(DeliveryOptions::from_bytes(&options.to_bytes()), Some(options));
    }
    assert_eq!(DeliveryOptions::from_bytes(&[3]), None);
    let options = SubscriptionOptions {
        no_local: true,
        identifier: std::num::NonZeroU32::new(7),
        ..SubscriptionOptions::of(QOS_1)
    };
    assert_eq!(SubscriptionOptions::from_bytes(&options.to_bytes()), Some(options));
    assert_eq!(SubscriptionOptions::from_bytes(&options.to_bytes()[..4]), None);
}

#[test]
fn a_session_put_back_goes_on_with_its_identifiers() {
    let lasting = connect(Version::V311, false);
    let mut pair = Pair::open(Settings::default(), &lasting);
    let mut session = hedgerow_mqtt::Session::new();
    let kept = Kept::new(&message("t", QOS_1), pair.now);
    let twice = DeliveryOptions::of(QoS::ExactlyOnce);
    session.restore(65_534, Some(kept.clone()), PLAIN);
    session.restore(65_536, None, twice);
    session.restore(65_536, Some(kept.clone()), PLAIN);
    session.restore(65_537, Some(kept.clone()), PLAIN);
    assert_eq!(session.enqueue(&kept, &PLAIN, &QueueBounds::default(), pair.now), Some(65_538));
    pair.server.take_session();
    pair.kept = Some(session);
    pair.server = hedgerow_mqtt::Server::new(Settings::default().into(), pair.now);
    let mut up = vec![];
    hedgerow_mqtt::Packet::Connect(lasting).encode(Version::V311, &mut up).unwrap();
    pair.serve(&up, &mut vec![]);
    // CONNACK, 65535 with DUP, PUBREL 2, 3 with DUP, 4 without.
    assert_eq!(
        pair.down,
        b"\x20\x02\x01\x00\x3a\x06\x00\x01t\xff\xffx\x62\x02\x00\x02\
          \x3a\x06\x00\x01t\x00\x03x\x32\x06\x00\x01t\x00\x04x"
    );
    let mut log = vec![];
    for ack in [b"\x40\x02\xff\xff", b"\x70\x02\x00\x02", b"\x40\x02\x00\x03", b"\x40\x02\x00\x04"]
    {
        pair.serve(ack, &mut log);
    }
    assert_eq!((log.len(), pair.server.session().queued()), (4, 0));
}
