use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V2Der},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};

use crate::{KeyError, KeyFile, SealingKey};

/// The Ed25519 key that signs checkpoints of the audit log.
pub struct LogKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogKey(..)")
    }
}

impl LogKey {
    /// Opens the key in `file`, or makes one there.
    ///
    /// # Errors
    /// When the file can't be read, unsealed or written, or holds something else.
    pub fn open_or_make(file: &KeyFile, sealing: &SealingKey) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto("make a key");
        if let Some(pkcs8) = file.read(sealing)? {
            let pair = Ed25519KeyPair::from_pkcs8(&pkcs8);
            return Self::with(pair.map_err(|_| KeyError::NotAKey(file.path().into()))?);
        }
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let pkcs8: Pkcs8V2Der<'_> = pair.as_der().map_err(failed)?;
        file.write(sealing, pkcs8.as_ref())?;
        Self::with(pair)
    }

    fn with(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| KeyError::Crypto("read a public key"))?;
        Ok(Self { pair, public })
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// The 64 bytes of Ed25519 over `message`.
    ///
    /// # Errors
    /// Never in practice; the library's length is checked.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().map_err(|_| KeyError::Crypto("sign"))
    }
}

/// Whether `signature` is that of `public_key` over `message`.
#[must_use]
pub fn verify_log_signature(public_key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_key_is_kept_and_its_signatures_are_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let file = KeyFile::new(directory.path(), "log");
        let public = *LogKey::open_or_make(&file, &sealing).unwrap().public_key();
        let signature = LogKey::open_or_make(&file, &sealing).unwrap().sign(b"m").unwrap();
        assert!(verify_log_signature(&public, b"m", &signature));
        assert!(!verify_log_signature(&public, b"n", &signature));
        assert!(!verify_log_signature(&[0; 32], b"m", &signature));
    }
}
