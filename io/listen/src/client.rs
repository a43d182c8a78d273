//! The device's side of a connection.

use std::{
    fmt, io,
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_base::Timestamp;
use hedgerow_onboarding::{
    ClaimCode,
    est::{EXPORTER_BYTES, EXPORTER_LABEL},
};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
    client::{
        ResolvesClientCert, Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};

use crate::{
    Identity, certificate_key,
    identity::Unsigned,
    limits::{ANSWER_TIME_MAX, CONNECT_TIME_MAX},
    provider,
};

/// By what a device knows its hub.
#[derive(Clone, Debug)]
pub enum Trust {
    /// By the root key's fingerprint in a claim code: the hub has to show its root certificate.
    Fingerprint([u8; 16]),
    /// By the root certificate, in DER.
    Root(Vec<u8>),
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The address has no host or port that can be looked up.
    Address(String),
    /// Nobody answered.
    Network(String, io::Error),
    /// Somebody answered who is not the hub, or who did not take our certificate.
    Tls(String),
    /// Our own key could not sign; says why.
    Key(String),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(what) => write!(f, "{what} is not an address; write host:port"),
            Self::Network(to, error) => write!(f, "{to} can't be reached: {error}"),
            Self::Tls(what) | Self::Key(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ConnectError {}

/// A TLS connection that blocks.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// How to connect: whom to trust, who to be.
///
/// # Errors
/// When the root certificate can't be read.
pub fn config(
    trust: Trust,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, ConnectError> {
    let broken = |error: Error| ConnectError::Tls(error.to_string());
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken)?;
    let builder = match trust {
        Trust::Root(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(root)).map_err(broken)?;
            builder.with_root_certificates(roots)
        }
        Trust::Fingerprint(hub) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ByFingerprint { hub, provider })),
    };
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(One(Arc::new(identity.certified()))))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Connects to `host:port`, does the whole handshake, and sets TCP_NODELAY and time limits.
///
/// # Errors
/// [`ConnectError`], which says whether nobody was there or the wrong one.
pub fn connect(host: &str, port: u16, config: &Arc<ClientConfig>) -> Result<Stream, ConnectError> {
    let to = format!("{host}:{port}");
    let network = |error| ConnectError::Network(to.clone(), error);
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| ConnectError::Address(host.into()))?;
    let addresses = (host.trim_matches(['[', ']']), port).to_socket_addrs().map_err(network)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut tcp = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIME_MAX) {
            Ok(stream) => {
                tcp = Some(stream);
                break;
            }
            Err(error) => last = error,
        }
    }
    let mut tcp = tcp.ok_or(last).map_err(network)?;
    tcp.set_nodelay(true).map_err(network)?;
    tcp.set_read_timeout(Some(ANSWER_TIME_MAX)).map_err(network)?;
    tcp.set_write_timeout(Some(ANSWER_TIME_MAX)).map_err(network)?;
    let mut tls = ClientConnection::new(Arc::clone(config), name)
        .map_err(|error| ConnectError::Tls(error.to_string()))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).map_err(|error| handshake_error(&to, error))?;
    }
    Ok(StreamOwned::new(tls, tcp))
}

fn handshake_error(to: &str, error: io::Error) -> ConnectError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(
            why @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }),
        )) => ConnectError::Tls(format!(
            "by this device's clock the hub's certificate is not valid now ({why}); \
             set the clock, or look at the hub's"
        )),
        Some(Error::InvalidCertificate(why)) => ConnectError::Tls(format!(
            "{to} is not the hub that this device knows ({why:?}); \
             check the address and the claim code"
        )),
        Some(Error::Other(why)) if why.0.is::<Unsigned>() => ConnectError::Key(why.to_string()),
        Some(other) => ConnectError::Tls(format!("{to} refused the connection: {other}")),
        None => ConnectError::Network(to.into(), error),
    }
}

/// Base64 of the TLS exporter that binds a request to this connection (RFC 9266).
///
/// # Errors
/// When the handshake is not done.
pub fn channel_binding(tls: &ClientConnection) -> Result<String, ConnectError> {
    tls.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)
        .map(|bytes| STANDARD.encode(bytes))
        .map_err(|error| ConnectError::Tls(error.to_string()))
}

/// Whether a client certificate of ours leads to the root by this issuing CA, at `at`.
#[must_use]
pub fn leads_to_root(leaf: &[u8], issuing: &[u8], root: &[u8], at: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    let verifier = roots.add(CertificateDer::from(root)).ok().and_then(|()| {
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
    });
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.as_secs().unsigned_abs()));
    let (leaf, issuing) = (CertificateDer::from(leaf), CertificateDer::from(issuing));
    verifier.is_some_and(|verifier| verifier.verify_client_cert(&leaf, &[issuing], at).is_ok())
}

#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesClientCert for One {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Believes a chain that ends in a root with the expected key; everything else is as strict as ever.
#[derive(Debug)]
struct ByFingerprint {
    hub: [u8; 16],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ByFingerprint {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_root = |der: &&CertificateDer<'_>| {
            certificate_key(der).is_ok_and(|key| ClaimCode::hub_fingerprint(key) == self.hub)
        };
        let unknown = Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let root = intermediates.iter().find(is_root).ok_or(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
