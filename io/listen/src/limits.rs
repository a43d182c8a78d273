//! Limits at the door.

use std::time::Duration;

use hedgerow_base::Rate;

/// How long a TLS handshake may take.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Handshakes at the same time; the rest wait in the kernel's queue.
pub const HANDSHAKES_MAX: usize = 256;
/// HTTPS connections at the same time on one listener.
pub const HTTPS_CONNECTIONS_MAX: usize = 2048;
/// How long a client waits for a TCP connection.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a client waits for an answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the door stays shut after the system refused to give another socket.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that all TLS connections of a thread read into and encrypt into, one after the other. The longest
/// handshake message of rustls (64 KiB) fits beside a read.
pub const SHARED_BYTES: usize = 128 * 1024;
/// Bytes of plaintext that are encrypted at once.
pub const PLAIN_BYTES_A_WRITE: usize = 64 * 1024;
/// Wrong secrets of tokens from one source that are answered at once.
pub const FAILED_SIGN_INS_FREE: u32 = 5;
/// How long the answer to the next one waits; each further one waits twice as long.
pub const SIGN_IN_WAIT_MS: i64 = 250;
/// The longest wait. Shorter than the time that a client has for its CONNECT.
pub const SIGN_IN_WAIT_MS_MAX: i64 = 8_000;
/// How long after the last wrong secret a source is forgotten.
pub const FAILED_SIGN_INS_KEEP_MS: i64 = 10 * 60_000;
/// Sources of wrong secrets that are remembered.
pub const SIGN_IN_SOURCES_MAX: usize = 4096;
/// Wrong secrets from one source after which it may not sign in at all for [`FAILED_SIGN_INS_KEEP_MS`]:
/// a person who mistypes stays below, a program that guesses does not.
pub const FAILED_SIGN_INS_MAX: u32 = 100;
/// Connections that one source may hold: behind one address there can be a factory.
pub const SOURCE_CONNECTIONS_MAX: u32 = 25_000;
/// New connections of one source: all of a factory's after a power cut, and a third of a core at most.
pub const SOURCE_CONNECTS: Rate = Rate { per_second: 1_000, burst: 20_000 };
/// Sources that are told apart: more than there are connections.
pub const SOURCES_MAX: usize = 131_072;
/// Bytes of a PROXY header, with what the proxy says besides addresses.
pub const PROXY_HEADER_BYTES_MAX: usize = 1_024;
