//! One connection as the client sees it.
//!
//! 1. [`Client::connect`]; the server answers ([`ClientEvent::Connected`] or [`ClientEvent::Refused`]).
//! 2. If the session lived on, what is in [`Client::unacknowledged`] is sent again
//!    ([`Client::resend`]); if not, the list is empty and the caller publishes anew.
//! 3. [`Client::publish`], at QoS 1 while the window has room; [`ClientEvent::Acknowledged`] gives the
//!    room back. The caller keeps the messages: this machine keeps only their identifiers.
//! 4. [`Client::subscribe`]; [`ClientEvent::Message`] brings messages, and QoS 1 is answered with
//!    [`Client::acknowledge`] once the caller has it safe.
//! 5. [`Client::tick`] pings, and notices a server that has gone silent.
//! 6. [`Client::disconnect`], or [`ClientEvent::Disconnected`].

use hedgerow_base::{Deadline, Timestamp};

use crate::{
    Ack, Buffer, ConnAck, Connect, Disconnect, Error, Filters, Frame, Names, Packet, PacketId,
    Properties, PropertyId, Publish, QoS, ReasonCode, Subscribe, SubscriptionOptions, Unsubscribe,
    Version, limits::ANSWER_MS_MAX,
};

/// What a frame from the server meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvent<'a> {
    /// Nothing for the caller to do.
    Nothing,
    /// The server let us in.
    Connected(ConnAck<'a>),
    /// The server turned us away; the connection is over.
    Refused(ConnAck<'a>),
    /// A message. QoS 1: [`Client::acknowledge`] it.
    Message(Publish<'a>),
    /// The server has taken a message over, or refused it for good: see the reason.
    Acknowledged(Ack<'a>),
    /// An answer to a SUBSCRIBE: its identifier, and one [`ReasonCode`] a filter.
    Subscribed(PacketId, &'a [u8]),
    /// An answer to an UNSUBSCRIBE: its identifier.
    Unsubscribed(PacketId),
    /// The server ended the connection and said why.
    Disconnected(Disconnect<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Connecting,
    Open,
    Closed,
}

/// One connection of a client that has at most `WINDOW` unacknowledged QoS 1 messages. It lives on
/// through reconnections: [`Client::connect`] again on a new stream.
#[derive(Debug)]
pub struct Client<const WINDOW: usize> {
    phase: Phase,
    version: Version,
    keep_alive_ms: Option<i64>,
    /// When the last packet was written, and since when an answer is awaited.
    said: Timestamp,
    awaiting: Option<Timestamp>,
    /// Room in the window: the lesser of `WINDOW` and the server's Receive Maximum.
    window: usize,
    qos_max: QoS,
    packet_bytes: usize,
    last_id: u16,
    in_flight: [Option<PacketId>; WINDOW],
}

impl<const WINDOW: usize> Default for Client<WINDOW> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WINDOW: usize> Client<WINDOW> {
    /// A client that has not connected yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            version: Version::V5,
            keep_alive_ms: None,
            said: Timestamp::from_ms(0),
            awaiting: None,
            window: WINDOW,
            qos_max: QoS::AtLeastOnce,
            packet_bytes: usize::MAX,
            last_id: 0,
            in_flight: [None; WINDOW],
        }
    }

    /// Begins a connection.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn connect(
        &mut self,
        connect: &Connect<'_>,
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<(), Error> {
        Packet::Connect(*connect).encode(connect.version, out)?;
        self.phase = Phase::Connecting;
        self.version = connect.version;
        self.keep_alive_ms = keep_alive_ms(connect.keep_alive_s);
        self.said = now;
        self.awaiting = Some(now);
        Ok(())
    }

    /// Whether the server let us in and nothing ended the connection since.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// QoS 1 messages that may be published now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.window.saturating_sub(self.unacknowledged().count())
    }

    /// Identifiers of QoS 1 messages that were published and not acknowledged, oldest first as long as
    /// the window never wrapped.
    pub fn unacknowledged(&self) -> impl Iterator<Item = PacketId> {
        self.in_flight.iter().flatten().copied()
    }

    /// Takes one frame of the server.
    ///
    /// # Errors
    /// What the server did wrong; the connection is over, the caller closes it.
    pub fn receive<'a>(&mut self, frame: Frame<'a>) -> Result<ClientEvent<'a>, Error> {
        let result = Packet::decode(frame, self.version).and_then(|packet| self.take(packet));
        if result.is_err() {
            self.phase = Phase::Closed;
        }
        result
    }

    fn take<'a>(&mut self, packet: Packet<'a>) -> Result<ClientEvent<'a>, Error> {
        if (self.phase == Phase::Connecting) != matches!(packet, Packet::ConnAck(_)) {
            return Err(Error::Protocol("the server's first packet, and no other, is a connack"));
        }
        match packet {
            Packet::ConnAck(answer) => Ok(self.connected(answer)),
            Packet::Publish(message) if message.qos == QoS::ExactlyOnce => Err(Error::QosTwo),
            Packet::Publish(message) => Ok(ClientEvent::Message(message)),
            Packet::PubAck(ack) => {
                let slot = self.in_flight.iter_mut().find(|slot| **slot == Some(ack.id));
                Ok(slot.map_or(ClientEvent::Nothing, |slot| {
                    *slot = None;
                    ClientEvent::Acknowledged(ack)
                }))
            }
            Packet::SubAck(ack) => Ok(ClientEvent::Subscribed(ack.id, ack.codes)),
            Packet::UnsubAck(ack) => Ok(ClientEvent::Unsubscribed(ack.id)),
            Packet::PingResp => {
                self.awaiting = None;
                Ok(ClientEvent::Nothing)
            }
            Packet::Disconnect(end) if self.version == Version::V5 => {
                self.phase = Phase::Closed;
                Ok(ClientEvent::Disconnected(end))
            }
            Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                Err(Error::Protocol("an answer to qos 2, never sent"))
            }
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Disconnect(_)
            | Packet::Auth(_) => Err(Error::Protocol("a packet that servers don't send")),
        }
    }

    fn connected<'a>(&mut self, answer: ConnAck<'a>) -> ClientEvent<'a> {
        self.awaiting = None;
        if answer.reason != ReasonCode::SUCCESS {
            self.phase = Phase::Closed;
            return ClientEvent::Refused(answer);
        }
        self.phase = Phase::Open;
        let number = |id| answer.properties.number(id);
        if let Some(seconds) = number(PropertyId::SERVER_KEEP_ALIVE) {
            self.keep_alive_ms = keep_alive_ms(u16::try_from(seconds).unwrap_or(u16::MAX));
        }
        let window = number(PropertyId::RECEIVE_MAXIMUM).map_or(WINDOW, |max| max as usize);
        self.window = window.min(WINDOW);
        self.qos_max = match number(PropertyId::MAXIMUM_QOS) {
            Some(0) => QoS::AtMostOnce,
            Some(_) | None => QoS::AtLeastOnce,
        };
        let packet_bytes = number(PropertyId::MAXIMUM_PACKET_SIZE);
        self.packet_bytes = packet_bytes.map_or(usize::MAX, |max| max as usize);
        if !answer.session_present {
            self.in_flight = [None; WINDOW];
        }
        ClientEvent::Connected(answer)
    }

    fn must_be_open(&self) -> Result<(), Error> {
        if self.is_open() { Ok(()) } else { Err(Error::State("the client is not connected")) }
    }

    fn next_id(&mut self) -> PacketId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last_id)
                && !self.in_flight.contains(&Some(id))
            {
                return id;
            }
        }
    }

    /// Publishes; the identifier comes back for QoS 1, to find the message again. `message.id` and
    /// `message.dup` are set here.
    ///
    /// # Errors
    /// [`Error::WindowFull`], [`Error::QosTwo`], [`Error::TopicName`], [`Error::TooLarge`] for what the
    /// server doesn't take, [`Error::NoRoom`], [`Error::State`] when not connected.
    pub fn publish(
        &mut self,
        message: &Publish<'_>,
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<Option<PacketId>, Error> {
        if message.qos == QoS::AtMostOnce {
            self.put_publish(&Publish { id: None, dup: false, ..*message }, now, out)?;
            return Ok(None);
        }
        if self.room() == 0 {
            return Err(Error::WindowFull);
        }
        let id = self.next_id();
        self.put_publish(&Publish { id: Some(id), dup: false, ..*message }, now, out)?;
        if let Some(slot) = self.in_flight.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(id);
        }
        Ok(Some(id))
    }

    /// Publishes again, under its identifier of [`Client::unacknowledged`].
    ///
    /// # Errors
    /// As [`Client::publish`]; [`Error::State`] when `id` waits for nothing.
    pub fn resend(
        &mut self,
        id: PacketId,
        message: &Publish<'_>,
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<(), Error> {
        if !self.in_flight.contains(&Some(id)) {
            return Err(Error::State("that message waits for nothing"));
        }
        self.put_publish(&Publish { id: Some(id), dup: true, ..*message }, now, out)
    }

    fn put_publish(
        &mut self,
        message: &Publish<'_>,
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<(), Error> {
        self.must_be_open()?;
        crate::topic::check_name(message.topic)?;
        if message.qos > self.qos_max {
            return Err(Error::QosTwo);
        }
        let bytes = message.encoded_len(self.version);
        if bytes > self.packet_bytes {
            return Err(Error::TooLarge { bytes, max: self.packet_bytes });
        }
        message.encode(self.version, out)?;
        self.said = now;
        Ok(())
    }

    /// Acknowledges a QoS 1 message that the caller has safe.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::State`] when not connected.
    pub fn acknowledge(
        &mut self,
        id: PacketId,
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<(), Error> {
        self.send(&Packet::PubAck(Ack::success(id)), now, out)
    }

    /// Asks for messages; the identifier comes back in [`ClientEvent::Subscribed`].
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::State`] when not connected.
    pub fn subscribe(
        &mut self,
        filters: &[(&str, SubscriptionOptions)],
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<PacketId, Error> {
        let id = self.next_id();
        let (properties, filters) = (Properties::NONE, Filters::list(filters));
        self.send(&Packet::Subscribe(Subscribe { id, properties, filters }), now, out)?;
        Ok(id)
    }

    /// Wants no more of some messages.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::State`] when not connected.
    pub fn unsubscribe(
        &mut self,
        filters: &[&str],
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<PacketId, Error> {
        let id = self.next_id();
        let (properties, filters) = (Properties::NONE, Names::list(filters));
        self.send(&Packet::Unsubscribe(Unsubscribe { id, properties, filters }), now, out)?;
        Ok(id)
    }

    /// Says goodbye; the will stays unsaid. The caller writes what is in `out` and closes.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::State`] when not connected.
    pub fn disconnect(&mut self, now: Timestamp, out: &mut impl Buffer) -> Result<(), Error> {
        let (reason, properties) = (ReasonCode::SUCCESS, Properties::NONE);
        self.send(&Packet::Disconnect(Disconnect { reason, properties }), now, out)?;
        self.phase = Phase::Closed;
        Ok(())
    }

    fn send(
        &mut self,
        packet: &Packet<'_>,
        now: Timestamp,
        out: &mut impl Buffer,
    ) -> Result<(), Error> {
        self.must_be_open()?;
        packet.encode(self.version, out)?;
        self.said = now;
        Ok(())
    }

    /// When to call [`Client::tick`]; may move later without notice.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        if let Some(since) = self.awaiting {
            return Some(Deadline { at: since.plus_ms(ANSWER_MS_MAX), why: "answer" });
        }
        let ms = self.keep_alive_ms.filter(|_| self.is_open())?;
        Some(Deadline { at: self.said.plus_ms(ms), why: "keep-alive" })
    }

    /// Pings when it is time.
    ///
    /// # Errors
    /// [`Error::State`]: the server has not answered; close and connect again. [`Error::NoRoom`].
    pub fn tick(&mut self, now: Timestamp, out: &mut impl Buffer) -> Result<(), Error> {
        let Some(deadline) = self.deadline().filter(|deadline| deadline.at <= now) else {
            return Ok(());
        };
        if deadline.why == "answer" {
            self.phase = Phase::Closed;
            self.awaiting = None;
            return Err(Error::State("the server has not answered in time"));
        }
        self.send(&Packet::PingReq, now, out)?;
        self.awaiting = Some(now);
        Ok(())
    }

    /// The stream broke; [`Client::connect`] begins anew.
    pub const fn broken(&mut self) {
        self.phase = Phase::Closed;
        self.awaiting = None;
    }
}

const fn keep_alive_ms(seconds: u16) -> Option<i64> {
    if seconds == 0 { None } else { Some(seconds as i64 * 1000) }
}
