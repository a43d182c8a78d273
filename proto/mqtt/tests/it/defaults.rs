//! What a server holds its clients to unless told otherwise: at each limit and one past it.

use hedgerow_base::{Fault, Timestamp};
use hedgerow_mqtt::{
    Connect, Delivery, DeliveryOptions, Kept, Packet, PropertyId, Publish, QoS, QueueBounds,
    QueuePolicy, ReasonCode, Settings, Version, limits,
};

use crate::pair::{Pair, connect, message};

fn open() -> Pair {
    Pair::open(Settings::default(), &connect(Version::V5, true))
}

#[test]
fn the_queue_of_a_session_is_full_at_its_limits() {
    let mut pair = open();
    let options = DeliveryOptions::of(QoS::AtLeastOnce);
    let now = Timestamp::from_secs(1);
    let small = Kept::new(&message("t", QoS::AtLeastOnce), now);
    for _ in 0..limits::QUEUE_MESSAGES_MAX {
        assert!(matches!(pair.server.deliver(&small, &options, pair.now), Delivery::Kept(_)));
    }
    assert!(matches!(pair.server.deliver(&small, &options, pair.now), Delivery::QueueFull));
    let payload = vec![0; limits::QUEUE_BYTES_MAX];
    let of = |bytes: usize| Kept::new(&Publish::at_most_once("t", &payload[..bytes]), now);
    for (bytes, fits) in [(limits::QUEUE_BYTES_MAX - 1, true), (limits::QUEUE_BYTES_MAX, false)] {
        let delivery = {
            let mut pair = open();
            pair.server.deliver(&of(bytes), &options, pair.now)
        };
        assert_eq!(matches!(delivery, Delivery::Kept(_)), fits, "{bytes} and a topic of 1");
    }
}

#[test]
fn so_many_messages_are_in_flight_and_not_one_more() {
    let mut pair = open();
    for _ in 0..=limits::IN_FLIGHT_MAX {
        pair.deliver(&message("t", QoS::AtLeastOnce));
    }
    assert_eq!(pair.down.len(), usize::from(limits::IN_FLIGHT_MAX) * 9);
    pair.down.clear();
    pair.serve(b"\x40\x02\x00\x01", &mut vec![]);
    assert_eq!(pair.down.len(), 9, "an acknowledgement makes room for the last one");
}

#[test]
fn so_many_subscriptions_stand_and_not_one_more() {
    let mut pair = open();
    for number in 0..=limits::SUBSCRIPTIONS_MAX {
        let filter = format!("{number:04}");
        let packet = [&[0x82, 10, 0, 1, 0, 0, 4], filter.as_bytes(), &[0]].concat();
        pair.down.clear();
        pair.serve(&packet, &mut vec![]);
        let code = if number < limits::SUBSCRIPTIONS_MAX { 0 } else { 0x97 };
        assert_eq!(pair.down, [0x90, 4, 0, 1, 0, code], "{number}");
    }
}

#[test]
fn aliases_up_to_the_limit_are_taken_and_one_past_it_is_not() {
    for (alias, taken) in [(limits::TOPIC_ALIAS_MAX, true), (limits::TOPIC_ALIAS_MAX + 1, false)] {
        let mut pair = open();
        let [high, low] = alias.to_be_bytes();
        pair.serve(&[0x30, 7, 0, 1, b't', 3, 0x23, high, low], &mut vec![]);
        assert_eq!(pair.closed.is_none(), taken, "{alias}");
    }
}

#[test]
fn aliases_are_given_up_to_the_limit_and_further_topics_have_none() {
    let mut pair = Pair::new(Settings::default());
    pair.serve(b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x03\x22\xff\xff\x00\x01c", &mut vec![]);
    for number in 0..=limits::TOPIC_ALIASES_GIVEN_MAX {
        pair.down.clear();
        let topic = format!("t{number:02}");
        let publish = Publish { qos: QoS::AtLeastOnce, ..Publish::at_most_once(&topic, b"x") };
        pair.deliver(&publish);
        let with_alias = pair.down[1] == 12;
        assert_eq!(with_alias, number < limits::TOPIC_ALIASES_GIVEN_MAX, "{number}");
    }
}

#[test]
fn a_keep_alive_at_the_limit_stands_and_one_past_it_is_corrected() {
    let max = limits::KEEP_ALIVE_S_MAX;
    for (asked, held) in [(max, max), (max + 1, max), (0, max)] {
        let wish = Connect { keep_alive_s: asked, ..connect(Version::V5, true) };
        let pair = Pair::open(Settings::default(), &wish);
        let at = pair.now.plus_ms(i64::from(held) * 1_500);
        assert_eq!(pair.server.deadline().unwrap().at, at, "{asked}");
    }
}

#[test]
fn a_connect_at_the_limit_is_taken_and_one_past_it_is_not() {
    for (bytes, taken) in
        [(limits::CONNECT_BYTES_MAX, true), (limits::CONNECT_BYTES_MAX + 1, false)]
    {
        let password = vec![b'p'; bytes - 24];
        let wish = Connect {
            username: Some("user"),
            password: Some(&password),
            ..connect(Version::V311, true)
        };
        let mut packet = vec![];
        Packet::Connect(wish).encode(Version::V311, &mut packet).unwrap();
        let mut pair = Pair::new(Settings::default());
        assert_eq!(packet.len(), bytes);
        pair.serve(&packet[..], &mut vec![]);
        assert_eq!(pair.server.is_open(), taken, "{bytes}");
    }
}

#[test]
fn a_packet_at_the_limit_is_taken_and_one_past_it_is_not() {
    for (bytes, taken) in [(limits::PACKET_BYTES_MAX, true), (limits::PACKET_BYTES_MAX + 1, false)]
    {
        let mut pair = open();
        // One byte of kind, three of length, three of topic, one of properties.
        let payload = vec![0; bytes - 8];
        let mut packet = vec![];
        Publish::at_most_once("t", &payload).encode(Version::V5, &mut packet).unwrap();
        assert_eq!(packet.len(), bytes);
        pair.serve(&packet, &mut vec![]);
        assert_eq!(pair.closed.map(|end| end.why), (!taken).then_some("packet-too-large"));
    }
}

#[test]
fn a_message_waits_as_long_as_the_longest_session_and_not_a_moment_longer() {
    let max = limits::QUEUE_AGE_MS_MAX;
    for (waited_ms, dropped) in [(max - 1, 0), (max, 1)] {
        let mut pair = open();
        let kept = Kept::new(&message("t", QoS::AtLeastOnce), pair.now);
        pair.server.deliver(&kept, &DeliveryOptions::of(QoS::AtLeastOnce), pair.now);
        let now = pair.now.plus_ms(waited_ms);
        assert_eq!(pair.server.send(now, usize::MAX, u64::MAX, &mut pair.down), dropped);
    }
}

#[test]
fn an_unacknowledged_message_holds_so_many_places_behind_it_and_not_one_more() {
    // Four for each message; the limit is the crate's own.
    const MESSAGES: usize = 5;
    const PLACES: usize = 4 * MESSAGES;
    let queue = QueueBounds {
        messages_max: MESSAGES,
        policy: QueuePolicy::DropOldest,
        ..QueueBounds::default()
    };
    let settings = Settings { queue, in_flight_max: 1, ..Settings::default() };
    let mut pair = Pair::open(settings, &connect(Version::V5, true));
    // The client has it, and neither acknowledges nor lets it make room.
    pair.deliver_as(&message("t", QoS::ExactlyOnce), &DeliveryOptions::of(QoS::ExactlyOnce));
    let small = Kept::new(&message("t", QoS::AtLeastOnce), pair.now);
    let mut deliver = || {
        let options = DeliveryOptions::of(QoS::AtLeastOnce);
        pair.server.deliver(&small, &options, pair.now)
    };
    (1..PLACES).for_each(|place| assert!(matches!(deliver(), Delivery::Kept(_)), "{place}"));
    assert_eq!(deliver(), Delivery::QueueFull);
}

#[test]
fn the_name_of_another_server_is_cut_to_its_limit_and_fits_with_a_reason() {
    let (name, reason) = (limits::SERVER_REFERENCE_BYTES_MAX, limits::REASON_STRING_BYTES_MAX);
    for (more, told) in [(0, name), (1, name)] {
        let server_reference = Some("n".repeat(name + more).into());
        let settings = Settings { server_reference, ..Settings::default() };
        let mut pair = Pair::open(settings, &connect(Version::V5, true));
        let text = "r".repeat(reason + more);
        let code = ReasonCode::SERVER_MOVED;
        pair.server.close(code, "test", Fault::Unavailable, Some(&text), &mut pair.down);
        let Packet::Disconnect(end) = crate::vectors::decode(&pair.down, Version::V5) else {
            panic!("no disconnect")
        };
        let len = |id| end.properties.text(id).map(str::len);
        assert_eq!(len(PropertyId::SERVER_REFERENCE), Some(told));
        assert_eq!(len(PropertyId::REASON_STRING), Some(reason));
    }
}

#[test]
fn an_answer_is_awaited_so_long_by_the_client() {
    let mut pair = Pair::new(Settings::default());
    let begun = pair.now;
    pair.client.connect(&connect(Version::V5, true), begun, &mut pair.up).unwrap();
    let deadline = pair.client.deadline().unwrap();
    assert_eq!((deadline.at, deadline.why), (begun.plus_ms(limits::ANSWER_MS_MAX), "answer"));
    let max = limits::ANSWER_MS_MAX;
    assert_eq!(pair.client.tick(begun.plus_ms(max - 1), &mut vec![]), Ok(()));
    assert!(pair.client.tick(begun.plus_ms(max), &mut vec![]).is_err());
}
