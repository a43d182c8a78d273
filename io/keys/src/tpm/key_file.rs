//! What is kept of a key in a TPM: `HRTPM01`, the TPM's address, the public area, the private area as the
//! TPM wrapped it, SHA-256 over all of it. No secret: only the TPM that made the key can use it. The
//! digest tells a damaged file from another TPM's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use hedgerow_tpm::{Private, Public, Reader, Use, Writer};

use super::TpmAddress;
use crate::{
    KeyError,
    limits::{TPM_ADDRESS_BYTES_MAX, TPM_KEY_BYTES_MAX},
    write_durably,
};

const MAGIC: &[u8; 7] = b"HRTPM01";
/// Bytes of SHA-256.
const DIGEST: usize = 32;

/// A key, wrapped by the TPM that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrapped {
    /// Where the TPM was when it made the key.
    pub(super) address: TpmAddress,
    pub(super) public: Public,
    pub(super) private: Private,
}

impl Wrapped {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(MAGIC).sized(self.address.to_string().as_bytes());
        let mut bytes = out.sized(&self.public.to_bytes()).sized(self.private.bytes()).finish();
        let sum = digest(&SHA256, &bytes);
        bytes.extend_from_slice(sum.as_ref());
        bytes
    }

    /// `None` when it was changed or cut.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        let rest = body.strip_prefix(MAGIC)?;
        if digest(&SHA256, body).as_ref() != sum {
            return None;
        }
        let mut reader = Reader::new(rest);
        let address = std::str::from_utf8(reader.sized(TPM_ADDRESS_BYTES_MAX).ok()?).ok()?;
        let address = address.parse().ok()?;
        let public = Public::from_bytes(reader.sized(usize::MAX).ok()?).ok()?;
        let private = Private::from_bytes(reader.sized(usize::MAX).ok()?).ok()?;
        reader.end().ok()?;
        let is_ours = public.purpose == Use::Signing;
        is_ours.then_some(Self { address, public, private })
    }
}

/// The file of a key in a TPM.
#[derive(Clone, Debug)]
pub struct TpmKeyFile {
    path: PathBuf,
}

impl TpmKeyFile {
    /// The file `name` in `directory`.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(format!("{name}.tpm")) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the TPM was that made the key; `None` when there is no such file.
    ///
    /// # Errors
    /// When it can't be read, or is damaged.
    pub fn address(&self) -> Result<Option<TpmAddress>, KeyError> {
        Ok(self.read()?.map(|wrapped| wrapped.address))
    }

    pub(super) fn read(&self) -> Result<Option<Wrapped>, KeyError> {
        let context = |error| KeyError::File(self.path.clone(), error);
        if !self.path.try_exists().map_err(context)? {
            return Ok(None);
        }
        let damaged = || KeyError::DamagedKeyFile(self.path.clone());
        if fs::metadata(&self.path).map_err(context)?.len() > TPM_KEY_BYTES_MAX {
            return Err(damaged());
        }
        let bytes = fs::read(&self.path).map_err(context)?;
        Wrapped::from_bytes(&bytes).map(Some).ok_or_else(damaged)
    }

    pub(super) fn write(&self, wrapped: &Wrapped) -> Result<(), KeyError> {
        write_durably(&self.path, &wrapped.to_bytes())
            .map_err(|error| KeyError::File(self.path.clone(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped() -> Wrapped {
        let private = Private::from_bytes(&[7; 126]).unwrap();
        let address = TpmAddress::of_this_machine();
        Wrapped { address, public: Public::template(Use::Signing), private }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let bytes = wrapped().to_bytes();
        assert_eq!(Wrapped::from_bytes(&bytes), Some(wrapped()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Wrapped::from_bytes(&changed), None, "byte {at}");
            assert_eq!(Wrapped::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_no_key_of_ours() {
        let storage = Wrapped { public: Public::template(Use::Storage), ..wrapped() };
        assert_eq!(Wrapped::from_bytes(&storage.to_bytes()), None);
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = TpmKeyFile::new(directory.path(), "device");
        assert_eq!(file.address().unwrap(), None);
        file.write(&wrapped()).unwrap();
        assert_eq!(file.address().unwrap(), Some(TpmAddress::of_this_machine()));
        let most = usize::try_from(TPM_KEY_BYTES_MAX).unwrap();
        for len in [most, most + 1] {
            fs::write(file.path(), vec![0; len]).unwrap();
            assert!(matches!(file.address(), Err(KeyError::DamagedKeyFile(_))), "{len}");
        }
    }
}
