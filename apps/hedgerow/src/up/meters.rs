//! What the rooms count, gathered for whoever asks.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hedgerow_api::{BrokerLimits, Meters};
use hedgerow_base::Timestamp;
use hedgerow_identity::authority;
use hedgerow_listen::server::{Occupancy, now};
use hedgerow_plane::Plane;
use hedgerow_store::{ReadingsStore, SessionsStore};
use hedgerow_wire::{Census, Meter, Settings, Wire};

use super::{hub::Hub, notices::Queue, trust::Trust};
use crate::config::limits::Limits;

/// The files with the databases, and what is written ahead of them.
const FILES: [&str; 6] =
    ["hub.db", "hub.db-wal", "telemetry.db", "telemetry.db-wal", "sessions.db", "sessions.db-wal"];

/// Where the numbers are.
pub(super) struct Gauges {
    started: Timestamp,
    data: PathBuf,
    wire: Meter,
    census: Census<Plane>,
    broker_limits: BrokerLimits,
    doors: Vec<(&'static str, Occupancy)>,
    readings: ReadingsStore,
    sessions: SessionsStore,
    notices: Arc<Queue>,
    trust: Arc<Trust>,
    limits: Limits,
}

impl Gauges {
    pub(super) fn new(
        hub: &Hub,
        wire: &Wire<Plane>,
        doors: Vec<(&'static str, Occupancy)>,
        limits: Limits,
    ) -> Self {
        Self {
            started: now(),
            data: hub.data.clone(),
            wire: wire.meter(),
            census: wire.census(),
            broker_limits: broker_limits(wire.settings()),
            doors,
            readings: hub.readings.clone(),
            sessions: hub.sessions.clone(),
            notices: Arc::clone(&hub.notices),
            trust: Arc::clone(&hub.trust),
            limits,
        }
    }

    /// All of them, now.
    pub(super) fn read(&self) -> Meters {
        let (mut wire, tally, unsealed) =
            (self.wire.read(), self.readings.tally(), self.readings.unsealed());
        let sessions = self.sessions.counts();
        let (retained, retained_bytes) = self.census.retained_size();
        (wire.retained, wire.retained_bytes) = (retained, retained_bytes);
        let end = |der: &[u8]| authority::read(der).map(|((_, until), _)| until);
        let authority = self.trust.authority();
        let issuing = authority.issuing.first().map(|newest| ("issuing", newest));
        let certificates =
            [("root", &authority.root), ("server", &authority.server)].into_iter().chain(issuing);
        let size =
            |name: &'static str| Some((name, fs::metadata(self.data.join(name)).ok()?.len()));
        Meters {
            started: Some(self.started),
            limits: self.limits.report(&wire),
            mqtt_connections: wire.connections,
            mqtt_connections_max: self.limits.wire.connections_max,
            mqtt_half_open: wire.half_open,
            mqtt_half_open_max: self.limits.wire.half_open_max,
            messages_in: wire.messages_in,
            messages_out: wire.messages_out,
            messages_refused: wire.messages_refused,
            messages_dropped: vec![
                ("slow-reader", wire.dropped_slow_reader),
                ("queue-full", wire.dropped_queue_full),
                ("queue-oldest", wire.dropped_oldest),
                ("too-large-or-expired", wire.dropped_too_large_or_expired),
                ("not-allowed", wire.dropped_not_allowed),
            ],
            bytes_in: wire.bytes_in,
            bytes_out: wire.bytes_out,
            slow: wire.slow,
            slow_found: wire.slow_found,
            sessions_away: wire.away,
            broker_limits: self.broker_limits,
            retained: retained as u64,
            retained_bytes: retained_bytes as u64,
            not_retained: wire.not_retained,
            sessions_kept: sessions.sessions,
            messages_waiting: sessions.waiting,
            session_commits: sessions.commits,
            session_commits_failed: sessions.commits_failed,
            session_changes_refused: wire.not_kept,
            mqtt_ends: wire.ends,
            http_connections: self.doors.iter().map(|(name, open)| (*name, open.taken())).collect(),
            http_connections_max: self.limits.https_connections,
            readings_stored: tally.readings,
            commits: tally.commits,
            commits_failed: tally.commits_failed,
            chunks_expired: tally.chunks_expired,
            unsealed_series: unsealed.series,
            unsealed_bytes: unsealed.bytes,
            notices_dropped: self.notices.dropped(),
            database_bytes: FILES.into_iter().filter_map(size).collect(),
            disk_bytes: disk(&self.data),
            certificates: certificates.filter_map(|(kind, der)| Some((kind, end(der)?))).collect(),
        }
    }
}

fn broker_limits(settings: &Settings) -> BrokerLimits {
    BrokerLimits {
        connections: settings.connections_max,
        half_open: settings.half_open_max,
        sessions_away: settings.away_sessions_max * settings.shards,
        retained: settings.retained_max,
        retained_bytes: settings.retained_bytes_max,
        queued: settings.mqtt.queue.messages_max,
        queued_bytes: settings.mqtt.queue.bytes_max,
        in_flight: usize::from(settings.mqtt.in_flight_max),
        out_bytes: settings.out_bytes_max,
        subscriptions: settings.mqtt.subscriptions_max,
        packet_bytes: settings.mqtt.packet_bytes_max,
    }
}

/// Bytes that are free for us, and all bytes, of the file system that `path` is on.
pub(crate) fn disk(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
}
