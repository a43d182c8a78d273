use std::fmt;

use aws_lc_rs::{
    rand,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use hedgerow_onboarding::csr;

use crate::{KeyError, KeyFile, SealingKey};

/// Where a private key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In a file, sealed with a key from outside it; unsealed it is in this process.
    SealedFile,
    /// In a TPM 2.0, which signs.
    Tpm,
    /// In a PKCS#11 token, which signs.
    Token,
}

impl Storage {
    /// The word that devices and hub use for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SealedFile => "sealed-file",
            Self::Tpm => "tpm",
            Self::Token => "token",
        }
    }
}

/// What has a private key and signs with it.
pub(crate) trait Hand: Send + Sync {
    /// ECDSA with SHA-256 over `message`; ECDSA-Sig-Value in DER. It may take as long as a TPM does.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// A P-256 key that signs and is never shown.
pub struct EcKey {
    hand: Box<dyn Hand>,
    storage: Storage,
    point: [u8; 65],
    spki: Vec<u8>,
}

impl fmt::Debug for EcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcKey").field("storage", &self.storage).finish_non_exhaustive()
    }
}

impl EcKey {
    /// Opens the key in `file`, or makes one there.
    ///
    /// # Errors
    /// When the file can't be read, unsealed or written, or holds something else.
    pub fn open_or_make(file: &KeyFile, sealing: &SealingKey) -> Result<Self, KeyError> {
        if let Some(pkcs8) = file.read(sealing)? {
            let not_a_key = |_| KeyError::NotAKey(file.path().into());
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8);
            return Self::of_pair(pair.map_err(not_a_key)?);
        }
        let failed = |_| KeyError::Crypto("make a key");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
        file.write(sealing, pkcs8.as_ref())?;
        Self::of_pair(pair)
    }

    fn of_pair(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let point = pair.public_key().as_ref().try_into();
        let point = point.map_err(|_| KeyError::Crypto("read a public key"))?;
        Ok(Self::with(Box::new(pair), Storage::SealedFile, point))
    }

    /// The key of this public point, which `hand` signs with.
    pub(crate) fn with(hand: Box<dyn Hand>, storage: Storage, point: [u8; 65]) -> Self {
        Self { hand, storage, point, spki: csr::p256_spki(&point) }
    }

    /// SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The uncompressed point, 65 bytes.
    #[must_use]
    pub fn point(&self) -> &[u8] {
        &self.point
    }

    /// Where it lies.
    #[must_use]
    pub const fn storage(&self) -> Storage {
        self.storage
    }

    /// ECDSA with SHA-256 over `message`; ECDSA-Sig-Value in DER.
    ///
    /// # Errors
    /// When the random generator fails, or the hardware that has the key.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.hand.sign(message)
    }
}

impl Hand for EcdsaKeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = Self::sign(self, &rand::SystemRandom::new(), message);
        signature.map(|s| s.as_ref().to_vec()).map_err(|_| KeyError::Crypto("sign"))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_signs_as_itself() {
        let directory = tempfile::tempdir().unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let file = KeyFile::new(directory.path(), "device");
        let first = EcKey::open_or_make(&file, &sealing).unwrap();
        let again = EcKey::open_or_make(&file, &sealing).unwrap();
        assert_eq!(first.spki(), again.spki());
        let signature = again.sign(b"message").unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, first.point());
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"another", &signature).is_err());
    }

    #[test]
    fn the_key_never_stands_in_plaintext_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let file = KeyFile::new(directory.path(), "device");
        let key = EcKey::open_or_make(&file, &sealing).unwrap();
        let pkcs8 = file.read(&sealing).unwrap().unwrap();
        let secret = &pkcs8[36..68];
        let on_disk = std::fs::read(file.path()).unwrap();
        assert!(on_disk.windows(32).all(|window| window != secret));
        assert_eq!(format!("{key:?}"), "EcKey { storage: SealedFile, .. }");
    }
}
