use std::task::Waker;

use hedgerow_base::{TenantId, Timestamp};
use hedgerow_plane::{Admitted, Plane};
pub use hedgerow_plane::{
    Durability, Message, Outcome, Published, Refusal, SessionChange, StoredMessage, StoredSession,
    StoredSessions, Ticket, Verdict,
};
use hedgerow_policy::Peer;

/// What the driver asks of the data plane. Everything is answered at once from memory: no call waits.
///
/// One gate serves all shards; each holds a clone.
pub trait Gate: Clone + Send + 'static {
    /// What the gate knows of an open session: its grants, compiled.
    type Admitted: Send + 'static;

    /// Judges a proven peer that sent a CONNECT.
    ///
    /// # Errors
    /// The refusal, which goes into CONNACK.
    fn admit(&self, peer: Peer, now: Timestamp) -> Result<Self::Admitted, Refusal>;

    /// What [`Gate::admit_again`] needs, to be kept with a session's will. None when the client can't be
    /// judged without its connection: its will does not outlive the hub.
    fn proof_of(&self, _: &Self::Admitted) -> Option<Box<[u8]>> {
        None
    }

    /// Judges a client of an earlier hub, for the will that it left; `None` when it may do nothing now.
    fn admit_again(&self, _proof: &[u8], _now: Timestamp) -> Option<Self::Admitted> {
        None
    }

    /// Grows with every committed change that can alter a standing or a grant.
    fn revision(&self) -> u64;

    /// Judges an open session again, after the revision moved.
    fn rejudge(&self, session: &mut Self::Admitted, now: Timestamp) -> Verdict;

    /// Decides one message.
    fn publish(&self, session: &Self::Admitted, message: Message<'_>, now: Timestamp) -> Published;

    /// Whether the session may subscribe to a filter.
    ///
    /// # Errors
    /// The refusal, which becomes a code in SUBACK.
    fn subscribe(&self, session: &Self::Admitted, filter: &str) -> Result<(), Refusal>;

    /// Whether a program's token still works. If it does not, no session of it can be resumed.
    fn knows_program(&self, _: (TenantId, i64), _: Timestamp) -> bool {
        true
    }

    /// Whether each delivery to a session is to be judged from its beginning, because what it subscribed to
    /// can be wider than what it may be handed. Otherwise that begins when it is narrowed.
    fn judges_deliveries(&self, _: &Self::Admitted) -> bool {
        false
    }

    /// Whether the session may still be handed messages of a topic that it subscribed to.
    fn may_receive(&self, session: &Self::Admitted, topic: &str) -> bool;

    /// A session is open from now on.
    fn connected(&self, session: &Self::Admitted, client_id: &str, now: Timestamp);

    /// A session is no longer open.
    fn disconnected(
        &self,
        session: &Self::Admitted,
        client_id: &str,
        why: &'static str,
        now: Timestamp,
    );

    /// What became of a message that was [`Outcome::Pending`].
    fn durability(&self, ticket: Ticket) -> Durability;

    /// Wakes `waker` once after the next commit, of messages or of sessions.
    fn wake_on_next(&self, waker: &Waker);

    /// Whether sessions outlive the hub.
    fn keeps_sessions(&self) -> bool {
        false
    }

    /// Hands over changes of sessions, to be on disk when their ticket is stored. Only for a gate that
    /// keeps sessions.
    ///
    /// # Errors
    /// The refusal when too much waits for the disk.
    fn keep(&self, _changes: Vec<SessionChange>) -> Result<Ticket, Refusal> {
        Ok(Ticket(0))
    }

    /// The last ticket of changes that is decided, with all before it. What failed is on its way again, so
    /// it counts here.
    fn kept_up_to(&self) -> u64 {
        u64::MAX
    }

    /// What became of changes of sessions.
    fn kept(&self, _ticket: Ticket) -> Durability {
        Durability::Stored
    }
}

impl Gate for Plane {
    type Admitted = Admitted;

    fn admit(&self, peer: Peer, now: Timestamp) -> Result<Admitted, Refusal> {
        self.admit(peer, now)
    }

    fn proof_of(&self, session: &Admitted) -> Option<Box<[u8]>> {
        self.proof_of(session)
    }

    fn admit_again(&self, proof: &[u8], now: Timestamp) -> Option<Admitted> {
        self.admit_again(proof, now)
    }

    fn revision(&self) -> u64 {
        self.revision()
    }

    fn rejudge(&self, session: &mut Admitted, now: Timestamp) -> Verdict {
        self.rejudge(session, now)
    }

    fn publish(&self, session: &Admitted, message: Message<'_>, now: Timestamp) -> Published {
        self.publish(session, message, now)
    }

    fn subscribe(&self, session: &Admitted, filter: &str) -> Result<(), Refusal> {
        self.subscribe(session, filter)
    }

    fn knows_program(&self, (tenant, token): (TenantId, i64), now: Timestamp) -> bool {
        self.directory().knows_program(tenant, token, now)
    }

    fn judges_deliveries(&self, session: &Admitted) -> bool {
        self.judges_deliveries(session)
    }

    fn may_receive(&self, session: &Admitted, topic: &str) -> bool {
        self.may_receive(session, topic)
    }

    fn connected(&self, session: &Admitted, client_id: &str, now: Timestamp) {
        self.connected(session, client_id, now);
    }

    fn disconnected(&self, session: &Admitted, client_id: &str, why: &'static str, now: Timestamp) {
        self.disconnected(session, client_id, why, now);
    }

    fn durability(&self, ticket: Ticket) -> Durability {
        self.commits().state(ticket)
    }

    fn wake_on_next(&self, waker: &Waker) {
        self.commits().wake_on_next(waker);
        if let Some(sessions) = self.sessions() {
            sessions.commits().wake_on_next(waker);
        }
    }

    fn keeps_sessions(&self) -> bool {
        self.sessions().is_some()
    }

    fn keep(&self, changes: Vec<SessionChange>) -> Result<Ticket, Refusal> {
        self.sessions().map_or(Ok(Ticket(0)), |sessions| sessions.offer(changes))
    }

    fn kept_up_to(&self) -> u64 {
        self.sessions().map_or(u64::MAX, |sessions| sessions.commits().decided().0)
    }

    fn kept(&self, ticket: Ticket) -> Durability {
        self.sessions().map_or(Durability::Stored, |sessions| sessions.commits().state(ticket))
    }
}
