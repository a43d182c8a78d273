use std::{fmt, io, path::PathBuf};

use hedgerow_base::Fault;
use hedgerow_tpm::{Meaning, Problem};

use crate::TpmAddress;

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
    /// What should be a TPM's address is none.
    TpmAddress(String),
    /// The TPM is not there, can't be opened, or went away.
    TpmGone(TpmAddress, io::Error),
    /// The TPM can't make the keys that are needed here; says what it lacks.
    TpmUnfit(TpmAddress, &'static str),
    /// The TPM has locked itself after wrong passwords.
    TpmLockedOut(TpmAddress),
    /// The TPM's owner has set a password.
    TpmOwned(TpmAddress),
    /// The TPM refused, or its answer can't be read.
    Tpm(TpmAddress, Problem),
    /// The key in this file was made by another TPM, or by this one before it was cleared.
    ForeignTpm(PathBuf, TpmAddress),
    /// The file of a key in a TPM was changed or cut.
    DamagedKeyFile(PathBuf),
}

impl KeyError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::File(..) | Self::TpmGone(..) | Self::TpmLockedOut(_) => Fault::Unavailable,
            Self::WeakSealingKey(_)
            | Self::OpenSealingKey(_)
            | Self::TpmAddress(_)
            | Self::TpmUnfit(..) => Fault::Invalid,
            Self::Unsealable(_) | Self::TpmOwned(_) | Self::ForeignTpm(..) => Fault::Denied,
            Self::NotAKey(_) | Self::Crypto(_) | Self::DamagedKeyFile(_) => Fault::Broken,
            Self::Tpm(_, problem) => problem.fault(),
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
            Self::TpmAddress(what) => {
                write!(f, "{what} is not a TPM's address; write tpm:/dev/tpmrm0")
            }
            Self::TpmGone(tpm, error) => match error.kind() {
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "{tpm} can't be opened: {error}; run this as a user of the group that owns it \
                     (tss on most systems)"
                ),
                _ => write!(
                    f,
                    "{tpm} can't be reached: {error}; see that the TPM is switched on and nothing \
                     else holds it, then try again"
                ),
            },
            Self::TpmUnfit(tpm, what) => {
                write!(f, "{tpm} {what}; use a key in a file (`--key file`)")
            }
            Self::TpmLockedOut(tpm) => write!(
                f,
                "{tpm} has locked itself after wrong passwords; wait until it opens by itself, or \
                 reset it (tpm2_dictionarylockout)"
            ),
            Self::TpmOwned(tpm) => write!(
                f,
                "the owner of {tpm} has set a password, so that keys can't be made or used here; \
                 take it away (tpm2_changeauth), or use a key in a file"
            ),
            Self::Tpm(tpm, problem) => write!(f, "{tpm}: {problem}{}", advice(*problem)),
            Self::ForeignTpm(path, tpm) => write!(
                f,
                "the key in {} can't be used with {tpm}: another TPM made it, or this one was \
                 cleared since; put the old one back, or remove the device's state and enrol it again",
                path.display()
            ),
            Self::DamagedKeyFile(path) => write!(
                f,
                "{} is damaged; restore it from a backup, or remove the device's state and enrol it \
                 again",
                path.display()
            ),
        }
    }
}

/// What to do about a TPM's answer.
fn advice(problem: Problem) -> &'static str {
    let Problem::Refused(code) = problem else { return "" };
    match code.meaning() {
        Meaning::NoRoom => {
            "; its slots are taken: use /dev/tpmrm0, where the kernel makes room, or restart it"
        }
        Meaning::NotReady => "; it was not started or has failed: restart the machine",
        Meaning::TryAgain => "; it is busy: try again",
        Meaning::NotSupported => "; it can't make such keys: use a key in a file (`--key file`)",
        Meaning::Lockout
        | Meaning::WrongAuth
        | Meaning::NotItsOwn
        | Meaning::NoSuchHandle
        | Meaning::Other => "",
    }
}

impl std::error::Error for KeyError {}
