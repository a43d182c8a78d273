//! What the shards tell the disk about sessions, and what waits for it.
//!
//! 1. A message changes sessions: it is queued in some, retained, taken at QoS 2. The changes gather in
//!    [`Keeping`] while it is handed out, and go to the gate in one call ([`Shard::offer`]).
//! 2. Where other shards have subscribers, a [`Receipt`] goes along: they offer their part.
//! 3. The sender's answer waits for all of it: its readings, our changes, the receipt. One ticket stands
//!    for that ([`Shard::ticket_of`]); with several parts it is a number of our own.
//! 4. A message of QoS 2 from a session that is kept is all or nothing: that it was taken, and each place
//!    where it waits, in whatever shard, are one call to the gate ([`Gathered`]), after its readings are
//!    stored. A hub that forgot one of them would lose it or hand it out twice.
//! 5. When a commit rings, [`Shard::durability`] says what became of it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
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
    retained::Full,
    shard::Shard,
};

/// Marks a ticket for sessions; one without a mark is for readings.
const SESSIONS: u64 = 1 << 62;
/// Marks a number that stands for several parts.
const PARTS: u64 = 1 << 63;

/// The changes of the message that is being handed out.
pub(crate) struct Keeping<G: Gate> {
    changes: RefCell<Vec<SessionChange>>,
    twice: RefCell<Places<G>>,
    /// The message in bytes, once it was needed.
    body: RefCell<Option<Arc<[u8]>>>,
    parts: RefCell<HashMap<u64, Parts<G>>>,
    last: Cell<u64>,
    /// Parts that are not handed over, in the order of their messages.
    gathered: RefCell<Vec<u64>>,
    /// Messages of other shards that wait here for a ticket that their shard has not told.
    held: RefCell<Vec<(Arc<Receipt>, Places<G>)>>,
    /// Places whose ticket is known, and which.
    told: RefCell<Vec<(Places<G>, u64)>>,
}

/// Sessions in which a message of QoS 2 waits for its ticket, and its order number there.
type Places<G> = Vec<(Rc<Link<G>>, u64)>;

impl<G: Gate> Default for Keeping<G> {
    fn default() -> Self {
        Self {
            changes: RefCell::default(),
            twice: RefCell::default(),
            body: RefCell::default(),
            parts: RefCell::default(),
            last: Cell::new(0),
            gathered: RefCell::default(),
            held: RefCell::default(),
            told: RefCell::default(),
        }
    }
}

/// What one answer waits for.
struct Parts<G: Gate> {
    readings: Option<Ticket>,
    sessions: Option<Ticket>,
    elsewhere: Option<Arc<Receipt>>,
    /// Until it is handed over.
    gathered: Option<Gathered<G>>,
    is_refused: bool,
    since: Timestamp,
}

/// All that a message of QoS 2 changes here, to be handed over with what it changes in other shards.
pub(crate) struct Gathered<G: Gate> {
    /// The session that took it, and as which.
    take: (u64, PacketId),
    changes: Vec<SessionChange>,
    places: Places<G>,
}

/// What a message made of sessions, as far as it is handed over.
pub(crate) struct Offered<G: Gate> {
    /// Our part of it.
    pub(crate) sessions: Option<Ticket>,
    /// That of other shards.
    pub(crate) elsewhere: Option<Arc<Receipt>>,
    /// What waits for the others.
    pub(crate) gathered: Option<Gathered<G>>,
}

/// What other shards make of a message.
pub(crate) struct Receipt {
    /// Where somebody waits for it.
    origin: usize,
    /// Shards that have not looked at it.
    waiting: AtomicUsize,
    /// The last ticket of their changes; 0 is none.
    ticket: AtomicU64,
    is_refused: AtomicBool,
    /// Where they put their changes, to be handed over by the shard where the message came from.
    gathers: Option<Mutex<Vec<SessionChange>>>,
}

impl Receipt {
    pub(crate) fn new(origin: usize, shards: usize, gathers: bool) -> Arc<Self> {
        let (waiting, ticket) = (AtomicUsize::new(shards), AtomicU64::new(0));
        let gathers = gathers.then(Mutex::default);
        Arc::new(Self { origin, waiting, ticket, is_refused: AtomicBool::new(false), gathers })
    }

    /// Whether the changes are handed over by the shard where the message came from.
    pub(crate) const fn gathers(&self) -> bool {
        self.gathers.is_some()
    }

    fn gathered(&self) -> Vec<SessionChange> {
        let Some(gathers) = &self.gathers else { return Vec::new() };
        std::mem::take(&mut *gathers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another shard gets the message.
    pub(crate) fn one_more(self: &Arc<Self>) -> Arc<Self> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Arc::clone(self)
    }

    /// Whether every other shard has looked at it.
    fn is_given(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
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
        offered: Offered<G>,
        now: Timestamp,
    ) -> Option<u64> {
        let Offered { sessions, elsewhere, gathered } = offered;
        match (readings, sessions, elsewhere, gathered) {
            (None, None, None, None) => None,
            (Some(readings), None, None, None) => Some(readings.0),
            (None, Some(sessions), None, None) => Some(sessions.0 | SESSIONS),
            (readings, sessions, elsewhere, gathered) => {
                let number = self.keeping.last.get() + 1;
                self.keeping.last.set(number);
                let is_refused = false;
                if gathered.is_some() {
                    self.keeping.gathered.borrow_mut().push(number | PARTS);
                }
                let since = now;
                let parts = Parts { readings, sessions, elsewhere, gathered, is_refused, since };
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
        let parts = self.keeping.parts.borrow();
        parts.get(&ticket).map_or(Durability::Stored, |parts| self.state_of(parts))
    }

    /// Takes what the message that is being handed out changed here, to be handed over later.
    pub(crate) fn gather(&self, take: (u64, PacketId)) -> Gathered<G> {
        self.next_body();
        let changes = self.keeping.changes.take();
        let places = self.keeping.twice.take();
        places.iter().for_each(|(link, order)| link.wait_for(*order, Session::NOT_YET));
        Gathered { take, changes, places }
    }

    /// As [`Shard::gather`], for a message of another shard: what is there since these lengths.
    pub(crate) fn gather_for(&self, receipt: &Arc<Receipt>, (changes, places): (usize, usize)) {
        let Some(gathers) = &receipt.gathers else { return };
        let changes = self.keeping.changes.borrow_mut().split_off(changes);
        let places = self.keeping.twice.borrow_mut().split_off(places);
        gathers.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
        places.iter().for_each(|(link, order)| link.wait_for(*order, Session::NOT_YET));
        if !places.is_empty() {
            self.keeping.held.borrow_mut().push((Arc::clone(receipt), places));
        }
    }

    /// How much waits to be handed over.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.keeping.changes.borrow().len(), self.keeping.twice.borrow().len())
    }

    /// Hands over what is ready for it, and tells places their ticket.
    pub(crate) fn hand_over_and_tell(&self) {
        self.hand_over_gathered();
        self.tell_tickets();
    }

    fn hand_over_gathered(&self) {
        let mut parts = self.keeping.parts.borrow_mut();
        self.keeping.gathered.borrow_mut().retain(|number| {
            parts.get_mut(number).is_some_and(|parts| {
                self.hand_over(parts);
                parts.gathered.is_some()
            })
        });
    }

    /// Hands over what was gathered of a message, here and in other shards, once its readings are decided
    /// and the others have looked at it. Without its readings it was not taken: it may come again.
    fn hand_over(&self, parts: &mut Parts<G>) {
        let readings = parts.readings.map(|ticket| self.gate.durability(ticket));
        let others_are_done = parts.elsewhere.as_ref().is_none_or(|receipt| receipt.is_given());
        if readings == Some(Durability::Waiting) || !others_are_done {
            return;
        }
        let Some(Gathered { take, mut changes, places }) = parts.gathered.take() else { return };
        changes.extend(parts.elsewhere.iter().flat_map(|receipt| receipt.gathered()));
        if readings != Some(Durability::Failed) {
            let (session, packet) = take;
            changes.push(SessionChange::Take { session, packet: packet.get() });
        }
        let ticket = self.gate.keep(changes).unwrap_or_else(|_| {
            self.counts.not_kept.add(1);
            parts.is_refused = true;
            // Long stored: what waits for it is sent, as far as this hub lives.
            Ticket(1)
        });
        parts.sessions = Some(ticket);
        self.keeping.told.borrow_mut().push((places, ticket.0));
        if let Some(receipt) = &parts.elsewhere {
            receipt.ticket.fetch_max(ticket.0, Ordering::AcqRel);
            for shard in (0..self.common.mailboxes.len()).filter(|shard| *shard != self.index) {
                self.post(shard, Letter::Look);
            }
        }
    }

    /// Tells places their ticket, where it is known by now.
    fn tell_tickets(&self) {
        self.keeping.held.borrow_mut().retain_mut(|(receipt, places)| {
            match receipt.ticket.load(Ordering::Acquire) {
                0 => true,
                ticket => {
                    let places = std::mem::take(places);
                    self.keeping.told.borrow_mut().push((places, ticket));
                    false
                }
            }
        });
        for (places, ticket) in self.keeping.told.take() {
            for (link, order) in places {
                let link = link.heir();
                link.wait_for(order, ticket);
                self.unsettled(&link);
            }
        }
    }

    fn state_of(&self, parts: &Parts<G>) -> Durability {
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
        } else if has(Durability::Waiting) || parts.gathered.is_some() {
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
        drop(parts);
        if !self.keeping.gathered.borrow().is_empty() {
            self.look();
        }
    }

    /// Our part of these messages of another shard is handed over.
    pub(crate) fn give_receipts(&self, receipts: &[Arc<Receipt>]) {
        let offered = self.offer();
        for receipt in receipts {
            match &offered {
                _ if receipt.gathers() => {}
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
        let kept = self.common.retained.keep(message, now);
        if kept.is_err() {
            self.counts.not_retained.add(1);
        }
        if !self.gate.keeps_sessions() {
            return;
        }
        let topic = message.topic.into();
        match kept {
            Ok(()) if !message.payload.is_empty() => {
                let message = retained_bytes(message, now).into();
                self.change(SessionChange::Retain { topic, message });
            }
            Ok(()) | Err(Full { is_old_gone: true }) => {
                self.change(SessionChange::Unretain { topic });
            }
            Err(Full { is_old_gone: false }) => {}
        }
    }

    /// A message of QoS 2 was taken from the client of a session that is kept, and all that it changes is
    /// here: it is handed over with this.
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
