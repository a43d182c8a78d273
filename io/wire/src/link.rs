use std::{
    cell::{OnceCell, RefCell},
    collections::VecDeque,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    task::Waker,
};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_mqtt::{
    Closed, Delivery, DeliveryOptions, Kept, KeptWill, Publish, QoS, ReasonCode, Server, Session,
    SubscriptionOptions, Version,
};

use crate::{
    counters::Place,
    directory::SessionKey,
    gate::{Durability, Gate},
    limits::{
        self, CROWDED_PART, OUT_BYTES_SOFT, SHARED_BY_FEW_BYTES_MIN, SHARED_BYTES_MIN,
        SHARED_CLIENTS_MIN,
    },
    out::Out,
    shard::Shard,
    slow::Crowd,
};

/// One end of a session inside its shard: a connection, or what is left of it while its client is away.
/// The router and the connection's task share it.
pub(crate) struct Link<G: Gate> {
    pub(crate) id: u64,
    /// Who took the session over.
    pub(crate) heir: OnceCell<Rc<Link<G>>>,
    pub(crate) state: RefCell<State<G>>,
}

pub(crate) struct State<G: Gate> {
    pub(crate) server: Server,
    pub(crate) out: Out,
    waker: Option<Waker>,
    woken: bool,
    pub(crate) admitted: Option<G::Admitted>,
    /// Of a client of an earlier hub: what it is judged by for its will.
    pub(crate) proof: Option<Box<[u8]>>,
    /// Its will is on disk with its session.
    pub(crate) is_will_kept: bool,
    /// The gate's revision by which the session was judged last.
    pub(crate) revision: u64,
    /// Deliveries are asked for one by one.
    pub(crate) narrowed: bool,
    /// `None` before CONNECT, and once another connection has taken the session over.
    pub(crate) key: Option<Arc<SessionKey>>,
    /// Whether the client identifier was given by us.
    pub(crate) is_assigned: bool,
    pub(crate) half_open: Option<Place>,
    /// How it ended; the connection's task does the rest.
    pub(crate) ended: Option<Closed>,
    /// When the client is to be told that it is not let in.
    pub(crate) late: Option<Timestamp>,
    /// Until when nothing is read, because the client sent too much.
    pub(crate) held_until: Option<Timestamp>,
    /// Since when the stream takes nothing of `out`, or since when it is being closed.
    pub(crate) blocked_since: Option<Timestamp>,
    pub(crate) away: Option<Box<Away>>,
    pub(crate) armed: Option<Timestamp>,
    /// Subscriptions whose retained messages are on their way, the first in turn.
    pub(crate) replays: VecDeque<Replay>,
    is_unsettled: bool,
    /// How the client came, and since when it is here, or away.
    pub(crate) came: Came,
    pub(crate) since: Timestamp,
    pub(crate) tally: Tally,
    /// That much waits for it.
    pub(crate) crowd: Option<Box<Crowd>>,
}

/// How a client came to the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// What MQTT is spoken over, in a word.
    pub over: Option<&'static str>,
    /// From where.
    pub from: Option<IpAddr>,
}

/// What a connection counts for itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) dropped: u64,
}

/// The retained messages of a subscription, as far as they have been handed over.
pub(crate) struct Replay {
    pub(crate) filter: Box<str>,
    pub(crate) options: SubscriptionOptions,
    pub(crate) after: Option<Box<str>>,
}

/// A session whose client is away.
pub(crate) struct Away {
    pub(crate) session: Session,
    pub(crate) expires: Timestamp,
    pub(crate) will: Option<(Box<KeptWill>, Timestamp)>,
}

/// A QoS 0 message, encoded at most once a version.
pub(crate) struct Encoded<'a> {
    pub(crate) message: Publish<'a>,
    /// The packet as it came, when it can go on as it is.
    pub(crate) raw: Option<(Version, &'a [u8])>,
    pub(crate) v311: &'a mut Vec<u8>,
    pub(crate) v5: &'a mut Vec<u8>,
    /// The bytes of a packet from which it is shared.
    pub(crate) shared_from: usize,
    /// As one piece that many clients hold, a version.
    pub(crate) shared: Option<(Version, Arc<[u8]>)>,
}

impl Encoded<'_> {
    #[inline]
    fn bytes(&mut self, version: Version) -> &[u8] {
        match self.raw {
            Some((raw, bytes)) if raw == version => return bytes,
            _ => {}
        }
        let made = match version {
            Version::V311 => &mut *self.v311,
            Version::V5 => &mut *self.v5,
        };
        if made.is_empty() {
            // INVARIANT: a Vec takes everything, and the topic was read from a packet.
            let _ = self.message.encode(version, made);
        }
        made
    }
}

/// The bytes of a packet from which so many subscribers share it.
#[inline]
pub(crate) const fn shared_from(subscribers: usize) -> usize {
    if subscribers < SHARED_CLIENTS_MIN { SHARED_BY_FEW_BYTES_MIN } else { SHARED_BYTES_MIN }
}

impl Encoded<'_> {
    /// The packet to be held by many; made again when the clients' versions alternate, which costs a copy.
    fn shared(&mut self, version: Version) -> Arc<[u8]> {
        match &self.shared {
            Some((known, packet)) if *known == version => Arc::clone(packet),
            _ => {
                let packet: Arc<[u8]> = self.bytes(version).into();
                self.shared = Some((version, Arc::clone(&packet)));
                packet
            }
        }
    }
}

impl<G: Gate> Link<G> {
    pub(crate) fn new(id: u64, server: Server, half_open: Option<Place>) -> Rc<Self> {
        Self::with(id, State::new(server, half_open))
    }

    /// A link for the connection of another shard that came here.
    pub(crate) fn arrived(id: u64, state: State<G>) -> Rc<Self> {
        Self::with(id, State { waker: None, woken: false, armed: None, ..state })
    }

    fn with(id: u64, state: State<G>) -> Rc<Self> {
        Rc::new(Self { id, heir: OnceCell::new(), state: RefCell::new(state) })
    }

    /// Who has the session now.
    pub(crate) fn heir(self: &Rc<Self>) -> Rc<Self> {
        let mut last = self;
        while let Some(next) = last.heir.get() {
            last = next;
        }
        Rc::clone(last)
    }

    /// Hands over a QoS 0 message, if the client is there and keeps up.
    #[inline]
    pub(crate) fn hand_now(
        self: &Rc<Self>,
        shard: &Shard<G>,
        message: &mut Encoded<'_>,
        options: &DeliveryOptions,
    ) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        if !state.server.is_open() || !state.may_receive(shard, message.message.topic) {
            return;
        }
        if !state.server.takes_plain(options) {
            return state.hand_own(shard, self, &message.message, options);
        }
        let version = state.server.version();
        let shared_from = message.shared_from;
        let bytes = message.bytes(version);
        if !state.server.takes(bytes.len()) {
            state.tally.dropped += 1;
            return shard.counts.dropped_too_large_or_expired.add(1);
        }
        let waiting = state.out.waiting() + bytes.len();
        if waiting > shard.settings().out_bytes_max / CROWDED_PART
            && state.is_full(shard, self, waiting)
        {
            return;
        }
        if bytes.len() >= shared_from {
            state.out.share(message.shared(version));
        } else {
            if state.out.is_idle() {
                state.out.lend(shard.spare_buffer());
            }
            state.out.own().extend_from_slice(bytes);
        }
        state.tally.messages_out += 1;
        shard.counts.messages_out.add(1);
        state.wake();
    }

    /// Puts a message of QoS 1 or 2 into the session, whether its client is there or away; says whether
    /// it was kept.
    pub(crate) fn hand_kept(
        self: &Rc<Self>,
        shard: &Shard<G>,
        message: &Kept,
        options: &DeliveryOptions,
        now: Timestamp,
    ) -> bool {
        let state = &mut *self.state.borrow_mut();
        if !state.may_receive(shard, message.topic()) {
            return false;
        }
        let mqtt = &shard.settings().mqtt;
        let (kept_as, order) = match &mut state.away {
            Some(away) => {
                let order = away.session.enqueue(message, options, &mqtt.queue, now);
                state.tally.dropped += shard.displaced(&mut away.session) as u64;
                (away.session.kept_as(), order)
            }
            None => {
                let order = match state.server.deliver(message, options, now) {
                    Delivery::Kept(order) => Some(order),
                    Delivery::QueueFull => None,
                };
                let displaced = shard.displaced(state.server.session_mut());
                state.tally.dropped += displaced as u64;
                (state.server.session().kept_as(), order)
            }
        };
        let Some(order) = order else {
            state.tally.dropped += 1;
            shard.counts.dropped_queue_full.add(1);
            return false;
        };
        if state.away.is_none() {
            state.tally.messages_out += 1;
            if state.has_long_queue(mqtt) {
                state.crowd(shard, self);
            }
            shard.counts.messages_out.add(1);
            state.wake();
        }
        if let Some(number) = kept_as {
            shard.queued(self, number, order, message, options);
        }
        true
    }

    /// The message with this order number waits for a ticket.
    pub(crate) fn wait_for(&self, order: u64, ticket: u64) {
        let state = &mut *self.state.borrow_mut();
        match &mut state.away {
            Some(away) => away.session.wait_for(order, ticket),
            None => state.server.session_mut().wait_for(order, ticket),
        }
    }

    /// Sends the answers whose tickets are stored; says whether something still waits for the disk.
    pub(crate) fn settle(&self, shard: &Shard<G>) -> bool {
        let state = &mut *self.state.borrow_mut();
        let version = state.server.version();
        let mut failed = false;
        let outcome = |ticket| match (shard.durability(ticket), version) {
            (Durability::Waiting, _) => None,
            (Durability::Stored, _) => Some(ReasonCode::SUCCESS),
            (Durability::Failed, Version::V5) => Some(ReasonCode::UNSPECIFIED),
            (Durability::Failed, Version::V311) => {
                failed = true;
                None
            }
        };
        let before = state.server.unacknowledged();
        let is_settled = state.server.settle(outcome, state.out.own());
        if failed || !is_settled {
            // There is no word for it: without an answer the client keeps what it sent and sends again.
            state.server.forget_tickets();
            let (reason, fault) = (ReasonCode::UNSPECIFIED, Fault::Unavailable);
            state.end(reason, "storage-failed", fault, None);
        }
        let left = state.server.unacknowledged();
        let waits = state.server.is_waiting(shard.gate.kept_up_to());
        if left < before || (!waits && state.server.has_more()) {
            state.wake();
        }
        state.is_unsettled = (left > 0 || waits) && state.ended.is_none();
        state.is_unsettled
    }
}

impl<G: Gate> State<G> {
    pub(crate) fn new(server: Server, half_open: Option<Place>) -> Self {
        Self {
            server,
            out: Out::default(),
            waker: None,
            woken: false,
            admitted: None,
            proof: None,
            is_will_kept: false,
            revision: 0,
            narrowed: false,
            key: None,
            is_assigned: false,
            half_open,
            ended: None,
            late: None,
            held_until: None,
            blocked_since: None,
            away: None,
            armed: None,
            replays: VecDeque::new(),
            is_unsettled: false,
            came: Came::default(),
            since: Timestamp::from_ms(0),
            tally: Tally::default(),
            crowd: None,
        }
    }

    /// Says that something waits for the disk; `true` when it is news.
    pub(crate) fn mark_unsettled(&mut self) -> bool {
        !std::mem::replace(&mut self.is_unsettled, true)
    }

    /// The task's turn begins: from here on a wake is news again.
    pub(crate) fn begin_turn(&mut self, waker: &Waker) {
        self.woken = false;
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Whether a packet would be taken now. A client that does not read its answers may not ask on.
    #[inline]
    pub(crate) fn wants_input(&self, out_bytes_max: usize) -> bool {
        self.ended.is_none()
            && self.held_until.is_none()
            && self.out.waiting() <= out_bytes_max
            && self.server.wants_input()
    }

    /// Lets the connection's task run once for however many messages.
    #[inline]
    pub(crate) fn wake(&mut self) {
        if !self.woken
            && let Some(waker) = &self.waker
        {
            self.woken = true;
            waker.wake_by_ref();
        }
    }

    /// The task is over: nobody is to be woken.
    pub(crate) fn forget_task(&mut self) {
        self.waker = None;
        self.blocked_since = None;
        self.out.clear();
    }

    #[inline]
    fn may_receive(&self, shard: &Shard<G>, topic: &str) -> bool {
        if !self.narrowed {
            return true;
        }
        let may =
            self.admitted.as_ref().is_some_and(|admitted| shard.gate.may_receive(admitted, topic));
        if !may {
            shard.counts.dropped_not_allowed.add(1);
        }
        may
    }

    /// Much waits for the client: whether it is so much that it misses this message.
    #[cold]
    fn is_full(&mut self, shard: &Shard<G>, link: &Rc<Link<G>>, waiting: usize) -> bool {
        self.crowd(shard, link);
        let is_full = waiting > shard.settings().out_bytes_max;
        if is_full {
            self.tally.dropped += 1;
            shard.counts.dropped_slow_reader.add(1);
        }
        is_full
    }

    /// A QoS 0 message that this client gets in its own words.
    #[cold]
    fn hand_own(
        &mut self,
        shard: &Shard<G>,
        link: &Rc<Link<G>>,
        message: &Publish<'_>,
        options: &DeliveryOptions,
    ) {
        let waiting = self.out.waiting();
        if waiting > shard.settings().out_bytes_max / CROWDED_PART
            && self.is_full(shard, link, waiting)
        {
            return;
        }
        if self.out.is_idle() {
            self.out.lend(shard.spare_buffer());
        }
        if self.server.send_now(message, options, None, self.out.own()) {
            self.tally.messages_out += 1;
            shard.counts.messages_out.add(1);
            self.wake();
        } else {
            self.tally.dropped += 1;
            shard.counts.dropped_too_large_or_expired.add(1);
        }
    }

    /// Whether retained messages are left, and there is room for some.
    pub(crate) fn wants_replay(&self) -> bool {
        !self.replays.is_empty()
            && self.ended.is_none()
            && self.out.waiting() < OUT_BYTES_SOFT
            && self.server.session().queued() < limits::RETAINED_PAGE
    }

    /// Hands over a page of retained messages, if there is room for it.
    pub(crate) fn replay(&mut self, shard: &Shard<G>, now: Timestamp) {
        if !self.wants_replay() {
            return;
        }
        let Some(mut replay) = self.replays.pop_front() else { return };
        let (filter, after) = (&*replay.filter, replay.after.as_deref());
        let page = shard.common.retained.page(filter, after, limits::RETAINED_PAGE, now);
        let identifiers = replay.options.identifier.map(|one| Arc::from([one.get()]));
        for (kept, qos) in &page.messages {
            if !self.may_receive(shard, kept.topic()) {
                continue;
            }
            let qos = (*qos).min(replay.options.qos);
            let options = DeliveryOptions { qos, retain: true, identifiers: identifiers.clone() };
            let sent = match qos {
                QoS::AtMostOnce => self.server.send_kept_now(kept, &options, now, self.out.own()),
                QoS::AtLeastOnce | QoS::ExactlyOnce => {
                    matches!(self.server.deliver(kept, &options, now), Delivery::Kept(_))
                }
            };
            if sent {
                self.tally.messages_out += 1;
                shard.counts.messages_out.add(1);
            } else {
                self.tally.dropped += 1;
                shard.counts.dropped_too_large_or_expired.add(1);
            }
        }
        if let Some(last) = page.last {
            replay.after = Some(last);
            self.replays.push_front(replay);
        }
    }

    /// Ends the connection from this side; the first reason stands.
    pub(crate) fn end(
        &mut self,
        reason: ReasonCode,
        why: &'static str,
        fault: Fault,
        text: Option<&str>,
    ) {
        if self.ended.is_none() {
            self.ended = Some(self.server.close(reason, why, fault, text, self.out.own()));
        }
        self.wake();
    }

    /// The next moment at which something is due, if nothing else happens.
    pub(crate) fn next_due(&self, stall_ms: i64) -> Option<Timestamp> {
        let away = self.away.as_ref().map(|away| {
            let will = away.will.as_ref().map_or(away.expires, |(_, at)| *at);
            will.min(away.expires)
        });
        let patience = if self.ended.is_some() { limits::LINGER_MS_MAX } else { stall_ms };
        let blocked = self.blocked_since.map(|since| since.plus_ms(patience));
        let deadline = self.server.deadline().map(|deadline| deadline.at);
        blocked
            .into_iter()
            .chain(deadline)
            .chain(away)
            .chain(self.late)
            .chain(self.held_until)
            .min()
    }
}
