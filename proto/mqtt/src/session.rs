use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};

use hedgerow_base::Timestamp;

use crate::{
    DeliveryOptions, PacketId, PacketKind, Place, Properties, PropertyId, Publish, QoS, ReasonCode,
    SubscriptionOptions, Version,
    delivery::{Aliases, Envelope},
    limits::{GAPS_FACTOR, QUEUE_AGE_MS_MAX, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX},
    topic,
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

    /// The message in bytes, for [`Kept::from_bytes`]: when it expires (milliseconds, the largest number
    /// for never), the lengths of topic and properties, topic, properties, payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let content = &*self.0;
        let expires = content.expires.map_or(i64::MAX, Timestamp::as_ms);
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = Vec::with_capacity(16 + content.bytes.len());
        bytes.extend_from_slice(&expires.to_be_bytes());
        bytes.extend_from_slice(&length(content.topic_len));
        bytes.extend_from_slice(&length(content.properties_len));
        bytes.extend_from_slice(&content.bytes);
        bytes
    }

    /// Reads what [`Kept::to_bytes`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (expires, rest) = bytes.split_first_chunk::<8>()?;
        let (topic_len, rest) = rest.split_first_chunk::<4>()?;
        let (properties_len, rest) = rest.split_first_chunk::<4>()?;
        let topic_len = u32::from_be_bytes(*topic_len) as usize;
        let properties_len = u32::from_be_bytes(*properties_len) as usize;
        let (topic, behind) = rest.split_at_checked(topic_len)?;
        topic::check_name(core::str::from_utf8(topic).ok()?).ok()?;
        let place = Place::Packet(PacketKind::Publish);
        Properties::check(behind.get(..properties_len)?, place).ok()?;
        let expires = i64::from_be_bytes(*expires);
        let expires = (expires != i64::MAX).then(|| Timestamp::from_ms(expires));
        Some(Self(Arc::new(Content { bytes: rest.into(), topic_len, properties_len, expires })))
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

/// What a session does with a message for which its queue has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueuePolicy {
    /// The message is dropped: what waits is delivered in full, as far as it goes.
    #[default]
    RefuseNew,
    /// The oldest messages that were not sent are dropped: the client gets the latest.
    DropOldest,
}

/// What a session keeps for its client.
#[derive(Clone, Copy, Debug)]
pub struct QueueBounds {
    /// Messages of QoS 1 and 2.
    pub messages_max: usize,
    /// Bytes of these.
    pub bytes_max: usize,
    /// Milliseconds after which a message that was not sent is dropped.
    pub age_ms_max: i64,
    /// What happens beyond.
    pub policy: QueuePolicy,
}

impl Default for QueueBounds {
    fn default() -> Self {
        Self {
            messages_max: QUEUE_MESSAGES_MAX,
            bytes_max: QUEUE_BYTES_MAX,
            age_ms_max: QUEUE_AGE_MS_MAX,
            policy: QueuePolicy::default(),
        }
    }
}

/// What the server remembers of a client between its connections: subscriptions, messages not yet
/// acknowledged, and which messages of QoS 2 it has taken. It belongs to no thread and no connection.
#[derive(Debug, Default)]
pub struct Session {
    /// Sorted by filter.
    subscriptions: Vec<(Box<str>, SubscriptionOptions)>,
    // INVARIANT: the order numbers follow each other.
    queue: VecDeque<Outgoing>,
    /// Entries before this one were sent in this connection.
    next: usize,
    /// The number of the next message.
    next_order: u64,
    /// Entries that nothing waits for while something waits for an older one.
    gaps: usize,
    bytes: usize,
    /// The number by which the driver keeps the session on disk, if it does.
    kept_as: Option<u64>,
    /// Messages that made room for later ones since the last look.
    displaced: usize,
    /// Order numbers that nothing waits for any more; of a session that is kept.
    done: Vec<u64>,
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
    /// Its place among all messages of the session; the packet identifier follows from it.
    order: u64,
    /// In any connection.
    is_sent: bool,
    /// A message of QoS 2 waits until this ticket is stored.
    ticket: u64,
    /// Since when it waits.
    since: Timestamp,
    options: DeliveryOptions,
    step: Step,
}

impl Outgoing {
    fn id(&self) -> PacketId {
        let id = self.order % 65_535 + 1;
        // INVARIANT: 1 to 65535.
        u16::try_from(id).ok().and_then(PacketId::new).unwrap_or(PacketId::MIN)
    }
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

/// What a PUBACK or PUBCOMP of the client came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The message is done.
    Done,
    /// Nothing waited for it.
    Unknown,
    /// The message waits for another packet.
    Mismatched,
}

/// What a PUBREC of the client came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// The client has the message with this order number: PUBREL is due.
    Release(u64),
    /// It said so before: PUBREL is due again.
    Again,
    /// The client refused the message.
    Refused,
    /// The message waits for a PUBACK.
    Mismatched,
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
    /// Tickets up to this one are stored.
    pub(crate) stored: u64,
    /// Milliseconds that a message may have waited.
    pub(crate) age_ms_max: i64,
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

    /// Remembers a subscription, in place of the one to the same filter.
    pub fn subscribe(&mut self, filter: &str, options: SubscriptionOptions) {
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
        self.queue.len() - self.gaps
    }

    /// Bytes that these messages hold.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that were sent in this connection and are not done.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let sent = self.queue.iter().take(self.next);
        sent.filter(|entry| !matches!(entry.step, Step::Done)).count()
    }

    /// The number by which the driver keeps it on disk.
    #[must_use]
    pub const fn kept_as(&self) -> Option<u64> {
        self.kept_as
    }

    /// It is kept on disk by this number from now on, or no more. What changes is told: answers that
    /// promise something wait for their ticket, and [`Session::take_done`] has what is over.
    pub fn keep_as(&mut self, number: Option<u64>) {
        self.kept_as = number;
        self.done.clear();
    }

    /// Of a session that is kept, the order numbers of messages that nothing waits for since the last call.
    pub fn take_done(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.done)
    }

    /// Messages that made room for later ones since the last call.
    pub fn take_displaced(&mut self) -> usize {
        core::mem::take(&mut self.displaced)
    }

    /// Appends a message of QoS 1 or 2, if there is or can be made room for it; gives its order number if
    /// it was kept.
    pub fn enqueue(
        &mut self,
        message: &Kept,
        options: &DeliveryOptions,
        bounds: &QueueBounds,
        now: Timestamp,
    ) -> Option<u64> {
        let has_room = |session: &Self| {
            session.queue.len() - session.gaps < bounds.messages_max
                && session.bytes + message.len() <= bounds.bytes_max
        };
        if !has_room(self) {
            self.make_room(message, bounds, has_room)?;
        }
        self.bytes += message.len();
        let (order, step) = (self.next_order, Step::Message(message.clone()));
        self.next_order += 1;
        let options = options.clone();
        let (is_sent, ticket, since) = (false, 0, now);
        self.queue.push_back(Outgoing { order, is_sent, ticket, since, options, step });
        Some(order)
    }

    /// Drops the oldest messages that the client can't have, if that is the policy; `None` when that does
    /// not make room.
    #[cold]
    fn make_room(
        &mut self,
        message: &Kept,
        bounds: &QueueBounds,
        has_room: impl Fn(&Self) -> bool,
    ) -> Option<()> {
        let has_places = self.queue.len() < bounds.messages_max.saturating_mul(GAPS_FACTOR);
        if bounds.policy == QueuePolicy::RefuseNew
            || message.len() > bounds.bytes_max
            || !has_places
        {
            return None;
        }
        let mut at = self.next;
        while !has_room(self) {
            let entry = self.queue.get(at)?;
            // The client may have begun to take a message of QoS 2 that was sent once.
            let is_sent = entry.is_sent && entry.options.qos == QoS::ExactlyOnce;
            if matches!(entry.step, Step::Message(_)) && !is_sent {
                self.finish(at);
                self.displaced += 1;
            }
            at += 1;
        }
        self.advance();
        Some(())
    }

    /// The ticket of a message whose ticket is told later.
    pub const NOT_YET: u64 = u64::MAX;

    /// The message with this order number is not sent at QoS 2 before this ticket is stored.
    pub fn wait_for(&mut self, order: u64, ticket: u64) {
        let first = self.queue.front().map_or(0, |front| front.order);
        let at = order.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = at.and_then(|at| self.queue.get_mut(at)) {
            entry.ticket = ticket;
        }
    }

    /// Puts back what an earlier life of the server kept, after what was put back before: a message, or
    /// none when the client has it and PUBCOMP is awaited. It may have been sent.
    pub fn restore(&mut self, order: u64, message: Option<Kept>, options: DeliveryOptions) {
        if order < self.next_order {
            return;
        }
        // It is sent whatever its age.
        let (is_sent, ticket, since) = (true, 0, Timestamp::from_ms(i64::MAX));
        // What is missing between two was done.
        let missing = if self.queue.is_empty() { order } else { self.next_order };
        for order in missing..order {
            let options = DeliveryOptions::of(QoS::AtLeastOnce);
            let step = Step::Done;
            self.gaps += 1;
            self.queue.push_back(Outgoing { order, is_sent, ticket, since, options, step });
        }
        self.bytes += message.as_ref().map_or(0, Kept::len);
        let step = message.map_or(Step::Release, Step::Message);
        self.queue.push_back(Outgoing { order, is_sent, ticket, since, options, step });
        self.next_order = order + 1;
    }

    /// Puts back a message of QoS 2 that the client has not released.
    pub fn restore_taken(&mut self, id: PacketId) {
        self.take_receipt(id, Receipt::Kept);
    }

    /// Forgets the messages whose topic is not `wanted` any more; gives their number.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) -> usize {
        let mut dropped = 0;
        for at in 0..self.queue.len() {
            let is_unwanted = self.queue.get(at).is_some_and(|entry| match &entry.step {
                Step::Message(message) => !wanted(message.topic()),
                Step::Release | Step::Done => false,
            });
            if is_unwanted {
                self.finish(at);
                dropped += 1;
            }
        }
        self.advance();
        dropped
    }

    /// Nothing waits for the entry at `at` any more.
    fn finish(&mut self, at: usize) {
        let Some(entry) = self.queue.get_mut(at) else { return };
        if let Step::Message(message) = &entry.step {
            self.bytes -= message.len();
        }
        entry.step = Step::Done;
        self.gaps += 1;
        if self.kept_as.is_some() {
            self.done.push(entry.order);
        }
    }

    /// Takes off the front what nothing waits for.
    fn advance(&mut self) {
        while self.queue.front().is_some_and(|front| matches!(front.step, Step::Done)) {
            self.queue.pop_front();
            self.gaps -= 1;
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

    /// Where the entry is that was sent with this identifier.
    fn sent(&self, id: PacketId) -> Option<(usize, &Outgoing)> {
        let first = self.queue.front()?.id();
        // Identifiers run from 1 to 65535 and around.
        let ahead = (u32::from(id.get()) + 65_535 - u32::from(first.get())) % 65_535;
        let entry = self.queue.get(ahead as usize).filter(|entry| entry.is_sent)?;
        Some((ahead as usize, entry))
    }

    /// Takes a PUBACK.
    pub(crate) fn acknowledge(&mut self, id: PacketId) -> Answered {
        let Some((at, entry)) = self.sent(id) else { return Answered::Unknown };
        match (&entry.step, entry.options.qos) {
            (Step::Done, _) => Answered::Unknown,
            (Step::Message(_), QoS::AtLeastOnce) => {
                self.finish(at);
                self.advance();
                Answered::Done
            }
            (Step::Message(_) | Step::Release, _) => Answered::Mismatched,
        }
    }

    /// Takes a PUBREC.
    pub(crate) fn record(&mut self, id: PacketId, reason: ReasonCode) -> Recorded {
        let Some((at, entry)) = self.sent(id) else { return Recorded::Unknown };
        let order = entry.order;
        match (&entry.step, entry.options.qos) {
            (Step::Done, _) => Recorded::Unknown,
            (_, QoS::AtMostOnce | QoS::AtLeastOnce) => Recorded::Mismatched,
            (Step::Message(_) | Step::Release, QoS::ExactlyOnce) if reason.is_failure() => {
                self.finish(at);
                self.advance();
                Recorded::Refused
            }
            (Step::Release, QoS::ExactlyOnce) => Recorded::Again,
            (Step::Message(message), QoS::ExactlyOnce) => {
                self.bytes -= message.len();
                if let Some(entry) = self.queue.get_mut(at) {
                    entry.step = Step::Release;
                }
                Recorded::Release(order)
            }
        }
    }

    /// Takes a PUBCOMP.
    pub(crate) fn complete(&mut self, id: PacketId) -> Answered {
        let Some((at, entry)) = self.sent(id) else { return Answered::Unknown };
        match entry.step {
            Step::Release => {
                self.finish(at);
                self.advance();
                Answered::Done
            }
            Step::Message(_) => Answered::Mismatched,
            Step::Done => Answered::Unknown,
        }
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
    /// expired, waited too long, or are too large for the client.
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
                    out.extend_from_slice(&pubrel(entry.id()));
                    self.next += 1;
                    continue;
                }
                Step::Done => {
                    self.next += 1;
                    continue;
                }
            };
            if entry.ticket > allowance.stored && entry.options.qos == QoS::ExactlyOnce {
                break;
            }
            let (id, dup) = (entry.id(), entry.is_sent);
            let start = out.len();
            let naming = aliases.naming(message.topic());
            let (version, options) = (allowance.version, &entry.options);
            let expires_in_s = message.expires_in_s(now);
            let envelope = Envelope { version, id: Some(id), dup, options, naming, expires_in_s };
            let is_over =
                || message.is_expired(now) || now.since_ms(entry.since) >= allowance.age_ms_max;
            let sent = (dup || !is_over())
                && envelope.encode(&message.message(), out).is_ok()
                && out.len() - start <= allowance.packet_bytes;
            if sent {
                aliases.told(message.topic(), naming);
                entry.is_sent = true;
            } else {
                out.truncate(start);
                dropped += 1;
                self.finish(self.next);
            }
            self.next += 1;
        }
        self.advance();
        dropped
    }

    /// Whether the next message waits for its ticket.
    pub(crate) fn is_waiting(&self, stored: u64) -> bool {
        self.queue.get(self.next).is_some_and(|entry| {
            entry.ticket > stored
                && entry.options.qos == QoS::ExactlyOnce
                && matches!(entry.step, Step::Message(_))
        })
    }
}

/// A PUBREL that says success.
pub(crate) const fn pubrel(id: PacketId) -> [u8; 4] {
    let [high, low] = id.get().to_be_bytes();
    [0x62, 2, high, low]
}
