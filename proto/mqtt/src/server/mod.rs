//! One connection as the server sees it.
//!
//! 1. CONNECT arrives in time ([`Event::Connect`]); the driver judges and answers with
//!    [`Server::accept`], which says what is offered, or [`Server::refuse`].
//! 2. Messages that an earlier connection left unacknowledged are sent again, with DUP.
//! 3. PUBLISH arrives ([`Event::Publish`]); QoS 1 and 2 are answered at once ([`Server::acknowledge`]) or
//!    when the ticket is settled ([`Server::acknowledge_later`], [`Server::settle`]), always in order. One
//!    of QoS 2 that comes again before its PUBREL is answered and goes nowhere.
//! 4. SUBSCRIBE and UNSUBSCRIBE arrive; the driver judges each filter.
//! 5. Messages go out: QoS 0 encoded once by the driver for all who want it plain
//!    ([`Server::takes_plain`], else [`Server::send_now`]), QoS 1 and 2 through the session
//!    ([`Server::deliver`]), whose window PUBACK and PUBCOMP move on.
//! 6. PINGREQ is answered; silence of one and a half keep-alives ends the connection.
//! 7. DISCONNECT, an offence, a deadline or the driver ends it ([`Closed`]); the session goes on
//!    ([`Server::into_session`]).

mod connect;
mod incoming;
mod outgoing;
mod will;

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};

use hedgerow_base::{Deadline, Fault, Timestamp};

use incoming::{Pending, TurnedAway};
pub use outgoing::Delivery;
pub use will::KeptWill;

use crate::{
    Connect, PacketId, Properties, Publish, QueueBounds, ReasonCode, Session, Subscribe,
    Unsubscribe, Version, delivery::Aliases, limits, topic::TopicLimits,
};

/// What a server offers; the defaults are the constants in [`limits`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a packet from the client.
    pub packet_bytes_max: usize,
    /// Messages of QoS 1 and 2 from the client that wait for their acknowledgement.
    pub receive_maximum: u16,
    /// Topic aliases that the client may use.
    pub topic_alias_max: u16,
    /// Messages of QoS 1 and 2 to the client that wait for theirs.
    pub in_flight_max: u16,
    /// Seconds of keep-alive, for 5.0.
    pub keep_alive_s_max: u16,
    /// Seconds that a session outlives its connection.
    pub session_expiry_s_max: u32,
    /// Milliseconds to a complete CONNECT.
    pub connect_ms_max: i64,
    /// Topic names and filters.
    pub topics: TopicLimits,
    /// Messages of QoS 1 and 2 kept for the client.
    pub queue: QueueBounds,
    /// Subscriptions.
    pub subscriptions_max: usize,
    /// Where clients of 5.0 are sent that are told to use another server.
    pub server_reference: Option<Arc<str>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            packet_bytes_max: limits::PACKET_BYTES_MAX,
            receive_maximum: limits::RECEIVE_MAXIMUM,
            topic_alias_max: limits::TOPIC_ALIAS_MAX,
            in_flight_max: limits::IN_FLIGHT_MAX,
            keep_alive_s_max: limits::KEEP_ALIVE_S_MAX,
            session_expiry_s_max: limits::SESSION_EXPIRY_S_MAX,
            connect_ms_max: limits::CONNECT_MS_MAX,
            topics: TopicLimits::WIDEST,
            queue: QueueBounds::default(),
            subscriptions_max: limits::SUBSCRIPTIONS_MAX,
            server_reference: None,
        }
    }
}

/// What a frame meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// Nothing for the driver to do; an answer may have been written.
    Nothing,
    /// Somebody wants in: judge, then [`Server::accept`] or [`Server::refuse`]. No frame is taken
    /// before.
    Connect(Connect<'a>),
    /// A message: judge and route, and for QoS 1 and 2 [`Server::acknowledge`] or
    /// [`Server::acknowledge_later`].
    Publish(Publish<'a>),
    /// The same, with a topic alias.
    Aliased(Aliased<'a>),
    /// A message of QoS 2 came again; its ticket is not settled yet.
    Repeated,
    /// A message that goes nowhere, already answered. The word is for a counter.
    Refused(&'static str),
    /// The client acknowledged: call [`Server::send`].
    Acknowledged,
    /// Of a session that is kept: the client released a message of QoS 2. Answer it with
    /// [`Server::answer_later`] and [`Later::PubComp`].
    Released(PacketId),
    /// Of a session that is kept: the client has the message of QoS 2 with this order number. Answer it
    /// with [`Server::answer_later`] and [`Later::PubRel`].
    Recorded(PacketId, u64),
    /// To be answered by [`Server::subscribe`].
    Subscribe(Subscribe<'a>),
    /// To be answered by [`Server::unsubscribe`].
    Unsubscribe(Unsubscribe<'a>),
    /// It is over: write what is left to write, and close.
    Closed(Closed),
}

/// What is said when a ticket is stored, and never when it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Later {
    /// A message of QoS 2 that goes to the client is released.
    PubRel(PacketId),
    /// A message of QoS 2 that came from it is complete.
    PubComp(PacketId),
    /// Whole packets: SUBACK, UNSUBACK.
    Bytes(Box<[u8]>),
}

/// A message that came with a topic alias.
#[derive(Clone, Debug, PartialEq)]
pub struct Aliased<'a> {
    topic: Arc<str>,
    /// Without the alias.
    properties: Vec<u8>,
    message: Publish<'a>,
}

impl Aliased<'_> {
    /// The message with its topic and without the alias, which means nothing to others.
    #[must_use]
    pub fn message(&self) -> Publish<'_> {
        let properties = Properties::trusted(&self.properties);
        Publish { topic: &self.topic, properties, ..self.message }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The word for counters and logs.
    pub why: &'static str,
    /// Whose fault; `None` when the client said goodbye.
    pub fault: Option<Fault>,
    /// Whether the will speaks now.
    pub will: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Deciding,
    Open,
    Closed,
}

/// One connection. Frames and `now` go in, bytes and [`Event`]s come out.
#[derive(Debug)]
pub struct Server {
    /// Shared: thousands of connections have the same.
    settings: Arc<Settings>,
    phase: Phase,
    version: Version,
    clean_start: bool,
    problem_information: bool,
    session_expiry_s: u32,
    /// What CONNACK must correct: the session expiry, the keep-alive.
    corrects: (bool, bool),
    keep_alive_ms: Option<i64>,
    /// When the last packet came, or the connection began.
    heard: Timestamp,
    /// The client's Receive Maximum and Maximum Packet Size.
    window: usize,
    packet_bytes: usize,
    will: Option<Box<KeptWill>>,
    /// Messages whose acknowledgement has not left, oldest first; those of QoS 2 wait for PUBREC here.
    pending: VecDeque<Pending>,
    /// How many of these are of QoS 1.
    pending_once: usize,
    /// The client's, by their number less one; of a topic that goes nowhere, why.
    aliases: Vec<Option<Result<Arc<str>, TurnedAway>>>,
    given: Aliases,
    session: Session,
}

impl Server {
    /// A connection that began at `now` and has said nothing yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>, now: Timestamp) -> Self {
        Self {
            phase: Phase::Connecting,
            version: Version::V311,
            clean_start: true,
            problem_information: true,
            session_expiry_s: 0,
            corrects: (false, false),
            keep_alive_ms: None,
            heard: now,
            window: usize::from(settings.in_flight_max),
            settings,
            packet_bytes: usize::MAX,
            will: None,
            pending: VecDeque::new(),
            pending_once: 0,
            aliases: Vec::new(),
            given: Aliases::default(),
            session: Session::new(),
        }
    }

    /// Bytes of the largest packet to be taken now, for [`split`](crate::split).
    #[must_use]
    pub fn packet_bytes_max(&self) -> usize {
        match self.phase {
            Phase::Connecting | Phase::Deciding => {
                self.settings.packet_bytes_max.min(limits::CONNECT_BYTES_MAX)
            }
            Phase::Open | Phase::Closed => self.settings.packet_bytes_max,
        }
    }

    /// Whether a frame would be taken now. `false` while a CONNECT is judged, after the end, and while
    /// a client of 3.1.1 (which can't be told a Receive Maximum) has too many messages waiting.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Connecting => true,
            Phase::Open => {
                self.version == Version::V5
                    || self.pending.len() < usize::from(self.settings.receive_maximum)
            }
            Phase::Deciding | Phase::Closed => false,
        }
    }

    /// The version spoken; 3.1.1 until CONNECT says another.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Whether the CONNECT was accepted and nothing ended the connection since.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the client asked to begin with an empty session.
    #[must_use]
    pub const fn is_clean_start(&self) -> bool {
        self.clean_start
    }

    /// Seconds that the session outlives the connection.
    #[must_use]
    pub const fn session_expiry_s(&self) -> u32 {
        self.session_expiry_s
    }

    /// Seconds of silence after which the client is taken for gone; none when it may be silent for ever.
    #[must_use]
    pub fn silence_s_max(&self) -> Option<i64> {
        self.keep_alive_ms.map(|ms| ms / 1000)
    }

    /// When the last packet came, or the connection began.
    #[must_use]
    pub const fn heard(&self) -> Timestamp {
        self.heard
    }

    /// What is to be said if the client goes without a word.
    #[must_use]
    pub fn will(&self) -> Option<&KeptWill> {
        self.will.as_deref()
    }

    /// The session ends with the connection, whatever the client asked for.
    pub const fn forget_session(&mut self) {
        self.session_expiry_s = 0;
    }

    /// The session as it stands.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The session, to narrow it.
    pub const fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// When to call [`Server::expire`]; may move later without notice, never earlier.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        match self.phase {
            Phase::Connecting => Some(Deadline {
                at: self.heard.plus_ms(self.settings.connect_ms_max),
                why: "connect-timeout",
            }),
            Phase::Open => self
                .keep_alive_ms
                .map(|ms| Deadline { at: self.heard.plus_ms(ms), why: "keep-alive" }),
            Phase::Deciding | Phase::Closed => None,
        }
    }

    /// The client was not listened to on purpose until now: its silence was not its own.
    pub const fn excuse(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// Ends the connection if its deadline has passed.
    pub fn expire(&mut self, now: Timestamp, out: &mut alloc::vec::Vec<u8>) -> Option<Closed> {
        let deadline = self.deadline().filter(|deadline| deadline.at <= now)?;
        Some(self.close(ReasonCode::KEEP_ALIVE_TIMEOUT, deadline.why, Fault::TooMuch, None, out))
    }

    /// The will, once: to be published if the connection [`Closed`] with it.
    pub fn take_will(&mut self) -> Option<Box<KeptWill>> {
        self.will.take()
    }

    /// The session and for how many seconds to keep it; `None` when it ends with the connection.
    #[must_use]
    pub fn into_session(mut self) -> Option<(Session, u32)> {
        self.take_session()
    }

    /// As [`Server::into_session`], leaving an empty session behind.
    pub fn take_session(&mut self) -> Option<(Session, u32)> {
        self.take_session_or_else(|_| ())
    }

    /// As [`Server::take_session`]; `ends` sees a session that ends with the connection.
    pub fn take_session_or_else(&mut self, ends: impl FnOnce(&Session)) -> Option<(Session, u32)> {
        let session = core::mem::take(&mut self.session);
        if self.session_expiry_s == 0 {
            ends(&session);
            return None;
        }
        Some((session, self.session_expiry_s))
    }
}
