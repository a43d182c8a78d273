//! The hub is killed, or its power is cut, at random moments; nothing that it acknowledged is lost or stored
//! twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use hedgerow_base::Timestamp;
use hedgerow_mqtt::PacketId;
use hedgerow_scenarios::{Answer, RunningHub, TestDevice};

/// Rounds of publish, kill, restart.
const ROUNDS: u32 = 100;
/// Seconds of readings in one answer, one a second.
const WINDOW_S: i64 = 40_000;
const SEED: u64 = 20_261_122;

struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_stored_twice_when_the_hub_is_killed() {
    endure(RunningHub::start(&[]), RunningHub::kill);
}

#[test]
fn nothing_acknowledged_is_lost_or_stored_twice_when_the_power_is_cut() {
    endure(RunningHub::start_on_disk_losing_power(&[]), RunningHub::cut_power);
}

fn endure(mut hub: RunningHub, end: fn(&mut RunningHub)) {
    let mut device = TestDevice::enrolled(&hub, "counter");
    let mut chance = Chance(SEED);
    println!("seed {SEED}");
    let topic = device.topic("telemetry");
    // Long enough ago that no reading lies in the future.
    let base = Timestamp::parse("2026-01-01T00:00:00Z").unwrap().as_secs();
    let (mut next, mut acknowledged) = (0u64, BTreeSet::new());
    let mut waiting: BTreeMap<PacketId, u64> = BTreeMap::new();
    let mut again: Vec<u64> = Vec::new();
    for _ in 0..ROUNDS {
        assert_eq!(device.connect("counter", true).unwrap().0, 0);
        let until = Instant::now() + Duration::from_millis(20 + chance.next(180));
        while Instant::now() < until {
            while device.room() > 0 {
                let number = again.pop().unwrap_or_else(|| {
                    next += 1;
                    next
                });
                let at = base + number as i64;
                let pack = format!("[{{\"n\":\"uptimeSeconds\",\"bt\":{at},\"v\":{number}}}]");
                let id = device.publish(&topic, pack.as_bytes()).unwrap();
                waiting.insert(id, number);
            }
            if let Answer::Acknowledged(id, reason) = device.hear(Duration::from_millis(5)) {
                assert_eq!(reason, 0);
                acknowledged.insert(waiting.remove(&id).unwrap());
            }
        }
        end(&mut hub);
        // What was on its way still counts.
        while let Answer::Acknowledged(id, reason) = device.hear(Duration::from_millis(50)) {
            assert_eq!(reason, 0);
            acknowledged.insert(waiting.remove(&id).unwrap());
        }
        device.vanish();
        again.extend(std::mem::take(&mut waiting).into_values());
        hub.restart();
    }
    let mut numbers = BTreeSet::new();
    for from in (0..=next).step_by(WINDOW_S as usize) {
        for item in stored(&hub, device.id(), base + from as i64) {
            let number = item["value"].as_u64().unwrap();
            let at = Timestamp::parse(item["timestamp"].as_str().unwrap()).unwrap();
            assert_eq!(at.as_secs(), base + number as i64, "a reading lies at its own moment");
            assert!(numbers.insert(number), "reading {number} is stored twice");
        }
    }
    let lost: Vec<_> = acknowledged.difference(&numbers).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged readings are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(
        acknowledged.len() > ROUNDS as usize * 10,
        "only {} were acknowledged",
        acknowledged.len()
    );
    println!(
        "{ROUNDS} rounds, {} readings acknowledged, {} stored, none lost",
        acknowledged.len(),
        numbers.len()
    );
    let found = hub.post("/api/v1/audit/verify", &serde_json::Value::Null);
    assert_eq!(found["sound"], true, "{found}");
}

/// What is stored from a moment on, as much as one answer holds.
fn stored(hub: &RunningHub, device: &str, from: i64) -> Vec<serde_json::Value> {
    let (since, until) = (Timestamp::from_secs(from), Timestamp::from_secs(from + WINDOW_S));
    let path = format!("/api/v1/devices/{device}/readings");
    let found = hub.get(&format!("{path}?property=uptimeSeconds&since={since}&until={until}"));
    found["items"].as_array().unwrap().clone()
}
