use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::num::NonZeroU32;

use hedgerow_base::{Fault, Timestamp};

use super::{Aliased, Closed, Event, Later, Phase, Server};
use crate::{
    Ack, Disconnect, Error, Frame, Packet, PacketId, PacketKind, Properties, PropertyId, Publish,
    QoS, ReasonCode, SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe, Version,
    limits,
    property::put_property,
    session::{Answered, Receipt, Recorded, pubrel},
    topic,
};

/// An answer that has not left.
#[derive(Debug)]
pub(super) enum Pending {
    /// PUBACK or PUBREC.
    Message { id: PacketId, qos: QoS, state: State },
    /// Something else, when this ticket is stored.
    Other(Later, u64),
}

#[derive(Debug)]
pub(super) enum State {
    /// Waits for this ticket.
    Ticket(u64),
    /// Waits only for its turn.
    Decided(ReasonCode, Option<Box<str>>),
}

/// Why a message goes nowhere whoever sends it: reason code, text, word for a counter.
pub(super) type TurnedAway = (ReasonCode, &'static str, &'static str);

#[inline]
fn turned_away(name: &str, limits: topic::TopicLimits) -> Option<TurnedAway> {
    if !limits.allow(name) {
        return Some((ReasonCode::TOPIC_NAME_INVALID, "topic too long", "topic-limits"));
    }
    topic::is_reserved(name).then_some((
        ReasonCode::NOT_AUTHORIZED,
        "this topic is the hub's own",
        "topic-reserved",
    ))
}

/// Whether only servers send such packets: nothing after the first byte of one is looked at.
const fn is_servers(frame: Frame<'_>) -> bool {
    // CONNACK, SUBACK, UNSUBACK, PINGRESP with their reserved flags as they must be.
    matches!(frame.first, 0x20 | 0x90 | 0xB0 | 0xD0)
}

impl Server {
    /// Takes one frame that [`split`](crate::split) cut off with [`Server::packet_bytes_max`], when
    /// [`Server::wants_input`]. Answers are appended to `out`.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        frame: Frame<'a>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Event<'a> {
        match self.phase {
            Phase::Open => {}
            Phase::Connecting => return self.connecting(frame, now, out),
            Phase::Deciding | Phase::Closed => return Event::Nothing,
        }
        self.heard = now;
        if is_servers(frame) {
            return Event::Closed(self.offence(Error::Protocol("a packet that servers send"), out));
        }
        match Packet::decode(frame, self.version) {
            Ok(Packet::Publish(message)) => self.publish(message, out),
            Ok(packet) => self.other(packet, out),
            Err(error) => Event::Closed(self.offence(error, out)),
        }
    }

    /// Ends the connection for what the peer did; also for what [`split`](crate::split) found.
    pub fn offence(&mut self, error: Error, out: &mut Vec<u8>) -> Closed {
        match self.phase {
            Phase::Open => self.close(error.reason(), error.word(), error.fault(), None, out),
            Phase::Connecting | Phase::Deciding | Phase::Closed => {
                self.phase = Phase::Closed;
                Closed { why: error.word(), fault: Some(error.fault()), will: false }
            }
        }
    }

    fn end(&mut self, reason: ReasonCode, why: &'static str, out: &mut Vec<u8>) -> Event<'static> {
        Event::Closed(self.close(reason, why, Fault::Invalid, None, out))
    }

    #[inline]
    fn publish<'a>(&mut self, message: Publish<'a>, out: &mut Vec<u8>) -> Event<'a> {
        if let Some(id) = message.id {
            if message.qos == QoS::ExactlyOnce
                && let Some(receipt) = self.session.receipt(id)
            {
                return self.repeated(id, receipt, out);
            }
            let waiting = self.pending_once + self.session.unreleased();
            let max = match self.version {
                Version::V5 => usize::from(self.settings.receive_maximum),
                Version::V311 => limits::UNRELEASED_MAX,
            };
            if waiting >= max {
                return Event::Closed(self.offence(Error::ReceiveMaximum, out));
            }
        }
        if self.version == Version::V5 && !message.properties.is_empty() {
            if message.properties.value(PropertyId::SUBSCRIPTION_IDENTIFIER).is_some() {
                let rule = Error::Protocol("a client's message has a subscription identifier");
                return Event::Closed(self.offence(rule, out));
            }
            if let Some(alias) = message.properties.number(PropertyId::TOPIC_ALIAS) {
                return self.aliased(message, alias as usize, out);
            }
        }
        if let Some(refusal) = turned_away(message.topic, self.settings.topics) {
            return self.turn_away(&message, refusal, out);
        }
        Event::Publish(message)
    }

    #[cold]
    fn turn_away(
        &mut self,
        message: &Publish<'_>,
        (reason, text, word): TurnedAway,
        out: &mut Vec<u8>,
    ) -> Event<'static> {
        if let Some(id) = message.id {
            self.acknowledge((id, message.qos), reason, Some(text), out);
        }
        Event::Refused(word)
    }

    /// A message of QoS 2 that was taken and not released comes again.
    fn repeated(&mut self, id: PacketId, receipt: Receipt, out: &mut Vec<u8>) -> Event<'static> {
        match receipt {
            _ if self.is_pending(id) => Event::Nothing,
            Receipt::Kept => {
                self.acknowledge((id, QoS::ExactlyOnce), ReasonCode::SUCCESS, None, out);
                Event::Nothing
            }
            Receipt::Ticket(ticket) => {
                self.acknowledge_later((id, QoS::ExactlyOnce), ticket);
                Event::Repeated
            }
        }
    }

    /// Whether the PUBREC of a message has not left.
    fn is_pending(&self, asked: PacketId) -> bool {
        self.pending.iter().any(|waiting| match waiting {
            Pending::Message { id, qos, .. } => *id == asked && *qos == QoS::ExactlyOnce,
            Pending::Other(..) => false,
        })
    }

    #[cold]
    fn aliased<'a>(&mut self, message: Publish<'a>, alias: usize, out: &mut Vec<u8>) -> Event<'a> {
        if alias > usize::from(self.settings.topic_alias_max) {
            return self.end(ReasonCode::TOPIC_ALIAS_INVALID, "topic-alias", out);
        }
        if self.aliases.len() < alias {
            self.aliases.resize(alias, None);
        }
        // An alias is never 0.
        let Some(known) = self.aliases.get_mut(alias.saturating_sub(1)) else {
            return Event::Nothing;
        };
        if !message.topic.is_empty() {
            // What is turned away names the alias all the same, and no longer what it named before.
            *known = Some(match turned_away(message.topic, self.settings.topics) {
                Some(refusal) => Err(refusal),
                None => Ok(message.topic.into()),
            });
        }
        let topic = match known {
            Some(Ok(topic)) => Arc::clone(topic),
            Some(Err(refusal)) => {
                let refusal = *refusal;
                return self.turn_away(&message, refusal, out);
            }
            None => {
                let rule = Error::Protocol("a topic alias that was never given");
                return Event::Closed(self.offence(rule, out));
            }
        };
        let mut properties = Vec::with_capacity(message.properties.as_bytes().len());
        for (id, value) in message.properties.iter() {
            if id != PropertyId::TOPIC_ALIAS {
                // INVARIANT: read from a packet, so it can be written; a Vec takes everything.
                let _ = put_property(id, value, &mut properties);
            }
        }
        Event::Aliased(Aliased { topic, properties, message })
    }

    fn other<'a>(&mut self, packet: Packet<'a>, out: &mut Vec<u8>) -> Event<'a> {
        match packet {
            Packet::PubAck(ack) => {
                let answered = self.session.acknowledge(ack.id);
                self.answered(answered, out)
            }
            Packet::PingReq => {
                Self::put_bytes(&[0xD0, 0], out);
                Event::Nothing
            }
            Packet::Subscribe(subscribe) => self.check_subscribe(subscribe, out),
            Packet::Unsubscribe(unsubscribe) => {
                if unsubscribe.filters.iter().nth(limits::FILTERS_MAX).is_some() {
                    return self.end(ReasonCode::QUOTA_EXCEEDED, "filters", out);
                }
                Event::Unsubscribe(unsubscribe)
            }
            Packet::Disconnect(disconnect) => self.disconnect(&disconnect, out),
            Packet::PubRel(ack) if self.session.kept_as().is_some() => {
                self.session.release(ack.id);
                Event::Released(ack.id)
            }
            Packet::PubRel(ack) => {
                let reason = match self.session.release(ack.id) {
                    true => ReasonCode::SUCCESS,
                    // It may remember the message from elsewhere, or we have answered already.
                    false => ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
                };
                self.put(Packet::PubComp(Ack { reason, ..Ack::success(ack.id) }), out);
                Event::Nothing
            }
            Packet::PubRec(ack) => self.recorded(&ack, out),
            Packet::PubComp(ack) => {
                let answered = self.session.complete(ack.id);
                self.answered(answered, out)
            }
            Packet::Connect(_) => {
                Event::Closed(self.offence(Error::Protocol("a second connect"), out))
            }
            Packet::Auth(_) => {
                Event::Closed(self.offence(Error::Protocol("an auth without a method"), out))
            }
            Packet::ConnAck(_)
            | Packet::Publish(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp => {
                Event::Closed(self.offence(Error::Protocol("a packet that servers send"), out))
            }
        }
    }

    fn answered(&mut self, answered: Answered, out: &mut Vec<u8>) -> Event<'static> {
        match answered {
            Answered::Done => Event::Acknowledged,
            // Harmless: it may answer an earlier connection.
            Answered::Unknown => Event::Nothing,
            Answered::Mismatched => self.mismatched(out),
        }
    }

    #[cold]
    fn mismatched(&mut self, out: &mut Vec<u8>) -> Event<'static> {
        let rule = Error::Protocol("an acknowledgement that the message's quality doesn't have");
        Event::Closed(self.offence(rule, out))
    }

    fn recorded(&mut self, ack: &Ack<'_>, out: &mut Vec<u8>) -> Event<'static> {
        match self.session.record(ack.id, ack.reason) {
            Recorded::Release(order) if self.session.kept_as().is_some() => {
                return Event::Recorded(ack.id, order);
            }
            // The first one waits for its ticket.
            Recorded::Again if self.is_release_pending(ack.id) => {}
            Recorded::Release(_) | Recorded::Again => Self::put_bytes(&pubrel(ack.id), out),
            Recorded::Mismatched => return self.mismatched(out),
            Recorded::Refused => return Event::Acknowledged,
            Recorded::Unknown if ack.reason.is_failure() => {}
            Recorded::Unknown => {
                let reason = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
                self.put(Packet::PubRel(Ack { reason, ..Ack::success(ack.id) }), out);
            }
        }
        Event::Nothing
    }

    fn is_release_pending(&self, id: PacketId) -> bool {
        let is_it = |waiting: &Pending| matches!(waiting, Pending::Other(Later::PubRel(waiting), _) if *waiting == id);
        self.pending.iter().any(is_it)
    }

    fn check_subscribe<'a>(&mut self, subscribe: Subscribe<'a>, out: &mut Vec<u8>) -> Event<'a> {
        if subscribe.filters.iter().nth(limits::FILTERS_MAX).is_some() {
            return self.end(ReasonCode::QUOTA_EXCEEDED, "filters", out);
        }
        Event::Subscribe(subscribe)
    }

    fn disconnect(&mut self, disconnect: &Disconnect<'_>, out: &mut Vec<u8>) -> Event<'static> {
        let expiry = disconnect.properties.number(PropertyId::SESSION_EXPIRY_INTERVAL);
        if let Some(seconds) = expiry {
            if self.session_expiry_s == 0 && seconds > 0 {
                let rule = Error::Protocol("a session that was to end is to live on");
                return Event::Closed(self.offence(rule, out));
            }
            self.session_expiry_s = seconds.min(self.settings.session_expiry_s_max);
        }
        self.phase = Phase::Closed;
        let will = disconnect.reason != ReasonCode::SUCCESS && self.will.is_some();
        if !will {
            self.will = None;
        }
        Event::Closed(Closed { why: "disconnect", fault: None, will })
    }

    /// Answers a SUBSCRIBE. `judge` is asked for each filter that the limits allow, and told whether the
    /// subscription is new; what it lets pass is remembered in the session. Gives the word of a limit that
    /// turned one away.
    pub fn subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        mut judge: impl FnMut(&str, SubscriptionOptions, bool) -> Result<(), ReasonCode>,
        out: &mut Vec<u8>,
    ) -> Option<&'static str> {
        let mut codes = [0; limits::FILTERS_MAX];
        let (mut len, mut beyond) = (0, None);
        let identifier = subscribe.properties.number(PropertyId::SUBSCRIPTION_IDENTIFIER);
        for (slot, (filter, mut options)) in codes.iter_mut().zip(subscribe.filters.iter()) {
            options.identifier = identifier.and_then(NonZeroU32::new);
            let is_new = !self.session.is_subscribed(filter);
            let room =
                !is_new || self.session.subscription_count() < self.settings.subscriptions_max;
            let result = if !room {
                beyond = Some("subscriptions-full");
                Err(ReasonCode::QUOTA_EXCEEDED)
            } else if !self.settings.topics.allow(filter) {
                beyond = Some("topic-limits");
                Err(ReasonCode::TOPIC_FILTER_INVALID)
            } else {
                judge(filter, options, is_new)
            };
            *slot = match result {
                Ok(()) => {
                    self.session.subscribe(filter, options);
                    options.qos as u8
                }
                Err(reason) => reason.0,
            };
            len += 1;
        }
        let codes = codes.get(..len).unwrap_or_default();
        self.put(
            Packet::SubAck(SubAck { id: subscribe.id, properties: Properties::NONE, codes }),
            out,
        );
        beyond
    }

    /// Answers an UNSUBSCRIBE; `gone` hears of each subscription that there was.
    pub fn unsubscribe(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        mut gone: impl FnMut(&str),
        out: &mut Vec<u8>,
    ) {
        let mut codes = [0; limits::FILTERS_MAX];
        let mut len = 0;
        for (slot, filter) in codes.iter_mut().zip(unsubscribe.filters.iter()) {
            *slot = if self.session.unsubscribe(filter) {
                gone(filter);
                ReasonCode::SUCCESS.0
            } else {
                ReasonCode::NO_SUBSCRIPTION_EXISTED.0
            };
            len += 1;
        }
        let codes = codes.get(..len).unwrap_or_default();
        let id = unsubscribe.id;
        self.put(Packet::UnsubAck(UnsubAck { id, properties: Properties::NONE, codes }), out);
    }

    /// Forgets a subscription that a judgement took away.
    pub fn drop_subscription(&mut self, filter: &str) {
        self.session.unsubscribe(filter);
    }

    /// Answers a message of QoS 1 or 2 now, or as soon as the older ones are. In 3.1.1 every reason is a
    /// plain PUBACK or PUBREC; `text` says more in 5.0.
    pub fn acknowledge(
        &mut self,
        (id, qos): (PacketId, QoS),
        reason: ReasonCode,
        text: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        if qos == QoS::ExactlyOnce && !self.is_turned_away(reason) {
            self.session.take_receipt(id, Receipt::Kept);
        }
        if self.pending.is_empty() {
            self.answer((id, qos), reason, text, out);
        } else {
            self.wait((id, qos), State::Decided(reason, text.map(Into::into)));
        }
    }

    /// Leaves the answer until [`Server::settle`] knows the ticket.
    pub fn acknowledge_later(&mut self, (id, qos): (PacketId, QoS), ticket: u64) {
        if qos == QoS::ExactlyOnce {
            self.session.take_receipt(id, Receipt::Ticket(ticket));
        }
        self.wait((id, qos), State::Ticket(ticket));
    }

    fn wait(&mut self, (id, qos): (PacketId, QoS), state: State) {
        self.pending_once += usize::from(qos != QoS::ExactlyOnce);
        self.pending.push_back(Pending::Message { id, qos, state });
    }

    /// Says something when this ticket is stored, after everything that waits already.
    pub fn answer_later(&mut self, answer: Later, ticket: u64) {
        self.pending.push_back(Pending::Other(answer, ticket));
    }

    /// Whether the client learns that a message was not taken; 3.1.1 has no word for it.
    fn is_turned_away(&self, reason: ReasonCode) -> bool {
        reason.is_failure() && self.version == Version::V5
    }

    /// The tickets that are waited for will not be stored, and the client can't be told: what it sends
    /// again is new.
    pub fn forget_tickets(&mut self) {
        for pending in self.pending.drain(..) {
            if let Pending::Message { id, qos: QoS::ExactlyOnce, state: State::Ticket(_) } = pending
            {
                self.session.release(id);
            }
        }
        self.pending_once = 0;
    }

    /// Messages whose answer has not left.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.pending.len()
    }

    /// Sends the answers that are due, in order, up to the first whose ticket `outcome` does not know yet.
    /// `false` when something that has no word for failure failed: the connection has to end. After the
    /// end nothing is due: what the client sends again is answered on its next connection.
    pub fn settle(
        &mut self,
        mut outcome: impl FnMut(u64) -> Option<ReasonCode>,
        out: &mut Vec<u8>,
    ) -> bool {
        if self.phase == Phase::Closed {
            return true;
        }
        while let Some(first) = self.pending.front() {
            let known = match first {
                Pending::Message { state: State::Ticket(ticket), .. }
                | Pending::Other(_, ticket) => outcome(*ticket),
                Pending::Message { state: State::Decided(reason, _), .. } => Some(*reason),
            };
            let Some(reason) = known else { return true };
            match self.pending.pop_front() {
                Some(Pending::Message { id, qos, state }) => {
                    self.settle_message((id, qos), state, reason, out);
                }
                Some(Pending::Other(..)) if reason.is_failure() => return false,
                Some(Pending::Other(Later::PubRel(id), _)) => Self::put_bytes(&pubrel(id), out),
                Some(Pending::Other(Later::PubComp(id), _)) => {
                    self.put(Packet::PubComp(Ack::success(id)), out);
                }
                Some(Pending::Other(Later::Bytes(bytes), _)) => Self::put_bytes(&bytes, out),
                None => {}
            }
        }
        true
    }

    fn settle_message(
        &mut self,
        (id, qos): (PacketId, QoS),
        state: State,
        reason: ReasonCode,
        out: &mut Vec<u8>,
    ) {
        self.pending_once -= usize::from(qos != QoS::ExactlyOnce);
        let text = match state {
            State::Decided(_, text) => text,
            State::Ticket(_) if qos == QoS::ExactlyOnce => {
                if self.is_turned_away(reason) {
                    self.session.release(id);
                } else {
                    self.session.take_receipt(id, Receipt::Kept);
                }
                None
            }
            State::Ticket(_) => None,
        };
        self.answer((id, qos), reason, text.as_deref(), out);
    }

    fn answer(
        &self,
        (id, qos): (PacketId, QoS),
        reason: ReasonCode,
        text: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let (first, kind, packet): (u8, _, fn(Ack<'_>) -> Packet<'_>) = match qos {
            QoS::ExactlyOnce => (0x50, PacketKind::PubRec, |ack| Packet::PubRec(ack)),
            QoS::AtMostOnce | QoS::AtLeastOnce => {
                (0x40, PacketKind::PubAck, |ack| Packet::PubAck(ack))
            }
        };
        if reason == ReasonCode::SUCCESS || self.version == Version::V311 {
            let [high, low] = id.get().to_be_bytes();
            return Self::put_bytes(&[first, 2, high, low], out);
        }
        let mut buffer = [0; limits::REASON_STRING_BYTES_MAX + 4];
        let properties = self.reason_string(kind, text, &mut buffer);
        let start = out.len();
        self.put(packet(Ack { id, reason, properties }), out);
        if out.len() == start {
            // The client's Maximum Packet Size leaves no room for the reason string.
            self.put(packet(Ack { id, reason, properties: Properties::NONE }), out);
        }
    }
}
