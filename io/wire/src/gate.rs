use std::{borrow::Cow, task::Waker};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_policy::Peer;

/// What the driver asks of the data plane. Everything is answered at once from memory: no call waits.
///
/// One gate serves all shards; each holds a clone.
pub trait Gate: Clone + Send + 'static {
    /// What the gate knows of an open session: its grants, compiled.
    type Admitted: 'static;

    /// Judges a proven peer that sent a CONNECT.
    ///
    /// # Errors
    /// The refusal, which goes into CONNACK.
    fn admit(&self, peer: Peer, now: Timestamp) -> Result<Self::Admitted, Refusal>;

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

    /// Wakes `waker` once after the next commit.
    fn wake_on_next(&self, waker: &Waker);
}

/// A message to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where to.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// Whether the sender waits for an acknowledgement.
    pub needs_ack: bool,
    /// Whether it asks to be kept for later subscribers.
    pub retain: bool,
}

/// What was decided about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Hand it to subscribers.
    pub route: bool,
    /// What to tell the sender, and when.
    pub outcome: Outcome,
}

/// What to tell the sender of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to wait for: acknowledge at once.
    Done,
    /// Acknowledge when this ticket is stored.
    Pending(Ticket),
    /// Not taken.
    Refused(Refusal),
}

/// A no, with its reason for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of outcome.
    pub fault: Fault,
    /// Says what to do.
    pub reason: Cow<'static, str>,
}

/// The place of a message in the journal; tickets grow, and are committed in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What became of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Not committed yet.
    Waiting,
    /// It survives a power cut.
    Stored,
    /// It could not be stored.
    Failed,
}

/// What a second judgement of an open session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As before.
    Unchanged,
    /// It may do less now: subscriptions are asked for again, deliveries one by one.
    Narrowed,
    /// It is over.
    Ended(Refusal),
}
