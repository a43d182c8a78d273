use hedgerow_base::{DeviceId, DeviceKey, Timestamp};
use hedgerow_model::mapping::Names;
use hedgerow_policy::{CertificateId, Fact, PasswordId, Standing};

use crate::{Label, State};

/// Where a device says that its key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStorage {
    /// It did not say.
    Unknown,
    /// A file sealed with a key from outside it.
    SealedFile,
    /// TPM 2.0.
    Tpm,
    /// A PKCS#11 token.
    Token,
}

impl KeyStorage {
    /// The word in the API and the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SealedFile => "sealed-file",
            Self::Tpm => "tpm",
            Self::Token => "token",
        }
    }

    /// Reads [`KeyStorage::word`]; anything else is unknown.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [Self::SealedFile, Self::Tpm, Self::Token]
            .into_iter()
            .find(|storage| storage.word() == word)
            .unwrap_or(Self::Unknown)
    }
}

/// The certificate that a device has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Fingerprint.
    pub id: CertificateId,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// A device as the hub knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which record.
    pub key: DeviceKey,
    /// What people call it.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// How far it is trusted now.
    pub standing: Standing,
    /// The fact that its standing follows from.
    pub because: Option<Fact>,
    /// The profile that it is held to.
    pub profile: String,
    /// What the variables of its foreign topics are.
    pub names: Names,
    /// The device whose connection carries it; none when it has its own.
    pub carrier: Option<DeviceId>,
    /// The group that it is in.
    pub group: Option<String>,
    /// Its labels, in order of their keys.
    pub labels: Vec<Label>,
    /// Where its key is kept.
    pub key_storage: KeyStorage,
    /// Its newest certificate.
    pub certificate: Option<Certificate>,
    /// The password that it signs in with, if it can do no better.
    pub password: Option<PasswordId>,
    /// When it enrolled.
    pub created: Timestamp,
    /// When it was last heard.
    pub last_seen: Option<Timestamp>,
    /// Whether it has an open session.
    pub is_connected: bool,
    /// Grows with every edit; the ETag.
    pub revision: i64,
}
