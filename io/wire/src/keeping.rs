//! What the shards tell the disk about sessions, and what waits for it.
//!
//! 1. A message changes sessions: it is queued in some, retained, taken at QoS 2. The changes gather in
//!    [`Keeping`] while it is handed out, and go to the gate in one call ([`Shard::offer`]).
//! 2. Where other shards have subscribers, a [`Receipt`] goes along: they offer their part.
//! 3. The sender's answer waits for all of it: its readings, our changes, the receipt. One ticket stands
//!    for that ([`Shard::ticket_of`]); with several parts it is a number of our own. That a message of QoS 2
//!    was taken is told last, once the other parts can't be lost any more: a hub that remembers it does not
//!    hand it out again.
//! 4. When a commit rings, [`Shard::durability`] says what became of it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{DeliveryOptions, Kept, PacketId, Publish, QoS, Session};

use crate::{
    gate::{Durability, Gate, Refusal, SessionChange, Ticket},
    limits::FAILED_PARTS_MS,
    link::Link,
    mail::Letter,
    shard::Shard,
};

/// Marks a ticket for sessions; one without a mark is for readings.
const SESSIONS: u64 = 1 << 62;
/// Marks a number that stands for several parts.
const PARTS: u64 = 1 << 63;

/// The changes of the message that is being handed out.
pub(crate) struct Keeping<G: Gate> {
    changes: RefCell<Vec<SessionChange>>,
    /// Sessions in which a message of QoS 2 waits for the ticket, and its order number.
    twice: RefCell<Vec<(Rc<Link<G>>, u64)>>,
    /// The message in bytes, once it was needed.
    body: RefCell<Option<Arc<[u8]>>>,
    parts: RefCell<HashMap<u64, Parts>>,
    last: Cell<u64>,
}

impl<G: Gate> Default for Keeping<G> {
    fn default() -> Self {
        Self {
            changes: RefCell::default(),
            twice: RefCell::default(),
            body: RefCell::default(),
            parts: RefCell::default(),
            last: Cell::new(0),
        }
    }
}

/// What one answer waits for.
#[derive(Debug)]
struct Parts {
    readings: Option<Ticket>,
    sessions: Option<Ticket>,
    elsewhere: Option<Arc<Receipt>>,
    /// The session that took a message of QoS 2, and which; until that is told.
    take: Option<(u64, PacketId)>,
    is_refused: bool,
    since: Timestamp,
}

/// What a message made of sessions, as far as it is handed over.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    /// Our part of it.
    pub(crate) sessions: Option<Ticket>,
    /// That of other shards.
    pub(crate) elsewhere: Option<Arc<Receipt>>,
    /// The session that took it at QoS 2, where that is to be told after all else.
    pub(crate) take: Option<(u64, PacketId)>,
}

/// What other shards make of a message.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// Where somebody waits for it.
    origin: usize,
    /// Shards that have not looked at it.
    waiting: AtomicUsize,
    /// The last ticket of their changes; 0 is none.
    ticket: AtomicU64,
    is_refused: AtomicBool,
}

impl Receipt {
    pub(crate) fn new(origin: usize, shards: usize) -> Arc<Self> {
        let (waiting, ticket) = (AtomicUsize::new(shards), AtomicU64::new(0));
        Arc::new(Self { origin, waiting, ticket, is_refused: AtomicBool::new(false) })
    }

    /// Another shard gets the message.
    pub(crate) fn one_more(self: &Arc<Self>) -> Arc<Self> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Arc::clone(self)
    }

    /// Whether every other shard has handed its changes over.
    fn is_given(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0 && !self.is_refused.load(Ordering::Acquire)
    }

    fn state(&self, kept: impl FnOnce(Ticket) -> Durability) -> Durability {
        if self.waiting.load(Ordering::Acquire) > 0 {
            return Durability::Waiting;
        }
        if self.is_refused.load(Ordering::Acquire) {
            return Durability::Failed;
        }
        match self.ticket.load(Ordering::Acquire) {
            0 => Durability::Stored,
            ticket => kept(Ticket(ticket)),
        }
    }
}

impl<G: Gate> Shard<G> {
    /// A message that was put into a session which is kept: of QoS 1 or 2, at this place.
    pub(crate) fn queued(
        &self,
        link: &Rc<Link<G>>,
        session: u64,
        order: u64,
        message: &Kept,
        options: &DeliveryOptions,
    ) {
        let keeping = &self.keeping;
        let mut body = keeping.body.borrow_mut();
        let message = Arc::clone(body.get_or_insert_with(|| message.to_bytes().into()));
        let options_bytes = options.to_bytes().into();
        keeping.changes.borrow_mut().push(SessionChange::Queue {
            session,
            order,
            options: options_bytes,
            message,
        });
        if options.qos == QoS::ExactlyOnce {
            keeping.twice.borrow_mut().push((Rc::clone(link), order));
        }
    }

    /// The next message is another one.
    pub(crate) fn next_body(&self) {
        self.keeping.body.replace(None);
    }

    pub(crate) fn change(&self, change: SessionChange) {
        self.keeping.changes.borrow_mut().push(change);
    }

    /// Hands over what changed since the last call; none when nothing did.
    ///
    /// # Errors
    /// The gate's refusal; memory is ahead of the disk then, and the sender must be told.
    pub(crate) fn offer(&self) -> Result<Option<Ticket>, Refusal> {
        self.next_body();
        let mut changes = self.keeping.changes.borrow_mut();
        if changes.is_empty() {
            return Ok(None);
        }
        let offered = self.gate.keep(std::mem::take(&mut *changes));
        drop(changes);
        let twice = std::mem::take(&mut *self.keeping.twice.borrow_mut());
        if offered.is_err() {
            self.counts.not_kept.add(1);
        }
        let ticket = offered?;
        for (link, order) in twice {
            link.wait_for(order, ticket.0);
        }
        Ok(Some(ticket))
    }

    /// As [`Shard::offer`], where nobody can be told. What is refused is counted.
    pub(crate) fn offer_silently(&self) {
        let _ = self.offer();
    }

    /// One ticket for all that an answer waits for; none when that is nothing.
    pub(crate) fn ticket_of(
        &self,
        readings: Option<Ticket>,
        offered: Offered,
        now: Timestamp,
    ) -> Option<u64> {
        let Offered { sessions, elsewhere, take } = offered;
        match (readings, sessions, elsewhere, take) {
            (None, None, None, None) => None,
            (Some(readings), None, None, None) => Some(readings.0),
            (None, Some(sessions), None, None) => Some(sessions.0 | SESSIONS),
            (readings, sessions, elsewhere, take) => {
                let number = self.keeping.last.get() + 1;
                self.keeping.last.set(number);
                let is_refused = false;
                let parts = Parts { readings, sessions, elsewhere, take, is_refused, since: now };
                self.keeping.parts.borrow_mut().insert(number | PARTS, parts);
                Some(number | PARTS)
            }
        }
    }

    /// A ticket for changes of sessions alone.
    pub(crate) const fn session_ticket(ticket: Ticket) -> u64 {
        ticket.0 | SESSIONS
    }

    /// What became of a ticket that [`Shard::ticket_of`] gave.
    pub(crate) fn durability(&self, ticket: u64) -> Durability {
        if ticket & PARTS == 0 {
            return match ticket & SESSIONS {
                0 => self.gate.durability(Ticket(ticket)),
                _ => self.gate.kept(Ticket(ticket & !SESSIONS)),
            };
        }
        // What is not known any more was stored.
        let mut parts = self.keeping.parts.borrow_mut();
        parts.get_mut(&ticket).map_or(Durability::Stored, |parts| self.state_of(parts))
    }

    /// Tells that the message was taken, when its readings are stored and its changes, ours and those of
    /// other shards, are handed over: the disk takes them in this order.
    fn tell_taken(&self, parts: &mut Parts) {
        let Some((session, packet)) = parts.take else { return };
        let is_stored = |ticket| self.gate.durability(ticket) == Durability::Stored;
        if !parts.readings.is_none_or(is_stored)
            || !parts.elsewhere.as_ref().is_none_or(|receipt| receipt.is_given())
        {
            return;
        }
        parts.take = None;
        let change = SessionChange::Take { session, packet: packet.get() };
        match self.gate.keep(vec![change]) {
            Ok(ticket) => parts.sessions = Some(ticket),
            Err(_) => {
                self.counts.not_kept.add(1);
                parts.is_refused = true;
            }
        }
    }

    fn state_of(&self, parts: &mut Parts) -> Durability {
        self.tell_taken(parts);
        if parts.is_refused {
            return Durability::Failed;
        }
        let states = [
            parts.readings.map(|ticket| self.gate.durability(ticket)),
            parts.sessions.map(|ticket| self.gate.kept(ticket)),
            parts.elsewhere.as_ref().map(|receipt| receipt.state(|ticket| self.gate.kept(ticket))),
        ];
        let has = |state| states.iter().flatten().any(|one| *one == state);
        if has(Durability::Failed) {
            Durability::Failed
        } else if has(Durability::Waiting) || parts.take.is_some() {
            Durability::Waiting
        } else {
            Durability::Stored
        }
    }

    /// Forgets parts that were stored, and after a while those that failed.
    pub(crate) fn sweep_parts(&self, now: Timestamp) {
        let mut parts = self.keeping.parts.borrow_mut();
        parts.retain(|_, parts| match self.state_of(parts) {
            Durability::Stored => false,
            Durability::Waiting => true,
            Durability::Failed => now.since_ms(parts.since) < FAILED_PARTS_MS,
        });
    }

    /// Our part of these messages of another shard is handed over.
    pub(crate) fn give_receipts(&self, receipts: &[Arc<Receipt>]) {
        let offered = self.offer();
        for receipt in receipts {
            match &offered {
                Ok(Some(ticket)) => {
                    receipt.ticket.fetch_max(ticket.0, Ordering::AcqRel);
                }
                Ok(None) => {}
                Err(_) => receipt.is_refused.store(true, Ordering::Release),
            }
            if receipt.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.post(receipt.origin, Letter::Look);
            }
        }
    }

    /// Counts what made room in a session's queue, and has it leave the disk; gives its number.
    pub(crate) fn displaced(&self, session: &mut Session) -> usize {
        let displaced = session.take_displaced();
        if displaced > 0 {
            self.counts.dropped_oldest.add(displaced as u64);
            self.tell_done(session);
        }
        displaced
    }

    /// Has what a session finished leave the disk.
    pub(crate) fn tell_done(&self, session: &mut Session) {
        let Some(number) = session.kept_as() else { return };
        let done = session.take_done();
        if !done.is_empty() {
            for order in done {
                self.change(SessionChange::Done { session: number, order });
            }
            self.offer_silently();
        }
    }

    /// Retains a message, or takes away the one that is retained.
    pub(crate) fn retain(&self, message: &Publish<'_>, now: Timestamp) {
        if !message.retain {
            return;
        }
        if self.common.retained.keep(message, now).is_err() {
            return self.counts.not_retained.add(1);
        }
        if !self.gate.keeps_sessions() {
            return;
        }
        let topic = message.topic.into();
        self.change(if message.payload.is_empty() {
            SessionChange::Unretain { topic }
        } else {
            SessionChange::Retain { topic, message: retained_bytes(message, now).into() }
        });
    }

    /// A message of QoS 2 was taken from the client of a session that is kept, and all that it changes is
    /// handed over with this.
    pub(crate) fn taken(&self, (session, packet): (u64, PacketId)) {
        self.change(SessionChange::Take { session, packet: packet.get() });
    }
}

/// A retained message in bytes: its quality, then as [`Kept::to_bytes`].
fn retained_bytes(message: &Publish<'_>, now: Timestamp) -> Vec<u8> {
    let mut bytes = vec![message.qos as u8];
    bytes.extend_from_slice(&Kept::new(message, now).to_bytes());
    bytes
}
