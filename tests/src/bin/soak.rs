//! Half an hour of mixed load while the hub or one of its clients is killed (SIGKILL) every twenty seconds; then it is
//! counted what arrived. `cargo xtask soak [MINUTES]` builds and runs it.
//!
//! * Four pairs of couriers, each a process that keeps its state in a file: QoS 1 and 2, lasting sessions.
//! * Two devices over mutual TLS that publish readings at QoS 1; the last acknowledged one has to be the newest stored.
//! * A reader of everything that takes its time, retained messages, and clients that come and go.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program for tests"
)]

use std::{
    collections::BTreeSet,
    env, fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use hedgerow_mqtt::QoS;
use hedgerow_scenarios::{Answer, Courier, RunningHub, TestDevice};

const PAIRS: usize = 4;
const DEVICES: usize = 2;
const KILL_EVERY: Duration = Duration::from_secs(20);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Messages that a courier leaves unconfirmed, and the pause between two turns: some hundred a second each.
const WINDOW: usize = 20;
const TURN: Duration = Duration::from_millis(20);

fn chance(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["courier", role, pair, port, folder] => {
            courier(role, pair, port.parse().unwrap(), Path::new(folder));
        }
        [minutes] => soak(minutes.parse().unwrap()),
        _ => panic!("usage: soak MINUTES"),
    }
}

/// One courier, for as long as nobody kills it; a publisher ends when it was told to and everything is confirmed.
fn courier(role: &str, pair: &str, port: u16, folder: &Path) {
    let journal = folder.join(format!("{role}-{pair}"));
    let stop = folder.join("stop");
    let prefix = format!("soak/{pair}");
    let mut courier = Courier::with_journal(&format!("{role}-{pair}"), &prefix, &journal);
    let is_publisher = role == "publisher";
    let mut number = courier.last_number();
    loop {
        if !courier.is_connected() {
            if !courier.try_connect(port) {
                thread::sleep(Duration::from_millis(100));
                continue;
            }
            if !is_publisher {
                courier.try_subscribe(&format!("{prefix}/+"), QoS::ExactlyOnce);
            }
        }
        if is_publisher && !stop.exists() {
            while courier.unconfirmed() < WINDOW {
                number += 1;
                let is_even = number.is_multiple_of(2);
                courier.publish(number, if is_even { QoS::AtLeastOnce } else { QoS::ExactlyOnce });
            }
            thread::sleep(TURN);
        }
        while courier.pump(Duration::from_millis(5)) {}
        if is_publisher && stop.exists() && courier.unconfirmed() == 0 {
            return;
        }
    }
}

struct Crew {
    children: Vec<(String, Child)>,
    port: u16,
    folder: PathBuf,
}

impl Crew {
    fn start(&self, name: &str) -> Child {
        let (role, pair) = name.split_once('-').unwrap();
        Command::new(env::current_exe().unwrap())
            .args(["courier", role, pair, &self.port.to_string()])
            .arg(&self.folder)
            .spawn()
            .unwrap()
    }

    fn kill(&mut self, at: usize) {
        let old = &mut self.children[at].1;
        old.kill().unwrap();
        old.wait().unwrap();
        self.children[at].1 = self.start(&self.children[at].0);
    }
}

fn rss_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Publishes numbers until told to stop; notes the last that was acknowledged.
fn device(mut device: TestDevice, stop: &AtomicBool, acknowledged: &AtomicU64) {
    let topic = device.topic("properties/load1");
    let mut number = 0u64;
    while !stop.load(Relaxed) {
        if device.connect("soak", false).is_err() {
            thread::sleep(Duration::from_millis(200));
            continue;
        }
        while !stop.load(Relaxed) {
            number += 1;
            let Some(id) = device.publish(&topic, number.to_string().as_bytes()) else { break };
            match device.hear(Duration::from_secs(10)) {
                Answer::Acknowledged(told, 0) if told == id => acknowledged.store(number, Relaxed),
                _ => break,
            }
            thread::sleep(Duration::from_millis(50));
        }
        device.vanish();
    }
}

/// A connection with a clean session of 3.1.1, if the hub is there.
fn plain(port: u16, id: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut packet = vec![0x10, u8::try_from(12 + id.len()).unwrap(), 0, 4];
    packet.extend_from_slice(b"MQTT\x04\x02\x00\x3c\x00");
    packet.push(u8::try_from(id.len()).unwrap());
    packet.extend_from_slice(id.as_bytes());
    stream.write_all(&packet).ok()?;
    stream.read_exact(&mut [0; 4]).ok()?;
    Some(stream)
}

/// Clients without state: one that reads everything slowly, and some that come, retain something and go.
fn passers_by(port: u16, stop: &AtomicBool) {
    let mut slow: Option<TcpStream> = None;
    let mut number = 0u32;
    while !stop.load(Relaxed) {
        thread::sleep(Duration::from_millis(100));
        number += 1;
        slow = match slow.take() {
            Some(mut stream) => stream.read(&mut [0; 512]).is_ok_and(|n| n > 0).then_some(stream),
            None => plain(port, "slow").and_then(|mut stream| {
                stream.write_all(b"\x82\x06\x00\x01\x00\x01#\x00").ok().map(|()| stream)
            }),
        };
        if let Some(mut stream) = plain(port, "passer-by") {
            let (topic, payload) = (format!("retained/{}", number % 50), number.to_string());
            let mut packet = vec![0x31, u8::try_from(2 + topic.len() + payload.len()).unwrap(), 0];
            packet.push(u8::try_from(topic.len()).unwrap());
            packet.extend_from_slice(topic.as_bytes());
            packet.extend_from_slice(payload.as_bytes());
            let _ = stream.write_all(&packet);
        }
    }
}

/// Messages that a session had no room for, since the hub's process began: a courier that stands still is no loss
/// of the hub's.
fn queue_full(hub: &RunningHub) -> u64 {
    let metrics = hub.get("/metrics");
    let name = "hedgerow_mqtt_messages_dropped_total{reason=\"queue-full\"} ";
    let count = metrics.as_str().and_then(|text| text.split(name).nth(1)?.lines().next());
    count.and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// Since the beginning, since the hub's process began, its resident memory.
type Sample = (Duration, Duration, u64);

/// Kills something every twenty seconds until the time is over.
fn upset(hub: &mut RunningHub, crew: &mut Crew, time: Duration) -> Vec<Sample> {
    let begun = Instant::now();
    let (mut seed, mut next_kill) = (20_261_122, KILL_EVERY);
    let (mut hub_kills, mut client_kills, mut hub_since) = (0, 0, Instant::now());
    let (mut samples, mut dropped) = (Vec::new(), 0);
    while begun.elapsed() < time {
        thread::sleep(SAMPLE_EVERY);
        samples.push((begun.elapsed(), hub_since.elapsed(), rss_kib(hub.process())));
        if begun.elapsed() < next_kill {
            continue;
        }
        next_kill += KILL_EVERY;
        // One time in four the hub, else a courier.
        if chance(&mut seed, 4) == 0 {
            dropped += queue_full(hub);
            hub.kill();
            hub.restart();
            (hub_kills, hub_since) = (hub_kills + 1, Instant::now());
        } else {
            let at = usize::try_from(chance(&mut seed, 2 * PAIRS as u64)).unwrap();
            crew.kill(at);
            client_kills += 1;
        }
    }
    dropped += queue_full(hub);
    println!("{time:?}: the hub was killed {hub_kills} times, couriers {client_kills} times");
    println!("{dropped} messages found a full queue");
    samples
}

fn soak(minutes: u64) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut hub = RunningHub::start(&["--insecure-mqtt", &format!("127.0.0.1:{port}")]);
    let folder = hub.folder().join("couriers");
    fs::create_dir(&folder).unwrap();
    let mut crew = Crew { children: Vec::new(), port, folder: folder.clone() };
    // Subscribers first: what is published before they subscribed is nobody's.
    for role in ["subscriber", "publisher"] {
        for pair in 0..PAIRS {
            let name = format!("{role}-{pair}");
            let child = crew.start(&name);
            crew.children.push((name, child));
        }
        thread::sleep(Duration::from_secs(2));
    }
    let stop = AtomicBool::new(false);
    let devices: Vec<_> = (0..DEVICES)
        .map(|number| (TestDevice::enrolled(&hub, &format!("soak-{number}")), AtomicU64::new(0)))
        .map(|(device, last)| (device.id().to_owned(), device, Arc::new(last)))
        .collect();
    let lasts: Vec<_> =
        devices.iter().map(|(id, _, last)| (id.clone(), Arc::clone(last))).collect();
    let samples = thread::scope(|scope| {
        for (_, held, last) in devices {
            let stop = &stop;
            scope.spawn(move || device(held, stop, &last));
        }
        scope.spawn(|| passers_by(port, &stop));
        let samples = upset(&mut hub, &mut crew, Duration::from_secs(minutes * 60));
        stop.store(true, Relaxed);
        samples
    });
    finish(&mut crew);
    let mut is_sound = true;
    for pair in 0..PAIRS {
        is_sound &= is_whole(&folder, pair);
    }
    for (id, last) in lasts {
        is_sound &= is_stored(&hub, &id, last.load(Relaxed));
    }
    report_memory(&samples);
    let (code, said) = hub.command(&["audit", "verify"]);
    println!("audit verify: {}", said.trim());
    is_sound &= code == 0;
    println!("{}", if is_sound { "nothing was lost, QoS 2 came once" } else { "FAILED" });
    drop(hub);
    std::process::exit(i32::from(!is_sound));
}

/// The publishers end when everything is confirmed, the subscribers when what waits had time to arrive.
fn finish(crew: &mut Crew) {
    fs::write(crew.folder.join("stop"), b"").unwrap();
    for (name, child) in crew.children.iter_mut().filter(|(name, _)| name.starts_with("pub")) {
        assert!(child.wait().unwrap().success(), "{name}");
    }
    thread::sleep(Duration::from_secs(10));
    for (_, child) in crew.children.iter_mut().filter(|(name, _)| name.starts_with("sub")) {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Whether what a pair's publisher was promised is what its subscriber has.
fn is_whole(folder: &Path, pair: usize) -> bool {
    let state = |role: &str| {
        let name = format!("{role}-{pair}");
        Courier::with_journal(&name, "", &folder.join(&name))
    };
    let (publisher, subscriber) = (state("publisher"), state("subscriber"));
    let mut is_whole = true;
    for qos in [1, 2] {
        let (sent, came) = (&publisher.confirmed[qos], &subscriber.received[qos]);
        let set: BTreeSet<_> = came.iter().collect();
        let lost: Vec<_> = sent.iter().filter(|number| !set.contains(number)).collect();
        if let [first, .., last] = lost[..] {
            println!("lost from {first} to {last}");
        }
        let lost = lost.len();
        let again = came.len() - set.len();
        let (sent, arrived) = (sent.len(), set.len());
        println!(
            "pair {pair}, QoS {qos}: {sent} acknowledged, {arrived} arrived, {lost} lost, {again} again"
        );
        is_whole &= lost == 0 && (qos == 1 || again == 0) && sent > 100;
    }
    is_whole
}

/// Whether the newest reading is no older than the last that was acknowledged.
fn is_stored(hub: &RunningHub, id: &str, last: u64) -> bool {
    let values = hub.get(&format!("/api/v1/devices/{id}/values"));
    let items = values["items"].as_array().into_iter().flatten();
    let newest = items.filter(|one| one["property"] == "load1");
    let newest = newest.filter_map(|one| one["value"].as_f64()).next().unwrap_or_default();
    println!("device {id}: {last} acknowledged last, {newest} stored last");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let last = last as f64;
    newest >= last && last > 100.0
}

/// The hub's memory once its process is 15 s old, in the first, second and last third of the run: what grows with the
/// state that it keeps would show.
fn report_memory(samples: &[Sample]) {
    let settled: Vec<u64> =
        samples.iter().filter(|(_, age, _)| age.as_secs() >= 15).map(|(.., kib)| *kib).collect();
    let third = settled.len().div_ceil(3).max(1);
    for (name, part) in ["first", "second", "last"].into_iter().zip(settled.chunks(third)) {
        let mut sizes = part.to_vec();
        sizes.sort_unstable();
        let (middle, most) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
        println!("hub's memory, {name} third: {middle} KiB in the middle, {most} KiB at most");
    }
}
