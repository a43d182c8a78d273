//! Which authorities' client certificates get through a handshake, changed while ports are open.
//!
//! 1. A port is opened with [`Anchors`]; every port that shares them follows.
//! 2. [`Anchors::replace`]: the next handshake is judged by the new ones. Connections that are open go on;
//!    whether their sessions may is judged elsewhere.
//!
//! A port may let those through whose certificate was good and has expired ([`Lapsed::Welcome`]). Chain, issuing
//! CA and possession of the key are verified as ever, as of the certificate's last second; who is there is
//! then nobody's peer ([`lapsed`](crate::server::lapsed)).
//!
//! The anchors are the issuing CAs themselves, not the root above them: a client can send the certificate
//! of an issuing CA along, so with the root as an anchor none could ever be left out.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::{provider, server::last_second};

type Verifier = Arc<dyn ClientCertVerifier>;

/// The issuing CAs whose client certificates get through, and those whose don't any more.
pub struct Anchors {
    provider: Arc<CryptoProvider>,
    now: RwLock<Arc<Judges>>,
}

struct Judges {
    trusted: Verifier,
    /// So that a certificate of an earlier CA is answered with a word of its own.
    distrusted: Option<Verifier>,
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anchors(..)")
    }
}

impl Anchors {
    /// Begins with these, in DER.
    ///
    /// # Errors
    /// When one can't be read, or none is trusted.
    pub fn new(trusted: &[Vec<u8>], distrusted: &[Vec<u8>]) -> Result<Arc<Self>, Error> {
        let provider = provider();
        let judges = Arc::new(Judges::new(trusted, distrusted, &provider)?);
        Ok(Arc::new(Self { provider, now: RwLock::new(judges) }))
    }

    /// Handshakes are judged by these from here on.
    ///
    /// # Errors
    /// When one can't be read, or none is trusted; then nothing changes.
    pub fn replace(&self, trusted: &[Vec<u8>], distrusted: &[Vec<u8>]) -> Result<(), Error> {
        let judges = Arc::new(Judges::new(trusted, distrusted, &self.provider)?);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = judges;
        Ok(())
    }

    fn judges(&self) -> Arc<Judges> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Judges {
    fn new(
        trusted: &[Vec<u8>],
        distrusted: &[Vec<u8>],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let distrusted = (!distrusted.is_empty()).then(|| verifier(distrusted, provider));
        Ok(Self { trusted: verifier(trusted, provider)?, distrusted: distrusted.transpose()? })
    }
}

fn verifier(anchors: &[Vec<u8>], provider: &Arc<CryptoProvider>) -> Result<Verifier, Error> {
    let mut roots = RootCertStore::empty();
    for anchor in anchors {
        roots.add(CertificateDer::from(anchor.as_slice()))?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    verifier.build().map_err(|error| Error::General(error.to_string()))
}

/// What a port does with a certificate that was good and has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapsed {
    /// The handshake ends.
    Refused,
    /// It gets through; what it is good for is decided later.
    Welcome,
}

/// How one port judges, by anchors that it shares with others.
#[derive(Debug)]
pub(crate) struct ByAnchors {
    pub(crate) anchors: Arc<Anchors>,
    pub(crate) is_required: bool,
    pub(crate) lapsed: Lapsed,
}

impl Judges {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Result<(), Error> {
        let Err(error) = self.trusted.verify_client_cert(end_entity, intermediates, at) else {
            return Ok(());
        };
        let was_ours = self.distrusted.as_ref().is_some_and(|distrusted| {
            distrusted.verify_client_cert(end_entity, intermediates, at).is_ok()
        });
        Err(if was_ours { Error::InvalidCertificate(CertificateError::Revoked) } else { error })
    }
}

impl ClientCertVerifier for ByAnchors {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    /// None: they could not follow, and a client that goes by them would keep a newer certificate back.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judges = self.anchors.judges();
        let judged = match (self.lapsed, judges.judge(end_entity, intermediates, now)) {
            (
                Lapsed::Welcome,
                Err(Error::InvalidCertificate(
                    error @ CertificateError::ExpiredContext { not_after, .. },
                )),
            ) => {
                judges.judge(end_entity, intermediates, not_after)?;
                // It is the client's own certificate that has expired, not one that it sent along.
                match last_second(end_entity) {
                    Some(last) if last.unsigned_abs() == not_after.as_secs() => Ok(()),
                    Some(_) | None => Err(Error::InvalidCertificate(error)),
                }
            }
            (Lapsed::Welcome | Lapsed::Refused, judged) => judged,
        };
        judged.map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.anchors.judges().trusted.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.anchors.judges().trusted.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.anchors.judges().trusted.supported_verify_schemes()
    }
}
