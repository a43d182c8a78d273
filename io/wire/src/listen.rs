use std::{
    future::Future,
    net::{self, IpAddr},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hedgerow_listen::{Caller, Visit, client_address, server::now};
use hedgerow_policy::Peer;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::{sleep, timeout},
};

use crate::{
    connection::Connection,
    counters::{Place, Places},
    gate::Gate,
    limits::HALF_OPEN_PAUSE_MS,
    link::Came,
    mail::Letter,
    shard::{Common, Shard},
    stream::{Foreign, Stream},
};

/// How a TCP connection becomes a stream with somebody at its end. [`TlsDoor`](crate::TlsDoor) speaks TLS.
pub trait Door: Send + Sync + 'static {
    /// What MQTT is spoken over, in a word for people.
    const OVER: &'static str = "tls";

    /// What MQTT is spoken over.
    type Stream: Stream;

    /// Says who is there, once the first byte came: proven, or to sign in with CONNECT. `from` is where
    /// the client is, behind a proxy too. An error is a word for the counters. The shard gives it
    /// [`HANDSHAKE_MS_MAX`](crate::limits::HANDSHAKE_MS_MAX), and drops what it used when it is done.
    fn open(
        &self,
        tcp: TcpStream,
        from: IpAddr,
    ) -> impl Future<Output = Result<(Self::Stream, Caller), &'static str>>;
}

/// Lets clients in that came another way than through a listener of ours: over a stream that speaks MQTT.
pub struct Entrance<G: Gate> {
    common: Arc<Common<G>>,
    turn: AtomicUsize,
}

impl<G: Gate> Entrance<G> {
    pub(crate) const fn new(common: Arc<Common<G>>) -> Self {
        Self { common, turn: AtomicUsize::new(0) }
    }

    /// Serves a stream with somebody at its end, in one of the shards. Beyond the limits of connections it
    /// is dropped and counted. Who comes from no address is within the hub, which bounds how many these are.
    pub fn enter<S>(&self, stream: S, caller: Caller, came: Came)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (ledger, settings) = (&self.common.ledger, &self.common.settings);
        let Some(place) = Place::take(ledger, |all| &all.connections, settings.connections_max)
        else {
            return ledger.end("connections-full");
        };
        let Some(half_open) = Place::take(ledger, |all| &all.half_open, settings.half_open_max)
        else {
            return ledger.end("half-open-full");
        };
        let visit = match came.from.map(|from| self.visit(from)).transpose() {
            Ok(visit) => visit,
            Err(why) => return ledger.end(why),
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mailboxes = &self.common.mailboxes;
        if let Some(mailbox) = mailboxes.get(turn % mailboxes.len().max(1)) {
            mailbox.post(Letter::Run(Box::new(move |shard| {
                let places = Places { place, half_open, visit };
                let stream = Foreign(stream);
                let connection = Connection::new(stream, caller, Rc::clone(shard), places, came);
                spawn_local(connection.live());
            })));
        }
    }
}

impl<G: Gate> Entrance<G> {
    fn visit(&self, from: IpAddr) -> Result<Visit, &'static str> {
        self.common.take_turn(now()).map_err(|_| "too-fast")?;
        self.common.sources.enter(from, now())
    }
}

/// Takes everybody on this machine for a loopback tester.
pub(crate) struct Insecure(pub(crate) Peer);

impl Door for Insecure {
    const OVER: &'static str = "plain";

    type Stream = TcpStream;

    async fn open(
        &self,
        tcp: TcpStream,
        from: IpAddr,
    ) -> Result<(TcpStream, Caller), &'static str> {
        if from.is_loopback() { Ok((tcp, Caller::Proven(self.0))) } else { Err("not-loopback") }
    }
}

/// Accepts for all shards, one after the other.
pub(crate) async fn accept<G: Gate, D: Door>(
    shard: Rc<Shard<G>>,
    listener: TcpListener,
    door: Arc<D>,
) {
    let mut turn = (0..shard.common.mailboxes.len()).cycle();
    loop {
        let Ok((tcp, from)) = listener.accept().await else {
            // Out of descriptors or memory: the connection waits in the backlog.
            shard.common.ledger.end("accept-failed");
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        turn_comes(&shard).await;
        let Some(places) = places(&shard).await else { continue };
        prepare(&tcp);
        let arrival = Arrival { from: from.ip(), places };
        let door = Arc::clone(&door);
        match turn.next() {
            Some(other) if other != shard.index => {
                let Ok(tcp) = tcp.into_std() else { continue };
                hand_over(&shard, other, tcp, door, arrival);
            }
            Some(_) | None => take_in(&shard, tcp, door, arrival),
        }
    }
}

/// A connection that was accepted, and the places that it has so far.
struct Arrival {
    from: IpAddr,
    places: (Place, Place),
}

/// Waits until a new connection may come: meanwhile the others wait in the kernel's queue.
async fn turn_comes<G: Gate>(shard: &Shard<G>) {
    let mut has_waited = false;
    while let Err(wait_ms) = shard.common.take_turn(shard.clock.even()) {
        if !std::mem::replace(&mut has_waited, true) {
            shard.common.ledger.end("connects-waited");
        }
        sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
    }
}

async fn places<G: Gate>(shard: &Shard<G>) -> Option<(Place, Place)> {
    let (ledger, settings) = (&shard.common.ledger, shard.settings());
    let Some(place) = Place::take(ledger, |all| &all.connections, settings.connections_max) else {
        ledger.end("connections-full");
        return None;
    };
    let half_open = || Place::take(ledger, |all| &all.half_open, settings.half_open_max);
    if let Some(half_open) = half_open() {
        return Some((place, half_open));
    }
    // A burst: those who come wait in the kernel's queue until others have finished or run out of time.
    ledger.end("half-open-waited");
    loop {
        sleep(Duration::from_millis(HALF_OPEN_PAUSE_MS)).await;
        if let Some(half_open) = half_open() {
            return Some((place, half_open));
        }
    }
}

fn prepare(tcp: &TcpStream) {
    // Neither is vital: without them answers are slower, and dead clients of 3.1.1 without keep-alive
    // stay longer.
    let _ = tcp.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(120))
        .with_interval(Duration::from_secs(30));
    let _ = SockRef::from(tcp).set_tcp_keepalive(&keepalive);
}

fn hand_over<G: Gate, D: Door>(
    shard: &Rc<Shard<G>>,
    to: usize,
    tcp: net::TcpStream,
    door: Arc<D>,
    arrival: Arrival,
) {
    let Some(mailbox) = shard.common.mailboxes.get(to) else { return };
    mailbox.post(Letter::Run(Box::new(move |shard| {
        if let Ok(tcp) = TcpStream::from_std(tcp) {
            take_in(shard, tcp, door, arrival);
        }
    })));
}

fn take_in<G: Gate, D: Door>(
    shard: &Rc<Shard<G>>,
    mut tcp: TcpStream,
    door: Arc<D>,
    Arrival { from, places: (place, half_open) }: Arrival,
) {
    let shard = Rc::clone(shard);
    spawn_local(async move {
        let patience = Duration::from_millis(shard.settings().handshake_ms_max);
        let entering = async {
            speaks(&shard, &tcp).await?;
            let from = client_address(&mut tcp, from, &shard.settings().proxies).await?;
            let visit = shard.common.sources.enter(from, shard.clock.even())?;
            let (stream, caller) = door.open(tcp, from).await?;
            Ok((stream, caller, visit, Came { over: Some(D::OVER), from: Some(from) }))
        };
        match timeout(patience, entering).await {
            // A task of its own: an open connection does not carry the room of its handshake.
            Ok(Ok((stream, caller, visit, came))) => {
                let places = Places { place, half_open, visit: Some(visit) };
                spawn_local(Connection::new(stream, caller, shard, places, came).live());
            }
            Ok(Err(why)) => shard.common.ledger.end(why),
            Err(_) => shard.common.ledger.end("handshake-timeout"),
        }
    });
}

/// Waits for the first byte. Whoever says nothing gives its place up once others need it.
async fn speaks<G: Gate>(shard: &Shard<G>, tcp: &TcpStream) -> Result<(), &'static str> {
    let settings = shard.settings();
    let silence = Duration::from_millis(settings.crowded_silence_ms_max);
    loop {
        // A look at the byte: a fresh socket calls itself readable before anything came.
        match timeout(silence, tcp.peek(&mut [0])).await {
            Ok(Ok(0)) => return Err("peer-closed"),
            Ok(seen) => return seen.map(drop).map_err(|_| "reset"),
            Err(_) if shard.common.ledger.half_open() * 2 > settings.half_open_max => {
                return Err("silent-in-a-crowd");
            }
            Err(_) => {}
        }
    }
}
