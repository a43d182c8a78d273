//! What the hub counts, in the text format of Prometheus (version 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
};

use hedgerow_base::Timestamp;
use hedgerow_control::ports::Counts;
use serde::Serialize;
use utoipa::ToSchema;

/// A limit of the hub.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Limit {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it bounds.
    pub what: &'static str,
    /// The most that there may be; of a rate, 0 means that there is no limit.
    pub max: u64,
    /// What there is now, where that is known.
    pub now: Option<u64>,
    /// How often it was reached since the hub started, where that can be said.
    pub reached: Option<u64>,
}

/// What is counted outside of this room, at one moment; whoever wires the hub gathers it.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// When the hub started.
    pub started: Option<Timestamp>,
    /// MQTT connections now, half-open ones included.
    pub mqtt_connections: usize,
    /// The most that there may be.
    pub mqtt_connections_max: usize,
    /// Those that have not been accepted yet.
    pub mqtt_half_open: usize,
    /// The most that there may be.
    pub mqtt_half_open_max: usize,
    /// Messages that clients sent, refused ones included.
    pub messages_in: u64,
    /// Messages handed to clients.
    pub messages_out: u64,
    /// Messages that were refused.
    pub messages_refused: u64,
    /// Messages that were not delivered, by reason.
    pub messages_dropped: Vec<(&'static str, u64)>,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes that clients took.
    pub bytes_out: u64,
    /// Subscribers now that do not keep up.
    pub slow: u64,
    /// How often a subscriber was found not to keep up.
    pub slow_found: u64,
    /// Sessions now whose client is away.
    pub sessions_away: u64,
    /// What the broker takes at most.
    pub broker_limits: BrokerLimits,
    /// Topics with a retained message.
    pub retained: u64,
    /// Bytes of these.
    pub retained_bytes: u64,
    /// Messages that were not retained, because no room is left for them.
    pub not_retained: u64,
    /// Sessions that outlive their connection.
    pub sessions_kept: u64,
    /// Messages that wait in these.
    pub messages_waiting: u64,
    /// Commits of sessions.
    pub session_commits: u64,
    /// Commits of sessions that failed.
    pub session_commits_failed: u64,
    /// Changes of sessions that were refused because too many waited for the disk.
    pub session_changes_refused: u64,
    /// Ends of MQTT connections, by their word.
    pub mqtt_ends: BTreeMap<&'static str, u64>,
    /// HTTP connections now, by door.
    pub http_connections: Vec<(&'static str, usize)>,
    /// The most that each door may have.
    pub http_connections_max: usize,
    /// Readings that were stored durably.
    pub readings_stored: u64,
    /// Commits of readings.
    pub commits: u64,
    /// Commits of readings that failed.
    pub commits_failed: u64,
    /// Chunks of readings deleted because they were too old.
    pub chunks_expired: u64,
    /// Series with readings in memory.
    pub unsealed_series: usize,
    /// Bytes that those take.
    pub unsealed_bytes: usize,
    /// Events of devices that were not written down because too many waited.
    pub notices_dropped: u64,
    /// Bytes of the databases, by file.
    pub database_bytes: Vec<(&'static str, u64)>,
    /// Bytes that are free, and all bytes, of the file system with the data directory.
    pub disk_bytes: Option<(u64, u64)>,
    /// Every limit of the configuration.
    pub limits: Vec<Limit>,
    /// When the hub's certificates end.
    pub certificates: Vec<(&'static str, Timestamp)>,
}

/// What the broker takes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BrokerLimits {
    /// Connections.
    pub connections: usize,
    /// Connections that have not been accepted yet.
    pub half_open: usize,
    /// Sessions whose client is away.
    pub sessions_away: usize,
    /// Topics with a retained message.
    pub retained: usize,
    /// Bytes of these.
    pub retained_bytes: usize,
    /// Messages that wait in a session.
    pub queued: usize,
    /// Bytes of these.
    pub queued_bytes: usize,
    /// Messages sent to a client that it has not acknowledged.
    pub in_flight: usize,
    /// Bytes that wait for a client to read them.
    pub out_bytes: usize,
    /// Subscriptions of a session.
    pub subscriptions: usize,
    /// Bytes of a packet.
    pub packet_bytes: usize,
}

/// The content type of [`exposition`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything as text: a family after the other, each with its help and type.
pub(crate) fn exposition(
    meters: &Meters,
    devices: &Counts,
    refusals: impl Iterator<Item = (&'static str, u64)>,
) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    page.hub(meters);
    page.devices(devices);
    page.mqtt(meters);
    page.labelled(
        ("hedgerow_refusals_total", "counter", "What devices were refused, by reason."),
        "reason",
        refusals,
    );
    page.limits(meters);
    page.readings(meters);
    page.disk(meters);
    page.0
}

/// Name, type and help of a family.
type Family = (&'static str, &'static str, &'static str);

struct Page(String);

impl Page {
    fn hub(&mut self, meters: &Meters) {
        let version = [(env!("CARGO_PKG_VERSION"), 1)];
        self.labelled(("hedgerow_build_info", "gauge", "Version of the hub."), "version", version);
        self.labelled(
            (
                "hedgerow_certificate_not_after_timestamp_seconds",
                "gauge",
                "When the hub's certificates end, since 1970.",
            ),
            "certificate",
            meters.certificates.iter().map(|(kind, at)| (*kind, at.as_secs())),
        );
        if let Some(started) = meters.started {
            let family =
                ("hedgerow_start_time_seconds", "gauge", "When the hub started, since 1970.");
            self.one(family, started.as_secs());
        }
        self.labelled(
            ("hedgerow_http_connections", "gauge", "Open HTTP connections, by door."),
            "door",
            meters.http_connections.iter().copied(),
        );
        let max =
            ("hedgerow_http_connections_limit", "gauge", "HTTP connections of one door, at most.");
        self.one(max, meters.http_connections_max);
    }

    fn devices(&mut self, counts: &Counts) {
        let below = "Devices with a standing below full.";
        for (family, value) in [
            (
                ("hedgerow_devices", "gauge", "Devices that are not retired or erased."),
                counts.devices,
            ),
            (
                ("hedgerow_devices_connected", "gauge", "Devices with an open session."),
                counts.connected,
            ),
            (("hedgerow_devices_below_full", "gauge", below), counts.below_full),
            (("hedgerow_claims_open", "gauge", "Claim codes that wait."), counts.claims_open),
        ] {
            self.one(family, value);
        }
    }

    fn mqtt(&mut self, meters: &Meters) {
        for (family, value) in [
            (
                ("hedgerow_mqtt_connections", "gauge", "Open MQTT connections."),
                meters.mqtt_connections,
            ),
            (
                ("hedgerow_mqtt_connections_limit", "gauge", "MQTT connections, at most."),
                meters.mqtt_connections_max,
            ),
            (
                ("hedgerow_mqtt_half_open", "gauge", "MQTT connections not accepted yet."),
                meters.mqtt_half_open,
            ),
            (
                (
                    "hedgerow_mqtt_half_open_limit",
                    "gauge",
                    "MQTT connections not accepted yet, at most.",
                ),
                meters.mqtt_half_open_max,
            ),
        ] {
            self.one(family, value);
        }
        self.traffic(meters);
        self.sessions(meters);
        let dropped = (
            "hedgerow_mqtt_messages_dropped_total",
            "counter",
            "Messages not delivered, by reason.",
        );
        self.labelled(dropped, "reason", meters.messages_dropped.iter().copied());
        let ends = (
            "hedgerow_mqtt_connection_ends_total",
            "counter",
            "Ends of MQTT connections, by reason.",
        );
        self.labelled(ends, "reason", meters.mqtt_ends.iter().map(|(why, count)| (*why, *count)));
        let notices = (
            "hedgerow_notices_dropped_total",
            "counter",
            "Events of devices not written down because too many waited.",
        );
        self.one(notices, meters.notices_dropped);
    }

    fn traffic(&mut self, meters: &Meters) {
        let in_help = "Messages that clients sent, refused ones included.";
        for (family, value) in [
            (("hedgerow_mqtt_messages_received_total", "counter", in_help), meters.messages_in),
            (
                ("hedgerow_mqtt_messages_sent_total", "counter", "Messages handed to clients."),
                meters.messages_out,
            ),
            (
                ("hedgerow_mqtt_messages_refused_total", "counter", "Messages that were refused."),
                meters.messages_refused,
            ),
            (
                ("hedgerow_mqtt_received_bytes_total", "counter", "Bytes read from clients."),
                meters.bytes_in,
            ),
            (
                ("hedgerow_mqtt_sent_bytes_total", "counter", "Bytes that clients took."),
                meters.bytes_out,
            ),
            (
                (
                    "hedgerow_mqtt_slow_subscribers_total",
                    "counter",
                    "How often a subscriber was found not to keep up.",
                ),
                meters.slow_found,
            ),
            (
                ("hedgerow_mqtt_slow_subscribers", "gauge", "Subscribers that do not keep up now."),
                meters.slow,
            ),
        ] {
            self.one(family, value);
        }
    }

    fn sessions(&mut self, meters: &Meters) {
        for (family, value) in [
            (("hedgerow_mqtt_retained", "gauge", "Topics with a message."), meters.retained),
            (
                ("hedgerow_mqtt_retained_bytes", "gauge", "Bytes of these messages."),
                meters.retained_bytes,
            ),
            (
                ("hedgerow_mqtt_sessions_away", "gauge", "Sessions whose client is away."),
                meters.sessions_away,
            ),
            (
                (
                    "hedgerow_mqtt_not_retained_total",
                    "counter",
                    "Messages not retained for want of room.",
                ),
                meters.not_retained,
            ),
            (
                (
                    "hedgerow_mqtt_sessions_kept",
                    "gauge",
                    "Sessions that outlive their connection, on disk.",
                ),
                meters.sessions_kept,
            ),
            (
                ("hedgerow_mqtt_messages_waiting", "gauge", "Messages that wait in these."),
                meters.messages_waiting,
            ),
            (
                ("hedgerow_mqtt_session_commits_total", "counter", "Commits of sessions."),
                meters.session_commits,
            ),
            (
                (
                    "hedgerow_mqtt_session_commits_failed_total",
                    "counter",
                    "Commits of sessions that failed.",
                ),
                meters.session_commits_failed,
            ),
            (
                (
                    "hedgerow_mqtt_session_changes_refused_total",
                    "counter",
                    "Changes of sessions refused because too many waited for the disk.",
                ),
                meters.session_changes_refused,
            ),
        ] {
            self.one(family, value);
        }
    }

    fn limits(&mut self, meters: &Meters) {
        self.labelled(
            ("hedgerow_limit", "gauge", "Limits of the configuration."),
            "limit",
            meters.limits.iter().map(|limit| (limit.name, limit.max)),
        );
        self.labelled(
            ("hedgerow_limit_reached_total", "counter", "How often a limit was reached."),
            "limit",
            meters.limits.iter().filter_map(|limit| Some((limit.name, limit.reached?))),
        );
    }

    fn readings(&mut self, meters: &Meters) {
        for (family, value) in [
            (
                ("hedgerow_readings_stored_total", "counter", "Readings stored durably."),
                meters.readings_stored,
            ),
            (
                ("hedgerow_readings_commits_total", "counter", "Commits of readings."),
                meters.commits,
            ),
            (
                (
                    "hedgerow_readings_commits_failed_total",
                    "counter",
                    "Commits of readings that failed.",
                ),
                meters.commits_failed,
            ),
            (
                (
                    "hedgerow_readings_chunks_expired_total",
                    "counter",
                    "Chunks of readings deleted because they were too old.",
                ),
                meters.chunks_expired,
            ),
        ] {
            self.one(family, value);
        }
        let series = ("hedgerow_unsealed_series", "gauge", "Series with readings in memory.");
        self.one(series, meters.unsealed_series);
        let bytes = ("hedgerow_unsealed_bytes", "gauge", "Bytes of readings in memory.");
        self.one(bytes, meters.unsealed_bytes);
    }

    fn disk(&mut self, meters: &Meters) {
        let files = ("hedgerow_database_bytes", "gauge", "Bytes of the databases, by file.");
        self.labelled(files, "file", meters.database_bytes.iter().copied());
        if let Some((free, all)) = meters.disk_bytes {
            let help = "Bytes that are free where the data is.";
            self.one(("hedgerow_disk_free_bytes", "gauge", help), free);
            let help = "Bytes of the file system where the data is.";
            self.one(("hedgerow_disk_size_bytes", "gauge", help), all);
        }
    }

    fn head(&mut self, (name, kind, help): Family) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, family: Family, value: impl Display) {
        self.head(family);
        let _ = writeln!(self.0, "{} {value}", family.0);
    }

    /// Labels are words of our own: none needs escaping.
    fn labelled<V: Display>(
        &mut self,
        family: Family,
        label: &str,
        samples: impl IntoIterator<Item = (&'static str, V)>,
    ) {
        self.head(family);
        for (word, value) in samples {
            let _ = writeln!(self.0, "{}{{{label}=\"{word}\"}} {value}", family.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn full() -> Meters {
        Meters {
            started: Some(Timestamp::from_secs(1_800_000_000)),
            mqtt_ends: [("closed", 3)].into(),
            messages_dropped: vec![("slow-reader", 1)],
            http_connections: vec![("people", 2)],
            database_bytes: vec![("hub.db", 4096)],
            disk_bytes: Some((1, 2)),
            certificates: vec![("server", Timestamp::from_secs(7))],
            readings_stored: 12,
            limits: vec![Limit {
                name: "subscriptions",
                what: "subscriptions of one session",
                max: 128,
                now: None,
                reached: Some(7),
            }],
            ..Meters::default()
        }
    }

    #[test]
    fn every_family_has_help_a_type_and_a_name_by_the_conventions() {
        let text = exposition(&full(), &Counts::default(), [("undeclared", 5)].into_iter());
        let (mut seen, mut samples) = (BTreeSet::new(), 0);
        let mut family = ("", "");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.ends_with('.') && seen.insert(name), "{line}");
                family = (name, "");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, family.0);
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                family.1 = kind;
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(name.split('{').next(), Some(family.0), "{line}");
                assert!(!family.1.is_empty() && value.parse::<f64>().is_ok(), "{line}");
                samples += 1;
            }
        }
        assert!(seen.iter().all(|name| name.starts_with("hedgerow_")));
        assert!(samples >= seen.len() && seen.len() > 20, "{samples} {}", seen.len());
        for line in [
            "hedgerow_refusals_total{reason=\"undeclared\"} 5",
            "hedgerow_limit{limit=\"subscriptions\"} 128",
            "hedgerow_limit_reached_total{limit=\"subscriptions\"} 7",
            "hedgerow_readings_stored_total 12",
            "hedgerow_certificate_not_after_timestamp_seconds{certificate=\"server\"} 7",
            "hedgerow_mqtt_connection_ends_total{reason=\"closed\"} 3",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }
}
