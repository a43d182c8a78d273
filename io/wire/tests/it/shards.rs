//! Several shards: what crosses between them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use hedgerow_mqtt::{QoS, Version};
use hedgerow_wire::{Error, Settings, Wire};

use crate::{
    gate::TestGate,
    peer::{Hub, lasting},
};

fn three() -> Hub {
    Hub::new(Settings { shards: 3, ..Settings::default() })
}

#[test]
fn no_shards_and_too_many_are_refused() {
    for shards in [0, hedgerow_wire::limits::SHARDS_MAX + 1] {
        let settings = Settings { shards, ..Settings::default() };
        assert!(matches!(Wire::start(TestGate::default(), settings), Err(Error::Shards(_))));
    }
}

#[test]
fn messages_reach_subscribers_of_every_shard_once() {
    let hub = three();
    let mut clients: Vec<_> = (0..6).map(|n| hub.client(Version::V311, &format!("c{n}"))).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.subscribe("all", if number < 3 { QoS::AtMostOnce } else { QoS::AtLeastOnce });
    }
    for from in 0..6 {
        clients[from].publish("all", &[u8::try_from(from).unwrap()], 0);
        for client in &mut clients {
            assert_eq!(client.message().1, [u8::try_from(from).unwrap()]);
        }
    }
    let mut publisher = hub.client(Version::V311, "p");
    publisher.publish("all", b"kept", 1);
    assert_eq!(publisher.puback(), (1, 0));
    for (number, client) in clients.iter_mut().enumerate() {
        let (_, payload, id, _) = client.message();
        assert_eq!((&*payload, id), (&b"kept"[..], u16::from(number >= 3)));
        if id > 0 {
            client.acknowledge(id);
        }
        client.expect_quiet();
    }
}

#[test]
fn a_session_follows_its_client_to_another_shard() {
    let hub = three();
    let mut publisher = hub.client(Version::V311, "p");
    let (mut client, mut present) = hub.connect_to_session(&lasting("c"));
    assert!(!present);
    client.subscribe("t", QoS::AtLeastOnce);
    // Each connection lands on the next shard; some take over, some find the client gone.
    for round in 1..=9u16 {
        if round % 2 == 0 {
            drop(client);
            hub.wait_for_end("peer-closed", u64::from(round / 2));
        }
        publisher.publish("t", &round.to_be_bytes(), round);
        assert_eq!(publisher.puback(), (round, 0));
        let before = present;
        (client, present) = hub.connect_to_session(&lasting("c"));
        assert!(present, "round {round}, before {before}");
        let (_, payload, id, _) = client.message();
        assert_eq!(payload, round.to_be_bytes());
        client.acknowledge(id);
        client.expect_quiet();
    }
}

#[test]
fn many_connections_fight_for_one_session_and_one_has_it() {
    let hub = three();
    let fighters: Vec<_> = (0..8)
        .map(|_| {
            let address = hub.address;
            std::thread::spawn(move || {
                use std::io::{Read, Write};
                for _ in 0..25 {
                    let mut stream = std::net::TcpStream::connect(address).unwrap();
                    stream.write_all(b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x3c\x00\x01c").unwrap();
                    // A CONNACK, or the end because another one was quicker.
                    let _ = stream.read(&mut [0; 4]);
                }
            })
        })
        .collect();
    fighters.into_iter().for_each(|fighter| fighter.join().unwrap());
    let (mut last, _) = hub.connect_to_session(&lasting("c"));
    last.subscribe("t", QoS::AtMostOnce);
    last.publish("t", b"mine", 0);
    assert_eq!(last.message().1, b"mine");
    hub.wait_for("all others are gone", |_, counters| counters.connections == 1);
}

/// Threads that take the processors away from the shards at any moment, until it is dropped.
struct Spinning(Arc<AtomicBool>);

impl Spinning {
    fn begin() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..=std::thread::available_parallelism().unwrap().get() {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(SeqCst) {});
        }
        Self(stop)
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn who_acknowledges_each_message_before_the_next_never_has_a_full_queue() {
    let mut settings = Settings { shards: 2, ..Settings::default() };
    // One that is on its way, and one whose acknowledgement is.
    settings.mqtt.queue.messages_max = 2;
    let hub = Hub::new(settings);
    let mut clients: Vec<_> = (0..2).map(|n| hub.client(Version::V311, &format!("c{n}"))).collect();
    clients.iter_mut().for_each(|client| client.subscribe("t", QoS::AtLeastOnce));
    let mut publisher = hub.client(Version::V311, "p");
    let _spinning = Spinning::begin();
    for round in 0..3_000u32 {
        publisher.publish("t", &round.to_be_bytes(), 1);
        for client in &mut clients {
            let (_, payload, id, _) = client.message();
            assert_eq!(payload, round.to_be_bytes());
            client.acknowledge(id);
        }
        publisher.puback();
        assert_eq!(hub.wire.counters().dropped_queue_full, 0, "round {round}");
    }
}
