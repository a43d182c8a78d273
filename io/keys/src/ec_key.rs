use std::fmt;

use aws_lc_rs::{
    rand,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use hedgerow_onboarding::csr;

use crate::{KeyError, KeyFile, SealingKey};

/// A P-256 key that signs and is never shown.
pub struct EcKey {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl fmt::Debug for EcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcKey(..)")
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
            return Self::with(pair.map_err(not_a_key)?);
        }
        let failed = |_| KeyError::Crypto("make a key");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
        file.write(sealing, pkcs8.as_ref())?;
        Self::with(pair)
    }

    fn with(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let point: &[u8; 65] = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Crypto("read a public key"))?;
        let spki = csr::p256_spki(point);
        Ok(Self { pair, spki })
    }

    /// SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The uncompressed point, 65 bytes.
    #[must_use]
    pub fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// ECDSA with SHA-256 over `message`; ECDSA-Sig-Value in DER.
    ///
    /// # Errors
    /// When the random generator fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&rand::SystemRandom::new(), message);
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
        let pkcs8 = key.pair.to_pkcs8v1().unwrap();
        let secret = &pkcs8.as_ref()[36..68];
        let on_disk = std::fs::read(file.path()).unwrap();
        assert!(on_disk.windows(32).all(|window| window != secret));
        assert!(!format!("{key:?}").contains(char::is_numeric));
    }
}
