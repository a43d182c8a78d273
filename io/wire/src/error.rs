use std::{fmt, io, net::SocketAddr};

use hedgerow_base::Fault;

/// Why the driver could not start or listen.
#[derive(Debug)]
pub enum Error {
    /// The caller wants an insecure listener where others can reach it.
    NotLoopback(SocketAddr),
    /// The caller's peer for an insecure listener is something better than a loopback tester.
    NotATester,
    /// The caller wants no shard, or more than [`SHARDS_MAX`](crate::limits::SHARDS_MAX).
    Shards(usize),
    /// The system has no thread or runtime left for a shard.
    Start(io::Error),
    /// The system won't listen at the address.
    Listen(SocketAddr, io::Error),
}

impl Error {
    /// The kind of outcome that this is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotLoopback(_) | Self::NotATester => Fault::Denied,
            Self::Shards(_) => Fault::Invalid,
            Self::Start(_) | Self::Listen(..) => Fault::Unavailable,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => write!(
                f,
                "{address} can be reached from elsewhere: insecure mqtt is for loopback addresses only"
            ),
            Self::NotATester => f.write_str("an insecure listener is for loopback testers only"),
            Self::Shards(count) => {
                write!(f, "{count} shards: choose 1 to {}", crate::limits::SHARDS_MAX)
            }
            Self::Start(error) => write!(f, "a shard can't start: {error}"),
            Self::Listen(address, error) => write!(f, "can't listen at {address}: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) | Self::Listen(_, error) => Some(error),
            Self::NotLoopback(_) | Self::NotATester | Self::Shards(_) => None,
        }
    }
}
