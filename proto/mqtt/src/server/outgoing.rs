use alloc::vec::Vec;

use hedgerow_base::Timestamp;

use super::{Phase, Server};
use crate::{DeliveryOptions, Kept, Publish, delivery::Envelope, session::Allowance};

/// What became of a message for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is in the session, at this place, and sent or waiting for its turn.
    Kept(u64),
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

    /// Whether a QoS 0 message with these options goes to the client as it goes to all others.
    #[inline]
    #[must_use]
    pub const fn takes_plain(&self, options: &DeliveryOptions) -> bool {
        !options.retain && options.identifiers.is_none() && self.given.max == 0
    }

    /// Appends a QoS 0 message in the client's own words; `false` when it does not take packets of that
    /// size, or the message has expired.
    pub fn send_now(
        &mut self,
        message: &Publish<'_>,
        options: &DeliveryOptions,
        expires_in_s: Option<u32>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        let naming = self.given.naming(message.topic);
        let version = self.version;
        let envelope = Envelope { version, id: None, dup: false, options, naming, expires_in_s };
        let is_sent =
            envelope.encode(message, out).is_ok() && self.takes(out.len().saturating_sub(start));
        if is_sent {
            self.given.told(message.topic, naming);
        } else {
            out.truncate(start);
        }
        is_sent
    }

    /// As [`Server::send_now`], for a message that was kept.
    pub fn send_kept_now(
        &mut self,
        message: &Kept,
        options: &DeliveryOptions,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> bool {
        let expires_in_s = message.expires_in_s(now);
        !message.is_expired(now) && self.send_now(&message.message(), options, expires_in_s, out)
    }

    /// Puts a message of QoS 1 or 2 into the session; [`Server::send`] sends it.
    pub fn deliver(
        &mut self,
        message: &Kept,
        options: &DeliveryOptions,
        now: Timestamp,
    ) -> Delivery {
        match self.session.enqueue(message, options, &self.settings.queue, now) {
            Some(order) => Delivery::Kept(order),
            None => Delivery::QueueFull,
        }
    }

    /// Sends messages of the session while the client's window is open and `out` holds less than
    /// `out_bytes_max`; gives the number dropped because they had expired or are too large for the
    /// client. Tickets up to `stored` are stored: a message of QoS 2 with a later one waits.
    pub fn send(
        &mut self,
        now: Timestamp,
        out_bytes_max: usize,
        stored: u64,
        out: &mut Vec<u8>,
    ) -> usize {
        if self.phase != Phase::Open {
            return 0;
        }
        let allowance = Allowance {
            version: self.version,
            window: self.window,
            packet_bytes: self.packet_bytes,
            out_bytes: out_bytes_max,
            stored,
            age_ms_max: self.settings.queue.age_ms_max,
        };
        self.session.send(allowance, &mut self.given, now, out)
    }

    /// Whether the next message waits until its ticket is stored.
    #[must_use]
    pub fn is_waiting(&self, stored: u64) -> bool {
        self.phase == Phase::Open && self.session.is_waiting(stored)
    }

    /// Whether [`Server::send`] had more to send, had `out` had room.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.phase == Phase::Open && self.session.has_more(self.window)
    }
}
