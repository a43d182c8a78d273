//! Ten thousand connections in one breath: the hub refuses what is beyond its limits and serves the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use hedgerow_scenarios::{Answer, RunningHub, TestDevice, burst};
use serde_json::Value;

/// Connections in the burst.
const BURST: usize = 10_000;
/// How long anything may take that should be quick.
const PATIENCE: Duration = Duration::from_secs(10);
/// Devices that shake hands at the same time, and how often each.
const STORM: (usize, usize) = (10, 50);

fn mqtt(hub: &RunningHub) -> Value {
    hub.get("/api/v1/status")["mqtt"].clone()
}

fn ended(mqtt: &Value, word: &str) -> u64 {
    mqtt["ends"][word].as_u64().unwrap_or_default()
}

/// Waits until the counters say so.
fn wait_for(hub: &RunningHub, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let seen = mqtt(hub);
        if holds(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: {seen}");
        thread::yield_now();
    }
}

fn publish(device: &mut TestDevice) -> Duration {
    let (topic, begun) = (device.topic("properties/load1"), Instant::now());
    let id = device.publish(&topic, b"1").unwrap();
    assert_eq!(device.hear(PATIENCE), Answer::Acknowledged(id, 0));
    begun.elapsed()
}

/// Publishes over and over until told to stop; how often, and the longest that an answer took.
fn keep_publishing(
    mut device: TestDevice,
    stop: &Arc<AtomicBool>,
) -> thread::JoinHandle<(u32, Duration)> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let (mut count, mut longest) = (0, Duration::ZERO);
        while !stop.load(SeqCst) {
            longest = longest.max(publish(&mut device));
            count += 1;
        }
        (count, longest)
    })
}

#[test]
fn ten_thousand_silent_connections_keep_nobody_out() {
    let hub = RunningHub::start(&[]);
    let mut early = TestDevice::enrolled(&hub, "early");
    let mut late = TestDevice::enrolled(&hub, "late");
    assert_eq!(early.connect("early", true).unwrap().0, 0);
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = keep_publishing(early, &stop);
    let begun = Instant::now();
    let held = burst(hub.mqtts_port(), BURST);
    let at_once = begun.elapsed();
    wait_for(&hub, "the door is full", |mqtt| ended(mqtt, "half-open-waited") > 0);
    let begun = Instant::now();
    assert_eq!(late.connect("late", true).unwrap().0, 0);
    let entered = begun.elapsed();
    assert!(entered < PATIENCE, "it waited {entered:?} behind the silent ones");
    publish(&mut late);
    stop.store(true, SeqCst);
    let (count, longest) = publishing.join().unwrap();
    assert!(count > 0);
    let sent_away = ended(&mqtt(&hub), "silent-in-a-crowd");
    assert!(sent_away >= BURST as u64 / 4, "only {sent_away} were sent away");
    println!(
        "{BURST} connects in {at_once:?}; a device that came after them was in after {entered:?}; \
         {count} messages of another meanwhile, the slowest {longest:?}; {sent_away} sent away"
    );
    drop(held);
    // The late one is all that is left, and the hub is as before.
    wait_for(&hub, "the burst is gone", |mqtt| mqtt["connections"] == 1 && mqtt["half_open"] == 0);
    publish(&mut late);
}

#[test]
fn five_hundred_handshakes_at_once_all_end_in_a_session() {
    let hub = RunningHub::start(&[]);
    let mut early = TestDevice::enrolled(&hub, "early");
    assert_eq!(early.connect("early", true).unwrap().0, 0);
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = keep_publishing(early, &stop);
    let mut devices: Vec<_> =
        (0..STORM.0).map(|n| TestDevice::enrolled(&hub, &format!("storm-{n}"))).collect();
    let begun = Instant::now();
    thread::scope(|scope| {
        for device in &mut devices {
            scope.spawn(move || {
                for round in 0..STORM.1 {
                    // The session before is left half-open: nobody said goodbye.
                    device.vanish();
                    assert_eq!(device.connect(&format!("c{round}"), true).unwrap().0, 0);
                }
                publish(device);
            });
        }
    });
    let all = begun.elapsed();
    stop.store(true, SeqCst);
    let (count, longest) = publishing.join().unwrap();
    assert!(count > 0);
    println!(
        "{} handshakes in {all:?}; {count} messages meanwhile, the slowest {longest:?}",
        STORM.0 * STORM.1
    );
}
