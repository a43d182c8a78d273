//! The task of one connection.
//!
//! Each turn: look at deadlines and standing, read and act, write once. The turn begins when bytes
//! arrive, when the stream takes bytes again, or when somebody has put messages into `out`; many
//! messages make one turn.

use std::{
    future::Future,
    io,
    ops::Deref,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, ready},
};

use hedgerow_base::{Fault, Spent, Timestamp};
use hedgerow_listen::{Caller, Visit};
use hedgerow_mqtt::{
    Connect, Event, Frame, Later, Publish, QoS, ReasonCode, Server, Split, Version, split,
};
use tokio::{io::ReadBuf, task::spawn_local};

use crate::{
    admission::{KeptOut, prove},
    counters::{Place, Places},
    directory::SessionKey,
    gate::{Gate, Message, Outcome, Published, Refusal, SessionChange},
    keeping::Offered,
    limits::{LINGER_MS_MAX, READS_A_TURN_MAX, REPLAYS_A_TURN_MAX},
    link::{Came, Link, State},
    mail::Letter,
    reasons,
    router::Route,
    shard::Shard,
    stream::Stream,
};

mod requests;

pub(crate) struct Connection<G: Gate, S> {
    stream: S,
    shard: Rc<Shard<G>>,
    link: Tended<G>,
    /// The shard that has the client's session.
    moves_to: Option<usize>,
    /// Until CONNECT.
    caller: Option<Box<Caller>>,
    /// A refusal whose time is not yet come.
    late: Option<Box<KeptOut>>,
    /// The beginning of a packet, or packets not wanted yet. Without capacity while there is none.
    partial: Vec<u8>,
    memo: Weak<Route<G>>,
    phase: Phase,
    /// The stream takes no last words.
    is_broken: bool,
    /// What the client has sent of what it may.
    publishes: Spent,
    publish_bytes: Spent,
    place: Place,
    visit: Option<Visit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The last bytes leave; since when it is over.
    Flushing(Timestamp),
    /// The other side reads them and closes.
    Lingering(Timestamp),
}

/// A link that a connection's task tends to.
struct Tended<G: Gate>(Rc<Link<G>>);

impl<G: Gate> Deref for Tended<G> {
    type Target = Rc<Link<G>>;

    fn deref(&self) -> &Rc<Link<G>> {
        &self.0
    }
}

impl<G: Gate> Drop for Tended<G> {
    /// The connection is over, or the shard stopped before it was.
    fn drop(&mut self) {
        self.state.borrow_mut().forget_task();
    }
}

impl<G: Gate, S: Stream> Connection<G, S> {
    pub(crate) fn new(
        stream: S,
        caller: Caller,
        shard: Rc<Shard<G>>,
        places: Places,
        came: Came,
    ) -> Self {
        let Places { place, half_open, visit } = places;
        let server = Server::new(Arc::clone(&shard.mqtt), shard.clock.even());
        let link = Link::new(shard.next_link_id(), server, Some(half_open));
        link.state.borrow_mut().came = came;
        shard.arm(&link);
        Self {
            stream,
            shard,
            link: Tended(link),
            moves_to: None,
            caller: Some(Box::new(caller)),
            late: None,
            partial: Vec::new(),
            memo: Weak::new(),
            phase: Phase::Open,
            is_broken: false,
            publishes: Spent::default(),
            publish_bytes: Spent::default(),
            place,
            visit,
        }
    }

    /// Lives until the connection is over, or goes on in the shard that has the client's session.
    pub(crate) async fn live(mut self) {
        if let Some(shard) = (&mut self).await {
            self.move_to(shard);
        }
    }

    /// Takes the connection apart and posts it to another shard, where its CONNECT is answered.
    fn move_to(self, to: usize) {
        let Self { stream, shard, link, partial, publishes, publish_bytes, place, visit, .. } =
            self;
        let ledger = Arc::clone(&shard.common.ledger);
        let nothing = Server::new(Arc::clone(&shard.mqtt), shard.clock.even());
        let state = link.state.replace(State::new(nothing, None));
        let (Some(key), Ok(parcel)) = (state.key.clone(), stream.leave()) else {
            return ledger.end("reset");
        };
        let arrive = move |shard: &Rc<Shard<G>>| {
            let Ok(stream) = S::arrive(parcel) else { return ledger.end("reset") };
            let link = Link::arrived(shard.next_link_id(), state);
            shard.arm(&link);
            let moves_to = shard.connect(&link, key, shard.clock.even());
            let connection = Self {
                stream,
                shard: Rc::clone(shard),
                link: Tended(link),
                moves_to,
                caller: None,
                late: None,
                partial,
                memo: Weak::new(),
                phase: Phase::Open,
                is_broken: false,
                publishes,
                publish_bytes,
                place,
                visit,
            };
            spawn_local(connection.live());
        };
        shard.post(to, Letter::Run(Box::new(arrive)));
    }

    /// Deadlines and standing.
    fn tend(&mut self, now: Timestamp) {
        if let Some(late) = self.late.take_if(|late| late.at <= now) {
            self.keep_out(*late, now);
        }
        let revision = self.shard.gate.revision();
        let mut guard = self.link.state.borrow_mut();
        let state = &mut *guard;
        if let Some(until) = state.held_until {
            // Its packets wait in the kernel: its silence is ours.
            state.server.excuse(now);
            state.held_until = (until > now).then_some(until);
        }
        if let Some(closed) = state.server.expire(now, state.out.own()) {
            state.ended.get_or_insert(closed);
        }
        let stalled = state
            .blocked_since
            .is_some_and(|since| now.since_ms(since) >= self.shard.settings().stall_ms_max);
        if stalled && state.ended.is_none() {
            state.end(ReasonCode::QUOTA_EXCEEDED, "slow-reader", Fault::TooMuch, None);
        }
        let is_stale = state.revision != revision && state.server.is_open();
        let is_held = state.held_until.is_some();
        drop(guard);
        if is_held {
            // What rang was another deadline, which moved with the pause.
            self.shard.arm(&self.link);
        }
        if is_stale {
            self.shard.rejudge(&self.link, revision, now);
        }
    }

    fn wants_input(&self) -> bool {
        self.link.state.borrow().wants_input(self.shard.settings().out_bytes_max)
    }

    /// Reads and acts; says whether it stopped because nothing more is wanted for now.
    fn read(&mut self, context: &mut Context<'_>, now: Timestamp) -> bool {
        if !self.partial.is_empty() {
            self.take(&[], now);
        }
        let shard = Rc::clone(&self.shard);
        let mut buffer = shard.read_buffer.borrow_mut();
        for _ in 0..READS_A_TURN_MAX {
            if !self.wants_input() {
                return true;
            }
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.stream).poll_read(context, &mut read) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    shard.counts.reads.add(1);
                    shard.counts.bytes_in.add(read.filled().len() as u64);
                    self.take(read.filled(), now);
                }
                Poll::Ready(Ok(())) => {
                    self.broken("peer-closed");
                    return false;
                }
                Poll::Ready(Err(_)) => {
                    self.broken("reset");
                    return false;
                }
            }
        }
        // There may be more; the others come first.
        context.waker().wake_by_ref();
        false
    }

    /// The stream is of no use any more.
    fn broken(&mut self, why: &'static str) {
        self.is_broken = true;
        let mut state = self.link.state.borrow_mut();
        if state.ended.is_none() {
            state.ended = Some(state.server.broken(why));
        }
        state.out.clear();
    }

    /// Acts on bytes that arrived, after what is left of earlier ones.
    fn take(&mut self, mut bytes: &[u8], now: Timestamp) {
        let mut held = std::mem::take(&mut self.partial);
        if !held.is_empty() {
            let max = self.link.state.borrow().server.packet_bytes_max();
            if !top_up(&mut held, &mut bytes, max) {
                self.partial = held;
                return;
            }
            let left = self.act(&held, now);
            if !left.is_empty() {
                self.partial.extend_from_slice(left);
                self.partial.extend_from_slice(bytes);
                return;
            }
        }
        let left = self.act(bytes, now);
        if !left.is_empty() {
            self.partial.extend_from_slice(left);
        }
    }

    /// Acts on whole packets; gives what is left when one is not whole, or none is wanted.
    fn act<'b>(&mut self, bytes: &'b [u8], now: Timestamp) -> &'b [u8] {
        let (mut messages, all) = (0, bytes.len());
        let left = self.act_on(bytes, &mut messages, now);
        self.charge(messages, all - left.len(), now);
        left
    }

    /// What the client sent counts against what it may send; beyond that it is read more slowly.
    fn charge(&mut self, messages: u32, bytes: usize, now: Timestamp) {
        let settings = self.shard.settings();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let wait_ms = self
            .publishes
            .charge(messages, settings.publishes, now)
            .max(self.publish_bytes.charge(bytes, settings.publish_bytes, now));
        if wait_ms > 0 {
            self.shard.counts.throttled.add(1);
            self.link.state.borrow_mut().held_until = Some(now.plus_ms(wait_ms));
            self.shard.arm(&self.link);
        }
    }

    fn act_on<'b>(&mut self, mut bytes: &'b [u8], messages: &mut u32, now: Timestamp) -> &'b [u8] {
        while !bytes.is_empty() {
            let mut guard = self.link.state.borrow_mut();
            let state = &mut *guard;
            if state.ended.is_some() {
                return &[];
            }
            if !state.wants_input(self.shard.settings().out_bytes_max) {
                break;
            }
            let frame = match split(bytes, state.server.packet_bytes_max()) {
                Ok(Split::Whole(frame, rest)) => {
                    bytes = rest;
                    frame
                }
                Ok(Split::More(_)) => break,
                Err(error) => {
                    state.ended = Some(state.server.offence(error, state.out.own()));
                    return &[];
                }
            };
            let event = state.server.receive(frame, now, state.out.own());
            if matches!(event, Event::Publish(_) | Event::Aliased(_)) {
                state.tally.messages_in += 1;
            }
            drop(guard);
            match event {
                Event::Publish(message) => {
                    *messages += 1;
                    self.publish(Some(frame), &message, now);
                }
                Event::Aliased(aliased) => {
                    *messages += 1;
                    self.publish(None, &aliased.message(), now);
                }
                Event::Nothing | Event::Acknowledged => {}
                event => self.other(event, now),
            }
        }
        bytes
    }

    #[inline]
    fn publish(&mut self, frame: Option<Frame<'_>>, message: &Publish<'_>, now: Timestamp) {
        let state = self.link.state.borrow();
        let Some(admitted) = &state.admitted else { return };
        let version = state.server.version();
        let asked = Message {
            topic: message.topic,
            payload: message.payload,
            needs_ack: message.id.is_some(),
            retain: message.retain,
        };
        let shard = &*self.shard;
        let Published { route, outcome } =
            shard.gate.publish(admitted, asked, shard.clock.wall(now));
        let kept_as = state.server.session().kept_as();
        drop(state);
        shard.counts.messages_in.add(1);
        let (mut elsewhere, mut gathered) = (None, None);
        let take = kept_as.zip(message.id).filter(|_| message.qos == QoS::ExactlyOnce);
        if route {
            // A packet of QoS 0 without flags goes on as it came to clients of the same version.
            let raw = frame.filter(|frame| frame.first == 0x30).map(|frame| (version, frame.bytes));
            shard.retain(message, now);
            let route = shard.route(message.topic, &mut self.memo);
            elsewhere =
                shard.hand_out(&route, Some(self.link.id), message, raw, take.is_some(), now);
            match take {
                Some(take) if elsewhere.is_none() && outcome == Outcome::Done => shard.taken(take),
                Some(take) => gathered = Some(shard.gather(take)),
                None => {}
            }
        }
        let offered = shard.offer().map(|sessions| Offered { sessions, elsewhere, gathered });
        self.answer(message, outcome, offered, now);
    }

    #[inline]
    fn answer(
        &self,
        message: &Publish<'_>,
        outcome: Outcome,
        offered: Result<Offered<G>, Refusal>,
        now: Timestamp,
    ) {
        let decided = match (outcome, offered) {
            (Outcome::Refused(refusal), _) | (_, Err(refusal)) => Err(refusal),
            (Outcome::Done, Ok(offered)) => Ok((None, offered)),
            (Outcome::Pending(ticket), Ok(offered)) => Ok((Some(ticket), offered)),
        };
        let (readings, offered) = match decided {
            Ok(parts) => parts,
            Err(refusal) => return self.turn_away(message, &refusal),
        };
        let Some(id) = message.id else { return };
        let asked = (id, message.qos);
        if let Some(ticket) = self.shard.ticket_of(readings, offered, now) {
            self.link.state.borrow_mut().server.acknowledge_later(asked, ticket);
            return self.shard.unsettled(&self.link);
        }
        let state = &mut *self.link.state.borrow_mut();
        state.server.acknowledge(asked, ReasonCode::SUCCESS, None, state.out.own());
    }

    #[cold]
    fn turn_away(&self, message: &Publish<'_>, refusal: &Refusal) {
        self.shard.counts.messages_refused.add(1);
        let Some(id) = message.id else { return };
        let state = &mut *self.link.state.borrow_mut();
        if state.server.version() == Version::V311 && refusal.fault == Fault::Unavailable {
            // 3.1.1 has no word for later: without an answer the client keeps it and sends again.
            return state.end(ReasonCode::UNSPECIFIED, "unavailable", refusal.fault, None);
        }
        let (reason, text) = (reasons::puback(refusal.fault), Some(&*refusal.reason));
        state.server.acknowledge((id, message.qos), reason, text, state.out.own());
    }

    fn other(&mut self, event: Event<'_>, now: Timestamp) {
        let (link, shard) = (&self.link, &self.shard);
        match event {
            Event::Connect(connect) => {
                if let Err(away) = self.admit(&connect, now) {
                    self.keep_out(away, now);
                }
            }
            Event::Subscribe(subscribe) => self.subscribe(&subscribe),
            Event::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Event::Refused(why) => {
                shard.counts.messages_refused.add(1);
                shard.common.ledger.refusal(why);
            }
            Event::Repeated => shard.unsettled(link),
            Event::Released(packet) => {
                self.tell_and_answer(Later::PubComp(packet), |session| SessionChange::Forget {
                    session,
                    packet: packet.get(),
                });
            }
            Event::Recorded(packet, order) => {
                self.tell_and_answer(Later::PubRel(packet), |session| SessionChange::Release {
                    session,
                    order,
                });
            }
            Event::Closed(closed) => {
                link.state.borrow_mut().ended.get_or_insert(closed);
            }
            Event::Nothing | Event::Acknowledged | Event::Publish(_) | Event::Aliased(_) => {}
        }
    }

    /// Tells the client that it is not let in, now or when the time has come.
    fn keep_out(&mut self, away: KeptOut, now: Timestamp) {
        let mut guard = self.link.state.borrow_mut();
        let state = &mut *guard;
        state.late = (away.at > now).then_some(away.at);
        if state.late.is_none() {
            let KeptOut { code, fault, why, reason, .. } = away;
            let closed = state.server.refuse(code, why, fault, Some(&reason), state.out.own());
            state.ended = Some(closed);
            return;
        }
        drop(guard);
        self.late = Some(Box::new(away));
        self.shard.arm(&self.link);
    }

    fn admit(&mut self, connect: &Connect<'_>, now: Timestamp) -> Result<(), KeptOut> {
        let shard = &self.shard;
        let client_id = connect.client_id;
        // INVARIANT: a machine lets one CONNECT through.
        let Some(caller) = self.caller.take() else { return Ok(()) };
        let wall = shard.clock.wall(now);
        let peer = prove(&caller, connect, (now, wall))?;
        if let Some(code) = shard.settings().sends_on() {
            return Err(KeptOut::sent_on(code, now));
        }
        let revision = shard.gate.revision();
        let admitted = shard.gate.admit(peer, wall);
        let admitted = admitted.map_err(|refusal| KeptOut::refused(refusal, now))?;
        let mut state = self.link.state.borrow_mut();
        state.narrowed = shard.gate.judges_deliveries(&admitted);
        (state.admitted, state.revision) = (Some(admitted), revision);
        state.is_assigned = client_id.is_empty();
        drop(state);
        let key = if client_id.is_empty() {
            let (index, at, id) = (shard.index, now.as_ms(), self.link.id);
            SessionKey::new(&peer, &format!("auto-{index}-{at:x}-{id:x}"))
        } else {
            SessionKey::new(&peer, client_id)
        };
        self.moves_to = shard.connect(&self.link, key, now);
        Ok(())
    }

    /// Writes what there is until the stream takes no more; `Pending` while something is left.
    fn write(&mut self, context: &mut Context<'_>, now: Timestamp) -> Poll<io::Result<()>> {
        let shard = &self.shard;
        let mut guard = self.link.state.borrow_mut();
        let state = &mut *guard;
        let mut pages = 0;
        loop {
            if pages < REPLAYS_A_TURN_MAX && !state.replays.is_empty() {
                pages += 1;
                state.replay(shard, now);
            }
            let stored = shard.gate.kept_up_to();
            let room = state.out.room();
            let dropped = state.server.send(now, room, stored, state.out.own());
            if dropped > 0 {
                state.tally.dropped += dropped as u64;
                shard.counts.dropped_too_large_or_expired.add(dropped as u64);
            }
            if state.out.waiting() == 0 {
                if state.replays.is_empty() || pages == REPLAYS_A_TURN_MAX {
                    break;
                }
                continue;
            }
            let Poll::Ready(result) = state.out.poll_write(&mut self.stream, context) else {
                state.out.forget_written();
                if state.blocked_since.is_none() {
                    state.blocked_since = Some(now);
                    drop(guard);
                    shard.arm(&self.link);
                }
                return Poll::Pending;
            };
            let taken = result?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            shard.counts.writes.add(1);
            shard.counts.bytes_out.add(taken as u64);
            state.blocked_since = None;
        }
        shard.tell_done(state.server.session_mut());
        if state.server.is_waiting(shard.gate.kept_up_to()) {
            shard.unsettled_state(&self.link, state);
        }
        if state.wants_replay() {
            // There is more; the others come first.
            context.waker().wake_by_ref();
        }
        if let Some(buffer) = state.out.give_back() {
            shard.give_back(buffer);
        }
        drop(guard);
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// The end: the session is put away, the last bytes leave, the other side closes or time is up.
    fn finish(&mut self, context: &mut Context<'_>, now: Timestamp) -> Poll<()> {
        if self.phase == Phase::Open {
            self.phase = Phase::Flushing(now);
            self.partial = Vec::new();
            self.shard.detach(&self.link, now);
            self.shard.post_outgoing();
        }
        let result = self.last_bytes(context, now);
        let mut state = self.link.state.borrow_mut();
        match (result, self.phase) {
            (Poll::Pending, Phase::Flushing(since) | Phase::Lingering(since))
                if now.since_ms(since) < LINGER_MS_MAX =>
            {
                state.blocked_since = Some(since);
                drop(state);
                self.shard.arm(&self.link);
                Poll::Pending
            }
            _ => {
                state.forget_task();
                Poll::Ready(())
            }
        }
    }

    fn last_bytes(&mut self, context: &mut Context<'_>, now: Timestamp) -> Poll<()> {
        if let Phase::Flushing(since) = self.phase {
            if self.is_broken || ready!(self.write(context, now)).is_err() {
                return Poll::Ready(());
            }
            if ready!(Pin::new(&mut self.stream).poll_shutdown(context)).is_err() {
                return Poll::Ready(());
            }
            self.phase = Phase::Lingering(since);
        }
        // Closing with bytes unread would take the goodbye back from the other side.
        let mut buffer = self.shard.read_buffer.borrow_mut();
        loop {
            let mut read = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut read)) {
                Ok(()) if !read.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

impl<G: Gate, S: Stream> Future for Connection<G, S> {
    /// The shard where it goes on.
    type Output = Option<usize>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<usize>> {
        let this = &mut *self;
        let now = this.shard.clock.even();
        this.link.state.borrow_mut().begin_turn(context.waker());
        if this.phase == Phase::Open {
            this.tend(now);
            let is_held_back = this.read(context, now);
            this.shard.post_outgoing();
            if this.link.state.borrow().ended.is_none() {
                if let Some(shard) = this.moves_to {
                    return Poll::Ready(Some(shard));
                }
                match this.write(context, now) {
                    Poll::Ready(Err(_)) => this.broken("reset"),
                    // What held the client back has just been written.
                    Poll::Ready(Ok(())) if is_held_back && this.wants_input() => {
                        context.waker().wake_by_ref();
                    }
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
        }
        if this.link.state.borrow().ended.is_some() {
            return this.finish(context, now).map(|()| None);
        }
        Poll::Pending
    }
}

/// Completes the packet that `held` begins with from `bytes`, and takes no more than it needs; all of
/// them when that packet is whole already. `false` when it is still not whole.
fn top_up(held: &mut Vec<u8>, bytes: &mut &[u8], max: usize) -> bool {
    let mut was_whole = true;
    while let Ok(Split::More(needed)) = split(held, max) {
        was_whole = false;
        if bytes.is_empty() {
            return false;
        }
        let (head, rest) = bytes.split_at(needed.min(bytes.len()));
        held.extend_from_slice(head);
        *bytes = rest;
    }
    if was_whole {
        held.extend_from_slice(bytes);
        *bytes = &[];
    }
    true
}
