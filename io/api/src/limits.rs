//! Limits of HTTP.

use std::time::Duration;

use hedgerow_base::Rate;

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
/// How long the word on a single certificate is given out before it is signed anew.
pub const OCSP_KEEP_MS: i64 = 1_800_000;
/// Words on single certificates that are kept; at one more all are forgotten.
pub const OCSP_WORDS_KEPT_MAX: usize = 10_000;
/// How often words on certificates are signed for one source; those that are kept don't count.
pub const OCSP_SIGNATURES: Rate = Rate { per_second: 20, burst: 200 };
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
/// People and programs that look on at messages at the same time.
pub const ONLOOKERS_MAX: usize = 64;
/// Bytes on their way between the broker and somebody who looks on.
pub const ONLOOKER_BYTES: usize = 64 * 1024;
/// How long the broker may take to let somebody look on.
pub const ONLOOKER_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody may still look on, and their share of messages begins anew.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Messages that somebody who looks on is shown in that time; the rest is counted.
pub const MESSAGES_A_LOOK_MAX: u32 = 25;
/// Messages that wait for a slow browser.
pub const MESSAGES_WAITING_MAX: usize = 64;
/// Seconds for which somebody may look on before they have to begin anew.
pub const LOOK_S_MAX: u32 = 600;
/// Bytes of a payload that are shown of a message.
pub const PAYLOAD_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a payload that are shown in hex.
pub const HEX_BYTES_MAX: usize = 512;
/// Levels to which JSON is indented.
pub const INDENT_MAX: usize = 8;
/// Lines of a payload that a page shows at once; of a longer one it says how many.
pub const PAYLOAD_LINES: usize = 12;
/// Characters of a payload that a page shows at once.
pub const PAYLOAD_CHARS: usize = 800;
/// Retained messages on one page.
pub const TOPIC_ROWS: usize = 20;
/// Retained messages in one answer.
pub const RETAINED_MAX: u32 = 100;
/// Names in one answer about a level of topics.
pub const LEVEL_NAMES_MAX: usize = 200;
/// Sessions in one answer of the API.
pub const SESSIONS_MAX: u32 = 200;
/// Bytes of a frame to a client; a packet may take several.
pub const WEBSOCKET_FRAME_BYTES: usize = 64 * 1024;
