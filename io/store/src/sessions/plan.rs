//! What a commit writes: changes one after the other, and of those only what is left in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hedgerow_base::Timestamp;
use hedgerow_plane::{SessionChange, SessionNumber};

use super::pending::Weight;

/// Changes put together.
///
/// A message that was queued and done in the same plan leaves nothing: its place is never used twice, so
/// it can't be on disk. Filters and packet identifiers are, so their end is written even when their
/// beginning is in the same plan: it finds nothing, which writes nothing.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) sessions: BTreeMap<SessionNumber, SessionPlan>,
    /// Topics with their message, or that they have none.
    pub(super) retained: BTreeMap<Arc<str>, Option<Arc<[u8]>>>,
    was_tried: bool,
}

/// What becomes of one session.
#[derive(Debug, Default)]
pub(super) struct SessionPlan {
    /// Whether everything that is on disk goes first.
    pub(super) has_ended: bool,
    pub(super) record: Record,
    /// Its will, or that it has none.
    pub(super) will: Option<Option<Arc<[u8]>>>,
    /// Filters with their options, or that they are gone.
    pub(super) subscriptions: BTreeMap<Arc<str>, Option<Box<[u8]>>>,
    pub(super) queue: BTreeMap<u64, Waits>,
    /// Whether the packet identifier is taken.
    pub(super) taken: BTreeMap<u16, bool>,
}

/// What becomes of the session's own row.
#[derive(Debug, Default)]
pub(super) enum Record {
    #[default]
    Unchanged,
    Written(Opened),
    Away(Timestamp),
}

#[derive(Debug)]
pub(super) struct Opened {
    pub(super) owner: Arc<[u8]>,
    pub(super) client_id: Arc<str>,
    pub(super) expiry_s: u32,
    pub(super) until: Option<Timestamp>,
}

/// What becomes of a place among the session's messages.
#[derive(Debug)]
pub(super) enum Waits {
    /// It is new: how the message goes to the client, and the message unless it is released already.
    New(Box<[u8]>, Option<Arc<[u8]>>),
    /// What is on disk loses its message.
    Released,
    /// What is on disk goes.
    Done,
}

impl Plan {
    /// Adds a change to those before it.
    pub(super) fn absorb(&mut self, change: SessionChange) {
        use SessionChange as Change;
        match change {
            Change::Open { session, owner, client_id, expiry_s } => {
                let opened = Opened { owner, client_id, expiry_s, until: None };
                self.session(session).record = Record::Written(opened);
            }
            Change::Away { session, until } => self.session(session).record.leave(until),
            Change::Will { session, will } => self.session(session).will = Some(will),
            Change::End { session } => {
                let over = SessionPlan { has_ended: true, ..SessionPlan::default() };
                self.sessions.insert(session, over);
            }
            Change::Subscribe { session, filter, options } => {
                self.session(session).subscriptions.insert(filter, Some(options));
            }
            Change::Unsubscribe { session, filter } => {
                self.session(session).subscriptions.insert(filter, None);
            }
            Change::Queue { session, order, options, message } => {
                let new = Waits::New(options, Some(message));
                self.session(session).queue.insert(order, new);
            }
            Change::Release { session, order } => self.release(session, order),
            Change::Done { session, order } => self.done(session, order),
            Change::Take { session, packet } => {
                self.session(session).taken.insert(packet, true);
            }
            Change::Forget { session, packet } => {
                self.session(session).taken.insert(packet, false);
            }
            Change::Retain { topic, message } => {
                self.retained.insert(topic, Some(message));
            }
            Change::Unretain { topic } => {
                self.retained.insert(topic, None);
            }
        }
    }

    fn session(&mut self, session: SessionNumber) -> &mut SessionPlan {
        self.sessions.entry(session).or_default()
    }

    fn release(&mut self, session: SessionNumber, order: u64) {
        let place = self.session(session).queue.entry(order).or_insert(Waits::Released);
        if let Waits::New(_, message) = place {
            *message = None;
        }
    }

    fn done(&mut self, session: SessionNumber, order: u64) {
        let was_tried = self.was_tried;
        let queue = &mut self.session(session).queue;
        let before = queue.remove(&order);
        if was_tried || !matches!(before, Some(Waits::New(..))) {
            queue.insert(order, Waits::Done);
        }
    }

    /// Told after a failure. What failed can still be on disk: a commit that could not be synced, say. So
    /// from now on the end of a message is written even when its beginning is in this plan.
    pub(super) const fn set_tried(&mut self) {
        self.was_tried = true;
    }

    /// Whether it was tried before.
    pub(super) const fn was_tried(&self) -> bool {
        self.was_tried
    }

    /// How much memory it takes.
    pub(super) fn weight(&self) -> Weight {
        let (mut weight, mut seen) = (Weight::default(), BTreeSet::new());
        for session in self.sessions.values() {
            weight.add(session.record.bytes());
            if let Some(will) = &session.will {
                weight.add(will.as_ref().map_or(0, |will| will.len()));
            }
            for (filter, options) in &session.subscriptions {
                weight.add(filter.len() + options.as_ref().map_or(0, |options| options.len()));
            }
            for place in session.queue.values() {
                weight.add(place.bytes(&mut seen));
            }
            weight.changes += session.taken.len();
        }
        for (topic, message) in &self.retained {
            weight.add(topic.len() + message.as_ref().map_or(0, |message| message.len()));
        }
        weight
    }
}

impl Record {
    fn leave(&mut self, until: Timestamp) {
        match self {
            Self::Written(opened) => opened.until = Some(until),
            Self::Unchanged | Self::Away(_) => *self = Self::Away(until),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Written(opened) => opened.owner.len() + opened.client_id.len(),
            Self::Unchanged | Self::Away(_) => 0,
        }
    }
}

impl Waits {
    /// A message counts where it is seen first.
    fn bytes(&self, seen: &mut BTreeSet<*const u8>) -> usize {
        match self {
            Self::New(options, Some(message)) if seen.insert(message.as_ptr()) => {
                options.len() + message.len()
            }
            Self::New(options, _) => options.len(),
            Self::Released | Self::Done => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_weighs_what_is_left_and_a_shared_message_once() {
        let (mut plan, message): (_, Arc<[u8]>) = (Plan::default(), vec![0; 100].into());
        for session in [1, 2, 3] {
            let (options, message) = ([0; 8].into(), Arc::clone(&message));
            plan.absorb(SessionChange::Queue { session, order: 1, options, message });
        }
        plan.absorb(SessionChange::Retain { topic: "topic".into(), message });
        // Three sessions, three places and a topic, which is written with a message of its own.
        assert_eq!(plan.weight(), Weight { changes: 7, bytes: 100 + 3 * 8 + 5 + 100 });
        plan.absorb(SessionChange::Done { session: 1, order: 1 });
        plan.absorb(SessionChange::End { session: 2 });
        plan.absorb(SessionChange::Unretain { topic: "topic".into() });
        assert_eq!(plan.weight(), Weight { changes: 5, bytes: 100 + 8 + 5 });
    }
}
