//! What the driver holds everybody to unless told otherwise: at each limit and one past it.
//! `docs/conformance/limits.md` says which of them can't be tried here, and why.

use hedgerow_mqtt::{QoS, Version};
use hedgerow_plane::{Broker, Identity, SessionName, SessionView};
use hedgerow_policy::Witness;
use hedgerow_wire::{
    Settings, StoredSession, StoredSessions, Wire,
    limits::{
        AWAY_SESSIONS_MAX, CROWDED_PART, OUT_BYTES_MAX, OUT_BYTES_SOFT, SHARDS_MAX, STALL_MS_MAX,
    },
};

use crate::{
    gate::TestGate,
    peer::{Hub, TestPeer, lasting},
};

fn view(hub: &Hub, client_id: &str) -> SessionView {
    let name = SessionName { identity: Identity::LoopbackTester, client_id: client_id.into() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(hub.wire.census().session(name)).unwrap().view
}

/// Publishes a message of QoS 0 whose packet has so many bytes, and waits until it was handed out.
fn say(publisher: &mut TestPeer, topic: &str, packet_bytes: usize) {
    let header = if packet_bytes > 16_384 + 3 { 4 } else { 3 };
    assert!(packet_bytes > 131, "a remaining length of two bytes or more");
    publisher.publish(topic, &vec![7; packet_bytes - header - 2 - topic.len()], 0);
    publisher.expect_quiet();
}

/// A subscriber to its own name that does not read, and so many bytes that wait for it in the hub.
fn stuck(hub: &Hub, publisher: &mut TestPeer, name: &str, qos: QoS, bytes: usize) -> TestPeer {
    let mut stuck = hub.client(Version::V311, name);
    stuck.subscribe(name, qos);
    while view(hub, name).out_bytes == 0 {
        say(publisher, name, 8 * 1024);
    }
    loop {
        match bytes - view(hub, name).out_bytes {
            0 => return stuck,
            // Not so near that what is left is no packet.
            left @ ..=8_192 => say(publisher, name, left),
            left => say(publisher, name, (left - 4_096).min(8 * 1024)),
        }
    }
}

fn patient() -> Settings {
    Settings { stall_ms_max: 10 * STALL_MS_MAX, ..Settings::default() }
}

#[test]
fn so_many_bytes_wait_for_a_slow_reader_and_not_one_more() {
    let hub = Hub::new(patient());
    let mut publisher = hub.client(Version::V311, "p");
    let _at = stuck(&hub, &mut publisher, "at", QoS::AtMostOnce, OUT_BYTES_MAX);
    let _past = stuck(&hub, &mut publisher, "past", QoS::AtMostOnce, OUT_BYTES_MAX - 1_000);
    assert_eq!((view(&hub, "at").dropped, hub.wire.counters().dropped_slow_reader), (0, 0));
    say(&mut publisher, "past", 1_001);
    assert_eq!((view(&hub, "past").dropped, hub.wire.counters().dropped_slow_reader), (1, 1));
    say(&mut publisher, "past", 1_000);
    assert_eq!((view(&hub, "past").dropped, view(&hub, "past").out_bytes), (1, OUT_BYTES_MAX));
}

#[test]
fn messages_of_the_session_are_added_below_the_soft_limit_and_not_at_it() {
    let hub = Hub::new(patient());
    let mut publisher = hub.client(Version::V311, "p");
    for (bytes, in_flight) in [(OUT_BYTES_SOFT - 1, 1), (OUT_BYTES_SOFT, 0)] {
        let name = format!("stuck-{bytes}");
        let _stuck = stuck(&hub, &mut publisher, &name, QoS::AtLeastOnce, bytes);
        publisher.publish(&name, b"kept", 1);
        assert_eq!(publisher.puback(), (1, 0));
        // It is added in the turn of its connection.
        hub.wait_for("its turn", |hub, _| view(hub, &name).in_flight == in_flight);
        publisher.expect_quiet();
        let view = view(&hub, &name);
        assert_eq!((view.queued, view.in_flight), (1, in_flight), "{bytes}");
    }
}

#[test]
fn a_subscriber_is_crowded_past_its_part_and_not_at_it() {
    let hub = Hub::new(Settings { slow_ms: 0, ..patient() });
    let mut publisher = hub.client(Version::V311, "p");
    let half = OUT_BYTES_MAX / CROWDED_PART;
    let _at = stuck(&hub, &mut publisher, "at", QoS::AtMostOnce, half);
    let _past = stuck(&hub, &mut publisher, "past", QoS::AtMostOnce, half + 1);
    hub.wait_for("one is slow", |hub, _| view(hub, "past").slow.is_some());
    assert_eq!((view(&hub, "at").slow, hub.wire.counters().slow_found), (None, 1));
}

#[test]
fn so_many_sessions_are_kept_for_clients_that_are_away_and_not_one_more() {
    let kept = |session| StoredSession {
        session,
        owner: [4, 0, 0, 0, 0].into(),
        client_id: format!("kept-{session}").into(),
        expiry_s: 600,
        until: None,
        will: None,
        subscriptions: vec![],
        queue: vec![],
        taken: vec![],
    };
    // All but one of them outlived an earlier hub.
    let sessions = (1..AWAY_SESSIONS_MAX as u64).map(kept).collect();
    let stored = StoredSessions { sessions, retained: vec![] };
    let gate = TestGate::default();
    let wire = Wire::start_with(gate.clone(), Settings::default(), stored).unwrap();
    let tester = Witness::of_a_proof().loopback_tester();
    let address = wire.listen_insecure(([127, 0, 0, 1], 0).into(), tester).unwrap();
    let hub = Hub { gate, wire, address };
    drop(hub.connect(&lasting("fits")));
    hub.wait_for("they are full", |_, counters| counters.away == AWAY_SESSIONS_MAX as u64);
    drop(hub.connect(&lasting("one more")));
    hub.wait_for_end("away-sessions-full", 1);
    assert!(!hub.connect_to_session(&lasting("one more")).1, "its session ended with it");
    assert!(hub.connect_to_session(&lasting("fits")).1);
}

#[test]
fn so_many_shards_are_started() {
    let settings = Settings { shards: SHARDS_MAX, ..Settings::default() };
    Wire::start(TestGate::default(), settings).unwrap().stop();
}
