//! Drives the MQTT machines over streams: one single-threaded shard a core, one task a connection.
//!
//! A connection, its session and its buffers live in one shard and are never locked. A message goes
//! from the publisher's read buffer into the out-buffers of its subscribers; each subscriber's task is
//! woken once for many messages and writes them in one call. A QoS 0 message is copied and never
//! allocated for; a QoS 1 message is kept once for all its subscribers. An idle connection owns no
//! buffer. Shards talk by letters: messages in batches and only where somebody waits for them, and
//! sessions whose client came back elsewhere.
//!
//! What it is not: it decides nothing. [`Gate`] is asked who may come in, what may be said and heard,
//! and when a message is durable; a [`Door`] proves who is there, or `io/listen` does from CONNECT.
//!
//! ```no_run
//! # use hedgerow_wire::{Gate, Settings, Wire};
//! # fn example<G: Gate>(gate: G, tester: hedgerow_policy::Peer) -> Result<(), hedgerow_wire::Error> {
//! let wire = Wire::start(gate, Settings::default())?;
//! let address = wire.listen_insecure(([127, 0, 0, 1], 1883).into(), tester)?;
//! println!("plain mqtt for tests at {address}");
//! wire.stop();
//! # Ok(())
//! # }
//! ```

mod admission;
mod census;
mod clock;
mod connection;
mod counters;
mod directory;
mod error;
mod gate;
mod keeping;
pub mod limits;
mod link;
mod listen;
mod mail;
mod out;
mod pace;
mod reasons;
mod restore;
mod retained;
mod router;
mod sessions;
mod shard;
mod shares;
mod slow;
mod stream;
mod tls;
mod voice;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hedgerow_base::Rate;
use hedgerow_listen::{Network, SourceLimits, Sources};
use hedgerow_mqtt::ReasonCode;
use hedgerow_policy::Peer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    runtime::{Builder, LocalOptions, LocalRuntime},
    task::spawn_local,
};

pub use census::Census;
pub use counters::{Counters, Meter};
pub use error::Error;
pub use gate::{
    Durability, Gate, Message, Outcome, Published, Refusal, SessionChange, StoredMessage,
    StoredSession, StoredSessions, Ticket, Verdict,
};
pub use link::Came;
pub use listen::{Door, Entrance};
pub use stream::Stream;
pub use tls::TlsDoor;
pub use voice::Voice;

use counters::{Ledger, ShardCounts};
use directory::Directory;
use mail::{Letter, Mailbox};
use pace::Pace;
use retained::Retained;
use router::Wanted;
use shard::{Common, Shard};

/// How the driver is set up; the defaults are the constants in [`limits`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads with connections of their own.
    pub shards: usize,
    /// What the protocol offers.
    pub mqtt: hedgerow_mqtt::Settings,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections that have not been accepted yet.
    pub half_open_max: usize,
    /// New connections in all.
    pub connects: Rate,
    /// Connections of one source.
    pub sources: SourceLimits,
    /// Networks whose connections begin with a PROXY header.
    pub proxies: Arc<[Network]>,
    /// Messages from one client.
    pub publishes: Rate,
    /// Bytes from one client.
    pub publish_bytes: Rate,
    /// Whether clients are sent to the server in [`hedgerow_mqtt::Settings::server_reference`], if there is
    /// one, for good.
    pub has_moved: bool,
    /// Sessions whose client is away, a shard.
    pub away_sessions_max: usize,
    /// Topics with a retained message.
    pub retained_max: usize,
    /// Bytes of retained messages.
    pub retained_bytes_max: usize,
    /// Milliseconds for the handshake beneath MQTT.
    pub handshake_ms_max: u64,
    /// Milliseconds of silence at the door while more than half of its places are taken.
    pub crowded_silence_ms_max: u64,
    /// Bytes that wait for a slow reader.
    pub out_bytes_max: usize,
    /// Milliseconds after which a reader that takes nothing is given up.
    pub stall_ms_max: i64,
    /// Milliseconds after which a subscriber for whom much waits is slow.
    pub slow_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 1,
            mqtt: hedgerow_mqtt::Settings::default(),
            connections_max: limits::CONNECTIONS_MAX,
            half_open_max: limits::HALF_OPEN_MAX,
            connects: limits::CONNECTS,
            sources: SourceLimits::default(),
            proxies: Arc::default(),
            publishes: limits::PUBLISHES,
            publish_bytes: limits::PUBLISH_BYTES,
            has_moved: false,
            away_sessions_max: limits::AWAY_SESSIONS_MAX,
            retained_max: limits::RETAINED_MESSAGES_MAX,
            retained_bytes_max: limits::RETAINED_BYTES_MAX,
            handshake_ms_max: limits::HANDSHAKE_MS_MAX,
            crowded_silence_ms_max: limits::CROWDED_SILENCE_MS_MAX,
            out_bytes_max: limits::OUT_BYTES_MAX,
            stall_ms_max: limits::STALL_MS_MAX,
            slow_ms: limits::SLOW_MS,
        }
    }
}

impl Settings {
    /// The reason for which nobody is let in, when clients are sent to another server.
    pub(crate) fn sends_on(&self) -> Option<ReasonCode> {
        self.mqtt.server_reference.as_ref()?;
        Some(if self.has_moved { ReasonCode::SERVER_MOVED } else { ReasonCode::USE_ANOTHER_SERVER })
    }
}

/// The running shards. Dropped, it says goodbye to all clients and waits for the threads to end.
#[must_use = "dropping it stops the shards"]
pub struct Wire<G: Gate> {
    common: Arc<Common<G>>,
    threads: Vec<JoinHandle<()>>,
}

impl<G: Gate> Wire<G> {
    /// Starts the shards, each with a clone of `gate`.
    ///
    /// # Errors
    /// [`Error::Shards`], [`Error::Start`].
    pub fn start(gate: G, settings: Settings) -> Result<Self, Error> {
        Self::start_with(gate, settings, StoredSessions::default())
    }

    /// As [`Wire::start`], with the sessions and retained messages that outlived an earlier hub.
    ///
    /// # Errors
    /// As [`Wire::start`].
    pub fn start_with(gate: G, settings: Settings, stored: StoredSessions) -> Result<Self, Error> {
        if !(1..=limits::SHARDS_MAX).contains(&settings.shards) {
            return Err(Error::Shards(settings.shards));
        }
        let shards = settings.shards;
        let common = Arc::new(Common {
            ledger: Arc::new(Ledger::new(shards)),
            sources: Sources::new(settings.sources),
            connects: Mutex::default(),
            directory: Directory::default(),
            wanted: Wanted::default(),
            retained: Retained::new(settings.retained_max, settings.retained_bytes_max).into(),
            mailboxes: (0..shards).map(|_| Mailbox::default()).collect(),
            last_session: AtomicU64::new(0),
            settings,
        });
        restore::all(&common, stored);
        let mut wire = Self { common, threads: Vec::new() };
        for index in 0..shards {
            let thread = wire.start_shard(index, gate.clone()).map_err(Error::Start)?;
            wire.threads.push(thread);
        }
        wire.wait_for_shards().map_err(Error::Start)?;
        Ok(wire)
    }

    /// Waits until every shard has put back what outlived an earlier hub: before that a message would not
    /// find its subscribers.
    fn wait_for_shards(&self) -> io::Result<()> {
        let (tell, hear) = mpsc::channel();
        for mailbox in &self.common.mailboxes {
            let tell = tell.clone();
            mailbox.post(Letter::Run(Box::new(move |_| {
                let _ = tell.send(());
            })));
        }
        drop(tell);
        let all = hear.iter().take(self.common.mailboxes.len()).count();
        if all < self.common.mailboxes.len() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for mailbox in &self.common.mailboxes {
            mailbox.post(Letter::Run(Box::new(|shard| shard.is_whole.set(true))));
        }
        Ok(())
    }

    fn start_shard(&self, index: usize, gate: G) -> io::Result<JoinHandle<()>> {
        let common = Arc::clone(&self.common);
        let (started, outcome) = mpsc::sync_channel(1);
        let counts = common.ledger.shards.get(index).cloned().unwrap_or_default();
        let thread = thread::Builder::new().name(format!("wire-{index}")).spawn(move || {
            match runtime(counts) {
                Ok(runtime) => {
                    let _ = started.send(Ok(()));
                    runtime.block_on(Shard::new(index, gate, common).run());
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })?;
        outcome.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
        Ok(thread)
    }

    /// Listens for MQTT behind `door`; gives the address, whose port the system chose if it was 0.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub fn listen<D: Door>(&self, address: SocketAddr, door: D) -> Result<SocketAddr, Error> {
        let failed = |error| Error::Listen(address, error);
        let listener = bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let door = Arc::new(door);
        let begin = move |shard: &std::rc::Rc<Shard<G>>| {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                spawn_local(listen::accept(std::rc::Rc::clone(shard), listener, door));
            }
        };
        if let Some(first) = self.common.mailboxes.first() {
            first.post(Letter::Run(Box::new(begin)));
        }
        Ok(bound)
    }

    /// Listens for plain MQTT without any proof, for tests and measurements on this machine.
    ///
    /// # Errors
    /// [`Error::NotLoopback`], [`Error::NotATester`], [`Error::Listen`].
    pub fn listen_insecure(&self, address: SocketAddr, tester: Peer) -> Result<SocketAddr, Error> {
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback(address));
        }
        if !tester.is_loopback_tester() {
            return Err(Error::NotATester);
        }
        self.listen(address, listen::Insecure(tester))
    }

    /// Where clients come in over other streams: WebSocket.
    #[must_use]
    pub fn entrance(&self) -> Entrance<G> {
        Entrance::new(Arc::clone(&self.common))
    }

    /// Speaks to clients from outside of any connection.
    #[must_use]
    pub fn voice(&self) -> Voice<G> {
        Voice(Arc::clone(&self.common))
    }

    /// How it is set up.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.common.settings
    }

    /// Looks at sessions and retained messages.
    #[must_use]
    pub fn census(&self) -> Census<G> {
        Census::new(Arc::clone(&self.common))
    }

    /// Reads the counters from elsewhere; it does not keep the shards running.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.common.ledger), Arc::clone(&self.common.retained))
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.meter().read()
    }

    /// Says goodbye to all clients, gives them a moment, and ends the threads.
    pub fn stop(self) {
        drop(self);
    }
}

impl<G: Gate> Drop for Wire<G> {
    fn drop(&mut self) {
        self.common.mailboxes.iter().for_each(|mailbox| mailbox.post(Letter::Stop));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The standard library's queue of 128 is too short for a burst.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A runtime that lets messages gather while its shard is busy.
fn runtime(counts: Arc<ShardCounts>) -> io::Result<LocalRuntime> {
    let (pace, start) = (Mutex::new(Pace::default()), Instant::now());
    let before_poll = move || {
        let now_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        let wait_us = pace.wait_us(counts.reads.now(), counts.messages_in.now(), now_us);
        if wait_us > 0 {
            thread::sleep(Duration::from_micros(wait_us));
        }
    };
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(limits::TASKS_A_POLL)
        .on_thread_park(before_poll)
        .build_local(LocalOptions::default())
}
