use std::{
    fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    KeyError, SystemRandom,
    limits::{PASSPHRASE_CHARS_MIN, SEALING_KEY_BYTES_MAX, SEALING_KEY_BYTES_MIN},
    write_durably,
};

/// Where a sealing key came from, to be said plainly at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A systemd credential of this name.
    Credential(String),
    /// Something that a person knows.
    Passphrase,
    /// A file outside the data directory.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
            Self::Passphrase => f.write_str("a passphrase"),
            Self::File(path) => write!(f, "the key file {}", path.display()),
        }
    }
}

/// The key that seals the others. It comes from outside the directory that it protects.
pub struct SealingKey {
    pub(crate) material: Zeroizing<Vec<u8>>,
    source: Source,
}

impl SealingKey {
    /// A systemd credential (`LoadCredentialEncrypted=`), when there is one of this name.
    ///
    /// # Errors
    /// When it is there and can't be read, or is too short.
    pub fn from_credential(
        credentials: Option<&Path>,
        name: &str,
    ) -> Result<Option<Self>, KeyError> {
        let Some(path) = credentials.map(|directory| directory.join(name)) else {
            return Ok(None);
        };
        if !path.exists() {
            return Ok(None);
        }
        let material = read(&path)?;
        check(&material, "the credential")?;
        Ok(Some(Self { material, source: Source::Credential(name.into()) }))
    }

    /// A passphrase; it is stretched with Argon2id where it is used.
    ///
    /// # Errors
    /// When it has fewer than [`PASSPHRASE_CHARS_MIN`] characters.
    pub fn from_passphrase(passphrase: &str) -> Result<Self, KeyError> {
        if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
            let what = format!("a passphrase needs at least {PASSPHRASE_CHARS_MIN} characters");
            return Err(KeyError::WeakSealingKey(what));
        }
        let material = Zeroizing::new(passphrase.as_bytes().to_vec());
        Ok(Self { material, source: Source::Passphrase })
    }

    /// A key file outside the data directory; made when it is not there.
    ///
    /// # Errors
    /// When it can't be read or made, others can read it, or it is too short.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        if !path.exists() {
            let fresh = Zeroizing::new(SystemRandom.bytes::<SEALING_KEY_BYTES_MIN>()?);
            write_durably(path, &*fresh).map_err(|error| KeyError::File(path.into(), error))?;
        }
        let metadata = fs::metadata(path).map_err(|error| KeyError::File(path.into(), error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::OpenSealingKey(path.into()));
        }
        let material = read(path)?;
        check(&material, "the key file")?;
        Ok(Self { material, source: Source::File(path.into()) })
    }

    /// Where it came from.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) const fn is_passphrase(&self) -> bool {
        matches!(self.source, Source::Passphrase)
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let context = |error| KeyError::File(path.to_owned(), error);
    if fs::metadata(path).map_err(context)?.len() > SEALING_KEY_BYTES_MAX {
        let what = format!("{} is over {SEALING_KEY_BYTES_MAX} bytes", path.display());
        return Err(KeyError::WeakSealingKey(what));
    }
    fs::read(path).map(Zeroizing::new).map_err(context)
}

fn check(material: &[u8], what: &str) -> Result<(), KeyError> {
    if material.len() < SEALING_KEY_BYTES_MIN {
        let what = format!("{what} needs at least {SEALING_KEY_BYTES_MIN} random bytes");
        return Err(KeyError::WeakSealingKey(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        let first = SealingKey::from_file(&path).unwrap();
        let second = SealingKey::from_file(&path).unwrap();
        assert_eq!(*first.material, *second.material);
        assert_eq!(second.source(), &Source::File(path));
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        fs::write(&path, [1; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SealingKey::from_file(&path), Err(KeyError::OpenSealingKey(_))));
    }

    #[test]
    fn short_and_long_material_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cred");
        for (len, is_good) in [(31, false), (32, true), (4096, true), (4097, false)] {
            fs::write(&path, vec![1; len]).unwrap();
            let made = SealingKey::from_credential(Some(directory.path()), "cred");
            assert_eq!(made.is_ok(), is_good, "{len}");
        }
        let none = SealingKey::from_credential(Some(directory.path()), "other").unwrap();
        assert!(none.is_none());
        assert!(SealingKey::from_passphrase("eleven char").is_err());
        assert!(SealingKey::from_passphrase("twelve chars").is_ok());
    }
}
