use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

use hedgerow_base::{Fault, TenantId, Timestamp};
use hedgerow_policy::Peer;
use hedgerow_wire::{
    Durability, Gate, Message, Outcome, Published, Refusal, SessionChange, StoredSessions, Ticket,
    Verdict,
};

/// A gate whose journal and standing the test moves by hand. Topics that begin with `denied/`, `full/`
/// and `later/` are refused, refused for now, and pending; `cut/` may not be subscribed once narrowed.
#[derive(Clone, Default)]
pub(crate) struct TestGate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    revision: AtomicU64,
    forgets_programs: AtomicBool,
    judged: AtomicU64,
    next_ticket: AtomicU64,
    stored: AtomicU64,
    failing: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
    log: Mutex<Vec<String>>,
    verdict: Mutex<Option<Verdict>>,
    refusal: Mutex<Option<Refusal>>,
    disk: Mutex<Disk>,
}

/// Where sessions are kept: what was committed, and what waits for it.
#[derive(Default)]
struct Disk {
    keeps: bool,
    holds_back: bool,
    is_full: bool,
    kept: StoredSessions,
    waiting: Vec<(u64, SessionChange)>,
    last: u64,
    decided: u64,
}

impl Disk {
    /// What one call handed over.
    fn commit_one(&mut self) {
        let Some((first, _)) = self.waiting.first() else { return };
        self.decided = *first;
        let end = self.waiting.partition_point(|(ticket, _)| *ticket <= self.decided);
        for (_, change) in self.waiting.drain(..end) {
            self.kept.apply(&change);
        }
    }

    fn commit(&mut self) {
        for (_, change) in self.waiting.drain(..) {
            self.kept.apply(&change);
        }
        self.decided = self.last;
    }
}

#[derive(Default)]
pub(crate) struct Session {
    narrowed: bool,
}

pub(crate) fn refusal(fault: Fault) -> Refusal {
    Refusal { fault, reason: "the test says no".into(), word: "test" }
}

impl TestGate {
    /// Stores everything handed in so far.
    pub(crate) fn commit(&self) {
        self.0.stored.store(self.0.next_ticket.load(Ordering::SeqCst), Ordering::SeqCst);
        self.wake();
    }

    /// Lets everything handed in so far be lost.
    pub(crate) fn fail(&self) {
        self.0.failing.store(self.0.next_ticket.load(Ordering::SeqCst), Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        self.0.wakers.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    /// A gate that keeps sessions.
    pub(crate) fn keeping() -> Self {
        let gate = Self::default();
        gate.0.disk.lock().unwrap().keeps = true;
        gate
    }

    /// A gate with what a power cut at this moment leaves on the disk of this one.
    pub(crate) fn after_power_cut(&self) -> Self {
        let gate = Self::keeping();
        gate.0.disk.lock().unwrap().kept = self.disk();
        gate
    }

    /// From now on nothing of sessions is committed but by [`Self::commit_sessions`].
    pub(crate) fn hold_sessions_back(&self) {
        self.0.disk.lock().unwrap().holds_back = true;
    }

    /// Whether changes of sessions wait to be committed.
    pub(crate) fn is_holding(&self) -> bool {
        !self.0.disk.lock().unwrap().waiting.is_empty()
    }

    /// Only what waits the longest, as if the power were cut right after it.
    pub(crate) fn commit_one_of_sessions(&self) {
        self.0.disk.lock().unwrap().commit_one();
        self.0.wakers.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    pub(crate) fn commit_sessions(&self) {
        self.0.disk.lock().unwrap().commit();
        self.wake();
    }

    /// From now on changes of sessions are refused.
    pub(crate) fn fill_the_disk(&self) {
        self.0.disk.lock().unwrap().is_full = true;
    }

    /// Puts something on the disk by hand.
    pub(crate) fn put(&self, change: &SessionChange) {
        self.0.disk.lock().unwrap().kept.apply(change);
    }

    /// What a power cut at this moment leaves.
    pub(crate) fn disk(&self) -> StoredSessions {
        self.0.disk.lock().unwrap().kept.clone()
    }

    /// Messages that were handed to the journal.
    pub(crate) fn pending(&self) -> u64 {
        self.0.next_ticket.load(Ordering::SeqCst)
    }

    pub(crate) fn judge_again(&self, verdict: Verdict) {
        *self.0.verdict.lock().unwrap() = Some(verdict);
        self.0.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// Tokens work no more.
    pub(crate) fn forget_programs(&self) {
        self.0.forgets_programs.store(true, Ordering::SeqCst);
        self.0.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// Judgements of open sessions.
    pub(crate) fn judged(&self) -> u64 {
        self.0.judged.load(Ordering::SeqCst)
    }

    pub(crate) fn refuse_everybody(&self, refusal: Refusal) {
        *self.0.refusal.lock().unwrap() = Some(refusal);
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.0.log.lock().unwrap().clone()
    }
}

impl Gate for TestGate {
    type Admitted = Session;

    fn admit(&self, _: Peer, _: Timestamp) -> Result<Session, Refusal> {
        match self.0.refusal.lock().unwrap().clone() {
            Some(refusal) => Err(refusal),
            None => Ok(Session::default()),
        }
    }

    fn proof_of(&self, _: &Session) -> Option<Box<[u8]>> {
        Some(b"proof".as_slice().into())
    }

    fn admit_again(&self, proof: &[u8], _: Timestamp) -> Option<Session> {
        assert_eq!(proof, b"proof");
        self.0.refusal.lock().unwrap().is_none().then(Session::default)
    }

    fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::SeqCst)
    }

    fn rejudge(&self, session: &mut Session, _: Timestamp) -> Verdict {
        let verdict = self.0.verdict.lock().unwrap().clone().unwrap_or(Verdict::Unchanged);
        session.narrowed |= verdict == Verdict::Narrowed;
        self.0.judged.fetch_add(1, Ordering::SeqCst);
        verdict
    }

    fn publish(&self, _: &Session, message: Message<'_>, _: Timestamp) -> Published {
        let outcome = match message.topic.split_once('/') {
            Some(("denied", _)) => Outcome::Refused(refusal(Fault::Denied)),
            Some(("full", _)) => Outcome::Refused(refusal(Fault::Unavailable)),
            Some(("later", _)) => {
                let ticket = self.0.next_ticket.fetch_add(1, Ordering::SeqCst);
                Outcome::Pending(Ticket(ticket))
            }
            _ => Outcome::Done,
        };
        Published { route: !matches!(outcome, Outcome::Refused(_)), outcome }
    }

    fn subscribe(&self, session: &Session, filter: &str) -> Result<(), Refusal> {
        let cut = session.narrowed && filter.starts_with("cut/");
        if cut || filter.starts_with("denied/") { Err(refusal(Fault::Denied)) } else { Ok(()) }
    }

    fn knows_program(&self, _: (TenantId, i64), _: Timestamp) -> bool {
        !self.0.forgets_programs.load(Ordering::SeqCst)
    }

    fn may_receive(&self, session: &Session, topic: &str) -> bool {
        !(session.narrowed && topic.starts_with("cut/"))
    }

    fn connected(&self, _: &Session, client_id: &str, _: Timestamp) {
        self.0.log.lock().unwrap().push(format!("+{client_id}"));
    }

    fn disconnected(&self, _: &Session, client_id: &str, why: &'static str, _: Timestamp) {
        self.0.log.lock().unwrap().push(format!("-{client_id} {why}"));
    }

    fn durability(&self, ticket: Ticket) -> Durability {
        if ticket.0 < self.0.failing.load(Ordering::SeqCst) {
            Durability::Failed
        } else if ticket.0 < self.0.stored.load(Ordering::SeqCst) {
            Durability::Stored
        } else {
            Durability::Waiting
        }
    }

    fn wake_on_next(&self, waker: &Waker) {
        self.0.wakers.lock().unwrap().push(waker.clone());
    }

    fn keeps_sessions(&self) -> bool {
        self.0.disk.lock().unwrap().keeps
    }

    fn keep(&self, changes: Vec<SessionChange>) -> Result<Ticket, Refusal> {
        let disk = &mut *self.0.disk.lock().unwrap();
        if disk.is_full {
            return Err(refusal(Fault::Unavailable));
        }
        disk.last += 1;
        disk.waiting.extend(changes.into_iter().map(|change| (disk.last, change)));
        if !disk.holds_back {
            disk.commit();
        }
        Ok(Ticket(disk.last))
    }

    fn kept_up_to(&self) -> u64 {
        let disk = self.0.disk.lock().unwrap();
        if disk.keeps { disk.decided } else { u64::MAX }
    }

    fn kept(&self, ticket: Ticket) -> Durability {
        match self.0.disk.lock().unwrap().decided >= ticket.0 {
            true => Durability::Stored,
            false => Durability::Waiting,
        }
    }
}
