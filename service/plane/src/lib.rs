//! What happens with every message: connect, publish, subscribe, watch.
//!
//! A [`Plane`] is shared by everything that speaks to devices. It decides on snapshots in memory: the
//! [`Directory`], which the control plane keeps true after each commit, and the grants compiled from it.
//! It is synchronous and has no runtime; readings are handed to the [`Readings`] port, and an
//! acknowledgement waits for the [`Commits`] of it.
//!
//! What it is not: it reads no clock, no socket and no disk, and asks no policy engine for a message.

mod application;
mod broker;
mod commits;
mod connect;
mod denials;
mod directory;
mod error;
mod flow;
mod foreign;
pub mod limits;
mod onlooker;
mod ports;
mod publish;
mod pulse;
mod sessions;
mod subscribe;
mod tokens;
mod watch;

use std::{fmt, sync::Arc};

pub use broker::{
    Answer, AskedSessions, Branch, Broker, Level, MaySee, RetainedMessage, RetainedPage,
    SessionDetail, SessionName, SessionPage, SessionView, Slow, Subscribed, Which, WillView,
};
pub use commits::{Commits, Durability, Ticket};
pub use connect::{Admitted, Identity, Verdict};
pub use directory::{DeviceAdmission, Directory, Presence, ValidCertificate};
pub use error::Refusal;
pub use flow::{Flow, Flows};
pub use ports::{Bus, FirstDenial, LiveValue, NoNotices, Notices, Readings};
pub use publish::{Message, Outcome, Published};
pub use pulse::{Minute, Pulse, Totals};
pub use sessions::{
    SessionChange, SessionNumber, Sessions, StoredMessage, StoredSession, StoredSessions,
};
pub use subscribe::{Asked, Wish};
pub use tokens::TokenAdmission;
pub use watch::{LocalBus, Watched, Watcher};

/// The data plane. Cheap to clone: all clones are the same one.
#[derive(Clone)]
pub struct Plane {
    directory: Arc<Directory>,
    readings: Arc<dyn Readings>,
    bus: Arc<dyn Bus>,
    denials: Arc<denials::Denials>,
    sessions: Option<Arc<dyn Sessions>>,
    pulse: Arc<Pulse>,
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("devices", &self.directory.len()).finish_non_exhaustive()
    }
}

impl Plane {
    /// Puts the data plane together with an empty directory.
    #[must_use]
    pub fn new(readings: Arc<dyn Readings>, bus: Arc<dyn Bus>, notices: Arc<dyn Notices>) -> Self {
        let denials = Arc::new(denials::Denials::new(notices));
        Self {
            directory: Arc::default(),
            readings,
            bus,
            denials,
            sessions: None,
            pulse: Arc::default(),
        }
    }

    /// Lets sessions and retained messages outlive the hub. Without it they end with it.
    #[must_use]
    pub fn with_sessions(mut self, sessions: Arc<dyn Sessions>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Where sessions are kept, if anywhere.
    #[must_use]
    pub fn sessions(&self) -> Option<&dyn Sessions> {
        self.sessions.as_deref()
    }

    /// The devices and tokens that it knows; the control plane keeps them true.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Which tickets are durable.
    #[must_use]
    pub fn commits(&self) -> &Commits {
        self.readings.commits()
    }

    /// Every kind of denial that occurred since the start, with its count.
    pub fn denials(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.denials.counts()
    }

    /// How busy it was in the last hour.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    fn readings(&self) -> &dyn Readings {
        &*self.readings
    }

    fn bus(&self) -> &dyn Bus {
        &*self.bus
    }

    fn notices(&self) -> &dyn Notices {
        &*self.denials.notices
    }
}
