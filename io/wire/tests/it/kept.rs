//! Sessions and retained messages outlive the hub: after a power cut at any moment, what was promised is
//! there.

use hedgerow_mqtt::{
    Ack, Connect, Filters, Names, Packet, PacketId, Properties, Publish, QoS, Subscribe,
    SubscriptionOptions, Unsubscribe, Version,
};
use hedgerow_wire::Settings;

use crate::{
    gate::TestGate,
    peer::{Hub, TestPeer, connect, lasting, session_expiry},
};

const TWICE: QoS = QoS::ExactlyOnce;

fn keeping(shards: usize) -> Hub {
    Hub::with(TestGate::keeping(), Settings { shards, ..Settings::default() })
}

/// The next life of the hub. The last one still runs, and nobody listens to it.
fn after_power_cut(hub: &Hub) -> Hub {
    Hub::with(hub.gate.after_power_cut(), Settings { shards: 2, ..Settings::default() })
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn send(peer: &mut TestPeer, topic: &str, qos: QoS, number: u16, dup: bool) {
    let number = (qos != QoS::AtMostOnce).then(|| id(number));
    let message =
        Publish { qos, id: number, dup, ..Publish::at_most_once(topic, topic.as_bytes()) };
    peer.send(&Packet::Publish(message));
}

fn ask(peer: &mut TestPeer, filter: &str, qos: QoS) {
    let filters = [(filter, SubscriptionOptions::of(qos))];
    let (filters, properties) = (Filters::list(&filters), Properties::NONE);
    peer.send(&Packet::Subscribe(Subscribe { id: id(1), properties, filters }));
}

#[test]
fn subscriptions_and_messages_wait_for_their_client_across_a_power_cut() {
    for shards in [1, 3] {
        let hub = keeping(shards);
        let (mut away, _) = hub.connect_to_session(&lasting("away"));
        away.subscribe("t/+", TWICE);
        away.subscribe("$share/g/s", QoS::AtLeastOnce);
        drop(away);
        hub.wait_for_end("peer-closed", 1);
        let mut publisher = hub.client(Version::V5, "p");
        send(&mut publisher, "t/0", QoS::AtMostOnce, 0, false);
        send(&mut publisher, "t/1", QoS::AtLeastOnce, 1, false);
        assert_eq!(publisher.puback(), (1, 0));
        send(&mut publisher, "t/2", TWICE, 2, false);
        publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(2)))));
        send(&mut publisher, "s", QoS::AtLeastOnce, 3, false);
        assert_eq!(publisher.puback(), (3, 0));

        let hub = after_power_cut(&hub);
        let (mut back, present) = hub.connect_to_session(&lasting("away"));
        assert!(present);
        // Whether they were sent before nobody knows: DUP.
        assert_eq!(back.message(), ("t/1".into(), b"t/1".to_vec(), 1, true));
        assert_eq!(back.message(), ("t/2".into(), b"t/2".to_vec(), 2, true));
        assert_eq!(back.message(), ("s".into(), b"s".to_vec(), 3, true));
        back.acknowledge(1);
        back.acknowledge(3);
        back.send(&Packet::PubRec(Ack::success(id(2))));
        back.expect(|packet| assert_eq!(packet, Packet::PubRel(Ack::success(id(2)))));
        back.send(&Packet::PubComp(Ack::success(id(2))));
        let mut publisher = hub.client(Version::V311, "p");
        send(&mut publisher, "t/3", QoS::AtLeastOnce, 1, false);
        publisher.puback();
        assert_eq!(back.message(), ("t/3".into(), b"t/3".to_vec(), 4, false));
        back.acknowledge(4);
        back.expect_quiet();
        hub.wait_for("an empty queue", |hub, _| hub.gate.disk().sessions[0].queue.is_empty());
    }
}

#[test]
fn nothing_is_promised_before_it_is_on_disk() {
    let hub = keeping(2);
    let (mut client, _) = hub.connect_to_session(&lasting("c"));
    client.subscribe("mine", TWICE);
    let mut publisher = hub.client(Version::V5, "p");
    hub.gate.hold_sessions_back();
    let quiet = |peer: &mut TestPeer| peer.expect_quiet();

    ask(&mut client, "more", QoS::AtLeastOnce);
    quiet(&mut client);
    send(&mut publisher, "mine", QoS::AtLeastOnce, 1, false);
    send(&mut publisher, "mine", TWICE, 2, false);
    quiet(&mut publisher);
    // One of QoS 1 need not wait: to send it again does no harm.
    assert_eq!(client.message().2, 1);
    quiet(&mut client);
    hub.gate.commit_sessions();
    let mut kinds = [0, 1].map(|_| {
        client.expect(|packet| match packet {
            Packet::SubAck(_) => 0,
            Packet::Publish(message) => message.id.map_or(0, PacketId::get),
            other => panic!("{other:?}"),
        })
    });
    kinds.sort_unstable();
    assert_eq!(kinds, [0, 2], "in whatever order");
    assert_eq!(publisher.puback(), (1, 0));
    publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(2)))));

    client.send(&Packet::PubRec(Ack::success(id(2))));
    quiet(&mut client);
    hub.gate.commit_sessions();
    client.expect(|packet| assert_eq!(packet, Packet::PubRel(Ack::success(id(2)))));

    send(&mut client, "other", TWICE, 9, false);
    quiet(&mut client);
    hub.gate.commit_sessions();
    client.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(9)))));
    client.send(&Packet::PubRel(Ack::success(id(9))));
    quiet(&mut client);
    hub.gate.commit_sessions();
    client.expect(|packet| assert_eq!(packet, Packet::PubComp(Ack::success(id(9)))));

    let filters = Names::list(&["more"]);
    client.send(&Packet::Unsubscribe(Unsubscribe {
        id: id(4),
        properties: Properties::NONE,
        filters,
    }));
    quiet(&mut client);
    hub.gate.commit_sessions();
    client.expect(|packet| assert!(matches!(packet, Packet::UnsubAck(_))));
}

#[test]
fn a_message_of_qos_2_for_several_shards_is_kept_whole_or_not_at_all() {
    for commits in 0..3 {
        let hub = keeping(2);
        // Connections go to the shards in turn: one of the two is not where the publisher is.
        let mut subscribers = ["one", "two"].map(|name| {
            let (mut peer, _) = hub.connect_to_session(&lasting(name));
            peer.subscribe("t", TWICE);
            peer
        });
        let (mut publisher, _) = hub.connect_to_session(&lasting("p"));
        hub.gate.hold_sessions_back();
        send(&mut publisher, "t", TWICE, 7, false);
        publisher.expect_quiet();
        hub.wait_for("it is handed over", |hub, _| hub.gate.is_holding());
        for _ in 0..commits {
            hub.gate.commit_one_of_sessions();
        }
        // One commit has all of it: that it was taken, and both places where it waits.
        let is_whole = commits > 0;
        for peer in &mut subscribers {
            match is_whole {
                true => assert_eq!(peer.message(), ("t".into(), b"t".to_vec(), 1, false)),
                false => peer.expect_quiet(),
            }
        }
        let hub = after_power_cut(&hub);
        let (mut publisher, _) = hub.connect_to_session(&lasting("p"));
        send(&mut publisher, "t", TWICE, 7, true);
        publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(7)))));
        for name in ["one", "two"] {
            let (mut peer, present) = hub.connect_to_session(&lasting(name));
            assert!(present);
            // Who has it already gets it again as what it is.
            assert_eq!(peer.message(), ("t".into(), b"t".to_vec(), 1, is_whole), "{name}");
            peer.expect_quiet();
        }
    }
}

#[test]
fn a_message_of_qos_2_goes_on_across_power_cuts_and_arrives_once() {
    let hub = keeping(1);
    let (mut publisher, _) = hub.connect_to_session(&lasting("p"));
    let (mut subscriber, _) = hub.connect_to_session(&lasting("s"));
    subscriber.subscribe("t", TWICE);
    send(&mut publisher, "t", TWICE, 7, false);
    publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(7)))));
    assert_eq!(subscriber.message().2, 1);

    // The publisher did not hear the PUBREC, the subscriber's did not arrive.
    let hub = after_power_cut(&hub);
    let (mut publisher, present) = hub.connect_to_session(&lasting("p"));
    assert!(present);
    send(&mut publisher, "t", TWICE, 7, true);
    publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(7)))));
    publisher.send(&Packet::PubRel(Ack::success(id(7))));
    publisher.expect(|packet| assert_eq!(packet, Packet::PubComp(Ack::success(id(7)))));
    let (mut subscriber, _) = hub.connect_to_session(&lasting("s"));
    assert_eq!(subscriber.message(), ("t".into(), b"t".to_vec(), 1, true));
    subscriber.send(&Packet::PubRec(Ack::success(id(1))));
    subscriber.expect(|packet| assert_eq!(packet, Packet::PubRel(Ack::success(id(1)))));

    let hub = after_power_cut(&hub);
    let (mut publisher, _) = hub.connect_to_session(&lasting("p"));
    let (mut subscriber, _) = hub.connect_to_session(&lasting("s"));
    subscriber.expect(|packet| assert_eq!(packet, Packet::PubRel(Ack::success(id(1)))));
    subscriber.send(&Packet::PubComp(Ack::success(id(1))));
    subscriber.expect_quiet();
    // The identifier is free again: this is a new message.
    send(&mut publisher, "t", TWICE, 7, false);
    publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(7)))));
    assert!(!subscriber.message().3);
}

#[test]
fn retained_messages_are_there_after_a_power_cut() {
    let hub = keeping(2);
    let mut publisher = hub.client(Version::V5, "p");
    for (topic, payload) in [("r/1", "old"), ("r/1", "new"), ("r/2", "gone"), ("r/2", "")] {
        let message = Publish {
            retain: true,
            qos: TWICE,
            id: Some(id(1)),
            ..Publish::at_most_once(topic, payload.as_bytes())
        };
        publisher.send(&Packet::Publish(message));
        publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(1)))));
        publisher.send(&Packet::PubRel(Ack::success(id(1))));
        publisher.expect(|packet| assert_eq!(packet, Packet::PubComp(Ack::success(id(1)))));
    }
    let hub = after_power_cut(&hub);
    let mut late = hub.client(Version::V311, "l");
    late.subscribe("#", TWICE);
    assert_eq!(late.message(), ("r/1".into(), b"new".to_vec(), 1, false));
    late.expect_quiet();
    assert_eq!(hub.wire.counters().retained, 1);
}

#[test]
fn a_session_that_ends_leaves_the_disk() {
    let hub = keeping(2);
    let ended =
        |hub: &Hub| hub.wait_for("no session", |hub, _| hub.gate.disk().sessions.is_empty());
    let (mut client, _) = hub.connect_to_session(&lasting("c"));
    client.subscribe("t", QoS::AtLeastOnce);
    assert_eq!(hub.gate.disk().sessions.len(), 1);
    drop(client);
    hub.wait_for_end("peer-closed", 1);
    // A clean start ends the old one.
    drop(hub.client(Version::V311, "c"));
    ended(&hub);
    let mut buffer = [0; 8];
    let properties = session_expiry(1, &mut buffer);
    let brief = Connect { properties, ..connect(Version::V5, "brief") };
    drop(hub.connect(&brief));
    hub.wait_for("a session", |hub, _| {
        hub.gate.disk().sessions.first().is_some_and(|session| session.until.is_some())
    });
    // Its second passes in the next life of the hub.
    let hub = after_power_cut(&hub);
    ended(&hub);
    let (_, present) = hub.connect_to_session(&Connect { clean_start: false, ..brief });
    assert!(!present);
}

#[test]
fn a_session_that_moves_to_another_shard_stays_the_same_on_disk() {
    let hub = keeping(3);
    for round in 1..=6u16 {
        let (mut client, present) = hub.connect_to_session(&lasting("c"));
        assert_eq!(present, round > 1);
        if round == 1 {
            client.subscribe("t", QoS::AtLeastOnce);
        } else {
            assert_eq!(client.message().2, round - 1);
            client.acknowledge(round - 1);
            client.expect_quiet();
        }
        drop(client);
        hub.wait_for_end("peer-closed", u64::from(round * 2 - 1));
        let mut publisher = hub.client(Version::V311, "p");
        publisher.publish("t", b"x", 1);
        publisher.puback();
        drop(publisher);
        hub.wait_for_end("peer-closed", u64::from(round * 2));
        let disk = hub.gate.disk();
        assert_eq!((disk.sessions.len(), disk.sessions[0].queue.len()), (1, 1));
        assert_eq!(disk.sessions[0].session, 1);
    }
}

#[test]
fn a_full_disk_is_told_to_those_who_need_it() {
    let hub = keeping(2);
    let (mut away, _) = hub.connect_to_session(&lasting("away"));
    away.subscribe("t", QoS::AtLeastOnce);
    drop(away);
    hub.wait_for_end("peer-closed", 1);
    hub.gate.fill_the_disk();
    let mut publisher = hub.client(Version::V5, "p");
    for number in 1..=2 {
        // Whatever shards the two are in.
        publisher.publish("t", b"x", number);
        assert_eq!(publisher.puback(), (number, 0x80));
        publisher.publish("nobody", b"x", 9);
        assert_eq!(publisher.puback(), (9, 0));
    }
    let mut old = hub.client(Version::V311, "old");
    old.publish("t", b"x", 1);
    assert_eq!(old.until_end(), b"", "no PUBACK");
    let mut second = hub.client(Version::V311, "older");
    second.publish("t", b"x", 1);
    assert_eq!(second.until_end(), b"");
    let (mut client, _) = hub.connect_to_session(&lasting("c"));
    ask(&mut client, "u", QoS::AtLeastOnce);
    assert_eq!(client.until_end(), b"", "no SUBACK");
    assert!(hub.wire.counters().not_kept > 0);
}

#[test]
fn sessions_that_are_not_to_last_touch_no_disk() {
    let hub = keeping(2);
    hub.gate.fill_the_disk();
    let mut client = hub.client(Version::V5, "c");
    client.subscribe("t", TWICE);
    let mut publisher = hub.client(Version::V311, "p");
    send(&mut publisher, "t", TWICE, 1, false);
    publisher.expect(|packet| assert_eq!(packet, Packet::PubRec(Ack::success(id(1)))));
    assert_eq!(client.message().2, 1);
    assert_eq!(hub.wire.counters().not_kept, 0);
}

#[test]
fn what_is_damaged_on_disk_is_left_out_and_counted() {
    let hub = keeping(1);
    let (mut client, _) = hub.connect_to_session(&lasting("c"));
    client.subscribe("t", QoS::AtLeastOnce);
    drop(client);
    hub.wait_for_end("peer-closed", 1);
    let mut publisher = hub.client(Version::V5, "p");
    for number in 1..=3 {
        publisher.publish("t", b"x", number);
        publisher.puback();
    }
    let mut stored = hub.gate.disk();
    stored.sessions[0].queue[1].message = Some(b"damaged".as_slice().into());
    let nobody = hedgerow_wire::StoredSession {
        owner: b"?".as_slice().into(),
        ..stored.sessions[0].clone()
    };
    stored.sessions.push(nobody);
    stored.sessions[0].will = Some(b"damaged".as_slice().into());
    stored.retained.push(("r".into(), b"?".as_slice().into()));
    let gate = TestGate::keeping();
    let wire = hedgerow_wire::Wire::start_with(gate, Settings::default(), stored).unwrap();
    let ends = wire.counters().ends;
    for word in ["message-damaged", "session-damaged", "retained-damaged", "will-damaged"] {
        assert_eq!(ends.get(word), Some(&1), "{word}");
    }
}
