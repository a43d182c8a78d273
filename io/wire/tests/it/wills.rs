//! Wills outlive the hub: what a client left to be said is said by the next one.

use std::sync::Arc;

use hedgerow_mqtt::{
    Connect, Disconnect, Packet, Place, Properties, PropertyId, PropertyWriter, QoS, ReasonCode,
    SubscriptionOptions, Value, Version, Will,
};
use hedgerow_wire::{SessionChange, Settings, StoredSession};

use crate::{
    gate::{TestGate, refusal},
    peer::{Hub, TestPeer, connect, lasting, session_expiry, will},
};

fn keeping(shards: usize) -> Hub {
    Hub::with(TestGate::keeping(), Settings { shards, ..Settings::default() })
}

/// The next life of the hub, at another number of shards. The last one still runs, and nobody listens to
/// it.
fn after_power_cut(hub: &Hub) -> Hub {
    Hub::with(hub.gate.after_power_cut(), Settings { shards: 2, ..Settings::default() })
}

type Buffers = ([u8; 8], [u8; 8]);

/// A client whose session lives so long, and its will after so many seconds.
fn mortal<'a>(
    topic: &'a str,
    delay_s: u32,
    expiry_s: u32,
    buffers: &'a mut Buffers,
) -> Connect<'a> {
    let mut delay = PropertyWriter::new(&mut buffers.0, Place::Will);
    delay.push(PropertyId::WILL_DELAY_INTERVAL, Value::Word(delay_s)).unwrap();
    let properties = delay.finish().unwrap();
    let will = Some(Will { properties, qos: QoS::AtLeastOnce, ..will(topic) });
    let properties = session_expiry(expiry_s, &mut buffers.1);
    Connect { will, clean_start: false, properties, ..connect(Version::V5, "mortal") }
}

/// A client whose session hears wills though it is away.
fn watch(hub: &Hub) -> TestPeer {
    let (mut watcher, _) = hub.connect_to_session(&lasting("watcher"));
    watcher.subscribe("+/will", QoS::AtLeastOnce);
    watcher
}

fn on_disk(hub: &Hub) -> Option<StoredSession> {
    hub.gate.disk().sessions.into_iter().find(|session| &*session.client_id == "mortal")
}

fn hear(watcher: &mut TestPeer, topic: &str) {
    let (heard, payload, id, _) = watcher.message();
    assert_eq!((&*heard, &*payload), (topic, &b"gone"[..]));
    watcher.acknowledge(id);
    watcher.expect_quiet();
}

#[test]
fn a_will_is_said_once_by_the_next_hub_when_its_client_stays_away() {
    for (shards, delay_s) in [(1, 0), (2, 0), (3, 1)] {
        let hub = keeping(shards);
        drop(watch(&hub));
        let mut buffers = Buffers::default();
        let _client = hub.connect(&mortal("a/will", delay_s, 600, &mut buffers));
        assert!(on_disk(&hub).unwrap().will.is_some());

        let hub = after_power_cut(&hub);
        let (mut watcher, present) = hub.connect_to_session(&lasting("watcher"));
        assert!(present);
        hear(&mut watcher, "a/will");
        hub.wait_for("it leaves the disk", |hub, _| on_disk(hub).unwrap().will.is_none());
        hub.wait_for("and the queue", |hub, _| {
            hub.gate.disk().sessions.iter().all(|session| session.queue.is_empty())
        });

        let hub = after_power_cut(&hub);
        let (mut watcher, _) = hub.connect_to_session(&lasting("watcher"));
        let (mut client, present) = hub
            .connect_to_session(&Connect { clean_start: false, ..connect(Version::V5, "mortal") });
        assert!(present, "its session lives on");
        client.expect_quiet();
        watcher.expect_quiet();
    }
}

#[test]
fn a_will_and_what_it_leaves_in_sessions_are_one_commit() {
    let hub = keeping(1);
    drop(watch(&hub));
    let mut buffers = Buffers::default();
    let client = hub.connect(&mortal("a/will", 0, 600, &mut buffers));
    hub.gate.hold_sessions_back();
    drop(client);
    hub.wait_for_end("peer-closed", 2);
    hub.wait_for("it is handed over", |hub, _| hub.gate.is_holding());
    let queued = |hub: &Hub| {
        hub.gate.disk().sessions.iter().map(|session| session.queue.len()).sum::<usize>()
    };
    let mut commits = 0;
    while hub.gate.is_holding() {
        assert_eq!(queued(&hub), usize::from(on_disk(&hub).unwrap().will.is_none()));
        hub.gate.commit_one_of_sessions();
        commits += 1;
    }
    assert!(commits >= 2, "that it went away, and what it said");
    assert_eq!((queued(&hub), on_disk(&hub).unwrap().will), (1, None));
}

#[test]
fn a_client_that_comes_back_in_time_silences_its_will_and_may_leave_another() {
    let hub = keeping(2);
    drop(watch(&hub));
    let mut buffers = Buffers::default();
    let _client = hub.connect(&mortal("old/will", 60, 600, &mut buffers));
    let other = mortal("other/will", 0, 600, &mut buffers);
    let _other = hub.connect(&Connect { client_id: "other", ..other });
    let hub = after_power_cut(&hub);
    hear(&mut hub.connect_to_session(&lasting("watcher")).0, "other/will");
    let (_client, present) = hub.connect_to_session(&mortal("new/will", 0, 600, &mut buffers));
    assert!(present);
    let hub = after_power_cut(&hub);
    let (mut watcher, _) = hub.connect_to_session(&lasting("watcher"));
    hear(&mut watcher, "new/will");
    let (_client, _) = hub.connect_to_session(&mortal("third/will", 60, 600, &mut buffers));
    let (_client, _) = hub
        .connect_to_session(&Connect { will: None, ..mortal("none/will", 60, 600, &mut buffers) });
    hub.wait_for("the disk has none", |hub, _| on_disk(hub).unwrap().will.is_none());
    watcher.expect_quiet();
}

#[test]
fn a_goodbye_takes_the_will_from_the_disk() {
    let hub = keeping(2);
    drop(watch(&hub));
    let mut buffers = Buffers::default();
    let mut client = hub.connect(&mortal("a/will", 60, 600, &mut buffers));
    let (reason, properties) = (ReasonCode::SUCCESS, Properties::NONE);
    client.send(&Packet::Disconnect(Disconnect { reason, properties }));
    assert_eq!(client.until_end(), b"");
    hub.wait_for("the disk has none", |hub, _| on_disk(hub).unwrap().will.is_none());
    // One that vanishes leaves its own there until it is said.
    let (client, _) = hub.connect_to_session(&mortal("a/will", 60, 600, &mut buffers));
    drop(client);
    hub.wait_for("it is away", |hub, _| on_disk(hub).unwrap().until.is_some());
    assert!(on_disk(&hub).unwrap().will.is_some());
}

#[test]
fn a_will_is_said_when_its_session_ends_before_its_delay_or_the_hub_is_back() {
    let hub = keeping(2);
    drop(watch(&hub));
    let mut buffers = Buffers::default();
    drop(hub.connect(&mortal("a/will", 600, 1, &mut buffers)));
    hub.wait_for("it is away", |hub, _| on_disk(hub).unwrap().until.is_some());
    let hub = after_power_cut(&hub);
    let (mut watcher, _) = hub.connect_to_session(&lasting("watcher"));
    hear(&mut watcher, "a/will");
    hub.wait_for("its session has ended", |hub, _| on_disk(hub).is_none());
}

#[test]
fn who_may_do_nothing_any_more_leaves_no_will() {
    let hub = keeping(2);
    drop(watch(&hub));
    let mut buffers = Buffers::default();
    let _client = hub.connect(&mortal("a/will", 0, 600, &mut buffers));
    let gate = hub.gate.after_power_cut();
    gate.refuse_everybody(refusal(hedgerow_base::Fault::Denied));
    let hub = Hub::with(gate, Settings::default());
    hub.wait_for("it is judged", |_, counters| counters.messages_refused == 1);
    hub.wait_for("it leaves the disk", |hub, _| on_disk(hub).unwrap().will.is_none());
    assert!(hub.gate.disk().sessions.iter().all(|session| session.queue.is_empty()));
}

#[test]
fn a_will_of_an_earlier_hub_may_be_retained_and_is_refused_where_its_client_would_be() {
    let hub = keeping(1);
    let mut buffers = Buffers::default();
    let wish = mortal("denied/will", 0, 600, &mut buffers);
    let _denied = hub.connect(&wish);
    let mut buffers = Buffers::default();
    let wish = mortal("status/will", 0, 600, &mut buffers);
    let will = wish.will.map(|will| Will { retain: true, qos: QoS::ExactlyOnce, ..will });
    let _retained = hub.connect(&Connect { will, client_id: "other", ..wish });
    let hub = after_power_cut(&hub);
    hub.wait_for("one is refused", |_, counters| counters.messages_refused == 1);
    hub.wait_for("one is retained", |_, counters| counters.retained == 1);
    let mut late = hub.client(Version::V311, "late");
    late.subscribe("#", QoS::AtMostOnce);
    assert_eq!(late.message().0, "status/will");
    late.expect_quiet();
}

#[test]
fn a_will_that_is_due_at_the_start_finds_every_session() {
    const SESSIONS: u64 = 1_000;
    let hub = keeping(1);
    let mut buffers = Buffers::default();
    let _client = hub.connect(&mortal("a/will", 0, 600, &mut buffers));
    let will = on_disk(&hub).unwrap().will.map(Arc::from);
    let gate = TestGate::keeping();
    for session in 1..=SESSIONS {
        let (owner, client_id) = (Arc::from([4, 0, 0, 0, 0]), format!("c{session}").into());
        gate.put(&SessionChange::Open { session, owner, client_id, expiry_s: 600 });
        // The other shard has much more to put back than that of the wills.
        for number in 0..if session % 2 == 0 { 400 } else { 0 } {
            let filter = format!("+/will/{session}/{number}/#").into();
            let options = SubscriptionOptions::of(QoS::AtLeastOnce).to_bytes().into();
            gate.put(&SessionChange::Subscribe { session, filter, options });
        }
    }
    // In the shard that has more to do, and the last there.
    let options = SubscriptionOptions::of(QoS::AtLeastOnce).to_bytes().into();
    gate.put(&SessionChange::Subscribe { session: SESSIONS, filter: "a/will".into(), options });
    for session in [1, 3] {
        gate.put(&SessionChange::Will { session, will: will.clone() });
    }
    let hub = Hub::with(gate, Settings { shards: 2, ..Settings::default() });
    hub.wait_for("both are said", |hub, _| {
        hub.gate.disk().sessions.iter().all(|session| session.will.is_none())
    });
    hub.wait_for("it has both", |hub, _| {
        hub.gate.disk().sessions.last().is_some_and(|session| session.queue.len() == 2)
    });
}
