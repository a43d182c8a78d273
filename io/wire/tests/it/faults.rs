//! Bad input, slow readers, half-open connections, and the driver's limits.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use hedgerow_base::{DeviceId, Fault, TenantId};
use hedgerow_mqtt::{Packet, QoS, Version};
use hedgerow_policy::{CertificateId, DirectDevice, Witness};
use hedgerow_wire::{Error, Settings};

use crate::peer::{Hub, connect};

#[test]
fn insecure_mqtt_is_for_loopback_and_testers_only() {
    let hub = Hub::new(Settings::default());
    let tester = Witness::of_a_proof().loopback_tester();
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let refused = hub.wire.listen_insecure(address, tester);
        assert!(matches!(refused, Err(Error::NotLoopback(_))), "{address}");
    }
    let device = Witness::of_a_proof().device(DirectDevice {
        tenant: TenantId::FIRST,
        device: DeviceId::from_bytes([1; 16]),
        certificate: CertificateId([2; 32]),
    });
    let refused = hub.wire.listen_insecure(([127, 0, 0, 1], 0).into(), device);
    assert_eq!(refused.map_err(|error| error.fault()), Err(Fault::Denied));
    assert!(hub.wire.listen_insecure("[::1]:0".parse().unwrap(), tester).is_ok());
}

#[test]
fn garbage_at_any_place_ends_only_its_own_connection() {
    let hub = Hub::new(Settings::default());
    let mut bystander = hub.client(Version::V311, "b");
    bystander.subscribe("t", QoS::AtMostOnce);
    let garbage: [&[u8]; 6] = [
        b"\x00\x00",
        b"\x30\xff\xff\xff\xff",
        b"\x16\x03\x01\x00\x05hello",
        b"\xff\x01\x00",
        b"\x82\x02\x00\x00",
        b"\x30\x05\x00\x03a\x00b",
    ];
    for bytes in garbage {
        let mut stranger = hub.raw();
        stranger.stream.write_all(bytes).unwrap();
        assert_eq!(stranger.until_end(), b"", "{bytes:02x?}");
        let mut client = hub.client(Version::V5, "c");
        client.stream.write_all(bytes).unwrap();
        assert_eq!(client.until_end()[0], 0xE0, "{bytes:02x?}");
    }
    let mut client = hub.client(Version::V311, "c");
    client.publish("t", b"still here", 0);
    assert_eq!(bystander.message().1, b"still here");
}

#[test]
fn a_packet_at_the_limit_passes_and_one_past_it_is_told_too_large() {
    let mut settings = Settings::default();
    settings.mqtt.packet_bytes_max = 1000;
    let hub = Hub::new(settings);
    let mut client = hub.client(Version::V5, "c");
    // One byte of kind, two of length, three of topic, one of properties.
    client.publish("t", &vec![0; 1000 - 7], 0);
    client.expect_quiet();
    client.publish("t", &vec![0; 1001 - 7], 0);
    assert_eq!(client.disconnect(), 0x95);
    hub.wait_for_end("packet-too-large", 1);
}

#[test]
fn a_connection_that_never_says_connect_is_closed() {
    let mut settings = Settings::default();
    settings.mqtt.connect_ms_max = 50;
    settings.handshake_ms_max = 50;
    let hub = Hub::new(settings);
    let mut silent = hub.raw();
    let mut slow = hub.raw();
    slow.stream.write_all(b"\x10\x0c\x00\x04MQ").unwrap();
    assert_eq!((silent.until_end(), slow.until_end()), (vec![], vec![]));
    hub.wait_for_end("handshake-timeout", 1);
    hub.wait_for_end("connect-timeout", 1);
    hub.wait_for("they are gone", |_, counters| counters.connections == 0);
}

#[test]
fn a_client_that_breaks_its_keep_alive_is_closed() {
    let hub = Hub::new(Settings::default());
    let mut silent =
        hub.connect(&hedgerow_mqtt::Connect { keep_alive_s: 1, ..connect(Version::V5, "c") });
    assert_eq!(silent.disconnect(), 0x8D);
    assert_eq!(silent.until_end(), b"");
    hub.wait_for_end("keep-alive", 1);
}

#[test]
fn connections_are_limited_in_all_and_half_open() {
    let crowded_silence_ms_max = 60_000;
    let settings = Settings {
        connections_max: 3,
        half_open_max: 2,
        crowded_silence_ms_max,
        ..Settings::default()
    };
    let hub = Hub::new(settings);
    let (first, _second) = (hub.raw(), hub.raw());
    hub.wait_for("two half-open", |_, counters| counters.half_open == 2);
    let mut waits = hub.raw();
    hub.wait_for_end("half-open-waited", 1);
    drop(first);
    waits.send(&Packet::Connect(connect(Version::V311, "a")));
    waits.expect(|packet| assert!(matches!(packet, Packet::ConnAck(_))));
    let _b = hub.client(Version::V311, "b");
    hub.wait_for("three in all", |_, counters| {
        (counters.connections, counters.half_open) == (3, 1)
    });
    assert_eq!(hub.raw().until_end(), b"");
    hub.wait_for_end("connections-full", 1);
}

#[test]
fn a_burst_far_beyond_the_half_open_limit_gets_in() {
    let hub = Hub::new(Settings { half_open_max: 20, shards: 2, ..Settings::default() });
    let mut peers: Vec<_> = (0..500).map(|_| hub.raw()).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.send(&Packet::Connect(connect(Version::V311, &format!("c{number}"))));
    }
    for peer in &mut peers {
        peer.expect(|packet| assert!(matches!(packet, Packet::ConnAck(_))));
    }
    assert_eq!(hub.wire.counters().connections, 500);
}

#[test]
fn the_silent_give_their_places_up_only_in_a_crowd() {
    let settings = Settings {
        half_open_max: 8,
        crowded_silence_ms_max: 50,
        handshake_ms_max: 400,
        ..Settings::default()
    };
    let hub = Hub::new(settings);
    let few: Vec<_> = (0..4).map(|_| hub.raw()).collect();
    // Half of the places: nobody needs theirs, so they have all the time there is.
    hub.wait_for_end("handshake-timeout", 4);
    assert_eq!(hub.wire.counters().ends.get("silent-in-a-crowd"), None);
    let many: Vec<_> = (0..100).map(|_| hub.raw()).collect();
    // It comes after all of them and is served though none of them leaves.
    hub.client(Version::V311, "late").expect_quiet();
    let ends = hub.wire.counters().ends;
    assert!(ends["silent-in-a-crowd"] >= 50, "{ends:?}");
    drop((few, many));
}

#[test]
fn a_slow_reader_loses_qos_0_and_holds_nobody_up() {
    let settings = Settings { out_bytes_max: 200_000, ..Settings::default() };
    let hub = Hub::new(settings);
    let mut slow = hub.client(Version::V311, "slow");
    slow.subscribe("t", QoS::AtMostOnce);
    let mut quick = hub.client(Version::V311, "quick");
    quick.subscribe("t", QoS::AtMostOnce);
    let mut publisher = hub.client(Version::V311, "p");
    let payload = vec![7; 50_000];
    let mut sent = 0u64;
    // Until the sockets' buffers are full as well.
    while hub.wire.counters().dropped_slow_reader < 3 {
        publisher.publish("t", &payload, 0);
        assert_eq!(quick.message().1.len(), payload.len());
        sent += 1;
        assert!(sent < 10_000);
    }
    // Once it reads, it gets whole packets, and what comes from now on.
    publisher.publish("t", b"end", 0);
    quick.message();
    let mut got = 0;
    slow.stream.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let mut bytes = vec![];
    let mut buffer = vec![0; 1 << 16];
    while let Ok(len @ 1..) = slow.stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..len]);
    }
    let mut rest = &*bytes;
    while let Ok(hedgerow_mqtt::Split::Whole(frame, more)) = hedgerow_mqtt::split(rest, usize::MAX)
    {
        assert!(matches!(Packet::decode(frame, Version::V311), Ok(Packet::Publish(_))));
        rest = more;
        got += 1;
    }
    assert!(rest.is_empty(), "packets are dropped whole");
    let dropped = hub.wire.counters().dropped_slow_reader;
    assert_eq!(got + dropped, sent + 1, "received or counted");
}

#[test]
fn a_reader_that_takes_nothing_for_too_long_is_closed() {
    let settings = Settings { stall_ms_max: 300, ..Settings::default() };
    let hub = Hub::new(settings);
    let mut stuck = hub.client(Version::V311, "stuck");
    stuck.subscribe("t", QoS::AtMostOnce);
    let mut publisher = hub.client(Version::V311, "p");
    let payload = vec![7; 200_000];
    while hub.wire.counters().dropped_slow_reader == 0 {
        publisher.publish("t", &payload, 0);
        publisher.expect_quiet();
    }
    hub.wait_for_end("slow-reader", 1);
    hub.wait_for("it is gone", |_, counters| counters.connections == 1);
}

#[test]
fn a_client_that_asks_and_never_reads_is_stopped_and_closed() {
    let settings = Settings { out_bytes_max: 100_000, stall_ms_max: 300, ..Settings::default() };
    let hub = Hub::new(settings);
    let mut asks = hub.client(Version::V311, "asks");
    asks.stream.set_write_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let pings = [0xC0, 0].repeat(50_000);
    // Until the hub takes no more and closes: the answers alone would be gigabytes.
    let mut written = 0u64;
    while asks.stream.write_all(&pings).is_ok() {
        written += pings.len() as u64;
        assert!(written < 1_000_000_000, "the hub goes on reading");
    }
    hub.wait_for_end("slow-reader", 1);
}

#[test]
fn a_client_that_was_held_back_gets_all_its_answers_once_it_reads() {
    let hub = Hub::new(Settings { out_bytes_max: 100, ..Settings::default() });
    let mut asks = hub.client(Version::V311, "asks");
    let mut writer = asks.stream.try_clone().unwrap();
    let count = 300_000;
    let writing = std::thread::spawn(move || {
        let pings = [0xC0, 0].repeat(count / 100);
        (0..100).for_each(|_| writer.write_all(&pings).unwrap());
    });
    let mut answers = vec![0; 2 * count];
    asks.stream.read_exact(&mut answers).unwrap();
    writing.join().unwrap();
    assert!(answers.chunks(2).all(|answer| answer == [0xD0, 0]));
}

/// A door whose handshake never ends.
struct Stuck;

impl hedgerow_wire::Door for Stuck {
    type Stream = tokio::net::TcpStream;

    async fn open(
        &self,
        tcp: tokio::net::TcpStream,
        _: std::net::IpAddr,
    ) -> Result<(Self::Stream, hedgerow_listen::Caller), &'static str> {
        std::future::pending::<()>().await;
        drop(tcp);
        Err("never")
    }
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up() {
    let hub = Hub::new(Settings { handshake_ms_max: 50, ..Settings::default() });
    let address = hub.wire.listen(([127, 0, 0, 1], 0).into(), Stuck).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    hub.wait_for_end("handshake-timeout", 1);
    hub.wait_for("it is gone", |_, counters| counters.connections + counters.half_open == 0);
}

#[test]
fn stopping_says_goodbye() {
    let hub = Hub::new(Settings::default());
    let mut client = hub.client(Version::V5, "c");
    let half_open = hub.raw();
    hub.wait_for("both are in", |_, counters| counters.connections == 2);
    let Hub { wire, .. } = hub;
    wire.stop();
    assert_eq!(client.disconnect(), 0x8B);
    assert_eq!(client.until_end(), b"");
    drop(half_open);
}
