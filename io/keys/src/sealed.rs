//! Sealed files: `HRSEAL1`, how the key was derived, a salt, a nonce, AES-256-GCM over the contents with
//! the file's name as associated data, so that one sealed file can't stand in for another.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use zeroize::Zeroizing;

use crate::{KeyError, SealingKey, SystemRandom, limits::SEALED_BYTES_MAX, write_durably};

const MAGIC: &[u8; 7] = b"HRSEAL1";
const SALT: usize = 16;
const HEAD: usize = MAGIC.len() + 1 + SALT + NONCE_LEN;
const TAG: usize = 16;

/// How the AES key comes from the sealing key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Derivation {
    /// HKDF-SHA256 over at least 256 random bits.
    Hkdf = 1,
    /// Argon2id over a passphrase.
    Argon2id = 2,
}

impl Derivation {
    const fn for_key(key: &SealingKey) -> Self {
        if key.is_passphrase() { Self::Argon2id } else { Self::Hkdf }
    }

    fn derive(self, key: &SealingKey, salt: &[u8]) -> Result<LessSafeKey, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        match self {
            Self::Hkdf => {
                let failed = |_| KeyError::Crypto("derive a key");
                let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&key.material);
                let okm = prk.expand(&[b"hedgerow sealed file 1"], &AES_256_GCM).map_err(failed)?;
                return UnboundKey::new(&AES_256_GCM, &{
                    okm.fill(&mut *bytes).map_err(failed)?;
                    *bytes
                })
                .map(LessSafeKey::new)
                .map_err(failed);
            }
            Self::Argon2id => stretch(key, salt, &mut bytes)?,
        }
        let failed = |_| KeyError::Crypto("derive a key");
        UnboundKey::new(&AES_256_GCM, &*bytes).map(LessSafeKey::new).map_err(failed)
    }
}

#[cfg(feature = "hub")]
fn stretch(key: &SealingKey, salt: &[u8], out: &mut [u8; 32]) -> Result<(), KeyError> {
    argon2::Argon2::default()
        .hash_password_into(&key.material, salt, out)
        .map_err(|_| KeyError::Crypto("stretch the passphrase"))
}

#[cfg(not(feature = "hub"))]
fn stretch(_: &SealingKey, _: &[u8], _: &mut [u8; 32]) -> Result<(), KeyError> {
    Err(KeyError::WeakSealingKey("this program takes no passphrase; give it a key file".into()))
}

/// Seals `contents` for a file called `name`.
///
/// # Errors
/// [`KeyError::Crypto`].
pub fn seal(key: &SealingKey, name: &str, contents: &[u8]) -> Result<Vec<u8>, KeyError> {
    let derivation = Derivation::for_key(key);
    let salt: [u8; SALT] = SystemRandom.bytes()?;
    let nonce: [u8; NONCE_LEN] = SystemRandom.bytes()?;
    let mut body = contents.to_vec();
    derivation
        .derive(key, &salt)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(name.as_bytes()),
            &mut body,
        )
        .map_err(|_| KeyError::Crypto("seal"))?;
    Ok([MAGIC.as_slice(), &[derivation as u8], &salt, &nonce, &body].concat())
}

/// Opens what [`seal`] made; `None` when it was changed or sealed with another key or name.
#[must_use]
pub fn open(key: &SealingKey, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (head, body) = sealed.split_at_checked(HEAD)?;
    let rest = head.strip_prefix(MAGIC)?;
    let (derivation, rest) = rest.split_first()?;
    let (salt, nonce) = rest.split_at_checked(SALT)?;
    let expected = Derivation::for_key(key);
    if *derivation != expected as u8 || body.len() < TAG {
        return None;
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = Zeroizing::new(body.to_vec());
    let opened = expected.derive(key, salt).ok()?.open_in_place(
        nonce,
        Aad::from(name.as_bytes()),
        &mut body,
    );
    let len = opened.ok()?.len();
    body.truncate(len);
    Some(body)
}

/// A sealed file on disk.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    name: String,
}

impl KeyFile {
    /// The file `name` in `directory`.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(format!("{name}.sealed")), name: name.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; `None` when there is no such file.
    ///
    /// # Errors
    /// When it can't be read or unsealed.
    pub fn read(&self, key: &SealingKey) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let context = |error| KeyError::File(self.path.clone(), error);
        if !self.path.exists() {
            return Ok(None);
        }
        if fs::metadata(&self.path).map_err(context)?.len() > SEALED_BYTES_MAX {
            return Err(KeyError::Unsealable(self.path.clone()));
        }
        let sealed = fs::read(&self.path).map_err(context)?;
        let opened = open(key, &self.name, &sealed);
        opened.map(Some).ok_or_else(|| KeyError::Unsealable(self.path.clone()))
    }

    /// Seals `contents` and writes it durably.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, key: &SealingKey, contents: &[u8]) -> Result<(), KeyError> {
        let sealed = seal(key, &self.name, contents)?;
        write_durably(&self.path, &sealed).map_err(|error| KeyError::File(self.path.clone(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(directory: &Path) -> SealingKey {
        SealingKey::from_file(&directory.join("seal.key")).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_and_name_alone() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mine, other) = (key(one.path()), key(two.path()));
        let sealed = seal(&mine, "root", b"a private key").unwrap();
        assert_eq!(open(&mine, "root", &sealed).unwrap().as_slice(), b"a private key");
        assert!(open(&other, "root", &sealed).is_none());
        assert!(open(&mine, "issuing", &sealed).is_none());
        assert!(sealed.windows(9).all(|window| window != b"a private"));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let key = key(directory.path());
        let sealed = seal(&key, "root", b"key").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, "root", &changed).is_none(), "byte {at}");
            assert!(open(&key, "root", &sealed[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let (key, file) = (key(directory.path()), KeyFile::new(directory.path(), "big"));
        fs::write(file.path(), vec![0; usize::try_from(SEALED_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(file.read(&key), Err(KeyError::Unsealable(_))));
        assert!(KeyFile::new(directory.path(), "none").read(&key).unwrap().is_none());
    }

    #[cfg(feature = "hub")]
    #[test]
    fn a_passphrase_seals_too() {
        let key = SealingKey::from_passphrase("correct horse battery").unwrap();
        let sealed = seal(&key, "root", b"key").unwrap();
        assert_eq!(open(&key, "root", &sealed).unwrap().as_slice(), b"key");
        let other = SealingKey::from_passphrase("correct horse batters").unwrap();
        assert!(open(&other, "root", &sealed).is_none());
    }
}
