use std::time::Duration;

use hedgerow_base::{TenantId, Timestamp};
use hedgerow_mqtt::{Connect, Disconnect, Packet, Properties, QoS, ReasonCode, Version, Will};
use hedgerow_plane::{
    AskedSessions, Broker, Identity, SessionDetail, SessionName, SessionPage, SessionView, Which,
};
use hedgerow_wire::{
    Gate, SessionChange, Settings,
    limits::{CROWDED_MAX, SESSIONS_PAGE_MAX, SESSIONS_SCAN_MAX, SLOW_NAMED_MAX},
};

use crate::{
    gate::TestGate,
    peer::{Hub, TestPeer, connect, lasting, session_expiry, will},
};

const ALL: AskedSessions = AskedSessions {
    tenant: TenantId::FIRST,
    find: None,
    which: Which::All,
    after: None,
    size: SESSIONS_PAGE_MAX,
};

fn now<T>(asked: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(asked)
}

fn name(client_id: &str) -> SessionName {
    SessionName { identity: Identity::LoopbackTester, client_id: client_id.into() }
}

fn page(hub: &Hub, asked: AskedSessions) -> SessionPage {
    now(hub.wire.census().sessions(asked))
}

fn detail(hub: &Hub, client_id: &str) -> Option<SessionDetail> {
    now(hub.wire.census().session(name(client_id)))
}

fn slow(hub: &Hub) -> Vec<SessionView> {
    now(hub.wire.census().slow(TenantId::FIRST))
}

/// All names, so many at a time, and how many pages they took.
fn names(hub: &Hub, asked: &AskedSessions) -> (Vec<String>, usize) {
    let (mut all, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let found = page(hub, AskedSessions { after, ..asked.clone() });
        all.extend(found.items.iter().map(|view| view.name.client_id.to_string()));
        pages += 1;
        after = found.next;
        if after.is_none() {
            return (all, pages);
        }
    }
}

fn two_shards() -> Hub {
    Hub::new(Settings { shards: 2, ..Settings::default() })
}

#[test]
fn sessions_of_all_shards_come_in_order_page_by_page() {
    let hub = two_shards();
    let wanted: Vec<String> = (0..7).map(|number| format!("client-{number}")).collect();
    let _peers: Vec<_> = wanted.iter().map(|id| hub.client(Version::V5, id)).collect();
    for (size, pages) in [(1, 7), (2, 4), (7, 1), (100, 1)] {
        assert_eq!(
            names(&hub, &AskedSessions { size, ..ALL }),
            (wanted.clone(), pages),
            "{size} a page"
        );
    }
    let found = |find: &str| names(&hub, &AskedSessions { find: Some(find.into()), ..ALL }).0;
    assert_eq!(found("CLIENT-3"), ["client-3"]);
    assert_eq!(found("tester:"), wanted);
    assert!(found("client-9").is_empty());
    assert!(page(&hub, AskedSessions { tenant: TenantId(2), ..ALL }).items.is_empty());
}

#[test]
fn a_session_shows_what_it_is_and_does() {
    let hub = two_shards();
    let mut buffer = [0; 16];
    let properties = session_expiry(60, &mut buffer);
    let will = Will { qos: QoS::AtLeastOnce, retain: true, ..will("gone/one") };
    let asks = Connect { will: Some(will), properties, ..connect(Version::V5, "one") };
    let mut one = hub.connect(&asks);
    one.subscribe("b/+", QoS::AtLeastOnce);
    one.subscribe("a/#", QoS::AtMostOnce);
    let mut other = hub.client(Version::V311, "other");
    other.publish("b/1", b"first", 1);
    other.publish("b/2", b"second", 2);
    for id in 1..=2 {
        assert_eq!(other.puback(), (id, 0));
    }
    one.message();
    one.message();
    let SessionDetail { view, subscriptions, will } = detail(&hub, "one").unwrap();
    assert_eq!(
        (view.is_connected, view.version, view.transport),
        (true, Some("5.0"), Some("plain"))
    );
    assert_eq!(view.from, Some([127, 0, 0, 1].into()));
    assert_eq!((view.silence_s_max, view.expiry_s, view.until), (Some(90), 60, None));
    assert_eq!((view.queued, view.queued_bytes, view.in_flight), (2, 8 + 9, 2));
    assert_eq!((view.messages_in, view.messages_out, view.dropped), (0, 2, 0));
    assert_eq!((view.subscriptions, view.has_will, view.slow), (2, true, None));
    assert!(view.heard.is_some() && view.since > Timestamp::from_secs(1_700_000_000));
    let filters: Vec<_> = subscriptions.iter().map(|one| (&*one.filter, one.qos)).collect();
    assert_eq!(filters, [("a/#", 0), ("b/+", 1)]);
    let will = will.unwrap();
    assert_eq!(
        (&*will.topic, &*will.payload, will.qos, will.retain),
        ("gone/one", &b"gone"[..], 1, true)
    );
    let view = detail(&hub, "other").unwrap().view;
    assert_eq!((view.version, view.messages_in, view.expiry_s), (Some("3.1.1"), 2, 0));
    assert_eq!(detail(&hub, "nobody"), None);
    let counters = hub.wire.counters();
    assert!(counters.bytes_in > 50 && counters.bytes_out > 50, "{counters:?}");
}

fn leave(hub: &Hub, mut peer: TestPeer) {
    let said = hub.wire.counters().ends.get("disconnect").copied().unwrap_or(0);
    let (reason, properties) = (ReasonCode::SUCCESS, Properties::NONE);
    peer.send(&Packet::Disconnect(Disconnect { reason, properties }));
    peer.until_end();
    hub.wait_for("the end", |_, now| now.ends.get("disconnect") > Some(&said));
}

#[test]
fn a_session_whose_client_is_away_is_shown_and_ended_by_hand() {
    let hub = two_shards();
    let mut away = hub.connect(&lasting("away"));
    away.subscribe("t/#", QoS::AtLeastOnce);
    leave(&hub, away);
    let mut here = hub.client(Version::V5, "here");
    here.publish("t/1", b"waits", 1);
    here.puback();
    hub.wait_for("it waits", |hub, _| detail(hub, "away").unwrap().view.queued == 1);
    let view = detail(&hub, "away").unwrap().view;
    assert!(!view.is_connected && view.until.is_some_and(|until| until > view.since));
    assert_eq!((view.in_flight, view.version), (0, Some("3.1.1")));
    let which = |which| names(&hub, &AskedSessions { which, ..ALL }).0;
    assert_eq!(
        (which(Which::Away), which(Which::Connected)),
        (vec!["away".into()], vec!["here".into()])
    );
    hub.wait_for("it is counted", |_, counters| counters.away == 1);
    assert!(now(hub.wire.census().end(name("away"))));
    assert!(!now(hub.wire.census().end(name("away"))), "it is gone");
    assert_eq!(detail(&hub, "away"), None);
    let (_, present) = hub.connect_to_session(&lasting("away"));
    assert!(!present);
}

#[test]
fn who_is_ended_by_hand_is_told_and_finds_nothing_of_the_session() {
    let hub = two_shards();
    let mut buffer = [0; 16];
    let asks = || Connect { clean_start: false, ..connect(Version::V5, "c") };
    let mut peer = hub.connect(&Connect { properties: session_expiry(600, &mut buffer), ..asks() });
    peer.subscribe("t/#", QoS::AtLeastOnce);
    assert!(now(hub.wire.census().end(name("c"))));
    assert_eq!(peer.disconnect(), 0x98);
    hub.wait_for_end("ended-by-hand", 1);
    assert_eq!(detail(&hub, "c"), None);
    assert!(!hub.connect_to_session(&asks()).1);
}

#[test]
fn a_subscriber_that_does_not_read_is_named_until_it_has_caught_up() {
    let hub = Hub::new(Settings { slow_ms: 50, out_bytes_max: 64 * 1024, ..Settings::default() });
    let mut lazy = hub.client(Version::V5, "lazy");
    lazy.subscribe("t", QoS::AtMostOnce);
    let mut quick = hub.client(Version::V5, "quick");
    let payload = vec![0; 32 * 1024];
    hub.wait_for("it is slow", |_, counters| {
        quick.publish("t", &payload, 0);
        counters.slow == 1 && counters.dropped_slow_reader > 0
    });
    let [view] = &slow(&hub)[..] else { panic!("{:?}", slow(&hub)) };
    assert_eq!(&*view.name.client_id, "lazy");
    assert!(view.out_bytes > 32 * 1024 && view.slow.unwrap().dropped > 0, "{view:?}");
    assert!(now(hub.wire.census().slow(TenantId(2))).is_empty());
    assert_eq!(
        detail(&hub, "lazy").unwrap().view.slow.map(|slow| slow.since),
        view.slow.map(|slow| slow.since)
    );
    lazy.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut buffer = vec![0; 1 << 20];
    while std::io::Read::read(&mut lazy.stream, &mut buffer).is_ok() {}
    hub.wait_for("it has caught up", |_, counters| counters.slow == 0);
    assert!(slow(&hub).is_empty());
    assert_eq!(hub.wire.counters().slow_found, 1, "found once");
    assert_eq!(detail(&hub, "lazy").unwrap().view.slow, None);
}

#[test]
fn so_many_crowded_ones_are_kept_in_mind_and_so_many_are_named() {
    let mut settings = Settings { slow_ms: 0, ..Settings::default() };
    settings.mqtt.queue.messages_max = 2;
    let hub = Hub::new(settings);
    let _peers: Vec<_> = (0..=CROWDED_MAX)
        .map(|number| {
            let mut peer = hub.client(Version::V311, &format!("lazy-{number}"));
            peer.subscribe("t", QoS::AtLeastOnce);
            peer
        })
        .collect();
    let mut quick = hub.client(Version::V311, "quick");
    quick.publish("t", b"1", 1);
    quick.publish("t", b"2", 2);
    for id in 1..=2 {
        assert_eq!(quick.puback(), (id, 0));
    }
    hub.wait_for("they are slow", |_, counters| counters.slow > 0);
    assert_eq!(hub.wire.counters().slow, CROWDED_MAX as u64, "of one more than that");
    assert_eq!(slow(&hub).len(), SLOW_NAMED_MAX);
}

#[test]
fn an_answer_has_so_many_sessions_and_is_looked_for_among_so_many() {
    let gate = TestGate::keeping();
    let owner = std::sync::Arc::from([4, 0, 0, 0, 0]);
    for session in 0..=SESSIONS_SCAN_MAX as u64 {
        let client_id = format!("c{session:05}").into();
        let owner = std::sync::Arc::clone(&owner);
        let open = SessionChange::Open { session, owner, client_id, expiry_s: 600 };
        gate.keep(vec![open]).unwrap();
    }
    let hub = Hub::with(gate, Settings::default());
    let first = page(&hub, AskedSessions { size: usize::MAX, ..ALL });
    assert_eq!(first.items.len(), SESSIONS_PAGE_MAX);
    assert_eq!(first.items[0].version, None, "its client has not been here");
    let last = format!("c{SESSIONS_SCAN_MAX:05}");
    let look = AskedSessions { find: Some(last.clone().into()), ..ALL };
    let none = page(&hub, look.clone());
    assert!(none.items.is_empty() && none.next.is_some(), "it goes on after a while");
    assert_eq!(names(&hub, &look), (vec![last], 2));
    assert_eq!(names(&hub, &ALL).0.len(), SESSIONS_SCAN_MAX + 1);
}
