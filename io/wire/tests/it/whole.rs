//! QoS 2, retained messages, shared subscriptions, identifiers and aliases, from client to client.

use std::num::NonZeroU32;

use hedgerow_mqtt::{
    Ack, Filters, Names, Packet, PacketId, PacketKind, Place, Properties, PropertyId,
    PropertyWriter, Publish, QoS, ReasonCode, Subscribe, SubscriptionOptions, Unsubscribe, Value,
    Version, Will,
};
use hedgerow_wire::{Settings, limits};

use crate::peer::{Hub, TestPeer, connect, lasting, session_expiry, will};

const TWICE: QoS = QoS::ExactlyOnce;

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn retained<'a>(topic: &'a str, payload: &'a [u8], qos: QoS) -> Packet<'a> {
    let id = (qos != QoS::AtMostOnce).then(|| id(1));
    Packet::Publish(Publish { retain: true, qos, id, ..Publish::at_most_once(topic, payload) })
}

/// The next packet must be a message: topic, payload, quality, retain flag and identifiers.
fn heard(peer: &mut TestPeer) -> (String, Vec<u8>, QoS, bool, Vec<u32>) {
    peer.expect(|packet| match packet {
        Packet::Publish(message) => {
            let identifiers = message.properties.iter().filter_map(|(id, value)| match value {
                Value::Variable(one) if id == PropertyId::SUBSCRIPTION_IDENTIFIER => Some(one),
                _ => None,
            });
            let (topic, payload) = (message.topic.to_owned(), message.payload.to_vec());
            (topic, payload, message.qos, message.retain, identifiers.collect())
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_message_of_qos_2_arrives_once_though_both_sides_ask_again() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    for version in [Version::V311, Version::V5] {
        let mut subscriber = hub.client(version, "s");
        subscriber.subscribe("t/+", TWICE);
        let mut publisher = hub.client(version, "p");
        let message = Publish { qos: TWICE, id: Some(id(9)), ..Publish::at_most_once("t/1", b"x") };
        for dup in [false, true, true] {
            publisher.send(&Packet::Publish(Publish { dup, ..message }));
            publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(9)))));
        }
        publisher.send(&Packet::PubRel(Ack::success(id(9))));
        publisher.expect(|packet| assert_eq!(packet, Packet::PubComp(Ack::success(id(9)))));
        assert_eq!(heard(&mut subscriber).2, TWICE);
        for _ in 0..2 {
            subscriber.send(&Packet::PubRec(Ack::success(id(1))));
            subscriber.expect(|packet| assert_eq!(packet, Packet::PubRel(Ack::success(id(1)))));
        }
        subscriber.send(&Packet::PubComp(Ack::success(id(1))));
        subscriber.expect_quiet();
    }
}

#[test]
fn a_message_of_qos_2_is_answered_when_it_is_stored_and_told_when_it_is_refused() {
    let hub = Hub::new(Settings::default());
    let mut publisher = hub.client(Version::V5, "p");
    let send = |publisher: &mut TestPeer, topic, number| {
        let message =
            Publish { qos: TWICE, id: Some(id(number)), ..Publish::at_most_once(topic, b"") };
        publisher.send(&Packet::Publish(message));
    };
    send(&mut publisher, "later/1", 1);
    hub.wait_for("handed in", |hub, _| hub.gate.pending() == 1);
    publisher.expect_quiet();
    hub.gate.commit();
    publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(1)))));
    for _ in 0..2 {
        // The second time it is a new message.
        send(&mut publisher, "denied/1", 2);
        publisher.expect(|packet| match packet {
            Packet::PubRec(ack) => assert_eq!((ack.id, ack.reason.0), (id(2), 0x87)),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn a_ticket_that_fails_lets_an_old_client_send_its_message_again() {
    let hub = Hub::new(Settings::default());
    let message = Publish { qos: TWICE, id: Some(id(1)), ..Publish::at_most_once("later/1", b"") };
    let (mut publisher, _) = hub.connect_to_session(&lasting("p"));
    publisher.send(&Packet::Publish(message));
    hub.wait_for("handed in", |hub, _| hub.gate.pending() == 1);
    hub.gate.fail();
    publisher.until_end();
    let (mut publisher, present) = hub.connect_to_session(&lasting("p"));
    assert!(present);
    publisher.send(&Packet::Publish(Publish { dup: true, ..message }));
    hub.wait_for("handed in again", |hub, _| hub.gate.pending() == 2);
    hub.gate.commit();
    publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(1)))));
}

#[test]
fn a_retained_message_waits_for_those_who_come_later() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut publisher = hub.client(Version::V5, "p");
    publisher.send(&retained("r/old", b"1", QoS::AtLeastOnce));
    publisher.puback();
    publisher.send(&retained("r/old", b"2", QoS::AtLeastOnce));
    publisher.puback();
    publisher.send(&retained("r/gone", b"3", QoS::AtMostOnce));
    publisher.send(&retained("r/gone", b"", QoS::AtMostOnce));
    publisher.expect_quiet();
    for version in [Version::V311, Version::V5] {
        let mut late = hub.client(version, "late");
        late.subscribe("r/#", QoS::AtMostOnce);
        assert_eq!(heard(&mut late), ("r/old".into(), b"2".into(), QoS::AtMostOnce, true, vec![]));
        late.subscribe("r/+", TWICE);
        assert_eq!(heard(&mut late).2, QoS::AtLeastOnce, "at the lesser of both");
        late.subscribe("r/#", QoS::AtMostOnce);
        assert_eq!(heard(&mut late).1, b"2", "the same filter again");
        // What is live is not retained for those who were there, but where they ask for it.
        publisher.send(&retained("r/live", b"4", QoS::AtMostOnce));
        assert_eq!(
            heard(&mut late),
            ("r/live".into(), b"4".into(), QoS::AtMostOnce, false, vec![])
        );
        publisher.send(&retained("r/live", b"", QoS::AtMostOnce));
        assert!(!heard(&mut late).3);
        late.acknowledge(1);
        late.expect_quiet();
    }
    assert_eq!(hub.wire.counters().retained, 1);
}

#[test]
fn a_message_that_is_not_to_be_retained_leaves_the_retained_one_alone() {
    let hub = Hub::new(Settings::default());
    let mut publisher = hub.client(Version::V5, "p");
    publisher.send(&retained("t", b"stays", QoS::AtMostOnce));
    for payload in [&b"passes"[..], b""] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, TWICE] {
            let id = (qos != QoS::AtMostOnce).then_some(id(9));
            let message = Publish { qos, id, ..Publish::at_most_once("t", payload) };
            publisher.send(&Packet::Publish(message));
            if qos != QoS::AtMostOnce {
                publisher.expect(|packet| {
                    assert!(matches!(packet, Packet::PubAck(_) | Packet::PubRec(_)), "{packet:?}");
                });
            }
        }
        publisher.send(&Packet::PubRel(Ack::success(id(9))));
        publisher.expect(|packet| assert!(matches!(packet, Packet::PubComp(_)), "{packet:?}"));
        let mut late = hub.client(Version::V5, "late");
        late.subscribe("t", QoS::AtLeastOnce);
        let (topic, heard, qos, retain, _) = heard(&mut late);
        assert_eq!((&*topic, &*heard, qos, retain), ("t", &b"stays"[..], QoS::AtMostOnce, true));
        late.expect_quiet();
    }
}

#[test]
fn retain_handling_and_retain_as_published_are_kept() {
    let hub = Hub::new(Settings::default());
    let mut publisher = hub.client(Version::V5, "p");
    publisher.send(&retained("r", b"1", QoS::AtMostOnce));
    publisher.expect_quiet();
    let mut client = hub.client(Version::V5, "c");
    let plain = SubscriptionOptions::of(QoS::AtMostOnce);
    let never = SubscriptionOptions { retain_handling: 2, ..plain };
    client.subscribe_with("r", never, &[0]);
    client.expect_quiet();
    let once = SubscriptionOptions { retain_handling: 1, retain_as_published: true, ..plain };
    client.subscribe_with("r", once, &[0]);
    client.expect_quiet();
    publisher.send(&retained("r", b"2", QoS::AtMostOnce));
    assert!(heard(&mut client).3, "as published");
    publisher.publish("r", b"not to be retained", 0);
    assert!(!heard(&mut client).3, "as published");
    client.send(&Packet::Unsubscribe(Unsubscribe {
        id: id(1),
        properties: Properties::NONE,
        filters: Names::list(&["r"]),
    }));
    client.expect(|packet| assert!(matches!(packet, Packet::UnsubAck(_))));
    client.subscribe_with("r", once, &[0]);
    assert!(heard(&mut client).3, "it is new again");
    client.subscribe_with("$share/g/r", plain, &[0]);
    client.expect_quiet();
}

#[test]
fn more_retained_messages_than_a_session_holds_arrive_all_at_the_reader_s_pace() {
    const TOPICS: usize = limits::RETAINED_SCAN_MAX * 2 + 7;
    let hub = Hub::new(Settings::default());
    let mut publisher = hub.client(Version::V5, "p");
    for number in 0..TOPICS {
        publisher.send(&retained(&format!("many/{number}"), &[7; 100], QoS::AtLeastOnce));
        publisher.puback();
    }
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut reader = hub.client(Version::V311, "r");
        reader.subscribe("#", qos);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..TOPICS {
            let (topic, _, id, _) = reader.message();
            assert!(seen.insert(topic));
            if id > 0 {
                reader.acknowledge(id);
            }
        }
        reader.expect_quiet();
    }
    // Only few match, far behind many that do not.
    let mut picky = hub.client(Version::V311, "picky");
    picky.subscribe("+/999", QoS::AtMostOnce);
    assert_eq!(picky.message().0, "many/999");
    picky.expect_quiet();
    assert_eq!(hub.wire.counters().dropped_queue_full, 0);
}

#[test]
fn a_will_may_be_retained_and_of_qos_2() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("status", TWICE);
    for retain in [false, true] {
        let kept = Will { qos: TWICE, retain, ..will("status") };
        let dying =
            hub.connect(&hedgerow_mqtt::Connect { will: Some(kept), ..connect(Version::V5, "d") });
        drop(dying);
        assert_eq!(heard(&mut watcher).2, TWICE);
        let mut late = hub.client(Version::V5, "l");
        late.subscribe("status", QoS::AtMostOnce);
        if retain {
            assert_eq!(heard(&mut late).1, b"gone");
        }
        late.expect_quiet();
    }
}

#[test]
fn members_of_a_shared_subscription_take_turns_whatever_their_shards() {
    let hub = Hub::new(Settings { shards: 3, ..Settings::default() });
    let mut members: Vec<_> =
        (0..4).map(|number| hub.client(Version::V5, &format!("m{number}"))).collect();
    for member in &mut members {
        member.subscribe("$share/g/work/+", QoS::AtLeastOnce);
    }
    let mut all = hub.client(Version::V5, "all");
    all.subscribe("work/#", QoS::AtMostOnce);
    let mut publisher = hub.client(Version::V311, "p");
    for number in 0..40u16 {
        publisher.publish("work/1", &number.to_be_bytes(), number + 1);
        assert_eq!(publisher.puback(), (number + 1, 0));
        all.message();
    }
    let mut seen = std::collections::BTreeSet::new();
    for member in &mut members {
        for number in 1..=10 {
            let (_, payload, id, _) = member.message();
            assert_eq!(id, number);
            assert!(seen.insert(payload), "each message goes to one of them");
            member.acknowledge(id);
        }
        member.expect_quiet();
    }
    assert_eq!(seen.len(), 40);
}

#[test]
fn a_member_hears_at_the_quality_that_it_was_granted() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut publisher = hub.client(Version::V5, "p");
    for granted in [QoS::AtMostOnce, QoS::AtLeastOnce, TWICE] {
        let mut members = ["a", "b"].map(|id| hub.client(Version::V5, id));
        members.iter_mut().for_each(|member| member.subscribe("$share/g/t", granted));
        for number in 1..=2 {
            let message =
                Publish { qos: TWICE, id: Some(id(number)), ..Publish::at_most_once("t", b"x") };
            publisher.send(&Packet::Publish(message));
            publisher.expect(|packet| assert!(matches!(packet, Packet::PubRec(_)), "{packet:?}"));
            publisher.send(&Packet::PubRel(Ack::success(id(number))));
            publisher.expect(|packet| assert!(matches!(packet, Packet::PubComp(_)), "{packet:?}"));
        }
        for member in &mut members {
            assert_eq!(heard(member).2, granted);
            member.expect_quiet();
        }
    }
}

#[test]
fn what_a_member_has_not_acknowledged_ends_with_its_session_and_goes_to_no_other() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut members = ["a", "b"].map(|id| hub.client(Version::V5, id));
    members.iter_mut().for_each(|member| member.subscribe("$share/g/t", TWICE));
    let mut publisher = hub.client(Version::V311, "p");
    for number in 1..=2u16 {
        let message =
            Publish { qos: TWICE, id: Some(id(number)), ..Publish::at_most_once("t", b"x") };
        publisher.send(&Packet::Publish(message));
        publisher.expect(|packet| assert!(matches!(packet, Packet::PubRec(_)), "{packet:?}"));
    }
    let [mut chosen, mut other] = members;
    assert_eq!((heard(&mut chosen).2, heard(&mut other).2), (TWICE, TWICE), "one each");
    drop(chosen);
    hub.wait_for_end("peer-closed", 1);
    other.expect_quiet();
    // Nor does it come back with the one that was chosen.
    let (mut again, present) = hub.connect_to_session(&connect(Version::V5, "a"));
    assert!(!present);
    again.subscribe("$share/g/t", TWICE);
    again.expect_quiet();
    other.expect_quiet();
}

#[test]
fn a_member_that_comes_back_gets_what_it_was_chosen_for() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut members = ["a", "b"].map(|id| hub.connect(&lasting(id)));
    members.iter_mut().for_each(|member| member.subscribe("$share/g/t", TWICE));
    let mut publisher = hub.client(Version::V311, "p");
    let mut publish = |number, payload: &[u8]| {
        let message =
            Publish { qos: TWICE, id: Some(id(number)), ..Publish::at_most_once("t", payload) };
        publisher.send(&Packet::Publish(message));
        publisher.expect(|packet| assert!(matches!(packet, Packet::PubRec(_)), "{packet:?}"));
    };
    publish(1, b"1");
    publish(2, b"2");
    let [mut chosen, mut other] = members;
    let (mine, _) = (chosen.message(), other.message());
    other.send(&Packet::PubRec(Ack::success(id(1))));
    other.expect(|packet| assert!(matches!(packet, Packet::PubRel(_)), "{packet:?}"));
    other.send(&Packet::PubComp(Ack::success(id(1))));
    drop(chosen);
    hub.wait_for_end("peer-closed", 1);
    other.expect_quiet();
    let (mut back, present) = hub.connect_to_session(&lasting("a"));
    assert!(present);
    assert_eq!(back.message(), (mine.0, mine.1, 1, true));
    back.send(&Packet::PubRec(Ack::success(id(1))));
    back.expect(|packet| assert_eq!(packet, Packet::PubRel(Ack::success(id(1)))));
    back.send(&Packet::PubComp(Ack::success(id(1))));
    back.expect_quiet();
    other.expect_quiet();
}

#[test]
fn what_a_member_refuses_goes_to_no_other() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut members = ["a", "b"].map(|id| hub.client(Version::V5, id));
    let mut publisher = hub.client(Version::V5, "p");
    for qos in [QoS::AtLeastOnce, TWICE] {
        members.iter_mut().for_each(|member| member.subscribe("$share/g/t", qos));
        for number in [id(1), id(2)] {
            let message =
                Publish { qos: TWICE, id: Some(number), ..Publish::at_most_once("t", b"x") };
            publisher.send(&Packet::Publish(message));
            publisher.expect(|packet| assert!(matches!(packet, Packet::PubRec(_)), "{packet:?}"));
            publisher.send(&Packet::PubRel(Ack::success(number)));
            publisher.expect(|packet| assert!(matches!(packet, Packet::PubComp(_)), "{packet:?}"));
        }
        for member in &mut members {
            let sent = id(member.message_id());
            let no = Ack { reason: ReasonCode::QUOTA_EXCEEDED, ..Ack::success(sent) };
            member.send(&match qos {
                TWICE => Packet::PubRec(no),
                _ => Packet::PubAck(no),
            });
        }
        members.iter_mut().for_each(TestPeer::expect_quiet);
    }
}

#[test]
fn a_member_that_is_away_gets_something_only_when_nobody_is_there() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut buffer = [0; 8];
    let properties = session_expiry(60, &mut buffer);
    let lasting =
        hedgerow_mqtt::Connect { properties, clean_start: false, ..connect(Version::V5, "away") };
    let mut away = hub.connect(&lasting);
    away.subscribe("$share/g/t", QoS::AtLeastOnce);
    let mut here = hub.client(Version::V5, "here");
    here.subscribe("$share/g/t", QoS::AtLeastOnce);
    drop(away);
    hub.wait_for_end("peer-closed", 1);
    let mut publisher = hub.client(Version::V5, "p");
    for number in 1..=4 {
        publisher.publish("t", b"1", number);
        publisher.puback();
        let id = here.message_id();
        here.acknowledge(id);
    }
    drop(here);
    hub.wait_for_end("peer-closed", 2);
    publisher.publish("t", b"kept", 9);
    publisher.puback();
    let (mut back, present) = hub.connect_to_session(&lasting);
    assert!(present);
    assert_eq!(back.message().1, b"kept");
    back.acknowledge(1);
    back.expect_quiet();
}

#[test]
fn a_message_names_the_subscriptions_that_it_came_by() {
    let hub = Hub::new(Settings::default());
    let mut client = hub.client(Version::V5, "c");
    for (filter, number) in [("a/#", 1), ("a/+", 300), ("a/b", 0), ("$share/g/a/b", 9)] {
        let mut buffer = [0; 8];
        let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Subscribe));
        let properties = match NonZeroU32::new(number) {
            Some(number) => {
                writer
                    .push(PropertyId::SUBSCRIPTION_IDENTIFIER, Value::Variable(number.get()))
                    .unwrap();
                writer.finish().unwrap()
            }
            None => Properties::NONE,
        };
        let filters = [(filter, SubscriptionOptions::of(QoS::AtMostOnce))];
        let filters = Filters::list(&filters);
        client.send(&Packet::Subscribe(Subscribe { id: id(1), properties, filters }));
        client.expect(|packet| assert!(matches!(packet, Packet::SubAck(_))));
    }
    let mut publisher = hub.client(Version::V5, "p");
    publisher.publish("a/b", b"x", 0);
    let mut both = [heard(&mut client).4, heard(&mut client).4];
    both.iter_mut().for_each(|identifiers| identifiers.sort_unstable());
    both.sort();
    assert_eq!(both, [vec![1, 300], vec![9]]);
    client.expect_quiet();
}

#[test]
fn aliases_end_at_the_hub() {
    let hub = Hub::new(Settings::default());
    let mut subscriber = hub.client(Version::V5, "s");
    subscriber.subscribe("a", QoS::AtLeastOnce);
    let mut publisher = hub.client(Version::V5, "p");
    let mut buffer = [0; 16];
    let mut writer = PropertyWriter::new(&mut buffer, Place::Packet(PacketKind::Publish));
    writer.push(PropertyId::TOPIC_ALIAS, Value::Short(3)).unwrap();
    writer.push(PropertyId::USER_PROPERTY, Value::Pair("k", "v")).unwrap();
    let properties = writer.finish().unwrap();
    for (topic, qos, number) in [("a", QoS::AtMostOnce, None), ("", QoS::AtLeastOnce, Some(id(1)))]
    {
        let message = Publish { properties, qos, id: number, ..Publish::at_most_once(topic, b"x") };
        publisher.send(&Packet::Publish(message));
        subscriber.expect(|packet| match packet {
            Packet::Publish(message) => {
                assert_eq!((message.topic, message.qos), ("a", qos));
                let left: Vec<_> = message.properties.iter().collect();
                assert_eq!(left, [(PropertyId::USER_PROPERTY, Value::Pair("k", "v"))]);
            }
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn what_the_hub_tells_is_retained_and_no_wildcard_at_the_beginning_hears_it() {
    let hub = Hub::new(Settings { shards: 2, ..Settings::default() });
    let mut watcher = hub.client(Version::V5, "w");
    watcher.subscribe("$SYS/#", TWICE);
    let mut everything = hub.client(Version::V5, "e");
    everything.subscribe("#", TWICE);
    let voice = hub.wire.voice();
    voice.tell("$SYS/broker/uptime", b"1");
    assert_eq!(
        heard(&mut watcher),
        ("$SYS/broker/uptime".into(), b"1".into(), QoS::AtMostOnce, false, vec![])
    );
    let mut late = hub.client(Version::V311, "l");
    late.subscribe("$SYS/broker/+", QoS::AtMostOnce);
    assert_eq!(heard(&mut late).1, b"1");
    everything.expect_quiet();
}
