//! Limits at the door.

use std::time::Duration;

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
