//! Limits of the agent.

/// Bytes of an answer over HTTP.
pub const ANSWER_BYTES_MAX: usize = 128 * 1024;
/// Bytes of a packet that the agent takes.
pub const PACKET_BYTES_MAX: usize = 64 * 1024;
/// Packs that are published and not yet acknowledged.
pub const WINDOW: usize = 8;
/// Bytes of readings that are kept while offline, unless the caller says otherwise.
pub const OUTBOX_BYTES_DEFAULT: u64 = 1024 * 1024;
/// Bytes of one pack of readings.
pub const PACK_BYTES_MAX: usize = 8 * 1024;
/// The first wait before the next try to connect.
pub const RETRY_MS_MIN: i64 = 1_000;
/// The longest wait before the next try to connect.
pub const RETRY_MS_MAX: i64 = 300_000;
/// How long a connection has to last to count as a success.
pub const STEADY_MS: i64 = 30_000;
/// How long to wait before a failed renewal is tried again.
pub const RENEWAL_RETRY_MS: i64 = 3_600_000;
/// How often the hub's log is checked.
pub const CHECKPOINT_EVERY_MS: i64 = 3_600_000;
/// Silence that the agent promises not to exceed.
pub const KEEP_ALIVE_S: u16 = 60;
/// The shortest time between two samples.
pub const SAMPLE_MS_MIN: i64 = 1_000;
