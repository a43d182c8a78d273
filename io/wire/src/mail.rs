use std::{
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{Kept, KeptWill, QoS, Session};
use tokio::sync::Notify;

use crate::{
    directory::SessionKey,
    gate::Gate,
    keeping::Receipt,
    shard::Shard,
    shares::{GroupName, Member},
};

/// A message for the subscribers of another shard.
pub(crate) struct Forward {
    pub(crate) message: Kept,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Only for this member of this group.
    pub(crate) only: Option<(Member, Arc<GroupName>)>,
    /// Somebody's answer waits for what comes of it.
    pub(crate) receipt: Option<Arc<Receipt>>,
}

/// A session that outlived the hub.
pub(crate) struct Outlived {
    pub(crate) key: Arc<SessionKey>,
    pub(crate) session: Session,
    /// When it ends. Without an end its client was connected, and it lives so many seconds.
    pub(crate) until: Option<Timestamp>,
    pub(crate) seconds: u32,
    /// What its client left to be said.
    pub(crate) will: Option<LeftWill>,
}

/// A will that outlived the hub.
pub(crate) struct LeftWill {
    pub(crate) will: Box<KeptWill>,
    /// What the gate judges its client by.
    pub(crate) proof: Box<[u8]>,
}

impl LeftWill {
    /// A will and the proof of its client in bytes, for [`LeftWill::from_bytes`]: the proof's length, the
    /// proof, the will. None when the proof is too long.
    pub(crate) fn bytes(proof: &[u8], will: &KeptWill) -> Option<Arc<[u8]>> {
        let mut bytes = vec![u8::try_from(proof.len()).ok()?];
        bytes.extend_from_slice(proof);
        bytes.extend_from_slice(&will.to_bytes());
        Some(bytes.into())
    }

    /// Reads what [`LeftWill::bytes`] wrote; `None` when it is damaged.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first()?;
        let (proof, will) = rest.split_at_checked(usize::from(*length))?;
        Some(Self { will: KeptWill::from_bytes(will)?.into(), proof: proof.into() })
    }
}

/// Something to be done in a shard's own thread.
type Act<G> = Box<dyn FnOnce(&Rc<Shard<G>>) + Send>;

/// What one shard tells another.
pub(crate) enum Letter<G: Gate> {
    /// Hand these to your subscribers.
    Publish(Vec<Forward>),
    /// Answers that wait may be due.
    Look,
    /// A session that outlived the hub.
    Restore(Box<Outlived>),
    /// Do this: new connections and listeners.
    Run(Act<G>),
    /// Say goodbye to everybody and end.
    Stop,
}

/// Letters for a shard. The lock is held for a push or a swap.
pub(crate) struct Mailbox<G: Gate> {
    letters: Mutex<Vec<Letter<G>>>,
    bell: Notify,
}

impl<G: Gate> Default for Mailbox<G> {
    fn default() -> Self {
        Self { letters: Mutex::default(), bell: Notify::new() }
    }
}

impl<G: Gate> Mailbox<G> {
    pub(crate) fn post(&self, letter: Letter<G>) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
        self.bell.notify_one();
    }

    /// All letters that came, once there is one.
    pub(crate) async fn collect(&self) -> Vec<Letter<G>> {
        self.bell.notified().await;
        std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
