//! Limits of packets, topics and sessions. Each has a test at it and one past it.

/// Bytes of the largest packet that the wire can say: a remaining length of four bytes and its header.
pub const PACKET_BYTES_END: usize = 268_435_455 + 5;

/// Bytes of a packet that the server machine takes unless told otherwise, headers included.
pub const PACKET_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a packet before the CONNECT was accepted: a stranger gets less room.
pub const CONNECT_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a topic name or filter that the server machine takes.
pub const TOPIC_BYTES_MAX: usize = 512;

/// Levels of a topic name or filter. It bounds the depth of the topic tree, and so its recursion.
pub const TOPIC_LEVELS_MAX: usize = 24;

/// Bytes of a client identifier that the server machine takes.
pub const CLIENT_ID_BYTES_MAX: usize = 256;

/// Bytes of a client identifier that the server gives.
pub const ASSIGNED_ID_BYTES_MAX: usize = 64;

/// Filters in one SUBSCRIBE or UNSUBSCRIBE that the server machine takes.
pub const FILTERS_MAX: usize = 128;

/// Subscriptions of one session.
pub const SUBSCRIPTIONS_MAX: usize = 128;

/// Topic aliases that a client may use.
pub const TOPIC_ALIAS_MAX: u16 = 32;

/// Topic aliases that a client is given, if it takes so many.
pub const TOPIC_ALIASES_GIVEN_MAX: usize = 16;

/// Messages of QoS 2 that a client of 3.1.1, which can't be told a Receive Maximum, may leave unreleased.
pub const UNRELEASED_MAX: usize = 4_096;

/// Messages of QoS 1 and 2 from the client that wait for their acknowledgement, announced as Receive
/// Maximum.
pub const RECEIVE_MAXIMUM: u16 = 256;

/// Messages of QoS 1 and 2 sent to the client whose acknowledgement is awaited; the client's own Receive Maximum
/// can only lower it.
pub const IN_FLIGHT_MAX: u16 = 256;

/// Messages of QoS 1 and 2 that a session keeps for its client, in flight included.
pub const QUEUE_MESSAGES_MAX: usize = 1_000;

/// Bytes of topic, properties and payload that a session keeps for its client.
pub const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// Milliseconds after which a message that was not sent is dropped from a session's queue: as long as the
/// longest session.
pub const QUEUE_AGE_MS_MAX: i64 = SESSION_EXPIRY_S_MAX as i64 * 1000;

/// Places of a queue for each message that it may hold, when the oldest make room while the client leaves
/// an older one unacknowledged: identifiers go round in order, so a gap takes a place.
#[cfg(feature = "alloc")]
pub(crate) const GAPS_FACTOR: usize = 4;

/// Milliseconds from the first byte possible to a complete CONNECT.
pub const CONNECT_MS_MAX: i64 = 10_000;

/// Seconds of keep-alive that a client of 5.0 is held to when it asks for more or for none. A client of
/// 3.1.1 can't be told, so its own word stands.
pub const KEEP_ALIVE_S_MAX: u16 = 1_200;

/// Seconds that a session outlives its connection at most.
pub const SESSION_EXPIRY_S_MAX: u32 = 7 * 86_400;

/// Bytes of a reason string that the server machine sends.
pub const REASON_STRING_BYTES_MAX: usize = 256;

/// Bytes of the name of another server that the server machine sends.
pub const SERVER_REFERENCE_BYTES_MAX: usize = 256;

/// Bytes of both, each with its identifier and length.
#[cfg(feature = "alloc")]
pub(crate) const LAST_WORDS_BYTES_MAX: usize =
    REASON_STRING_BYTES_MAX + SERVER_REFERENCE_BYTES_MAX + 8;

/// Milliseconds that the client machine waits for a CONNACK or PINGRESP.
pub const ANSWER_MS_MAX: i64 = 10_000;
