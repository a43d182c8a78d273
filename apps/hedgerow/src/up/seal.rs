//! The key that seals the hub's keys: a systemd credential, a passphrase, or a file elsewhere.

use std::{env, fs, path::Path};

use hedgerow_keys::{KeyError, SealingKey};

use crate::{args::Up, paths};

/// The systemd credential of the hub.
const CREDENTIAL: &str = "hedgerow-seal";

pub(super) fn find(data: &Path, up: &Up) -> Result<SealingKey, KeyError> {
    if let Some(path) = &up.passphrase_file {
        let text = fs::read_to_string(path).map_err(|e| KeyError::File(path.clone(), e))?;
        return SealingKey::from_passphrase(text.trim_end_matches(['\n', '\r']));
    }
    if let Some(path) = &up.seal_file {
        return SealingKey::from_file(path);
    }
    let credentials = env::var_os("CREDENTIALS_DIRECTORY");
    match SealingKey::from_credential(credentials.as_deref().map(Path::new), CREDENTIAL)? {
        Some(key) => Ok(key),
        None => SealingKey::from_file(&paths::seal(data, "seal")),
    }
}
