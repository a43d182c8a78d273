//! The key that seals the hub's keys: a systemd credential, a passphrase, or a file elsewhere.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use hedgerow_keys::{KeyError, SealingKey};

use crate::{args::Seal, paths};

/// The systemd credential of the hub.
const CREDENTIAL: &str = "hedgerow-seal";

/// Finds it; a file that is not there is made.
pub(super) fn find(data: &Path, given: &Seal) -> Result<SealingKey, KeyError> {
    match there(data, given)? {
        Ok(key) => Ok(key),
        Err(path) => SealingKey::from_file(&path),
    }
}

/// The key, if it is there already; else the file where it would be made.
pub(crate) fn there(data: &Path, given: &Seal) -> Result<Result<SealingKey, PathBuf>, KeyError> {
    if let Some(path) = &given.passphrase_file {
        let text = fs::read_to_string(path).map_err(|e| KeyError::File(path.clone(), e))?;
        return SealingKey::from_passphrase(text.trim_end_matches(['\n', '\r'])).map(Ok);
    }
    let credentials = env::var_os("CREDENTIALS_DIRECTORY");
    let credentials = credentials.as_deref().map(Path::new).filter(|_| given.seal_file.is_none());
    if let Some(key) = SealingKey::from_credential(credentials, CREDENTIAL)? {
        return Ok(Ok(key));
    }
    let path = given.seal_file.clone().unwrap_or_else(|| paths::seal(data, "seal"));
    if path.exists() { SealingKey::from_file(&path).map(Ok) } else { Ok(Err(path)) }
}
