use alloc::{boxed::Box, vec::Vec};

use hedgerow_base::{Fault, Timestamp};

use super::{Closed, Event, Phase, Server};
use crate::{
    Ack, Disconnect, Error, Frame, Packet, PacketId, PacketKind, Properties, PropertyId, Publish,
    QoS, ReasonCode, SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe, Version,
    limits, topic,
};

/// A QoS 1 message from the client whose PUBACK has not left.
#[derive(Debug)]
pub(super) struct Pending {
    id: PacketId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waits for this ticket.
    Ticket(u64),
    /// Waits only for its turn.
    Decided(ReasonCode, Option<Box<str>>),
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
        if message.qos == QoS::ExactlyOnce {
            return Event::Closed(self.offence(Error::QosTwo, out));
        }
        if self.version == Version::V5 {
            if message.retain {
                return self.end(ReasonCode::RETAIN_NOT_SUPPORTED, "retain", out);
            }
            if !message.properties.is_empty() {
                if message.properties.value(PropertyId::TOPIC_ALIAS).is_some() {
                    return self.end(ReasonCode::TOPIC_ALIAS_INVALID, "topic-alias", out);
                }
                if message.properties.value(PropertyId::SUBSCRIPTION_IDENTIFIER).is_some() {
                    let rule = Error::Protocol("a client's message has a subscription identifier");
                    return Event::Closed(self.offence(rule, out));
                }
            }
        }
        if message.id.is_some() && self.pending.len() >= usize::from(self.settings.receive_maximum)
        {
            return Event::Closed(self.offence(Error::ReceiveMaximum, out));
        }
        if !topic::is_within_limits(message.topic) {
            if let Some(id) = message.id {
                self.acknowledge(id, ReasonCode::TOPIC_NAME_INVALID, Some("topic too long"), out);
            }
            return Event::Refused("topic-limits");
        }
        Event::Publish(message)
    }

    fn other<'a>(&mut self, packet: Packet<'a>, out: &mut Vec<u8>) -> Event<'a> {
        match packet {
            Packet::PubAck(ack) => {
                // One that nothing waits for is harmless: it may answer an earlier connection.
                if self.session.acknowledge(ack.id) { Event::Acknowledged } else { Event::Nothing }
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
            Packet::PubRel(ack) => {
                // QoS 2 was never accepted here; the client may remember it from elsewhere.
                let reason = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
                self.put(Packet::PubComp(Ack { reason, ..Ack::success(ack.id) }), out);
                Event::Nothing
            }
            Packet::PubRec(_) | Packet::PubComp(_) => {
                Event::Closed(self.offence(Error::Protocol("an answer to qos 2, never sent"), out))
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

    fn check_subscribe<'a>(&mut self, subscribe: Subscribe<'a>, out: &mut Vec<u8>) -> Event<'a> {
        if subscribe.properties.value(PropertyId::SUBSCRIPTION_IDENTIFIER).is_some() {
            let reason = ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
            return self.end(reason, "subscription-identifier", out);
        }
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

    /// Answers a SUBSCRIBE. `judge` is asked for each filter that the limits allow, with the quality
    /// already lowered to what is offered; what it lets pass is remembered in the session.
    pub fn subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        mut judge: impl FnMut(&str, SubscriptionOptions) -> Result<(), ReasonCode>,
        out: &mut Vec<u8>,
    ) {
        let mut codes = [0; limits::FILTERS_MAX];
        let mut len = 0;
        for (slot, (filter, mut options)) in codes.iter_mut().zip(subscribe.filters.iter()) {
            options.qos = options.qos.min(QoS::AtLeastOnce);
            let room = self.session.is_subscribed(filter)
                || self.session.subscription_count() < self.settings.subscriptions_max;
            let result = if topic::is_shared(filter) {
                Err(ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
            } else if !room {
                Err(ReasonCode::QUOTA_EXCEEDED)
            } else if !topic::is_within_limits(filter) {
                Err(ReasonCode::TOPIC_FILTER_INVALID)
            } else {
                judge(filter, options)
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

    /// Acknowledges a message now, or as soon as the older ones are. In 3.1.1 every reason is a plain
    /// PUBACK; `text` says more in 5.0.
    pub fn acknowledge(
        &mut self,
        id: PacketId,
        reason: ReasonCode,
        text: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        if self.pending.is_empty() {
            self.puback(id, reason, text, out);
        } else {
            let state = State::Decided(reason, text.map(Into::into));
            self.pending.push_back(Pending { id, state });
        }
    }

    /// Leaves the acknowledgement until [`Server::settle`] knows the ticket.
    pub fn acknowledge_later(&mut self, id: PacketId, ticket: u64) {
        self.pending.push_back(Pending { id, state: State::Ticket(ticket) });
    }

    /// Messages whose acknowledgement has not left.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.pending.len()
    }

    /// Sends the acknowledgements that are due, in order, up to the first whose ticket `outcome` does
    /// not know yet.
    pub fn settle(
        &mut self,
        mut outcome: impl FnMut(u64) -> Option<ReasonCode>,
        out: &mut Vec<u8>,
    ) {
        while let Some(first) = self.pending.front() {
            let known = match &first.state {
                State::Ticket(ticket) => outcome(*ticket),
                State::Decided(reason, _) => Some(*reason),
            };
            let Some(reason) = known else { return };
            let Some(Pending { id, state }) = self.pending.pop_front() else { return };
            let text = match state {
                State::Decided(_, text) => text,
                State::Ticket(_) => None,
            };
            self.puback(id, reason, text.as_deref(), out);
        }
    }

    fn puback(&self, id: PacketId, reason: ReasonCode, text: Option<&str>, out: &mut Vec<u8>) {
        if reason == ReasonCode::SUCCESS || self.version == Version::V311 {
            let [high, low] = id.get().to_be_bytes();
            return Self::put_bytes(&[0x40, 2, high, low], out);
        }
        let mut buffer = [0; limits::REASON_STRING_BYTES_MAX + 4];
        let properties = self.reason_string(PacketKind::PubAck, text, &mut buffer);
        let start = out.len();
        self.put(Packet::PubAck(Ack { id, reason, properties }), out);
        if out.len() == start {
            // The client's Maximum Packet Size leaves no room for the reason string.
            self.put(Packet::PubAck(Ack { id, reason, properties: Properties::NONE }), out);
        }
    }
}
