//! The task of one connection.
//!
//! Each turn: look at deadlines and standing, read and act, write once. The turn begins when bytes
//! arrive, when the stream takes bytes again, or when somebody has put messages into `out`; many
//! messages make one turn.

use std::{
    future::Future,
    io,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, ready},
};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_listen::Caller;
use hedgerow_mqtt::{
    Connect, Event, Frame, Publish, ReasonCode, Server, Split, SubscriptionOptions, Version, split,
    topic,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    admission::{TurnedAway, prove},
    counters::Place,
    directory::SessionKey,
    gate::{Gate, Message, Outcome, Published, Refusal},
    limits::{LINGER_MS_MAX, OUT_BYTES_SOFT, READS_A_TURN_MAX, REPLAYS_A_TURN_MAX},
    link::{Link, Replay, State},
    reasons,
    router::Route,
    shard::Shard,
};

pub(crate) struct Connection<G: Gate, S> {
    stream: S,
    shard: Rc<Shard<G>>,
    link: Rc<Link<G>>,
    /// Until CONNECT.
    caller: Option<Box<Caller>>,
    /// A refusal whose time is not yet come.
    late: Option<Box<TurnedAway>>,
    /// The beginning of a packet, or packets not wanted yet. Without capacity while there is none.
    partial: Vec<u8>,
    memo: Weak<Route<G>>,
    phase: Phase,
    /// The stream takes no last words.
    is_broken: bool,
    _place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The last bytes leave; since when it is over.
    Flushing(Timestamp),
    /// The other side reads them and closes.
    Lingering(Timestamp),
}

impl<G: Gate, S: AsyncRead + AsyncWrite + Unpin> Connection<G, S> {
    pub(crate) fn new(
        stream: S,
        caller: Caller,
        shard: Rc<Shard<G>>,
        (place, half_open): (Place, Place),
    ) -> Self {
        let server = Server::new(Arc::clone(&shard.mqtt), shard.clock.even());
        let link = Link::new(shard.next_link_id(), server, Some(half_open));
        shard.arm(&link);
        Self {
            stream,
            shard,
            link,
            caller: Some(Box::new(caller)),
            late: None,
            partial: Vec::new(),
            memo: Weak::new(),
            phase: Phase::Open,
            is_broken: false,
            _place: place,
        }
    }

    /// Deadlines and standing.
    fn tend(&mut self, now: Timestamp) {
        if let Some(late) = self.late.take_if(|late| late.at <= now) {
            self.turn_away(*late, now);
        }
        let revision = self.shard.gate.revision();
        let mut guard = self.link.state.borrow_mut();
        let state = &mut *guard;
        if let Some(closed) = state.server.expire(now, &mut state.out) {
            state.ended.get_or_insert(closed);
        }
        let stalled = state
            .blocked_since
            .is_some_and(|since| now.since_ms(since) >= self.shard.settings().stall_ms_max);
        if stalled && state.ended.is_none() {
            state.end(ReasonCode::QUOTA_EXCEEDED, "slow-reader", Fault::TooMuch, None);
        }
        let is_stale = state.revision != revision && state.server.is_open();
        drop(guard);
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
        state.written = 0;
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
    fn act<'b>(&mut self, mut bytes: &'b [u8], now: Timestamp) -> &'b [u8] {
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
                    state.ended = Some(state.server.offence(error, &mut state.out));
                    return &[];
                }
            };
            let event = state.server.receive(frame, now, &mut state.out);
            drop(guard);
            match event {
                Event::Publish(message) => self.publish(Some(frame), &message, now),
                Event::Aliased(aliased) => self.publish(None, &aliased.message(), now),
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
        drop(state);
        shard.counts.messages_in.add(1);
        if route {
            // A packet of QoS 0 without flags goes on as it came to clients of the same version.
            let raw = frame.filter(|frame| frame.first == 0x30).map(|frame| (version, frame.bytes));
            shard.retain(message, now);
            let route = shard.route(message.topic, &mut self.memo);
            shard.hand_out(&route, Some(self.link.id), message, raw, now);
        }
        self.answer(message, outcome, version);
    }

    #[inline]
    fn answer(&self, message: &Publish<'_>, outcome: Outcome, version: Version) {
        let refusal = match (outcome, message.id) {
            (Outcome::Done | Outcome::Pending(_), None) => return,
            (Outcome::Done, Some(id)) => {
                let state = &mut *self.link.state.borrow_mut();
                let asked = (id, message.qos);
                return state.server.acknowledge(asked, ReasonCode::SUCCESS, None, &mut state.out);
            }
            (Outcome::Pending(ticket), Some(id)) => {
                let asked = (id, message.qos);
                self.link.state.borrow_mut().server.acknowledge_later(asked, ticket.0);
                return self.shard.unsettled(&self.link);
            }
            (Outcome::Refused(refusal), _) => refusal,
        };
        self.shard.counts.messages_refused.add(1);
        let Some(id) = message.id else { return };
        let state = &mut *self.link.state.borrow_mut();
        if version == Version::V311 && refusal.fault == Fault::Unavailable {
            // 3.1.1 has no word for later: without a PUBACK the client keeps it and sends again.
            return state.end(ReasonCode::UNSPECIFIED, "unavailable", refusal.fault, None);
        }
        let (reason, text) = (reasons::puback(refusal.fault), Some(&*refusal.reason));
        state.server.acknowledge((id, message.qos), reason, text, &mut state.out);
    }

    fn other(&mut self, event: Event<'_>, now: Timestamp) {
        let (link, shard) = (&self.link, &self.shard);
        match event {
            Event::Connect(connect) => {
                if let Err(away) = self.admit(&connect, now) {
                    self.turn_away(away, now);
                }
            }
            Event::Subscribe(subscribe) => {
                let State { server, out, admitted, replays, .. } = &mut *link.state.borrow_mut();
                let Some(admitted) = admitted else { return };
                let mut router = shard.router.borrow_mut();
                let judge = |filter: &str, options: SubscriptionOptions, is_new| {
                    let refused = |refusal: Refusal| reasons::suback(refusal.fault);
                    shard.gate.subscribe(admitted, topic::unshared(filter)).map_err(refused)?;
                    router.add(filter, options, link, &shard.common.wanted, shard.index);
                    let wants_retained = match options.retain_handling {
                        0 => true,
                        1 => is_new,
                        _ => false,
                    };
                    if wants_retained && !topic::is_shared(filter) {
                        replays.retain(|replay| *replay.filter != *filter);
                        replays.push_back(Replay { filter: filter.into(), options, after: None });
                    }
                    Ok(())
                };
                server.subscribe(&subscribe, judge, out);
            }
            Event::Unsubscribe(unsubscribe) => {
                let State { server, out, replays, .. } = &mut *link.state.borrow_mut();
                let mut router = shard.router.borrow_mut();
                let gone = |filter: &str| {
                    replays.retain(|replay| *replay.filter != *filter);
                    router.remove(filter, link.id, &shard.common.wanted, shard.index);
                };
                server.unsubscribe(&unsubscribe, gone, out);
            }
            Event::Refused(_) => shard.counts.messages_refused.add(1),
            Event::Repeated => shard.unsettled(link),
            Event::Closed(closed) => {
                link.state.borrow_mut().ended.get_or_insert(closed);
            }
            Event::Nothing | Event::Acknowledged | Event::Publish(_) | Event::Aliased(_) => {}
        }
    }

    /// Tells the client that it is not let in, now or when the time has come.
    fn turn_away(&mut self, away: TurnedAway, now: Timestamp) {
        let mut guard = self.link.state.borrow_mut();
        let state = &mut *guard;
        state.late = (away.at > now).then_some(away.at);
        if state.late.is_none() {
            let TurnedAway { code, fault, why, reason, .. } = away;
            let closed = state.server.refuse(code, why, fault, Some(&reason), &mut state.out);
            state.ended = Some(closed);
            return;
        }
        drop(guard);
        self.late = Some(Box::new(away));
        self.shard.arm(&self.link);
    }

    fn admit(&mut self, connect: &Connect<'_>, now: Timestamp) -> Result<(), TurnedAway> {
        let shard = &self.shard;
        let client_id = connect.client_id;
        // INVARIANT: a machine lets one CONNECT through.
        let Some(caller) = self.caller.take() else { return Ok(()) };
        let wall = shard.clock.wall(now);
        let peer = prove(&caller, connect, (now, wall))?;
        let revision = shard.gate.revision();
        let admitted = shard.gate.admit(peer, wall);
        let admitted = admitted.map_err(|refusal| TurnedAway::refused(refusal, now))?;
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
        shard.connect(&self.link, key, now);
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
            let dropped = state.server.send(now, OUT_BYTES_SOFT, &mut state.out);
            if dropped > 0 {
                shard.counts.dropped_too_large_or_expired.add(dropped as u64);
            }
            let bytes = state.out.get(state.written..).unwrap_or_default();
            if bytes.is_empty() {
                if state.replays.is_empty() || pages == REPLAYS_A_TURN_MAX {
                    break;
                }
                continue;
            }
            let Poll::Ready(result) = Pin::new(&mut self.stream).poll_write(context, bytes) else {
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
            state.blocked_since = None;
            state.written += taken;
            if state.written == state.out.len() {
                state.out.clear();
                state.written = 0;
            }
        }
        if state.wants_replay() {
            // There is more; the others come first.
            context.waker().wake_by_ref();
        }
        if state.out.capacity() > 0 {
            shard.give_back(std::mem::take(&mut state.out));
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

impl<G: Gate, S: AsyncRead + AsyncWrite + Unpin> Future for Connection<G, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let now = this.shard.clock.even();
        this.link.state.borrow_mut().begin_turn(context.waker());
        if this.phase == Phase::Open {
            this.tend(now);
            let is_held_back = this.read(context, now);
            this.shard.post_outgoing();
            if this.link.state.borrow().ended.is_none() {
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
            return this.finish(context, now);
        }
        Poll::Pending
    }
}

impl<G: Gate, S> Drop for Connection<G, S> {
    /// The shard stopped before the connection did.
    fn drop(&mut self) {
        self.link.state.borrow_mut().forget_task();
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
