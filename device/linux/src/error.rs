use std::{fmt, io, path::PathBuf};

use hedgerow_keys::KeyError;
use hedgerow_listen::client::ConnectError;
use rustls::AlertDescription;

use crate::KeyPlace;

/// Why the agent can't go on.
#[derive(Debug)]
pub enum AgentError {
    /// A hub's address that is none.
    Address(String),
    /// A file could not be read or written.
    File(PathBuf, io::Error),
    /// The key can't be used.
    Key(KeyError),
    /// The key is in this place and shall be in another.
    KeyElsewhere(KeyPlace),
    /// There is a key in a sealed file and one in a TPM.
    TwoKeys(PathBuf),
    /// The device is enrolled, and its key is not there.
    KeyMissing(PathBuf),
    /// The hub can't be reached, or is another one.
    Connect(ConnectError),
    /// The hub answered with a refusal; its words.
    Refused(u16, String),
    /// The hub's answer makes no sense.
    Answer(&'static str),
    /// It is not enrolled yet.
    NotEnrolled,
    /// It is enrolled already.
    AlreadyEnrolled(String),
    /// The connection was lost.
    Lost(String),
    /// The device's certificate has expired, says the hub.
    Expired,
    /// It has expired, and the hub does not give the next one for it; its words.
    NotRescued(Box<Self>),
    /// The issuing CA of the device's certificate is not trusted any more.
    Distrusted,
    /// The hub's audit log is not the one that was seen before.
    HistoryChanged(String),
    /// The kernel refused the sandbox.
    Sandbox(String),
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(what) => {
                write!(f, "{what} is not a hub's address; write https://host:8444")
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Key(error) => error.fmt(f),
            Self::KeyElsewhere(place) => write!(
                f,
                "the key of this device is in {place} and stays there; leave `--key` out, or remove \
                 the device's state to make it a new device"
            ),
            Self::TwoKeys(state) => write!(
                f,
                "{} has a key in a sealed file (device.sealed) and one in a TPM (device.tpm); move \
                 the one away that is not this device's",
                state.display()
            ),
            Self::KeyMissing(state) => write!(
                f,
                "{} has a certificate and no key; restore device.sealed or device.tpm from a backup, \
                 or remove the device's state and enrol it again",
                state.display()
            ),
            Self::Connect(error) => error.fmt(f),
            Self::Refused(status, words) => {
                write!(f, "the hub refused ({status}): {}", words.trim())
            }
            Self::Answer(what) => write!(f, "the hub's answer can't be understood: {what}"),
            Self::NotEnrolled => f.write_str(
                "this device is not enrolled; run `hedgerow-agent enroll --hub URL --claim CODE`",
            ),
            Self::AlreadyEnrolled(hub) => {
                write!(f, "this device is enrolled at {hub}; remove its state to start anew")
            }
            Self::Lost(why) => write!(f, "the connection was lost: {why}"),
            Self::Expired => f.write_str("this device's certificate has expired"),
            Self::NotRescued(why) => write!(
                f,
                "this device's certificate has expired and was not replaced: {why}; to claim the device \
                 again, remove certificate.der from its state and enrol it with a new claim code"
            ),
            Self::Distrusted => f.write_str(
                "the hub does not trust the issuing CA of this device's certificate any more; remove \
                 certificate.der from its state and enrol it with a new claim code",
            ),
            Self::HistoryChanged(why) => {
                write!(f, "the hub's audit log is not to be trusted: {why}")
            }
            Self::Sandbox(why) => write!(f, "the sandbox could not be set up: {why}"),
        }
    }
}

impl std::error::Error for AgentError {}

impl AgentError {
    /// Why a connection ended, from what the socket says of it.
    pub(crate) fn lost(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(AlertDescription::CertificateRevoked)) => {
                Self::Distrusted
            }
            Some(rustls::Error::AlertReceived(AlertDescription::CertificateExpired)) => {
                Self::Expired
            }
            Some(_) | None => Self::Lost(error.to_string()),
        }
    }
}

impl From<KeyError> for AgentError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<ConnectError> for AgentError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}
