//! The whole hub under what is large: sessions that resume all at once, a hundred thousand retained topics,
//! and subscribers that stop reading. Nobody else waits, and memory stays within a bound.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use hedgerow_mqtt::{Ack, Packet, PacketId, QoS, Split, Version, split};
use hedgerow_scenarios::{
    Burst, RunningHub, Tester, burst, connect_311, packet_bytes, subscribe_bytes, talk,
};
use serde_json::json;

/// Sessions that resume at once.
const SESSIONS: usize = 10_000;
/// What a bystander may wait for its own message, on a machine that is busy with all of this and more.
const BYSTANDER: Duration = Duration::from_secs(5);
/// Bytes of the hub's memory for the connection of a session that was there, in a debug build. Measured: 1,700.
const CONNECTION_BYTES: u64 = 8 * 1024;

/// Retained topics.
const RETAINED: u32 = 100_000;
/// Bytes of each one's payload: all of them are more than sockets hold back.
const PAYLOAD_BYTES: usize = 160;
/// Bytes of the hub's memory for a retained topic, and beside them while a subscriber gets them all.
const RETAINED_BYTES: u64 = 2 * 1024;
const REPLAY_BYTES: u64 = 32 << 20;

/// Messages past subscribers that do not read, and their bytes.
const UNREAD: (u32, usize) = (600, 48 * 1024);
/// Bytes of the hub's memory for the first half of them, and then for the second. Measured: 18 MiB, of which
/// 3 are the subscribers' out-buffers, 2 their queues, the rest what waits for the disk and what the
/// allocator keeps of it; and nothing.
const UNREAD_BYTES: [u64; 2] = [48 << 20, 8 << 20];

/// A hub that gives a client time to say its first word in a crowd: one thread speaks for all of them, and on a
/// busy machine it takes more than the second that is usual.
fn insecure() -> (tempfile::NamedTempFile, RunningHub) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[limits]\ncrowded-silence-ms = 30000\nhandshake-ms = 30000\n")
        .unwrap();
    let options = ["--insecure-mqtt", "127.0.0.1:0", "--config", file.path().to_str().unwrap()];
    let hub = RunningHub::start(&options);
    (file, hub)
}

/// Says something to itself over and over until told to stop; how often, and the longest that it took.
fn stand_by(hub: &RunningHub, stop: &Arc<AtomicBool>) -> thread::JoinHandle<(u64, Duration)> {
    let (mut bystander, stop) = (Tester::connect(hub, "bystander"), Arc::clone(stop));
    bystander.subscribe("bystander", QoS::AtMostOnce);
    thread::spawn(move || {
        let (mut count, mut longest) = (0u64, Duration::ZERO);
        while !stop.load(SeqCst) {
            let begun = Instant::now();
            bystander.say("bystander", &count.to_be_bytes(), None, false);
            assert_eq!(bystander.message().1, count.to_be_bytes());
            longest = longest.max(begun.elapsed());
            count += 1;
        }
        (count, longest)
    })
}

fn name(of: usize) -> String {
    format!("member-{of:05}")
}

/// CONNECT of one of them.
fn hello(of: usize) -> Vec<u8> {
    packet_bytes(&Packet::Connect(connect_311(&name(of), false)))
}

/// A message of its own for each.
fn one_for_each(hub: &RunningHub) {
    let mut publisher = Tester::connect(hub, "publisher");
    let numbers: Vec<usize> = (0..SESSIONS).collect();
    for some in numbers.chunks(200) {
        for of in some {
            publisher.say(&name(*of), name(*of).as_bytes(), Some(PacketId::MIN), false);
        }
        for _ in some {
            publisher.puback();
        }
    }
}

/// All of them connect in one breath. Each must have its session and its message, whose identifiers are given.
fn all_resume(hub: &RunningHub) -> (Burst, Vec<PacketId>) {
    let begun = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let bystander = stand_by(hub, &stop);
    let before = hub.memory();
    let sockets = burst(hub.insecure_port(), SESSIONS);
    // CONNACK; PUBLISH with its topic, identifier and payload.
    let answer = 4 + 2 + 2 + name(0).len() + 2 + name(0).len();
    let heard = talk(&sockets, hello, |_| answer);
    let grown = hub.memory().saturating_sub(before);
    stop.store(true, SeqCst);
    let (count, longest) = bystander.join().unwrap();
    let ids = heard.iter().enumerate().map(|(of, bytes)| {
        assert_eq!(bytes[..4], [0x20, 2, 1, 0], "its session is there");
        let Split::Whole(frame, []) = split(&bytes[4..], 1024).unwrap() else {
            panic!("{bytes:?}")
        };
        let Packet::Publish(message) = Packet::decode(frame, Version::V311).unwrap() else {
            panic!("{bytes:02x?}")
        };
        assert_eq!((message.topic, message.payload), (&*name(of), name(of).as_bytes()));
        message.id.unwrap()
    });
    let ids = ids.collect();
    println!(
        "{SESSIONS} sessions resumed in {:?}, {} bytes each; {count} messages of a bystander, the slowest {longest:?}",
        begun.elapsed(),
        grown / SESSIONS as u64
    );
    assert!(longest < BYSTANDER, "a bystander waited {longest:?}");
    assert!(grown < SESSIONS as u64 * CONNECTION_BYTES, "{grown} bytes");
    (sockets, ids)
}

#[test]
fn ten_thousand_sessions_that_resume_at_once_all_have_their_message() {
    let (_file, mut hub) = insecure();
    let sockets = burst(hub.insecure_port(), SESSIONS);
    let enter = |of| [hello(of), subscribe_bytes(&name(of), QoS::AtLeastOnce)].concat();
    for heard in talk(&sockets, enter, |_| 4 + 5) {
        assert_eq!(heard, [0x20, 2, 0, 0, 0x90, 3, 0, 1, 1]);
    }
    drop(sockets);
    one_for_each(&hub);
    let (sockets, ids) = all_resume(&hub);
    // Nobody has acknowledged it, so all of it comes again from the disk.
    hub.kill();
    drop(sockets);
    hub.restart();
    let (sockets, again) = all_resume(&hub);
    assert_eq!(ids, again, "each message keeps its identifier");
    let done = |of: usize| {
        [packet_bytes(&Packet::PubAck(Ack::success(again[of]))), vec![0xC0, 0]].concat()
    };
    assert!(talk(&sockets, done, |_| 2).iter().all(|heard| *heard == [0xD0, 0]));
    drop(sockets);
    let sockets = burst(hub.insecure_port(), 100);
    let heard = talk(&sockets, |of| [hello(of), vec![0xC0, 0]].concat(), |_| 4 + 2);
    assert!(heard.iter().all(|heard| *heard == [0x20, 2, 1, 0, 0xD0, 0]), "and then no more");
}

#[test]
fn a_subscriber_to_everything_gets_all_retained_topics_and_others_go_first() {
    let (_file, hub) = insecure();
    let empty = hub.memory();
    let topic = |number: u32| format!("stock/{}/{number}", number % 100);
    let mut publisher = Tester::connect(&hub, "publisher");
    let mut large = [0; PAYLOAD_BYTES];
    for number in 0..RETAINED {
        large[..4].copy_from_slice(&number.to_be_bytes());
        publisher.say(&topic(number), &large, None, true);
    }
    publisher.publish("live", b"", false);
    let full = hub.memory();
    // The hub retains its own numbers as well.
    assert!(hub.get("/api/v1/broker")["retained"].as_u64().unwrap() >= u64::from(RETAINED));

    let mut listener = Tester::connect(&hub, "listener");
    listener.subscribe("live", QoS::AtLeastOnce);
    let mut everything = Tester::connect(&hub, "everything");
    everything.subscribe("#", QoS::AtLeastOnce);
    // It has all of it to come, and the others do not wait for that: each of their messages arrives while
    // most of what it asked for has not.
    for number in 0..200u32 {
        publisher.publish("live", &number.to_be_bytes(), false);
        let (_, payload, id) = listener.message();
        assert_eq!(payload, number.to_be_bytes());
        listener.send(&Packet::PubAck(Ack::success(id.unwrap())));
    }
    let (mut seen, mut live) = (vec![false; RETAINED as usize], 0u32);
    let (mut left, mut most, mut behind) = (RETAINED, full, None);
    while left > 0 || live < 200 {
        let (topic_seen, payload, id) = everything.message();
        let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
        if topic_seen == "live" {
            assert_eq!(number, live, "in order");
            live += 1;
            everything.send(&Packet::PubAck(Ack::success(id.unwrap())));
            behind.get_or_insert(left);
            continue;
        }
        assert_eq!(topic_seen, topic(number));
        assert!(!std::mem::replace(&mut seen[number as usize], true), "{topic_seen} came twice");
        left -= 1;
        if left % 10_000 == 0 {
            most = most.max(hub.memory());
        }
    }
    println!(
        "{RETAINED} retained topics: {} bytes each; {} bytes more while all of them left; \
         {behind:?} were to come when its first live message came",
        (full - empty) / u64::from(RETAINED),
        most - full
    );
    assert!(behind > Some(0), "what is live comes in between");
    assert!(full - empty < u64::from(RETAINED) * RETAINED_BYTES, "{} bytes", full - empty);
    assert!(most - full < REPLAY_BYTES, "{} bytes", most - full);
}

#[test]
fn subscribers_that_stop_reading_cost_bounded_memory_and_nobody_s_time() {
    let hub = RunningHub::start(&[]);
    let grants = json!({"name": "lab", "allow": ["subscribe lab/#", "publish lab/#"]});
    let made = hub.post("/api/v1/tokens", &grants);
    let secret = made["secret"].as_str().unwrap();
    let mut quick = Tester::program(&hub, "quick", secret, true);
    quick.subscribe("lab/+", QoS::AtLeastOnce);
    let mut publisher = Tester::program(&hub, "publisher", secret, true);
    let stuck: Vec<_> = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
        .into_iter()
        .map(|qos| {
            let mut stuck = Tester::program(&hub, &format!("stuck-{}", qos as u8), secret, false);
            stuck.subscribe("lab/#", qos);
            stuck
        })
        .collect();
    let before = hub.memory();
    let (mut halves, mut longest, mut payload) = ([before; 2], Duration::ZERO, vec![7; UNREAD.1]);
    for number in 0..UNREAD.0 {
        payload[..4].copy_from_slice(&number.to_be_bytes());
        let begun = Instant::now();
        // Neither the answer nor the quick one's copy waits for those who do not read.
        publisher.publish("lab/large", &payload, false);
        let (_, heard, id) = quick.message();
        longest = longest.max(begun.elapsed());
        assert_eq!(heard[..4], number.to_be_bytes());
        quick.send(&Packet::PubAck(Ack::success(id.unwrap())));
        if number % 50 == 49 {
            let half = &mut halves[usize::from(number >= UNREAD.0 / 2)];
            *half = hub.memory().max(*half);
        }
    }
    let grown = [halves[0] - before, halves[1].saturating_sub(halves[0])];
    println!(
        "{} MiB past {} subscribers that do not read: {grown:?} bytes more, the slowest answer {longest:?}",
        (UNREAD.0 as usize * UNREAD.1) >> 20,
        stuck.len()
    );
    assert!(longest < BYSTANDER, "a message took {longest:?}");
    assert!(grown[0] < UNREAD_BYTES[0] && grown[1] < UNREAD_BYTES[1], "{grown:?} bytes");
    let sessions = hub.get("/api/v1/broker/sessions?q=stuck");
    for session in sessions["items"].as_array().unwrap() {
        assert!(session["dropped"].as_u64().unwrap() > 0, "what is too much is dropped: {session}");
    }
    assert_eq!(sessions["items"].as_array().unwrap().len(), stuck.len(), "{sessions}");
}
