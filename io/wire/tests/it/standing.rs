//! The gate changes its mind about open sessions.

use hedgerow_base::Fault;
use hedgerow_mqtt::{Packet, QoS, Version};
use hedgerow_wire::{Settings, Verdict};

use crate::{
    gate::refusal,
    peer::{Hub, connect, lasting},
};

#[test]
fn a_refused_client_is_told_in_the_words_of_its_version() {
    let hub = Hub::new(Settings::default());
    hub.gate.refuse_everybody(refusal(Fault::Denied));
    for (version, told) in
        [(Version::V311, &b"\x20\x02\x00\x05"[..]), (Version::V5, b"\x20\x16\x00\x87")]
    {
        let mut peer = hub.raw();
        peer.version = version;
        peer.send(&Packet::Connect(connect(version, "c")));
        let all = peer.until_end();
        assert_eq!(all[..4], *told, "{all:02x?}");
        assert_eq!(version == Version::V5, all.ends_with(b"the test says no"));
    }
    hub.wait_for_end("refused", 2);
    assert!(hub.gate.log().is_empty());
}

#[test]
fn an_open_session_ends_within_a_second_of_the_change_though_nobody_speaks() {
    let hub = Hub::new(Settings::default());
    let (mut new, mut old) = (hub.client(Version::V5, "5"), hub.client(Version::V311, "4"));
    let begun = std::time::Instant::now();
    hub.gate.judge_again(Verdict::Ended(refusal(Fault::Denied)));
    assert_eq!(new.disconnect(), 0x87);
    assert_eq!((new.until_end(), old.until_end()), (vec![], vec![]));
    assert!(begun.elapsed().as_millis() < 1000, "{:?}", begun.elapsed());
    hub.wait_for_end("standing", 2);
}

#[test]
fn sessions_of_every_shard_follow_within_a_second_though_nobody_speaks() {
    let hub = Hub::new(Settings { shards: 4, ..Settings::default() });
    let mut clients: Vec<_> =
        (0..40).map(|number| hub.client(Version::V5, &format!("c{number}"))).collect();
    for client in &mut clients {
        client.subscribe("cut/t", QoS::AtMostOnce);
    }
    let begun = std::time::Instant::now();
    hub.gate.judge_again(Verdict::Narrowed);
    // Nobody speaks: each shard judges when its own clock ticks.
    hub.wait_for("all are judged", |hub, _| hub.gate.judged() == 40);
    assert!(begun.elapsed().as_millis() < 1000, "{:?}", begun.elapsed());
    let mut publisher = hub.client(Version::V311, "p");
    publisher.publish("cut/t", b"no", 1);
    assert_eq!(publisher.puback(), (1, 0));
    clients.iter_mut().for_each(crate::peer::TestPeer::expect_quiet);
    assert_eq!(hub.wire.counters().connections, 41, "narrowed, not ended");
    let begun = std::time::Instant::now();
    hub.gate.judge_again(Verdict::Ended(refusal(Fault::Denied)));
    for client in &mut clients {
        assert_eq!(client.disconnect(), 0x87);
    }
    assert!(begun.elapsed().as_millis() < 1000, "{:?}", begun.elapsed());
    assert_eq!(publisher.until_end(), b"");
    hub.wait_for_end("standing", 41);
}

#[test]
fn a_session_that_speaks_after_the_change_is_judged_first() {
    let hub = Hub::new(Settings::default());
    let mut watcher = hub.client(Version::V311, "w");
    watcher.subscribe("t", QoS::AtMostOnce);
    let mut client = hub.client(Version::V311, "c");
    hub.gate.judge_again(Verdict::Ended(refusal(Fault::Denied)));
    client.publish("t", b"after", 0);
    assert_eq!(client.until_end(), b"");
    assert!(watcher.until_end().is_empty(), "the message went nowhere");
}

#[test]
fn a_narrowed_session_loses_what_it_may_no_longer_hear() {
    let hub = Hub::new(Settings::default());
    let mut client = hub.client(Version::V5, "c");
    client.subscribe("cut/t", QoS::AtMostOnce);
    client.subscribe("#", QoS::AtMostOnce);
    hub.gate.judge_again(Verdict::Narrowed);
    client.publish("cut/t", b"no", 0);
    client.publish("other", b"yes", 0);
    assert_eq!(client.message().0, "other");
    client.expect_quiet();
    assert_eq!(hub.wire.counters().dropped_not_allowed, 1);
    client.subscribe_with(
        "cut/t",
        hedgerow_mqtt::SubscriptionOptions::of(QoS::AtMostOnce),
        &[0x87],
    );
}

#[test]
fn a_session_that_comes_back_is_judged_as_if_new() {
    let hub = Hub::new(Settings::default());
    let mut client = hub.connect(&lasting("c"));
    client.subscribe("t", QoS::AtLeastOnce);
    drop(client);
    hub.wait_for_end("peer-closed", 1);
    hub.gate.refuse_everybody(refusal(Fault::Denied));
    let mut peer = hub.raw();
    peer.send(&Packet::Connect(lasting("c")));
    assert_eq!(peer.until_end(), b"\x20\x02\x00\x05");
}
