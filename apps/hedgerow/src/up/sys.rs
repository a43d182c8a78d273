//! The broker's own numbers as retained messages below `$SYS/broker`, by the names that other brokers use.

use std::{collections::BTreeMap, time::Duration};

use hedgerow_base::Timestamp;
use hedgerow_listen::server::now;
use hedgerow_plane::Plane;
use hedgerow_wire::{Counters, Meter, Voice};
use tokio::time::interval;

/// How often what changed is published.
const EVERY: Duration = Duration::from_secs(10);

/// Publishes until the hub stops.
pub(super) async fn publish(voice: Voice<Plane>, meter: Meter) {
    let (started, mut last) = (now(), BTreeMap::new());
    let mut clock = interval(EVERY);
    loop {
        clock.tick().await;
        for (topic, value) in numbers(&meter.read(), started, now()) {
            if last.get(topic) != Some(&value) {
                voice.tell(&format!("$SYS/broker/{topic}"), value.as_bytes());
                last.insert(topic, value);
            }
        }
    }
}

fn numbers(
    counters: &Counters,
    started: Timestamp,
    now: Timestamp,
) -> [(&'static str, String); 11] {
    [
        ("version", concat!("hedgerow ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("uptime", format!("{} seconds", now.since_ms(started).max(0) / 1000)),
        ("clients/connected", (counters.connections - counters.half_open).to_string()),
        ("clients/connecting", counters.half_open.to_string()),
        ("messages/received", counters.messages_in.to_string()),
        ("messages/sent", counters.messages_out.to_string()),
        ("messages/refused", counters.messages_refused.to_string()),
        ("messages/dropped", counters.dropped().to_string()),
        ("messages/dropped/slow-reader", counters.dropped_slow_reader.to_string()),
        ("messages/dropped/queue-full", counters.dropped_queue_full.to_string()),
        ("retained messages/not retained", counters.not_retained.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_what_was_counted() {
        let counters = Counters {
            connections: 5,
            half_open: 2,
            dropped_slow_reader: 3,
            dropped_queue_full: 4,
            ..Counters::default()
        };
        let (started, now) = (Timestamp::from_secs(100), Timestamp::from_secs(161));
        let found: BTreeMap<_, _> = numbers(&counters, started, now).into_iter().collect();
        assert_eq!(found["clients/connected"], "3");
        assert_eq!(found["messages/dropped"], "7");
        assert_eq!(found["uptime"], "61 seconds");
        // A clock that goes back makes no nonsense.
        let back: BTreeMap<_, _> = numbers(&counters, now, started).into_iter().collect();
        assert_eq!(back["uptime"], "0 seconds");
    }
}
