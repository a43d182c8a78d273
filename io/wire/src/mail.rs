use std::{
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{Kept, QoS, Session};
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

/// Something to be done in a shard's own thread.
type Act<G> = Box<dyn FnOnce(&Rc<Shard<G>>) + Send>;

/// What one shard tells another.
pub(crate) enum Letter<G: Gate> {
    /// Hand these to your subscribers.
    Publish(Vec<Forward>),
    /// Answers that wait may be due.
    Look,
    /// A session that outlived the hub, and until when. Without an end its client was connected.
    Restore { key: Arc<SessionKey>, session: Session, until: Option<Timestamp>, seconds: u32 },
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
