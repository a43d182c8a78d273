//! What a server holds its clients to unless told otherwise: at each limit and one past it.

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{
    Connect, Delivery, DeliveryOptions, Kept, Publish, QoS, Settings, Version, limits,
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
