//! What is durable: tickets, and the watermark that the journal moves.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

use crate::limits::FAILED_RUNS_MAX;

/// A place in the journal: what was offered with it is durable when the journal has got there. Tickets
/// grow, and the journal commits in their order; several messages can share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What became of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Not decided yet.
    Waiting,
    /// It is on disk, synced.
    Stored,
    /// It is not stored and never will be; the sender must send again.
    Failed,
}

/// Which tickets are stored and which failed.
#[derive(Debug, Default)]
pub struct Commits {
    decided: AtomicU64,
    has_failures: AtomicBool,
    failures: Mutex<Failures>,
    wakers: Mutex<Wakers>,
}

#[derive(Debug, Default)]
struct Failures {
    // INVARIANT: rising, and apart from each other.
    runs: VecDeque<(u64, u64)>,
    forgotten: u64,
}

/// A list of wakers, each once.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn add(&mut self, waker: &Waker) {
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    pub(crate) fn wake(list: &Mutex<Self>) {
        let wakers = core::mem::take(&mut lock(list).0);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Commits {
    /// What became of `ticket`.
    #[must_use]
    pub fn state(&self, ticket: Ticket) -> Durability {
        if ticket.0 > self.decided.load(Ordering::Acquire) {
            return Durability::Waiting;
        }
        if self.has_failures.load(Ordering::Acquire) && lock(&self.failures).contain(ticket.0) {
            return Durability::Failed;
        }
        Durability::Stored
    }

    /// The last ticket that is decided, with all before it.
    #[must_use]
    pub fn decided(&self) -> Ticket {
        Ticket(self.decided.load(Ordering::Acquire))
    }

    /// Has `waker` woken at the next decision. To be asked before [`Commits::state`] is looked at, or
    /// the decision between the two is missed.
    pub fn wake_on_next(&self, waker: &Waker) {
        lock(&self.wakers).add(waker);
    }

    /// Told by the journal: everything up to `ticket` is decided, and what did not fail is durable.
    pub fn stored_up_to(&self, ticket: Ticket) {
        self.decided.fetch_max(ticket.0, Ordering::AcqRel);
        Wakers::wake(&self.wakers);
    }

    /// Told by the journal: this ticket failed. Everything before it is decided.
    pub fn failed(&self, ticket: Ticket) {
        lock(&self.failures).add(ticket.0);
        self.has_failures.store(true, Ordering::Release);
        self.stored_up_to(ticket);
    }
}

impl Failures {
    fn contain(&self, ticket: u64) -> bool {
        let run = self.runs.partition_point(|(_, last)| *last < ticket);
        ticket <= self.forgotten || self.runs.get(run).is_some_and(|(first, _)| *first <= ticket)
    }

    fn add(&mut self, ticket: u64) {
        match self.runs.back_mut() {
            Some((_, last)) if *last + 1 >= ticket => *last = ticket.max(*last),
            _ => self.runs.push_back((ticket, ticket)),
        }
        if self.runs.len() > FAILED_RUNS_MAX
            && let Some((_, last)) = self.runs.pop_front()
        {
            self.forgotten = last;
        }
    }
}

/// A lock that a panic elsewhere does not spoil: the data behind ours are consistent at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicUsize},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_ticket_waits_until_the_journal_is_there() {
        let commits = Commits::default();
        assert_eq!(commits.state(Ticket(1)), Durability::Waiting);
        commits.stored_up_to(Ticket(2));
        assert_eq!(commits.state(Ticket(2)), Durability::Stored);
        assert_eq!(commits.state(Ticket(3)), Durability::Waiting);
    }

    #[test]
    fn a_failed_ticket_stays_failed_and_its_neighbours_do_not() {
        let commits = Commits::default();
        commits.stored_up_to(Ticket(4));
        commits.failed(Ticket(5));
        commits.failed(Ticket(6));
        commits.stored_up_to(Ticket(9));
        let states: Vec<_> = (4..=7).map(|number| commits.state(Ticket(number))).collect();
        use Durability::{Failed, Stored};
        assert_eq!(states, [Stored, Failed, Failed, Stored]);
    }

    #[test]
    fn a_forgotten_failure_is_never_called_stored() {
        let commits = Commits::default();
        for run in 0..=FAILED_RUNS_MAX as u64 {
            commits.failed(Ticket(run * 2 + 1));
            commits.stored_up_to(Ticket(run * 2 + 2));
            if run + 1 == FAILED_RUNS_MAX as u64 {
                assert_eq!(commits.state(Ticket(1)), Durability::Failed, "at the limit");
            }
        }
        assert_eq!(commits.state(Ticket(1)), Durability::Failed, "one past it");
        assert_eq!(commits.state(Ticket(4)), Durability::Stored);
    }

    #[test]
    fn a_waker_is_woken_once_at_the_next_decision() {
        let commits = Commits::default();
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        commits.wake_on_next(&waker);
        commits.wake_on_next(&waker);
        commits.stored_up_to(Ticket(1));
        commits.stored_up_to(Ticket(2));
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    }
}
