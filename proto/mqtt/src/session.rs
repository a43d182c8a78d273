use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};

use hedgerow_base::Timestamp;

use crate::{
    DeliveryOptions, PacketId, Properties, PropertyId, Publish, QoS, ReasonCode,
    SubscriptionOptions, Version,
    delivery::{Aliases, Envelope},
};

/// A message kept for clients that must acknowledge it; its clones share one copy.
#[derive(Clone, Debug)]
pub struct Kept(Arc<Content>);

#[derive(Debug)]
struct Content {
    /// Topic, properties, payload.
    bytes: Box<[u8]>,
    topic_len: usize,
    properties_len: usize,
    expires: Option<Timestamp>,
}

impl Kept {
    /// Keeps a message that arrived at `now`. Its packet identifier, quality, retain and dup flags are
    /// not kept: they belong to one connection.
    #[must_use]
    pub fn new(message: &Publish<'_>, now: Timestamp) -> Self {
        let (topic, properties) = (message.topic.as_bytes(), message.properties.as_bytes());
        let mut bytes = Vec::with_capacity(topic.len() + properties.len() + message.payload.len());
        bytes.extend_from_slice(topic);
        bytes.extend_from_slice(properties);
        bytes.extend_from_slice(message.payload);
        let expires = message
            .properties
            .number(PropertyId::MESSAGE_EXPIRY_INTERVAL)
            .map(|seconds| now.plus_ms(i64::from(seconds) * 1000));
        Self(Arc::new(Content {
            bytes: bytes.into_boxed_slice(),
            topic_len: topic.len(),
            properties_len: properties.len(),
            expires,
        }))
    }

    /// Bytes of topic, properties and payload.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a topic is never empty")]
    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.bytes.get(..self.0.topic_len).map_or("", |topic| {
            // INVARIANT: copied from a `&str`.
            core::str::from_utf8(topic).unwrap_or_default()
        })
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0.bytes.get(self.0.topic_len + self.0.properties_len..).unwrap_or_default()
    }

    /// The message as it came, at QoS 0.
    #[must_use]
    pub fn message(&self) -> Publish<'_> {
        let properties = self.0.topic_len..self.0.topic_len + self.0.properties_len;
        Publish {
            properties: Properties::trusted(self.0.bytes.get(properties).unwrap_or_default()),
            ..Publish::at_most_once(self.topic(), self.payload())
        }
    }

    /// Whether nobody wants it any more at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.0.expires.is_some_and(|at| at <= now)
    }

    /// Seconds that are left of its expiry interval, if it has one.
    pub(crate) fn expires_in_s(&self, now: Timestamp) -> Option<u32> {
        let left = self.0.expires?.since_ms(now).max(0).div_euclid(1000);
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }
}

/// What the server remembers of a client between its connections: subscriptions, messages not yet
/// acknowledged, and which messages of QoS 2 it has taken. It belongs to no thread and no connection.
#[derive(Debug, Default)]
pub struct Session {
    /// Sorted by filter.
    subscriptions: Vec<(Box<str>, SubscriptionOptions)>,
    /// INVARIANT: entries with an identifier come first, their identifiers follow each other.
    queue: VecDeque<Outgoing>,
    /// Entries before this one were sent in this connection.
    next: usize,
    last_id: u16,
    bytes: usize,
    /// Messages of QoS 2 from the client that it has not released, sorted by identifier.
    received: Vec<(PacketId, Receipt)>,
}

/// What is known of a message of QoS 2 that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Whether it is kept is known when this ticket is.
    Ticket(u64),
    /// It is kept.
    Kept,
}

#[derive(Debug)]
struct Outgoing {
    /// `Some` once it was sent in any connection.
    id: Option<PacketId>,
    options: DeliveryOptions,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The message, not acknowledged.
    Message(Kept),
    /// QoS 2: the client has the message; it waits for PUBCOMP.
    Release,
    /// Nothing waits for it, while something waits for an older one.
    Done,
}

/// What a PUBREC of the client came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// PUBREL is due.
    Release,
    /// The client refused the message.
    Refused,
    /// Nothing waited for it.
    Unknown,
}

/// What one connection allows its session to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) version: Version,
    /// Messages in flight.
    pub(crate) window: usize,
    /// Bytes of a packet.
    pub(crate) packet_bytes: usize,
    /// Bytes that `out` may hold before no more is added.
    pub(crate) out_bytes: usize,
}

impl Session {
    /// A session without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The subscriptions, sorted by filter.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&str, SubscriptionOptions)> {
        self.subscriptions.iter().map(|(filter, options)| (&**filter, *options))
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    pub(crate) fn is_subscribed(&self, filter: &str) -> bool {
        self.find(filter).is_ok()
    }

    fn find(&self, filter: &str) -> Result<usize, usize> {
        self.subscriptions.binary_search_by(|(known, _)| (**known).cmp(filter))
    }

    pub(crate) fn subscribe(&mut self, filter: &str, options: SubscriptionOptions) {
        match self.find(filter) {
            Ok(at) => {
                if let Some((_, old)) = self.subscriptions.get_mut(at) {
                    *old = options;
                }
            }
            Err(at) => self.subscriptions.insert(at, (filter.into(), options)),
        }
    }

    /// Forgets a subscription; says whether there was one.
    pub fn unsubscribe(&mut self, filter: &str) -> bool {
        self.find(filter).map(|at| self.subscriptions.remove(at)).is_ok()
    }

    /// Messages that wait to be sent or acknowledged.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that these messages hold.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a message of QoS 1 or 2 unless that goes past `messages_max` or `bytes_max`; says whether it
    /// was kept.
    pub fn enqueue(
        &mut self,
        message: &Kept,
        options: &DeliveryOptions,
        messages_max: usize,
        bytes_max: usize,
    ) -> bool {
        if self.queue.len() >= messages_max || self.bytes + message.len() > bytes_max {
            return false;
        }
        self.bytes += message.len();
        let step = Step::Message(message.clone());
        self.queue.push_back(Outgoing { id: None, options: options.clone(), step });
        true
    }

    /// Forgets the messages whose topic is not `wanted` any more; gives their number.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) -> usize {
        let (mut dropped, bytes) = (0, &mut self.bytes);
        for entry in &mut self.queue {
            if let Step::Message(message) = &entry.step
                && !wanted(message.topic())
            {
                *bytes -= message.len();
                entry.step = Step::Done;
                dropped += 1;
            }
        }
        // Entries with an identifier keep their place until the older ones are acknowledged.
        self.queue.retain(|entry| entry.id.is_some() || !matches!(entry.step, Step::Done));
        self.advance();
        dropped
    }

    /// Takes off the front what nothing waits for.
    fn advance(&mut self) {
        while self.queue.front().is_some_and(|front| matches!(front.step, Step::Done)) {
            self.queue.pop_front();
            self.next = self.next.saturating_sub(1);
        }
    }

    /// Begins a new connection: everything unacknowledged is to be sent again.
    pub(crate) const fn rewind(&mut self) {
        self.next = 0;
    }

    /// Whether something could be sent had the connection room.
    pub(crate) fn has_more(&self, window: usize) -> bool {
        self.next < self.queue.len() && self.next < window
    }

    /// The entry that was sent with this identifier.
    fn sent(&mut self, id: PacketId) -> Option<&mut Outgoing> {
        let first = self.queue.front().and_then(|front| front.id)?;
        // Identifiers run from 1 to 65535 and around.
        let ahead = (u32::from(id.get()) + 65_535 - u32::from(first.get())) % 65_535;
        self.queue.get_mut(ahead as usize).filter(|entry| entry.id == Some(id))
    }

    /// Takes a PUBACK; says whether something waited for it.
    pub(crate) fn acknowledge(&mut self, id: PacketId) -> bool {
        let Some(entry) = self.sent(id).filter(|entry| entry.options.qos == QoS::AtLeastOnce)
        else {
            return false;
        };
        let Step::Message(message) = &entry.step else { return false };
        let bytes = message.len();
        entry.step = Step::Done;
        self.bytes -= bytes;
        self.advance();
        true
    }

    /// Takes a PUBREC.
    pub(crate) fn record(&mut self, id: PacketId, reason: ReasonCode) -> Recorded {
        let Some(entry) = self.sent(id).filter(|entry| entry.options.qos == QoS::ExactlyOnce)
        else {
            return Recorded::Unknown;
        };
        let bytes = match &entry.step {
            Step::Message(message) => message.len(),
            Step::Release => 0,
            Step::Done => return Recorded::Unknown,
        };
        let is_refused = reason.is_failure();
        entry.step = if is_refused { Step::Done } else { Step::Release };
        self.bytes -= bytes;
        if is_refused {
            self.advance();
            return Recorded::Refused;
        }
        Recorded::Release
    }

    /// Takes a PUBCOMP; says whether something waited for it.
    pub(crate) fn complete(&mut self, id: PacketId) -> bool {
        let Some(entry) = self.sent(id) else { return false };
        if !matches!(entry.step, Step::Release) {
            return false;
        }
        entry.step = Step::Done;
        self.advance();
        true
    }

    fn receipt_at(&self, id: PacketId) -> Result<usize, usize> {
        self.received.binary_search_by_key(&id, |(known, _)| *known)
    }

    /// What is known of a message of QoS 2 with this identifier, if it was taken and not released.
    pub(crate) fn receipt(&self, id: PacketId) -> Option<Receipt> {
        self.received.get(self.receipt_at(id).ok()?).map(|(_, receipt)| *receipt)
    }

    /// Remembers that a message of QoS 2 was taken.
    pub(crate) fn take_receipt(&mut self, id: PacketId, receipt: Receipt) {
        match self.receipt_at(id) {
            Ok(at) => {
                if let Some((_, known)) = self.received.get_mut(at) {
                    *known = receipt;
                }
            }
            Err(at) => self.received.insert(at, (id, receipt)),
        }
    }

    /// The client has released a message of QoS 2, or it was refused; says whether it was known.
    pub(crate) fn release(&mut self, id: PacketId) -> bool {
        self.receipt_at(id).map(|at| self.received.remove(at)).is_ok()
    }

    /// Messages of QoS 2 that the client has not released.
    pub(crate) fn unreleased(&self) -> usize {
        self.received.len()
    }

    /// Sends what the allowance lets through; gives the number of messages dropped because they had
    /// expired or are too large for the client.
    pub(crate) fn send(
        &mut self,
        allowance: Allowance,
        aliases: &mut Aliases,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut dropped = 0;
        while self.has_more(allowance.window) && out.len() < allowance.out_bytes {
            let Some(entry) = self.queue.get_mut(self.next) else { break };
            let message = match &entry.step {
                Step::Message(message) => message,
                Step::Release => {
                    if let Some(id) = entry.id {
                        out.extend_from_slice(&pubrel(id));
                    }
                    self.next += 1;
                    continue;
                }
                Step::Done => {
                    self.next += 1;
                    continue;
                }
            };
            let (id, dup) = match entry.id {
                Some(id) => (id, true),
                None => (following(self.last_id), false),
            };
            let start = out.len();
            let naming = aliases.naming(message.topic());
            let (version, options) = (allowance.version, &entry.options);
            let expires_in_s = message.expires_in_s(now);
            let envelope = Envelope { version, id: Some(id), dup, options, naming, expires_in_s };
            let sent = (dup || !message.is_expired(now))
                && envelope.encode(&message.message(), out).is_ok()
                && out.len() - start <= allowance.packet_bytes;
            if sent {
                aliases.told(message.topic(), naming);
                entry.id = Some(id);
                self.last_id = if dup { self.last_id } else { id.get() };
                self.next += 1;
                continue;
            }
            out.truncate(start);
            dropped += 1;
            self.bytes -= message.len();
            if dup {
                // Its identifier keeps its place until the older ones are acknowledged.
                entry.step = Step::Done;
                self.next += 1;
            } else {
                self.queue.remove(self.next);
            }
        }
        self.advance();
        dropped
    }
}

/// A PUBREL that says success.
pub(crate) const fn pubrel(id: PacketId) -> [u8; 4] {
    let [high, low] = id.get().to_be_bytes();
    [0x62, 2, high, low]
}

fn following(id: u16) -> PacketId {
    PacketId::new(id.wrapping_add(1)).unwrap_or(PacketId::MIN)
}
