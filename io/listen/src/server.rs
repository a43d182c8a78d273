//! The hub's side: sockets, handshakes, peers.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_base::{DeviceId, TenantId, Timestamp};
use hedgerow_onboarding::{
    est::{EXPORTER_BYTES, EXPORTER_LABEL},
    name,
};
use hedgerow_policy::{CertificateId, DirectDevice, LapsedDevice, Peer, Witness};
use rustls::{
    CommonState, ServerConfig, ServerConnection, SupportedProtocolVersion,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{
    Anchors, Identity, SignIn,
    anchors::{ByAnchors, Lapsed},
    limits::{ACCEPT_PAUSE, HANDSHAKE_TIME_MAX, HANDSHAKES_MAX},
    provider,
};

/// The clock. Read at the door and handed inwards.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The hub's server certificate, which can be changed while connections are open.
#[derive(Debug)]
pub struct Slot(RwLock<Arc<CertifiedKey>>);

impl Slot {
    /// Begins with this one.
    #[must_use]
    pub fn new(identity: &Identity) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(identity.certified()))))
    }

    /// The leaf that new connections see, in DER.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        now.cert.first().map(|leaf| leaf.to_vec()).unwrap_or_default()
    }

    /// New connections see this one.
    pub fn replace(&self, identity: &Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity.certified());
    }
}

impl ResolvesServerCert for Slot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Which client certificates a port asks for.
#[derive(Clone, Debug)]
pub enum ClientCertificates {
    /// None: browsers would stop at a chooser.
    Never,
    /// One of these authorities, if the client has one.
    Welcome(Arc<Anchors>),
    /// As [`Self::Welcome`], expired ones too: those prove no peer, see [`lapsed`].
    WelcomeLapsed(Arc<Anchors>),
    /// One of these authorities, or no connection.
    Required(Arc<Anchors>),
}

/// How a port speaks TLS: 1.3 only, no tickets (they cost memory and time; see `docs/performance.md`).
///
/// # Errors
/// Never in practice: the version is known to the provider.
pub fn config(
    slot: Arc<Slot>,
    clients: ClientCertificates,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    config_of(&[&rustls::version::TLS13], slot, clients, alpn)
}

/// As [`config`], for devices that can do no better than TLS 1.2 and have no certificate: suites with
/// forward secrecy and authenticated encryption only.
///
/// # Errors
/// Never in practice: the versions are known to the provider.
pub fn config_for_weak_devices(slot: Arc<Slot>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    config_of(&versions, slot, ClientCertificates::Never, &[b"mqtt"])
}

fn config_of(
    versions: &[&'static SupportedProtocolVersion],
    slot: Arc<Slot>,
    clients: ClientCertificates,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    let judged_by =
        |anchors, is_required, lapsed| Arc::new(ByAnchors { anchors, is_required, lapsed });
    let builder = match clients {
        ClientCertificates::Never => builder.with_no_client_auth(),
        ClientCertificates::Welcome(anchors) => {
            builder.with_client_cert_verifier(judged_by(anchors, false, Lapsed::Refused))
        }
        ClientCertificates::WelcomeLapsed(anchors) => {
            builder.with_client_cert_verifier(judged_by(anchors, false, Lapsed::Welcome))
        }
        ClientCertificates::Required(anchors) => {
            builder.with_client_cert_verifier(judged_by(anchors, true, Lapsed::Refused))
        }
    };
    let mut config = builder.with_cert_resolver(slot);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    // Ours is the order of `provider`: AES-128 with SHA-256 costs 7 % less of a handshake.
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// SHA-256 over a certificate's DER.
#[must_use]
pub fn certificate_id(der: &[u8]) -> CertificateId {
    CertificateId(Sha256::digest(der).into())
}

/// The device that a verified client certificate names. Certificates of ours without a device's name
/// prove nobody here, and neither do expired ones, whatever the port let through.
#[must_use]
pub fn peer(tls: &CommonState, tenant: TenantId, now: Timestamp) -> Option<Peer> {
    let (device, certificate, life) = shown(tls, now)?;
    match life {
        Life::Goes => {
            Some(Witness::of_a_proof().device(DirectDevice { tenant, device, certificate }))
        }
        Life::IsOver => None,
    }
}

/// The device that an expired client certificate names, on a port that lets these through
/// ([`ClientCertificates::WelcomeLapsed`]).
#[must_use]
pub fn lapsed(tls: &CommonState, tenant: TenantId, now: Timestamp) -> Option<LapsedDevice> {
    let (device, certificate, life) = shown(tls, now)?;
    match life {
        Life::Goes => None,
        Life::IsOver => Some(Witness::of_a_proof().lapsed_device(tenant, device, certificate)),
    }
}

enum Life {
    Goes,
    IsOver,
}

fn shown(tls: &CommonState, now: Timestamp) -> Option<(DeviceId, CertificateId, Life)> {
    let leaf = tls.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let device = uris(&certificate, name::parse_device_uri)?;
    let is_over = now.as_secs() > certificate.validity().not_after.timestamp();
    let life = if is_over { Life::IsOver } else { Life::Goes };
    Some((device, certificate_id(leaf), life))
}

/// The last second of a certificate's life, since 1970; `None` when it can't be read.
pub(crate) fn last_second(leaf: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// The program that a verified client certificate names, while its token works.
#[must_use]
pub fn program(tls: &CommonState, sign_in: &SignIn, now: Timestamp) -> Option<Peer> {
    let leaf = tls.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    uris(&certificate, |uri| name::is_application_uri(uri).then_some(()))?;
    sign_in.certified(certificate_id(leaf), now)
}

/// The first of a certificate's URIs that `read` understands.
fn uris<T>(certificate: &X509Certificate<'_>, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let names = certificate.subject_alternative_name().ok()??.value;
    names.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => read(uri),
        _ => None,
    })
}

/// The load generator behind a plain listener on this address; `None` when it is not loopback.
#[must_use]
pub const fn tester(listener: &SocketAddr) -> Option<Peer> {
    let is_loopback = match listener {
        SocketAddr::V4(address) => address.ip().is_loopback(),
        SocketAddr::V6(address) => address.ip().is_loopback(),
    };
    if is_loopback { Some(Witness::of_a_proof().loopback_tester()) } else { None }
}

/// Base64 of the TLS exporter that binds a request to this connection (RFC 9266).
#[must_use]
pub fn channel_binding(tls: &ServerConnection) -> Option<String> {
    let exported = tls.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None);
    exported.ok().map(|bytes| STANDARD.encode(bytes))
}

/// A place at the table; it is given back when this is dropped.
#[derive(Debug)]
pub struct Place {
    _seat: OwnedSemaphorePermit,
    _mark: Arc<()>,
}

/// A connection that just came.
#[derive(Debug)]
pub struct Arrival {
    /// The socket, TCP_NODELAY set.
    pub stream: TcpStream,
    /// From where.
    pub from: SocketAddr,
    /// To be kept as long as the connection lives.
    pub place: Place,
}

/// Reads how many connections are open behind a door.
#[derive(Clone, Debug)]
pub struct Occupancy(Weak<()>);

impl Occupancy {
    /// Connections now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.strong_count().saturating_sub(1)
    }
}

/// A listening socket with a limit on the connections that are open at the same time. Whoever comes
/// beyond it waits in the kernel's queue.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    seats: Arc<Semaphore>,
    /// Held once here, and once by each open connection.
    mark: Arc<()>,
}

impl Door {
    /// Listens on `address` with at most `connections` open.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn open(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, seats: Arc::new(Semaphore::new(connections)), mark: Arc::default() })
    }

    /// Where it listens, with the port that the system gave.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// How many connections are open now, for whoever counts.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        Occupancy(Arc::downgrade(&self.mark))
    }

    /// The next connection. Never fails: when the system has no more sockets it waits a moment.
    pub async fn next(&self) -> Arrival {
        loop {
            let Ok(seat) = Arc::clone(&self.seats).acquire_owned().await else {
                // The semaphore is never closed; should it be, nobody comes in.
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    let _ = stream.set_nodelay(true);
                    let _mark = Arc::clone(&self.mark);
                    return Arrival { stream, from, place: Place { _seat: seat, _mark } };
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Shakes hands, a limited number at a time and each for a limited time.
#[derive(Clone)]
pub struct Handshakes {
    config: Arc<ServerConfig>,
    places: Arc<Semaphore>,
}

impl Handshakes {
    /// Handshakes under a port's configuration.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self { config, places: Arc::new(Semaphore::new(HANDSHAKES_MAX)) }
    }

    /// One handshake, for a stream with buffers of its own, as HTTP wants it.
    ///
    /// # Errors
    /// When the client does not show what is asked for, or takes too long.
    pub async fn shake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        // Whoever says nothing takes no place from those who do.
        let first = timeout(HANDSHAKE_TIME_MAX, stream.peek(&mut [0])).await;
        if first.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        self.limited(acceptor.accept(stream)).await
    }

    /// One handshake with a client whose first byte was seen, for a stream that costs little while it is
    /// idle.
    ///
    /// # Errors
    /// As [`Self::shake`].
    pub async fn shake_lean(&self, stream: TcpStream) -> io::Result<crate::TlsStream> {
        self.limited(crate::TlsStream::accept(stream, Arc::clone(&self.config))).await
    }

    async fn limited<T>(&self, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let closed = |_| io::Error::other("the hub is stopping");
        let _place = self.places.acquire().await.map_err(closed)?;
        // Boxed, so that an idle connection does not carry the handshake's state with it.
        let handshake = Box::pin(handshake);
        timeout(HANDSHAKE_TIME_MAX, handshake).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}
