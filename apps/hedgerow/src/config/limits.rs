//! Every limit that can be set: its name, what it bounds, where it is kept and how often it was reached.

use std::ops::RangeInclusive;

use hedgerow_api::Limit;
use hedgerow_identity::limits::{RESCUE_DAYS_DEFAULT, RESCUE_DAYS_MAX};
use hedgerow_listen::limits::{FAILED_SIGN_INS_MAX, HTTPS_CONNECTIONS_MAX};
use hedgerow_mqtt::limits::{
    IN_FLIGHT_MAX, PACKET_BYTES_END, SUBSCRIPTIONS_MAX, TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX,
};
use hedgerow_wire::{Counters, Settings};

/// The limits of one hub.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Those of MQTT.
    pub(crate) wire: Settings,
    /// Wrong secrets from one source before it is banned.
    pub(crate) failed_sign_ins: u32,
    /// Connections of each HTTPS door.
    pub(crate) https_connections: usize,
    /// Days after its end in which an expired certificate still gets a device its next one.
    pub(crate) rescue_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wire: Settings::default(),
            failed_sign_ins: FAILED_SIGN_INS_MAX,
            https_connections: HTTPS_CONNECTIONS_MAX,
            rescue_days: RESCUE_DAYS_DEFAULT,
        }
    }
}

/// One limit in the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) range: RangeInclusive<u64>,
    pub(crate) get: fn(&Limits) -> u64,
    pub(crate) set: fn(&mut Limits, u64),
    now: fn(&Counters) -> Option<u64>,
    reached: Reached,
}

/// Where it is counted that a limit was reached.
enum Reached {
    /// As ends of connections with these words.
    Ends(&'static [&'static str]),
    /// As refusals with these words.
    Refusals(&'static [&'static str]),
    /// In a counter of its own.
    Counter(fn(&Counters) -> u64),
    /// It is a term of the protocol, told to the client: there is nothing to count.
    Told,
}

const NOTHING: fn(&Counters) -> Option<u64> = |_| None;
const MIB: u64 = 1 << 20;

macro_rules! row {
    ($name:literal, $range:expr, $($field:ident).+, $now:expr, $reached:expr, $what:literal) => {
        Row {
            name: $name,
            what: $what,
            range: $range,
            get: |limits| u64::try_from(limits.$($field).+).unwrap_or(u64::MAX),
            set: |limits, value| {
                limits.$($field).+ = value.try_into().unwrap_or(limits.$($field).+);
            },
            now: $now,
            reached: $reached,
        }
    };
}

/// All of them, in the order in which a connection meets them. A rate of 0 means that there is none.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row!("connections", 1..=1_000_000, wire.connections_max, |now| Some(now.connections as u64),
        Reached::Ends(&["connections-full"]), "MQTT connections at the same time"),
    row!("half-open-connections", 1..=100_000, wire.half_open_max, |now| Some(now.half_open as u64),
        Reached::Ends(&["half-open-full", "half-open-waited"]),
        "MQTT connections that were not accepted yet; more wait in the kernel's queue"),
    row!("connects-per-second", 0..=1_000_000, wire.connects.per_second, NOTHING,
        Reached::Ends(&["connects-waited", "too-fast"]),
        "new MQTT connections a second; more wait in the kernel's queue"),
    row!("connects-burst", 1..=1_000_000, wire.connects.burst, NOTHING, Reached::Told,
        "new MQTT connections at once"),
    row!("connections-per-source", 1..=1_000_000, wire.sources.connections_max, NOTHING,
        Reached::Ends(&["source-full"]),
        "MQTT connections of one address, or of one network of 64 bits, at the same time"),
    row!("connects-per-source-per-second", 0..=1_000_000, wire.sources.connects.per_second, NOTHING,
        Reached::Ends(&["source-too-fast"]), "new MQTT connections of one source a second"),
    row!("connects-per-source-burst", 1..=1_000_000, wire.sources.connects.burst, NOTHING,
        Reached::Told, "new MQTT connections of one source at once"),
    row!("handshake-ms", 100..=600_000, wire.handshake_ms_max, NOTHING,
        Reached::Ends(&["handshake-timeout"]), "milliseconds for a handshake"),
    row!("crowded-silence-ms", 10..=600_000, wire.crowded_silence_ms_max, NOTHING,
        Reached::Ends(&["silent-in-a-crowd"]),
        "milliseconds of silence at the door while places are short"),
    row!("connect-ms", 100..=600_000, wire.mqtt.connect_ms_max, NOTHING,
        Reached::Ends(&["connect-timeout"]), "milliseconds to a complete CONNECT"),
    row!("failed-sign-ins", 5..=1_000_000, failed_sign_ins, NOTHING, Reached::Ends(&["banned"]),
        "wrong passwords from one source before it is banned for ten minutes"),
    row!("keep-alive-s", 1..=65_535, wire.mqtt.keep_alive_s_max, NOTHING,
        Reached::Ends(&["keep-alive"]), "seconds of silence that a client of 5.0 may promise"),
    row!("session-expiry-s", 0..=31_536_000, wire.mqtt.session_expiry_s_max, NOTHING, Reached::Told,
        "seconds that a session outlives its connection"),
    row!("away-sessions", 0..=10_000_000, wire.away_sessions_max, NOTHING,
        Reached::Ends(&["away-full"]), "sessions whose client is away, for each thread"),
    row!("publishes-per-second", 0..=10_000_000, wire.publishes.per_second, NOTHING,
        Reached::Counter(|now| now.throttled),
        "messages a second from one client; one that sends more is read more slowly"),
    row!("publishes-burst", 1..=10_000_000, wire.publishes.burst, NOTHING, Reached::Told,
        "messages at once from one client"),
    row!("publish-bytes-per-second", 0..=4_000_000_000, wire.publish_bytes.per_second, NOTHING,
        Reached::Counter(|now| now.throttled), "bytes a second from one client"),
    row!("publish-bytes-burst", 1..=4_000_000_000, wire.publish_bytes.burst, NOTHING, Reached::Told,
        "bytes at once from one client"),
    row!("packet-bytes", 1_024..=PACKET_BYTES_END as u64, wire.mqtt.packet_bytes_max, NOTHING,
        Reached::Ends(&["packet-too-large"]), "bytes of an MQTT packet from a client"),
    row!("topic-bytes", 16..=TOPIC_BYTES_MAX as u64, wire.mqtt.topics.bytes_max, NOTHING,
        Reached::Refusals(&["topic-limits"]), "bytes of a topic name or filter"),
    row!("topic-levels", 1..=TOPIC_LEVELS_MAX as u64, wire.mqtt.topics.levels_max, NOTHING,
        Reached::Refusals(&["topic-limits"]), "levels of a topic name or filter"),
    row!("topic-aliases", 0..=65_535, wire.mqtt.topic_alias_max, NOTHING, Reached::Told,
        "topic aliases that a client may use"),
    row!("subscriptions", 1..=SUBSCRIPTIONS_MAX as u64 * 64, wire.mqtt.subscriptions_max, NOTHING,
        Reached::Refusals(&["subscriptions-full"]), "subscriptions of one session"),
    row!("receive-maximum", 1..=65_535, wire.mqtt.receive_maximum, NOTHING,
        Reached::Ends(&["receive-maximum"]), "messages of QoS 1 and 2 from a client in flight"),
    row!("in-flight", 1..=IN_FLIGHT_MAX as u64 * 64, wire.mqtt.in_flight_max, NOTHING, Reached::Told,
        "messages of QoS 1 and 2 to a client in flight"),
    row!("queue-messages", 1..=16_000, wire.mqtt.queue.messages_max, NOTHING,
        Reached::Counter(|now| now.dropped_queue_full + now.dropped_oldest),
        "messages of QoS 1 and 2 that wait for one client"),
    row!("queue-bytes", 1_024..=1_024 * MIB, wire.mqtt.queue.bytes_max, NOTHING,
        Reached::Counter(|now| now.dropped_queue_full + now.dropped_oldest),
        "bytes of messages that wait for one client"),
    row!("queue-age-ms", 1_000..=31_536_000_000, wire.mqtt.queue.age_ms_max, NOTHING,
        Reached::Counter(|now| now.dropped_too_large_or_expired),
        "milliseconds after which a message that waits is dropped"),
    row!("out-bytes", 4_096..=256 * MIB, wire.out_bytes_max, NOTHING,
        Reached::Counter(|now| now.dropped_slow_reader),
        "bytes that wait for a slow reader; more messages of QoS 0 are dropped"),
    row!("stall-ms", 100..=3_600_000, wire.stall_ms_max, NOTHING, Reached::Ends(&["slow-reader"]),
        "milliseconds after which a reader that takes nothing is given up"),
    row!("retained-messages", 0..=10_000_000, wire.retained_max, |now| Some(now.retained as u64),
        Reached::Counter(|now| now.not_retained), "topics with a retained message"),
    row!("retained-bytes", 0..=64 * 1_024 * MIB, wire.retained_bytes_max,
        |now| Some(now.retained_bytes as u64), Reached::Counter(|now| now.not_retained),
        "bytes of retained messages"),
    row!("https-connections", 8..=100_000, https_connections, NOTHING, Reached::Told,
        "connections of each HTTPS door; more wait in the kernel's queue"),
    row!("rescue-days", 0..=RESCUE_DAYS_MAX as u64, rescue_days, NOTHING, Reached::Told,
        "days after its end in which an expired certificate still gets a device its next one; 0 is never"),
];

impl Reached {
    fn count(&self, counters: &Counters) -> Option<u64> {
        let sum = |words: &[&str], of: &std::collections::BTreeMap<&'static str, u64>| {
            words.iter().filter_map(|word| of.get(word)).sum()
        };
        match self {
            Self::Ends(words) => Some(sum(words, &counters.ends)),
            Self::Refusals(words) => Some(sum(words, &counters.refusals)),
            Self::Counter(count) => Some(count(counters)),
            Self::Told => None,
        }
    }
}

impl Limits {
    /// All limits, with what is taken up now and how often they were reached.
    pub(crate) fn report(&self, counters: &Counters) -> Vec<Limit> {
        let report = |row: &Row| Limit {
            name: row.name,
            what: row.what,
            max: (row.get)(self),
            now: (row.now)(counters),
            reached: row.reached.count(counters),
        };
        ROWS.iter().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_set_where_it_is_read_and_the_defaults_are_possible() {
        for (place, row) in ROWS.iter().enumerate() {
            let mut limits = Limits::default();
            assert!(row.range.contains(&(row.get)(&limits)), "{}", row.name);
            for value in [*row.range.start(), *row.range.end()] {
                (row.set)(&mut limits, value);
                assert_eq!((row.get)(&limits), value, "{}", row.name);
            }
            // No other one moved with it.
            (row.set)(&mut limits, (row.get)(&Limits::default()));
            let same = |other: &Row| (other.get)(&limits) == (other.get)(&Limits::default());
            assert!(ROWS.iter().all(same), "{}", row.name);
            assert!(ROWS.iter().skip(place + 1).all(|other| other.name != row.name));
        }
    }

    #[test]
    fn a_limit_that_was_reached_says_how_often() {
        let mut counters = Counters { throttled: 3, connections: 2, ..Counters::default() };
        counters.ends.insert("source-full", 4);
        counters.refusals.insert("topic-limits", 5);
        let report = Limits::default().report(&counters);
        let of = |name: &str| report.iter().find(|limit| limit.name == name).unwrap();
        assert_eq!(of("connections-per-source").reached, Some(4));
        assert_eq!(of("topic-levels").reached, Some(5));
        assert_eq!(of("publishes-per-second").reached, Some(3));
        assert_eq!((of("connections").now, of("connections").reached), (Some(2), Some(0)));
        assert_eq!(of("topic-aliases").reached, None);
    }
}
