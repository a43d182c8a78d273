//! Limits of the driver; those of packets and sessions are in `hedgerow_mqtt::limits`.

use hedgerow_base::Rate;

/// Shards at most: a set of shards is a word of so many bits.
pub const SHARDS_MAX: usize = 64;

/// Connections of one hub.
pub const CONNECTIONS_MAX: usize = 100_000;

/// Connections that have not finished their handshake or not sent their CONNECT.
pub const HALF_OPEN_MAX: usize = 4_096;

/// New connections in all: a storm after a power cut is admitted at this rate, the rest wait in the
/// kernel's queue and are served in turn. A third of a core a thousand.
pub const CONNECTS: Rate = Rate { per_second: 2_000, burst: 4_000 };

/// Messages that one client may publish; whoever sends more is read more slowly, and nothing is lost.
pub const PUBLISHES: Rate = Rate { per_second: 20_000, burst: 40_000 };

/// Bytes that one client may send.
pub const PUBLISH_BYTES: Rate = Rate { per_second: 16 << 20, burst: 32 << 20 };

/// Connections that wait in the kernel to be accepted; the system's `net.core.somaxconn` can lower it.
pub const BACKLOG: i32 = 4_096;

/// Milliseconds until the next look for a free place among them; new connections wait in the kernel.
pub const HALF_OPEN_PAUSE_MS: u64 = 2;

/// Milliseconds of silence after which a new connection gives its place up while places are short: more
/// than half of [`HALF_OPEN_MAX`] are taken. Otherwise it may be silent for [`HANDSHAKE_MS_MAX`]: a
/// small device makes its first key share only now.
pub const CROWDED_SILENCE_MS_MAX: u64 = 1_000;

/// Milliseconds for the handshake beneath MQTT.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;

/// Bytes that wait for a slow reader; more QoS 0 messages are dropped, QoS 1 waits in the session.
pub const OUT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of `out` up to which the session's QoS 1 messages are added.
pub const OUT_BYTES_SOFT: usize = 64 * 1024;

/// Bytes of a packet of QoS 0 from which its subscribers share it, where they are at least
/// [`SHARED_CLIENTS_MIN`]; a smaller one is copied for each.
pub const SHARED_BYTES_MIN: usize = 256;

/// See [`SHARED_BYTES_MIN`].
pub const SHARED_CLIENTS_MIN: usize = 8;

/// Bytes of a packet of QoS 0 from which it is not copied for a few subscribers either.
pub const SHARED_BY_FEW_BYTES_MIN: usize = 16 * 1024;

/// Bytes that are put together for a stream that takes one piece a write, such as TLS.
pub const TOGETHER_BYTES_MAX: usize = 64 * 1024;

/// Pieces of what waits for a client in one write.
pub const OUT_SLICES_MAX: usize = 64;

/// Milliseconds without a byte taken after which a reader that has something to read is given up.
pub const STALL_MS_MAX: i64 = 30_000;

/// Milliseconds in which the other side may take the last bytes and close, after the end.
pub const LINGER_MS_MAX: i64 = 1_000;

/// A subscriber is crowded when more than one part in so many of the room for what waits for it is taken: of
/// [`OUT_BYTES_MAX`], or of its session's queue.
pub const CROWDED_PART: usize = 2;

/// Milliseconds after which a crowded subscriber is slow: named, and counted.
pub const SLOW_MS: i64 = 5_000;

/// Crowded subscribers that a shard keeps in mind; of more it learns when these have caught up or gone.
pub const CROWDED_MAX: usize = 1_024;

/// Slow subscribers that are named, the longest first.
pub const SLOW_NAMED_MAX: usize = 100;

/// Sessions in one answer.
pub const SESSIONS_PAGE_MAX: usize = 200;

/// Sessions that a shard looks at for one answer.
pub const SESSIONS_SCAN_MAX: usize = 2_048;

/// Milliseconds for which a shard is waited for to answer.
pub const ANSWER_MS_MAX: u64 = 2_000;

/// Bytes of the buffer that all connections of a shard read into, one after the other.
pub const READ_BYTES: usize = 64 * 1024;

/// Reads of one connection before the others get their turn.
pub const READS_A_TURN_MAX: usize = 4;

/// Out-buffers that a shard keeps for the next connection that needs one, and their size: larger ones
/// are given back.
pub const SPARE_BUFFERS_MAX: usize = 256;
/// See [`SPARE_BUFFERS_MAX`].
pub const SPARE_BYTES_MAX: usize = 64 * 1024;

/// Topics whose subscribers a shard remembers before it begins anew.
pub const ROUTES_MAX: usize = 8_192;

/// Milliseconds between two looks at deadlines, standings and expired sessions.
pub const TICK_MS: u64 = 250;

/// Milliseconds after which a connection is looked at though none of its deadlines has passed.
pub const ALARM_MS_MAX: i64 = 60_000;

/// Sessions whose client is away, a shard.
pub const AWAY_SESSIONS_MAX: usize = 100_000;

/// Reads a second from which a shard counts as busy, and lets messages gather.
pub const PACE_READS_A_SECOND_MIN: u64 = 50_000;

/// Messages a read that are gathered enough.
pub const PACE_MESSAGES_A_READ: u64 = 6;

/// Microseconds that a busy shard waits at first, and at most: what is added to a message's way.
pub const PACE_US_MIN: u64 = 100;
/// See [`PACE_US_MIN`].
pub const PACE_US_MAX: u64 = 1_000;

/// Longest waits in a row that may gather nothing, and the microseconds without waits after them.
pub const PACE_TRIES: u32 = 8;
/// See [`PACE_TRIES`].
pub const PACE_REST_US: u64 = 1_000_000;

/// Tasks that a shard runs before it looks for new bytes in between.
pub const TASKS_A_POLL: u32 = 1_024;

/// Topics with a retained message; a message for one more is delivered and not retained.
pub const RETAINED_MESSAGES_MAX: usize = 250_000;

/// Bytes of topics, properties and payloads of retained messages.
pub const RETAINED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Retained topics looked at in one go, while a subscriber waits and others have their turn after.
pub const RETAINED_SCAN_MAX: usize = 2_048;

/// Retained messages handed to a subscriber in one go.
pub const RETAINED_PAGE: usize = 64;

/// Pages of retained messages for one connection before the others get their turn.
pub const REPLAYS_A_TURN_MAX: usize = 4;

/// Milliseconds for which it is remembered that a message was not stored, for a client that sends it again.
pub const FAILED_PARTS_MS: i64 = 60_000;

#[cfg(test)]
mod tests {
    use hedgerow_base::{Spent, Timestamp};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_client_may_send_at_once_what_its_burst_holds_and_waits_for_one_more() {
        for rate in [PUBLISHES, PUBLISH_BYTES] {
            let mut spent = Spent::default();
            assert_eq!(spent.charge(rate.burst, rate, NOW), 0);
            let wait_ms = spent.charge(1, rate, NOW);
            assert!(wait_ms > 0, "{rate:?}");
            assert_eq!(spent.charge(0, rate, NOW.plus_ms(wait_ms)), 0, "{rate:?}");
        }
    }

    #[test]
    fn so_many_connections_come_in_at_once_and_one_more_waits() {
        let mut spent = Spent::default();
        (0..CONNECTS.burst).for_each(|_| assert_eq!(spent.take(1, CONNECTS, NOW), Ok(())));
        let wait_ms = spent.take(1, CONNECTS, NOW).unwrap_err();
        assert!(spent.take(1, CONNECTS, NOW.plus_ms(wait_ms - 1)).is_err());
        assert_eq!(spent.take(1, CONNECTS, NOW.plus_ms(wait_ms)), Ok(()));
    }
}
