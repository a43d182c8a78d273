use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};

use hedgerow_base::Timestamp;

use crate::{
    Buffer, Error, PacketId, Properties, PropertyId, Publish, QoS, SubscriptionOptions, Value,
    Version, property::put_property,
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

    /// Writes the message as a PUBLISH; its expiry interval is what is left of it.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn encode(
        &self,
        version: Version,
        (qos, id, dup): (QoS, Option<PacketId>, bool),
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<(), Error> {
        let content = &*self.0;
        let end = content.topic_len + content.properties_len;
        let kept =
            Properties::trusted(content.bytes.get(content.topic_len..end).unwrap_or_default());
        let send = |properties: Properties<'_>, out: &mut _| {
            let (topic, payload) = (self.topic(), self.payload());
            Publish { dup, qos, retain: false, topic, id, properties, payload }.encode(version, out)
        };
        let Some(expires) = content.expires.filter(|_| version == Version::V5) else {
            return send(kept, out);
        };
        let left = expires.since_ms(now).max(0).div_euclid(1000);
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(content.properties_len);
        for (id, value) in kept.iter() {
            let value = match id {
                PropertyId::MESSAGE_EXPIRY_INTERVAL => Value::Word(left),
                _ => value,
            };
            put_property(id, value, &mut bytes)?;
        }
        send(Properties::trusted(&bytes), out)
    }
}

/// What the server remembers of a client between its connections: subscriptions, and QoS 1 messages not
/// yet acknowledged. It belongs to no thread and no connection.
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
}

#[derive(Debug)]
struct Outgoing {
    /// `Some` once it was sent in any connection.
    id: Option<PacketId>,
    /// `None` once acknowledged, while an older one is not.
    message: Option<Kept>,
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

    /// Appends a message unless that goes past `messages_max` or `bytes_max`; says whether it was kept.
    pub fn enqueue(&mut self, message: &Kept, messages_max: usize, bytes_max: usize) -> bool {
        if self.queue.len() >= messages_max || self.bytes + message.len() > bytes_max {
            return false;
        }
        self.bytes += message.len();
        self.queue.push_back(Outgoing { id: None, message: Some(message.clone()) });
        true
    }

    /// Forgets the messages whose topic is not `wanted` any more; gives their number.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) -> usize {
        let (mut dropped, bytes) = (0, &mut self.bytes);
        for entry in &mut self.queue {
            if let Some(message) = entry.message.take_if(|message| !wanted(message.topic())) {
                *bytes -= message.len();
                dropped += 1;
            }
        }
        // Entries with an identifier keep their place until the older ones are acknowledged.
        self.queue.retain(|entry| entry.id.is_some() || entry.message.is_some());
        self.advance();
        dropped
    }

    /// Takes off the front what nothing waits for.
    fn advance(&mut self) {
        while self.queue.front().is_some_and(|front| front.message.is_none()) {
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

    /// Takes an acknowledgement; says whether something waited for it.
    pub(crate) fn acknowledge(&mut self, id: PacketId) -> bool {
        let Some(first) = self.queue.front().and_then(|front| front.id) else { return false };
        // Identifiers run from 1 to 65535 and around.
        let ahead = (u32::from(id.get()) + 65_535 - u32::from(first.get())) % 65_535;
        let Some(entry) = self.queue.get_mut(ahead as usize) else { return false };
        if entry.id != Some(id) {
            return false;
        }
        let Some(message) = entry.message.take() else { return false };
        self.bytes -= message.len();
        self.advance();
        true
    }

    /// Sends what the allowance lets through; gives the number of messages dropped because they had
    /// expired or are too large for the client.
    pub(crate) fn send(
        &mut self,
        allowance: Allowance,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut dropped = 0;
        while self.has_more(allowance.window) && out.len() < allowance.out_bytes {
            let Some(entry) = self.queue.get_mut(self.next) else { break };
            let Some(message) = &entry.message else {
                self.next += 1;
                continue;
            };
            let (id, dup) = match entry.id {
                Some(id) => (id, true),
                None => (following(self.last_id), false),
            };
            let start = out.len();
            let expired = !dup && message.is_expired(now);
            let sent = !expired
                && message
                    .encode(allowance.version, (QoS::AtLeastOnce, Some(id), dup), now, out)
                    .is_ok()
                && out.len() - start <= allowance.packet_bytes;
            if sent {
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
                entry.message = None;
                self.next += 1;
            } else {
                self.queue.remove(self.next);
            }
        }
        self.advance();
        dropped
    }
}

fn following(id: u16) -> PacketId {
    PacketId::new(id.wrapping_add(1)).unwrap_or(PacketId::MIN)
}
