use std::{fmt, sync::Arc};

use rustls::{
    Error, OtherError, SignatureAlgorithm, SignatureScheme,
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer},
    sign::{CertifiedKey, Signer, SigningKey},
};

type Sign = dyn Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync;

/// A P-256 key that signs handshakes and is kept elsewhere: sealed file, TPM, token.
#[derive(Clone)]
pub struct HandshakeKey {
    spki: Vec<u8>,
    sign: Arc<Sign>,
}

impl fmt::Debug for HandshakeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandshakeKey(..)")
    }
}

impl HandshakeKey {
    /// A key with its SubjectPublicKeyInfo in DER; `sign` gives ECDSA-Sig-Value in DER over SHA-256 of the
    /// message.
    pub fn new(
        spki: Vec<u8>,
        sign: impl Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        Self { spki, sign: Arc::new(sign) }
    }
}

impl SigningKey for HandshakeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let can = offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        can.then(|| Box::new(Hand(Arc::clone(&self.sign))) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.spki.as_slice().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

/// What has the key could not sign; its words.
#[derive(Debug)]
pub(crate) struct Unsigned(String);

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsigned {}

struct Hand(Arc<Sign>);

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hand(..)")
    }
}

impl Signer for Hand {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        (self.0)(message).map_err(|why| Error::Other(OtherError(Arc::new(Unsigned(why)))))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// A certificate chain, leaf first, and the key of its leaf.
#[derive(Clone, Debug)]
pub struct Identity {
    /// DER.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's key.
    pub key: HandshakeKey,
}

impl Identity {
    pub(crate) fn certified(&self) -> CertifiedKey {
        let chain = self.chain.iter().cloned().map(CertificateDer::from).collect();
        CertifiedKey::new(chain, Arc::new(self.key.clone()))
    }
}
