//! Rates, sources, proxies, and clients that are sent elsewhere.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use hedgerow_base::Rate;
use hedgerow_listen::SourceLimits;
use hedgerow_mqtt::{ConnAck, Packet, PropertyId, QoS, ReasonCode, Version};
use hedgerow_wire::Settings;

use crate::peer::{Hub, connect};

fn enter(hub: &Hub, count: usize) {
    let mut peers: Vec<_> = (0..count).map(|_| hub.raw()).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.send(&Packet::Connect(connect(Version::V311, &format!("c{number}"))));
    }
    for peer in &mut peers {
        peer.expect(|packet| assert!(matches!(packet, Packet::ConnAck(_)), "{packet:?}"));
    }
}

#[test]
fn a_storm_of_connects_is_admitted_at_the_rate_and_nobody_is_turned_away() {
    let connects = Rate { per_second: 100, burst: 20 };
    let hub = Hub::new(Settings { connects, shards: 2, ..Settings::default() });
    let begun = Instant::now();
    enter(&hub, 20);
    enter(&hub, 30);
    // What is beyond the burst takes 10 ms each.
    assert!(begun.elapsed() >= Duration::from_millis(300 - 10), "{:?}", begun.elapsed());
    assert!(hub.wire.counters().ends["connects-waited"] > 0);
}

#[test]
fn a_source_has_so_many_connections_and_opens_so_many_a_second() {
    let connects = Rate { per_second: 1, burst: 4 };
    let sources = SourceLimits { connections_max: 3, connects };
    let hub = Hub::new(Settings { sources, ..Settings::default() });
    let held: Vec<_> = ["a", "b", "c"].map(|id| hub.client(Version::V311, id)).into();
    let turned_away = || {
        let mut peer = hub.raw();
        peer.send(&Packet::Connect(connect(Version::V311, "d")));
        assert_eq!(peer.until_end(), b"");
    };
    turned_away();
    hub.wait_for_end("source-full", 1);
    drop(held);
    hub.wait_for("they are gone", |_, counters| counters.connections == 0);
    let _fourth = hub.client(Version::V311, "d");
    turned_away();
    hub.wait_for_end("source-too-fast", 1);
}

#[test]
fn who_publishes_too_much_is_read_more_slowly_and_loses_nothing() {
    let publishes = Rate { per_second: 1_000, burst: 500 };
    let hub = Hub::new(Settings { publishes, ..Settings::default() });
    let mut subscriber = hub.client(Version::V311, "s");
    subscriber.subscribe("t", QoS::AtMostOnce);
    let mut eager = hub.client(Version::V311, "p");
    let begun = Instant::now();
    // Several reads' worth: what one read brings is taken whole, and paid for afterwards.
    let payload = |number: u32| [&number.to_be_bytes()[..], &[0; 252]].concat();
    for number in 0..1_500u32 {
        eager.publish("t", &payload(number), 0);
    }
    for number in 0..1_500u32 {
        assert_eq!(subscriber.message().1, payload(number));
    }
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(hub.wire.counters().throttled > 0);
}

#[test]
fn bytes_count_too_and_a_pause_that_is_ours_breaks_no_keep_alive() {
    let publish_bytes = Rate { per_second: 100_000, burst: 50_000 };
    let hub = Hub::new(Settings { publish_bytes, ..Settings::default() });
    let mut subscriber = hub.client(Version::V311, "s");
    subscriber.subscribe("t", QoS::AtMostOnce);
    let mut eager =
        hub.connect(&hedgerow_mqtt::Connect { keep_alive_s: 1, ..connect(Version::V5, "p") });
    let begun = Instant::now();
    // One packet that takes 2 s at this rate: longer than the client may be silent.
    eager.publish("t", &[0; 250_000], 0);
    eager.publish("t", b"after", 0);
    assert_eq!(subscriber.message().1.len(), 250_000);
    assert_eq!(subscriber.message().1, b"after");
    assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?}", begun.elapsed());
    assert_eq!(hub.wire.counters().ends.get("keep-alive"), None);
}

#[test]
fn at_the_rate_nobody_is_held_back() {
    let publishes = Rate { per_second: 10, burst: 100 };
    let hub = Hub::new(Settings { publishes, ..Settings::default() });
    let mut client = hub.client(Version::V311, "p");
    client.subscribe("t", QoS::AtMostOnce);
    for _ in 0..100 {
        client.publish("t", b"", 0);
    }
    (0..100).for_each(|_| drop(client.message()));
    assert_eq!(hub.wire.counters().throttled, 0);
    client.publish("t", b"one more", 0);
    assert_eq!(client.message().1, b"one more");
    assert_eq!(hub.wire.counters().throttled, 1);
}

#[test]
fn a_proxy_speaks_for_clients_of_several_sources() {
    let sources = SourceLimits { connections_max: 1, ..SourceLimits::default() };
    let proxies = Arc::from(["127.0.0.0/8".parse().unwrap()]);
    let hub = Hub::new(Settings { sources, proxies, ..Settings::default() });
    let from = |last: u8| {
        let mut peer = hub.raw();
        let header = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0".as_slice(), &[last, 127, 0]];
        let mut bytes = [&header.concat()[..], b"\0\x01\0\x01\0\x02"].concat();
        let id = format!("c{last}");
        Packet::Connect(connect(Version::V311, &id)).encode(Version::V311, &mut bytes).unwrap();
        peer.stream.write_all(&bytes).unwrap();
        peer
    };
    let is_in = |packet: Packet<'_>| assert!(matches!(packet, Packet::ConnAck(_)), "{packet:?}");
    let (mut first, mut second) = (from(1), from(2));
    first.expect(is_in);
    second.expect(is_in);
    assert_eq!(from(2).until_end(), b"");
    hub.wait_for_end("source-full", 1);
    let mut without = hub.raw();
    without.send(&Packet::Connect(connect(Version::V311, "without")));
    assert_eq!(without.until_end(), b"");
    hub.wait_for_end("no-proxy-header", 1);
}

#[test]
fn a_hub_that_sends_its_clients_elsewhere_says_where() {
    for (has_moved, reason) in
        [(false, ReasonCode::USE_ANOTHER_SERVER), (true, ReasonCode::SERVER_MOVED)]
    {
        let mut settings = Settings { has_moved, ..Settings::default() };
        settings.mqtt.server_reference = Some("other.example:8883".into());
        let hub = Hub::new(settings);
        let mut peer = hub.raw();
        peer.version = Version::V5;
        peer.send(&Packet::Connect(connect(Version::V5, "c")));
        peer.expect(|packet| {
            let Packet::ConnAck(ConnAck { reason: told, properties, .. }) = packet else {
                panic!("{packet:?}")
            };
            assert_eq!(told, reason);
            let reference = properties.text(PropertyId::SERVER_REFERENCE);
            assert_eq!(reference, Some("other.example:8883"));
        });
        hub.wait_for_end("sent-on", 1);
        let mut old = hub.raw();
        old.send(&Packet::Connect(connect(Version::V311, "c")));
        assert_eq!(old.until_end(), b"\x20\x02\x00\x03", "3.1.1 has no word for it: unavailable");
    }
}
