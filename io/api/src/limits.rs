//! Limits of HTTP.

use std::time::Duration;

/// Bytes of a request's body, unless a route says otherwise.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to send a request's head.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(15);
/// Bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a request may take from head to answer.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Streams of one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 64;
/// How long open requests may go on after the hub was told to stop.
pub const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a revocation list is given out before it is made anew.
pub const CRL_KEEP_MS: i64 = 3_600_000;
/// Devices and programs that a person can agree to cut off at once: more than there are anywhere.
pub const CUT_OFF_MAX: u64 = 1_000_000_000;
/// Passkey ceremonies under way at the same time; the oldest gives way.
pub const CEREMONIES_MAX: usize = 1024;
/// How long a person may take to answer their passkey's question.
pub const CEREMONY_LIFE_MS: i64 = 5 * 60_000;
/// Characters of a passkey's name.
pub const PASSKEY_NAME_CHARS_MAX: usize = 40;
/// How long a page waits for a device's answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Devices in one page of the table.
pub const TABLE_ROWS: u32 = 50;
/// Devices that the overview looks through for certificates that end soon.
pub const OVERVIEW_DEVICES_MAX: usize = 10_000;
/// Devices that the overview names; of more it says how many.
pub const OVERVIEW_NAMED_MAX: u32 = 10;
/// Rows of a history shown as a table.
pub const HISTORY_ROWS: u32 = 48;
/// Thing Descriptions in one page: each is as long as its profile.
pub const THINGS_MAX: u32 = 50;
/// The same, when nobody says.
pub const THINGS_DEFAULT: u32 = 20;
/// Bytes of a frame of MQTT over WebSocket from a client: the largest packet, and some beside it, since
/// clients send a packet in one frame.
pub const WEBSOCKET_FRAME_BYTES_MAX: usize = 320 * 1024;
/// Bytes of a frame to a client; a packet may take several.
pub const WEBSOCKET_FRAME_BYTES: usize = 64 * 1024;
