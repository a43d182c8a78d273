//! Where things are kept.

use std::{env, path::PathBuf};

/// The data directory: as given, else below the user's data directory.
pub(crate) fn data(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| below("XDG_DATA_HOME", ".local/share").join("hedgerow"))
}

/// A sealing key's file: below the user's configuration directory, so that whoever copies the data
/// directory does not have it. Two data directories have two keys.
pub(crate) fn seal(data: &std::path::Path, name: &str) -> PathBuf {
    use sha2::{Digest, Sha256};
    let whole = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let digest = Sha256::digest(whole.as_os_str().as_encoded_bytes());
    let tag: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    below("XDG_CONFIG_HOME", ".config").join("hedgerow").join(format!("{name}-{tag}.key"))
}

fn below(variable: &str, home: &str) -> PathBuf {
    env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|directory| PathBuf::from(directory).join(home)))
        .unwrap_or_else(|| PathBuf::from("."))
}
