use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest::{SHA256, digest};
use hedgerow_onboarding::der;
use hedgerow_tpm::{
    Auth, Create, FlushContext, Handle, Load, Meaning, Problem, Sign, Signature, Use,
};

use super::{
    Session, Tpm,
    key_file::{TpmKeyFile, Wrapped},
};
use crate::{EcKey, KeyError, Storage, ec_key::Hand};

impl EcKey {
    /// The key in a TPM that the file `name` in `directory` is about, or a new one, made inside. It is
    /// tried whether the TPM has it.
    ///
    /// # Errors
    /// When the TPM is not there, is another one, or refuses; when the file can't be read or written.
    pub fn in_tpm(tpm: &Arc<Tpm>, directory: &Path, name: &str) -> Result<Self, KeyError> {
        let file = TpmKeyFile::new(directory, name);
        let wrapped = match file.read()? {
            Some(wrapped) => wrapped,
            None => {
                let wrapped = tpm.once_more(make)?;
                file.write(&wrapped)?;
                wrapped
            }
        };
        let point = wrapped.public.point.uncompressed();
        let key = InTpm { tpm: Arc::clone(tpm), wrapped, path: file.path().into() };
        tpm.once_more(|session| key.load(session).map(drop))?;
        Ok(Self::with(Box::new(key), Storage::Tpm, point))
    }
}

fn make(session: &mut Session<'_>) -> Result<Wrapped, KeyError> {
    let parent = session.storage_root()?;
    let made = session.ask(&Create { parent, auth: &Auth::EMPTY, purpose: Use::Signing })?;
    let other = Problem::Unexpected("a key of another kind");
    if made.public.purpose != Use::Signing {
        return Err(session.tpm.wrong(other));
    }
    let address = session.tpm.address.clone();
    Ok(Wrapped { address, public: made.public, private: made.private })
}

/// A key that is in a TPM.
struct InTpm {
    tpm: Arc<Tpm>,
    wrapped: Wrapped,
    path: PathBuf,
}

impl InTpm {
    /// Loads it, and leaves it alone in the TPM.
    fn load(&self, session: &mut Session<'_>) -> Result<Handle, KeyError> {
        let parent = session.storage_root()?;
        let Wrapped { public, private, .. } = &self.wrapped;
        let loaded =
            session.ask(&Load { parent, public, private }).map_err(|error| match error {
                KeyError::Tpm(tpm, Problem::Refused(code))
                    if code.meaning() == Meaning::NotItsOwn =>
                {
                    KeyError::ForeignTpm(self.path.clone(), tpm)
                }
                other => other,
            })?;
        session.loaded.push(loaded);
        session.ask(&FlushContext(parent))?;
        session.loaded.retain(|handle| *handle != parent);
        Ok(loaded)
    }
}

impl Hand for InTpm {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Crypto("hash");
        let digest: [u8; 32] = digest(&SHA256, message).as_ref().try_into().map_err(failed)?;
        let signature = self.tpm.once_more(|session| {
            let key = self.load(session)?;
            session.ask(&Sign { key, auth: &Auth::EMPTY, digest })
        })?;
        Ok(to_der(&signature))
    }
}

/// ECDSA-Sig-Value (RFC 3279 section 2.2.3).
fn to_der(signature: &Signature) -> Vec<u8> {
    der::sequence(&[&integer(&signature.r), &integer(&signature.s)])
}

/// A positive INTEGER: no zeros before it but the one that keeps it positive.
fn integer(bytes: &[u8; 32]) -> Vec<u8> {
    let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let bytes = bytes.get(from..).unwrap_or_default();
    let sign: &[u8] = if bytes.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    der::value(der::tag::INTEGER, &[sign, bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_signature_are_positive_and_as_short_as_they_can_be() {
        let number = |first: u8| {
            let mut bytes = [0; 32];
            bytes[30] = first;
            bytes[31] = 9;
            bytes
        };
        assert_eq!(integer(&number(0)), [2, 1, 9]);
        assert_eq!(integer(&number(0x7f)), [2, 2, 0x7f, 9]);
        assert_eq!(integer(&number(0x80)), [2, 3, 0, 0x80, 9]);
        assert_eq!(integer(&[0; 32]), [2, 1, 0]);
        let mut longest = vec![2, 33, 0];
        longest.extend([0xff; 32]);
        assert_eq!(integer(&[0xff; 32]), longest);
        let signature = Signature { r: number(0), s: number(0x80) };
        assert_eq!(to_der(&signature), [0x30, 8, 2, 1, 9, 2, 3, 0, 0x80, 9]);
    }
}
