//! What sessions leave on disk, so that they survive the hub: the port, and what goes through it.
//!
//! The wire says what changed; bytes that only it reads (who owns a session, how a message goes to it) are
//! opaque here. Changes of one call land together or not at all.

use std::sync::Arc;

use hedgerow_base::Timestamp;

use crate::{Commits, Refusal, Ticket};

/// The number of a session, for as long as it lives.
pub type SessionNumber = u64;

/// One change of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// A session begins, or its client is back: it has no end for now.
    Open {
        /// Which.
        session: SessionNumber,
        /// Whose it is.
        owner: Arc<[u8]>,
        /// The name that its client gave it.
        client_id: Arc<str>,
        /// Seconds that it outlives its connection.
        expiry_s: u32,
    },
    /// Its client went away.
    Away {
        /// Which.
        session: SessionNumber,
        /// When it ends, unless its client comes back.
        until: Timestamp,
    },
    /// What is to be said for its client when that vanishes, in place of the one before; or nothing.
    Will {
        /// Which.
        session: SessionNumber,
        /// What, and what the gate needs to judge it.
        will: Option<Arc<[u8]>>,
    },
    /// It is over, with everything that it had.
    End {
        /// Which.
        session: SessionNumber,
    },
    /// It subscribes, or subscribes anew.
    Subscribe {
        /// Which.
        session: SessionNumber,
        /// To what.
        filter: Arc<str>,
        /// How.
        options: Box<[u8]>,
    },
    /// It wants no more of a filter.
    Unsubscribe {
        /// Which.
        session: SessionNumber,
        /// Of what.
        filter: Arc<str>,
    },
    /// A message waits for its client.
    Queue {
        /// Which.
        session: SessionNumber,
        /// Its place among the session's messages; it only grows.
        order: u64,
        /// How it goes to the client.
        options: Box<[u8]>,
        /// The message, shared by all sessions that it waits in.
        message: Arc<[u8]>,
    },
    /// The client has a message of QoS 2; what waits is its PUBCOMP. The message itself can go.
    Release {
        /// Which.
        session: SessionNumber,
        /// The place that the message had.
        order: u64,
    },
    /// Nothing waits for a message any more.
    Done {
        /// Which.
        session: SessionNumber,
        /// The place that the message had.
        order: u64,
    },
    /// A message of QoS 2 was taken from the client.
    Take {
        /// Which.
        session: SessionNumber,
        /// Its packet identifier.
        packet: u16,
    },
    /// The client released it.
    Forget {
        /// Which.
        session: SessionNumber,
        /// Its packet identifier.
        packet: u16,
    },
    /// The message of a topic is retained, in place of the one before.
    Retain {
        /// Where.
        topic: Arc<str>,
        /// What.
        message: Arc<[u8]>,
    },
    /// The topic's message is retained no more.
    Unretain {
        /// Where.
        topic: Arc<str>,
    },
}

/// Where sessions become durable. Everything here returns at once; nothing waits for a disk.
pub trait Sessions: Send + Sync {
    /// Hands changes over to be kept with the next commit, in their order and after those of earlier calls.
    ///
    /// # Errors
    /// A [`Refusal`] with the fault Unavailable when more waits than may.
    fn offer(&self, changes: Vec<SessionChange>) -> Result<Ticket, Refusal>;

    /// Which tickets are durable.
    fn commits(&self) -> &Commits;
}

/// A session as it was found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// Its number.
    pub session: SessionNumber,
    /// As [`SessionChange::Open`] said.
    pub owner: Box<[u8]>,
    /// The name that its client gave it.
    pub client_id: Box<str>,
    /// Seconds that it outlives its connection.
    pub expiry_s: u32,
    /// When it ends; none when its client was connected.
    pub until: Option<Timestamp>,
    /// As [`SessionChange::Will`] said.
    pub will: Option<Box<[u8]>>,
    /// Filters with their options.
    pub subscriptions: Vec<(Box<str>, Box<[u8]>)>,
    /// What waits for its client, in order.
    pub queue: Vec<StoredMessage>,
    /// Packet identifiers of messages of QoS 2 that the client has not released.
    pub taken: Vec<u16>,
}

/// A message that waits for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place among the session's messages.
    pub order: u64,
    /// As [`SessionChange::Queue`] said.
    pub options: Box<[u8]>,
    /// None once the client has it and PUBCOMP is awaited.
    pub message: Option<Box<[u8]>>,
}

/// Everything that was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSessions {
    /// By their numbers.
    pub sessions: Vec<StoredSession>,
    /// Topics with their retained message.
    pub retained: Vec<(Box<str>, Box<[u8]>)>,
}

impl StoredSessions {
    /// What a change comes to, in memory: the meaning of [`SessionChange`], which every store has to keep.
    /// A change of a session that is not there changes nothing.
    pub fn apply(&mut self, change: &SessionChange) {
        match change {
            SessionChange::Open { session, owner, client_id, expiry_s } => {
                let (session, expiry_s) = (*session, *expiry_s);
                match self.session(session) {
                    Some(known) => (known.until, known.expiry_s) = (None, expiry_s),
                    None => {
                        let at = self.sessions.partition_point(|known| known.session < session);
                        let (owner, client_id) = (owner.to_vec().into(), (**client_id).into());
                        let new = StoredSession {
                            session,
                            owner,
                            client_id,
                            expiry_s,
                            until: None,
                            will: None,
                            subscriptions: Vec::new(),
                            queue: Vec::new(),
                            taken: Vec::new(),
                        };
                        self.sessions.insert(at, new);
                    }
                }
            }
            SessionChange::Away { session, until } => {
                self.change(*session, |known| known.until = Some(*until));
            }
            SessionChange::Will { session, will } => self.change(*session, |known| {
                known.will = will.as_ref().map(|will| will.to_vec().into());
            }),
            SessionChange::End { session } => self.sessions.retain(|one| one.session != *session),
            SessionChange::Subscribe { session, filter, options } => {
                self.change(*session, |known| known.subscribe(filter, options));
            }
            SessionChange::Unsubscribe { session, filter } => self.change(*session, |known| {
                known.subscriptions.retain(|(one, _)| **one != **filter);
            }),
            SessionChange::Queue { session, order, options, message } => {
                let message = Some(message.to_vec().into());
                let waiting = StoredMessage { order: *order, options: options.clone(), message };
                self.change(*session, |known| known.queue.push(waiting));
            }
            SessionChange::Release { session, order } => self.change(*session, |known| {
                let waiting = known.queue.iter_mut().find(|waiting| waiting.order == *order);
                waiting.into_iter().for_each(|waiting| waiting.message = None);
            }),
            SessionChange::Done { session, order } => {
                self.change(*session, |known| known.queue.retain(|one| one.order != *order));
            }
            SessionChange::Take { session, packet } => self.change(*session, |known| {
                if let Err(at) = known.taken.binary_search(packet) {
                    known.taken.insert(at, *packet);
                }
            }),
            SessionChange::Forget { session, packet } => {
                self.change(*session, |known| known.taken.retain(|one| one != packet));
            }
            SessionChange::Retain { topic, message } => {
                self.unretain(topic);
                let at = self.retained.partition_point(|(one, _)| **one < **topic);
                self.retained.insert(at, ((**topic).into(), message.to_vec().into()));
            }
            SessionChange::Unretain { topic } => self.unretain(topic),
        }
    }

    fn session(&mut self, session: SessionNumber) -> Option<&mut StoredSession> {
        self.sessions.iter_mut().find(|known| known.session == session)
    }

    fn change(&mut self, session: SessionNumber, act: impl FnOnce(&mut StoredSession)) {
        if let Some(known) = self.session(session) {
            act(known);
        }
    }

    fn unretain(&mut self, topic: &str) {
        self.retained.retain(|(one, _)| **one != *topic);
    }
}

impl StoredSession {
    fn subscribe(&mut self, filter: &str, options: &[u8]) {
        self.subscriptions.retain(|(one, _)| **one != *filter);
        let at = self.subscriptions.partition_point(|(one, _)| **one < *filter);
        self.subscriptions.insert(at, (filter.into(), options.into()));
    }
}
