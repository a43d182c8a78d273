use alloc::vec::Vec;

use hedgerow_base::Timestamp;

use super::{Phase, Server};
use crate::{Kept, session::Allowance};

/// What became of a message for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is in the session, and sent or waiting for its turn.
    Kept,
    /// The session's queue is full.
    QueueFull,
}

impl Server {
    /// Whether a packet of `bytes` may be sent to the client: it is connected and takes packets of
    /// that size. For QoS 0, which the driver encodes once for all.
    #[inline]
    #[must_use]
    pub fn takes(&self, bytes: usize) -> bool {
        self.phase == Phase::Open && bytes <= self.packet_bytes
    }

    /// Puts a QoS 1 message into the session; [`Server::send`] sends it.
    pub fn deliver(&mut self, message: &Kept) -> Delivery {
        let (messages, bytes) = (self.settings.queue_messages_max, self.settings.queue_bytes_max);
        if self.session.enqueue(message, messages, bytes) {
            Delivery::Kept
        } else {
            Delivery::QueueFull
        }
    }

    /// Sends QoS 1 messages of the session while the client's window is open and `out` holds less than
    /// `out_bytes_max`; gives the number dropped because they had expired or are too large for the
    /// client.
    pub fn send(&mut self, now: Timestamp, out_bytes_max: usize, out: &mut Vec<u8>) -> usize {
        if self.phase != Phase::Open {
            return 0;
        }
        let allowance = Allowance {
            version: self.version,
            window: self.window,
            packet_bytes: self.packet_bytes,
            out_bytes: out_bytes_max,
        };
        self.session.send(allowance, now, out)
    }

    /// Whether [`Server::send`] had more to send, had `out` had room.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.phase == Phase::Open && self.session.has_more(self.window)
    }
}
