//! Sessions whose client comes back at any shard while messages are on their way: whatever was
//! acknowledged arrives.

use std::{
    collections::BTreeSet,
    io::Write,
    net::{Shutdown, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hedgerow_mqtt::{Packet, PacketId, Publish, QoS, SubscriptionOptions, Version};
use hedgerow_wire::{SessionChange, Settings};

use crate::{
    gate::TestGate,
    peer::{Hub, TestPeer, connect, lasting},
};

const PUBLISHERS: usize = 3;
const ROUNDS: u32 = 100;

/// Publishes numbers at QoS 1, each after the acknowledgement of the one before, until it is told to stop;
/// gives how many were acknowledged.
fn publish_until(address: SocketAddr, topic: &str, stop: &AtomicBool) -> u32 {
    let mut peer = TestPeer::to(address);
    peer.send(&Packet::Connect(connect(Version::V311, topic)));
    peer.expect(|packet| assert!(matches!(packet, Packet::ConnAck(_))));
    let mut count = 0u32;
    while !stop.load(SeqCst) {
        peer.publish(topic, &count.to_be_bytes(), 1);
        assert_eq!(peer.puback(), (1, 0));
        count += 1;
    }
    count
}

/// Publishers in every shard, until they are stopped.
struct Publishers {
    stop: Arc<AtomicBool>,
    all: Vec<(String, JoinHandle<u32>)>,
}

impl Publishers {
    fn begin(hub: &Hub) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = |number| {
            let (address, stop, topic) = (hub.address, Arc::clone(&stop), format!("t/{number}"));
            let name = topic.clone();
            (name, thread::spawn(move || publish_until(address, &topic, &stop)))
        };
        Self { all: (0..PUBLISHERS).map(begin).collect(), stop }
    }

    /// All that was acknowledged.
    fn stop(self) -> BTreeSet<(String, u32)> {
        self.stop.store(true, SeqCst);
        let counts = self.all.into_iter().map(|(topic, one)| (topic, one.join().unwrap()));
        counts.flat_map(|(topic, count)| (0..count).map(move |n| (topic.clone(), n))).collect()
    }
}

/// Takes the next message.
fn take(client: &mut TestPeer, got: &mut Vec<(String, u32)>) {
    let (topic, payload, id, _) = client.message();
    got.push((topic, u32::from_be_bytes(payload.try_into().unwrap())));
    client.acknowledge(id);
}

/// A lasting client that comes back again and again, sometimes before its old connection has ended, and
/// takes messages in between. Gives all that came to it.
fn come_back(hub: &Hub, name: &str) -> Vec<(String, u32)> {
    let mut got = Vec::new();
    for round in 0..ROUNDS {
        let (mut client, present) = hub.connect_to_session(&lasting(name));
        assert!(present, "round {round}");
        let until = Instant::now() + Duration::from_millis(2);
        while Instant::now() < until {
            take(&mut client, &mut got);
        }
        if round % 3 == 0 {
            client.stream.shutdown(Shutdown::Both).unwrap();
        }
    }
    got
}

/// Sessions from before a restart, each for topics of its own.
fn many_kept(count: u64) -> TestGate {
    let gate = TestGate::keeping();
    for session in 1..=count {
        let owner = Arc::from([4, 0, 0, 0, 0]);
        let client_id = Arc::from(format!("c{session}"));
        gate.put(&SessionChange::Open { session, owner, client_id, expiry_s: 60 });
        for number in 0..30 {
            let filter = Arc::from(format!("t/{session}/{number}"));
            let options = SubscriptionOptions::of(QoS::AtLeastOnce).to_bytes().into();
            gate.put(&SessionChange::Subscribe { session, filter, options });
        }
    }
    gate
}

#[test]
fn the_first_message_after_a_restart_finds_every_session() {
    const SESSIONS: u64 = 4_000;
    let gate = many_kept(SESSIONS);
    let hub = Hub::with(gate, Settings { shards: 2, ..Settings::default() });
    let mut publisher = hub.client(Version::V311, "p");
    for session in SESSIONS - 1..=SESSIONS {
        publisher.publish(&format!("t/{session}/29"), b"x", 1);
        publisher.puback();
    }
    for session in SESSIONS - 1..=SESSIONS {
        let (mut client, present) = hub.connect_to_session(&lasting(&format!("c{session}")));
        assert!(present);
        assert_eq!(client.message().1, b"x");
    }
}

#[test]
fn what_a_client_says_with_its_connect_is_heard_in_the_shard_of_its_session() {
    let hub = hub(3, TestGate::default(), "t/+", &["c"]);
    for round in 0..9u8 {
        let mut client = TestPeer::to(hub.address);
        let mut bytes = Vec::new();
        Packet::Connect(lasting("c")).encode(Version::V311, &mut bytes).unwrap();
        let payload = [round];
        let message = Publish::at_most_once("t/x", &payload);
        let message = Publish { qos: QoS::AtLeastOnce, id: PacketId::new(7), ..message };
        Packet::Publish(message).encode(Version::V311, &mut bytes).unwrap();
        // The beginning of a packet whose end comes later.
        let (ping, later) = ([0xC0], [0x00]);
        bytes.extend_from_slice(&ping);
        client.stream.write_all(&bytes).unwrap();
        client.expect(|packet| {
            let Packet::ConnAck(ack) = packet else { panic!("{packet:?}") };
            assert!(ack.session_present);
        });
        let id = [0, 1].iter().fold(None, |id, _| {
            client.expect(|packet| match packet {
                Packet::PubAck(ack) => {
                    assert_eq!(ack.id.get(), 7);
                    id
                }
                Packet::Publish(message) => {
                    assert_eq!(message.payload, [round]);
                    message.id
                }
                other => panic!("{other:?}"),
            })
        });
        client.stream.write_all(&later).unwrap();
        client.expect(|packet| assert_eq!(packet, Packet::PingResp));
        client.acknowledge(id.unwrap().get());
    }
}

/// Takes what is left for a client.
fn drain(hub: &Hub, name: &str, got: &mut Vec<(String, u32)>) {
    let (mut client, present) = hub.connect_to_session(&lasting(name));
    assert!(present);
    client.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    while client.has_packet() {
        take(&mut client, got);
    }
}

fn hub(shards: usize, gate: TestGate, filter: &str, names: &[&str]) -> Hub {
    let mut settings = Settings { shards, ..Settings::default() };
    settings.mqtt.queue.messages_max = 1_000_000;
    let hub = Hub::with(gate, settings);
    for name in names {
        hub.connect(&lasting(name)).subscribe(filter, QoS::AtLeastOnce);
    }
    hub
}

#[test]
fn what_is_acknowledged_reaches_a_session_whose_client_comes_back_at_any_shard() {
    for (shards, gate) in
        [(1, TestGate::keeping()), (2, TestGate::default()), (3, TestGate::keeping())]
    {
        let hub = hub(shards, gate, "t/+", &["c"]);
        let publishers = Publishers::begin(&hub);
        let mut got = come_back(&hub, "c");
        let mut sent = publishers.stop();
        let all = sent.len();
        drain(&hub, "c", &mut got);
        let got: BTreeSet<_> = got.into_iter().collect();
        sent.retain(|one| !got.contains(one));
        assert!(sent.is_empty(), "{shards} shards, of {all}: {sent:?}");
        assert_eq!(hub.wire.counters().dropped_queue_full, 0);
    }
}

#[test]
fn what_is_acknowledged_reaches_one_of_a_group_whose_members_come_and_go() {
    for shards in [1, 3] {
        let names = ["one", "other"];
        let hub = hub(shards, TestGate::keeping(), "$share/g/t/+", &names);
        let publishers = Publishers::begin(&hub);
        let mut got: Vec<_> = thread::scope(|scope| {
            let members = names.map(|name| scope.spawn(|| come_back(&hub, name)));
            members.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });
        let mut sent = publishers.stop();
        let all = sent.len();
        names.iter().for_each(|name| drain(&hub, name, &mut got));
        let got: BTreeSet<_> = got.into_iter().collect();
        sent.retain(|one| !got.contains(one));
        assert!(sent.is_empty(), "{shards} shards, of {all}: {sent:?}");
    }
}
