//! What waits for the next commit.

use std::sync::Arc;

use hedgerow_plane::{SessionChange, Ticket};

use super::limits::{PENDING_BYTES_MAX, PENDING_CHANGES_MAX};

/// Changes that were offered and not taken by the writer yet. All of them share the next ticket.
#[derive(Debug, Default)]
pub(super) struct Pending {
    changes: Vec<SessionChange>,
    /// What those weigh.
    waiting: Weight,
    /// What the writer could not write yet weighs.
    held: Weight,
    taken: u64,
    is_closed: bool,
}

/// How much memory changes take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) changes: usize,
    pub(super) bytes: usize,
}

/// What one commit holds.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) changes: Vec<SessionChange>,
    pub(super) ticket: Ticket,
}

impl Weight {
    pub(super) const fn plus(self, other: Self) -> Self {
        let (changes, bytes) = (self.changes + other.changes, self.bytes + other.bytes);
        Self { changes, bytes }
    }

    pub(super) const fn add(&mut self, bytes: usize) {
        *self = self.plus(Self { changes: 1, bytes });
    }

    const fn is_too_much(self) -> bool {
        self.changes > PENDING_CHANGES_MAX || self.bytes > PENDING_BYTES_MAX
    }

    fn of(changes: &[SessionChange]) -> Self {
        let (mut weight, mut last) = (Self::default(), None);
        for change in changes {
            weight.add(bytes(change, &mut last));
        }
        weight
    }
}

/// Bytes of a change; a message that is the same as the one before it counts once.
fn bytes<'c>(change: &'c SessionChange, last: &mut Option<&'c Arc<[u8]>>) -> usize {
    match change {
        SessionChange::Open { owner, client_id, .. } => owner.len() + client_id.len(),
        SessionChange::Subscribe { filter, options, .. } => filter.len() + options.len(),
        SessionChange::Unsubscribe { filter, .. } => filter.len(),
        SessionChange::Queue { options, message, .. } => {
            let before = last.replace(message);
            let is_shared = before.is_some_and(|before| Arc::ptr_eq(before, message));
            options.len() + if is_shared { 0 } else { message.len() }
        }
        SessionChange::Will { will, .. } => will.as_ref().map_or(0, |will| will.len()),
        SessionChange::Retain { topic, message } => topic.len() + message.len(),
        SessionChange::Unretain { topic } => topic.len(),
        SessionChange::Away { .. }
        | SessionChange::End { .. }
        | SessionChange::Release { .. }
        | SessionChange::Done { .. }
        | SessionChange::Take { .. }
        | SessionChange::Forget { .. } => 0,
    }
}

impl Pending {
    /// Takes the changes; tells the ticket, and whether nothing waited before.
    pub(super) fn offer(
        &mut self,
        changes: Vec<SessionChange>,
    ) -> Result<(Ticket, bool), &'static str> {
        if self.is_closed {
            return Err("the hub is stopping; send again in a moment");
        }
        if changes.is_empty() && self.is_empty() {
            // There is nothing to commit: what came before decides.
            return Ok((Ticket(self.taken), false));
        }
        let waiting = self.waiting.plus(Weight::of(&changes));
        if waiting.plus(self.held).is_too_much() {
            return Err("the hub's disk is full or too slow; send again later");
        }
        let was_empty = self.is_empty();
        self.waiting = waiting;
        if was_empty {
            self.changes = changes;
        } else {
            self.changes.extend(changes);
        }
        Ok((Ticket(self.taken + 1), was_empty))
    }

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes wait, those that the writer holds included.
    pub(super) const fn len(&self) -> usize {
        self.waiting.changes + self.held.changes
    }

    /// Everything that waits.
    pub(super) fn take(&mut self) -> Option<Group> {
        if self.is_empty() {
            return None;
        }
        self.taken += 1;
        self.waiting = Weight::default();
        Some(Group { changes: core::mem::take(&mut self.changes), ticket: Ticket(self.taken) })
    }

    /// Told by the writer: what it could not write yet weighs this much.
    pub(super) const fn hold(&mut self, held: Weight) {
        self.held = held;
    }

    /// Refuses what is offered from now on.
    pub(super) const fn close(&mut self) {
        self.is_closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(count: usize) -> Vec<SessionChange> {
        vec![SessionChange::Done { session: 1, order: 1 }; count]
    }

    fn queue(session: u64, message: &Arc<[u8]>) -> SessionChange {
        let options = Box::default();
        SessionChange::Queue { session, order: 1, options, message: Arc::clone(message) }
    }

    #[test]
    fn what_is_offered_together_shares_a_ticket() {
        let mut pending = Pending::default();
        assert_eq!(pending.offer(Vec::new()), Ok((Ticket(0), false)), "nothing needs no commit");
        assert_eq!(pending.offer(done(1)), Ok((Ticket(1), true)));
        assert_eq!(pending.offer(done(2)), Ok((Ticket(1), false)));
        assert_eq!(pending.offer(Vec::new()), Ok((Ticket(1), false)));
        let group = pending.take().unwrap();
        assert_eq!((group.ticket, group.changes), (Ticket(1), done(3)));
        assert!(pending.take().is_none());
        assert_eq!(pending.offer(Vec::new()), Ok((Ticket(1), false)));
        assert_eq!(pending.offer(done(1)), Ok((Ticket(2), true)));
    }

    #[test]
    fn changes_past_the_limit_are_refused_until_some_were_taken() {
        let mut pending = Pending::default();
        assert!(pending.offer(done(PENDING_CHANGES_MAX)).is_ok());
        assert!(pending.offer(done(1)).is_err());
        assert_eq!(pending.len(), PENDING_CHANGES_MAX);
        pending.take();
        assert!(pending.offer(done(1)).is_ok());
        pending.close();
        assert!(pending.offer(done(1)).is_err());
    }

    #[test]
    fn bytes_past_the_limit_are_refused_and_a_shared_message_counts_once() {
        let mut pending = Pending::default();
        let message: Arc<[u8]> = vec![0; PENDING_BYTES_MAX].into();
        assert!(pending.offer(vec![queue(1, &message), queue(2, &message)]).is_ok());
        assert!(pending.offer(vec![queue(3, &[1].into())]).is_err());
        assert!(pending.offer(done(1)).is_ok(), "it has no bytes");
        pending.take();
        assert!(pending.offer(vec![queue(3, &[1].into())]).is_ok());
    }

    #[test]
    fn what_the_writer_holds_counts() {
        let mut pending = Pending::default();
        pending.hold(Weight { changes: PENDING_CHANGES_MAX - 1, bytes: PENDING_BYTES_MAX - 1 });
        assert!(pending.offer(done(2)).is_err());
        assert!(pending.offer(vec![queue(1, &[1, 2].into())]).is_err());
        assert!(pending.offer(vec![queue(1, &[1].into())]).is_ok());
        assert!(pending.offer(done(1)).is_err());
        pending.hold(Weight::default());
        assert!(pending.offer(done(1)).is_ok());
    }
}
