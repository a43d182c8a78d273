use std::{fmt, io, path::PathBuf};

use hedgerow_base::Fault;

/// Why a key can't be used.
#[derive(Debug)]
pub enum KeyError {
    /// A file could not be read or written.
    File(PathBuf, io::Error),
    /// The file was not sealed by us, or was changed, or the sealing key is another one.
    Unsealable(PathBuf),
    /// A sealing key that is too short or too long; says what is needed.
    WeakSealingKey(String),
    /// The sealing key's file can be read by others.
    OpenSealingKey(PathBuf),
    /// What was unsealed is not a key of the expected kind.
    NotAKey(PathBuf),
    /// The cryptographic library refused.
    Crypto(&'static str),
}

impl KeyError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::File(..) => Fault::Unavailable,
            Self::WeakSealingKey(_) | Self::OpenSealingKey(_) => Fault::Invalid,
            Self::Unsealable(_) => Fault::Denied,
            Self::NotAKey(_) | Self::Crypto(_) => Fault::Broken,
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Unsealable(path) => write!(
                f,
                "{} can't be unsealed: the sealing key is another one, or the file was changed; \
                 give the key that it was sealed with",
                path.display()
            ),
            Self::WeakSealingKey(what) => f.write_str(what),
            Self::OpenSealingKey(path) => {
                write!(f, "{} can be read by other users; run `chmod 600` on it", path.display())
            }
            Self::NotAKey(path) => {
                write!(f, "{} holds no key of the expected kind", path.display())
            }
            Self::Crypto(what) => write!(f, "the cryptographic library failed to {what}"),
        }
    }
}

impl std::error::Error for KeyError {}
