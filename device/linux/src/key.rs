//! Where a device's key is kept: chosen once, found again ever after.
//!
//! 1. A key that is there is the device's key, whatever is asked for: with another it would be another
//!    device.
//! 2. Else one is made where it was asked for; `auto` is the TPM of this machine if there is one that can
//!    do what is needed, else a sealed file.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use hedgerow_keys::{
    EcKey, KeyError, KeyFile, SealingKey, Source, Storage, Tpm, TpmAddress, TpmKeyFile,
};

use crate::AgentError;

/// The name of a device's key among its files.
const NAME: &str = "device";

/// Where a device's key shall be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChoice {
    /// In this TPM if it is there and can do what is needed, else in a sealed file.
    Best(TpmAddress),
    /// In a sealed file.
    File,
    /// In this TPM.
    Tpm(TpmAddress),
}

impl Default for KeyChoice {
    fn default() -> Self {
        Self::Best(TpmAddress::of_this_machine())
    }
}

impl FromStr for KeyChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::default()),
            "file" => Ok(Self::File),
            _ => match text.parse() {
                Ok(address) => Ok(Self::Tpm(address)),
                Err(_) => Err(format!("{text} is not auto, file or tpm:/dev/tpmrm0")),
            },
        }
    }
}

/// Where a device's key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file, sealed with a key from here.
    File(Source),
    /// In the TPM at this address.
    Tpm(TpmAddress),
}

impl KeyPlace {
    /// The kind of storage.
    #[must_use]
    pub const fn storage(&self) -> Storage {
        match self {
            Self::File(_) => Storage::SealedFile,
            Self::Tpm(_) => Storage::Tpm,
        }
    }

    /// The device file that is needed to use it.
    pub(crate) fn device_file(&self) -> Option<&Path> {
        match self {
            Self::Tpm(TpmAddress::Device(path)) => Some(path),
            Self::Tpm(TpmAddress::Swtpm(_)) | Self::File(_) => None,
        }
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(source) => write!(f, "a file sealed with {source}"),
            Self::Tpm(address) => write!(f, "the TPM at {address}"),
        }
    }
}

/// Whether the device in `directory` has a key.
pub(crate) fn is_key_there(directory: &Path) -> bool {
    KeyFile::new(directory, NAME).path().exists()
        || TpmKeyFile::new(directory, NAME).path().exists()
}

/// A device's key, and where it is.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) key: EcKey,
    pub(crate) place: KeyPlace,
    /// Why the TPM that is there was not taken.
    pub(crate) passed_over: Option<KeyError>,
}

impl Kept {
    /// The key of the device in `directory`; made there when there is none. `sealing` is asked for the
    /// sealing key where one is needed.
    pub(crate) fn open<F>(
        directory: &Path,
        choice: &KeyChoice,
        sealing: F,
    ) -> Result<Self, AgentError>
    where
        F: FnOnce() -> Result<SealingKey, KeyError>,
    {
        let wrapped = TpmKeyFile::new(directory, NAME).address()?;
        let sealed = KeyFile::new(directory, NAME).path().exists();
        match (wrapped, sealed, choice) {
            (Some(_), true, _) => Err(AgentError::TwoKeys(directory.into())),
            (Some(at), false, KeyChoice::File) => Err(AgentError::KeyElsewhere(KeyPlace::Tpm(at))),
            (Some(_), false, KeyChoice::Tpm(address)) => in_tpm(directory, address),
            (Some(at), false, KeyChoice::Best(_)) => in_tpm(directory, &at),
            (None, true, KeyChoice::Tpm(_)) => {
                let source = sealing()?.source().clone();
                Err(AgentError::KeyElsewhere(KeyPlace::File(source)))
            }
            (None, true, KeyChoice::File | KeyChoice::Best(_)) => in_file(directory, &sealing()?),
            (None, false, KeyChoice::File) => in_file(directory, &sealing()?),
            (None, false, KeyChoice::Tpm(address)) => in_tpm(directory, address),
            (None, false, KeyChoice::Best(address)) => best(directory, address, sealing),
        }
    }

    /// The key that is there, else one in a sealed file.
    pub(crate) fn found_or_sealed(
        directory: &Path,
        sealing: &SealingKey,
    ) -> Result<Self, AgentError> {
        match TpmKeyFile::new(directory, NAME).address()? {
            Some(at) if !KeyFile::new(directory, NAME).path().exists() => in_tpm(directory, &at),
            Some(_) => Err(AgentError::TwoKeys(directory.into())),
            None => in_file(directory, sealing),
        }
    }
}

fn in_file(directory: &Path, sealing: &SealingKey) -> Result<Kept, AgentError> {
    let key = EcKey::open_or_make(&KeyFile::new(directory, NAME), sealing)?;
    let place = KeyPlace::File(sealing.source().clone());
    Ok(Kept { key, place, passed_over: None })
}

fn in_tpm(directory: &Path, address: &TpmAddress) -> Result<Kept, AgentError> {
    let tpm = Arc::new(Tpm::at(address.clone()));
    let key = EcKey::in_tpm(&tpm, directory, NAME)?;
    Ok(Kept { key, place: KeyPlace::Tpm(address.clone()), passed_over: None })
}

/// A new key in the TPM if that works, else in a file. Most machines without a TPM have no file for one:
/// then there is nothing to say.
fn best<F>(directory: &Path, address: &TpmAddress, sealing: F) -> Result<Kept, AgentError>
where
    F: FnOnce() -> Result<SealingKey, KeyError>,
{
    if matches!(address, TpmAddress::Device(path) if !path.exists()) {
        return in_file(directory, &sealing()?);
    }
    let made = Tpm::at(address.clone()).check().map_err(AgentError::Key);
    match made.and_then(|_| in_tpm(directory, address)) {
        // Once it is written that the key is in the TPM, it is the device's key.
        Err(AgentError::Key(error)) if !TpmKeyFile::new(directory, NAME).path().exists() => {
            let kept = in_file(directory, &sealing()?)?;
            Ok(Kept { passed_over: Some(error), ..kept })
        }
        made => made,
    }
}
