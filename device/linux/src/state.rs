//! What a device keeps: its key (sealed), its hub, its certificates, the last checkpoint.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hedgerow_base::{DeviceId, Timestamp};
use hedgerow_keys::{EcKey, KeyFile, SealingKey, write_durably};
use hedgerow_listen::{HandshakeKey, Identity};
use std::sync::Arc;

use crate::{AgentError, HubUrl};

const ROOT: &str = "root.der";
const ISSUING: &str = "issuing.der";
const HUB: &str = "hub";
const CURRENT: &str = "certificate.der";
const NEXT: &str = "certificate.next.der";

/// The directory of a device's state.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    key: Arc<EcKey>,
}

/// A hub that the device is enrolled at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Where it takes devices.
    pub hub: HubUrl,
    /// Where its MQTT is.
    pub mqtts_port: u16,
    /// Root CA, in DER.
    pub root: Vec<u8>,
    /// Issuing CA, in DER.
    pub issuing: Vec<u8>,
}

/// Which of the two certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that is known to work.
    Current,
    /// The one that was just issued.
    Next,
}

impl State {
    /// Opens the state in `directory`, with the device's key; both are made when missing.
    ///
    /// # Errors
    /// When the key can't be unsealed or the directory not be used.
    pub fn open(directory: &Path, sealing: &SealingKey) -> Result<Self, AgentError> {
        let key = EcKey::open_or_make(&KeyFile::new(directory, "device"), sealing)?;
        Ok(Self { directory: directory.into(), key: Arc::new(key) })
    }

    /// The device's id.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        DeviceId::from_public_key(self.key.spki())
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn key(&self) -> &EcKey {
        &self.key
    }

    /// The hub that the device is enrolled at; `None` when it is not.
    ///
    /// # Errors
    /// When the files can't be read.
    pub fn enrolment(&self) -> Result<Option<Enrolment>, AgentError> {
        let (Some(hub), Some(root), Some(issuing)) =
            (self.read(HUB)?, self.read(ROOT)?, self.read(ISSUING)?)
        else {
            return Ok(None);
        };
        if self.read(CURRENT)?.is_none() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&hub).into_owned();
        let mut lines = text.lines();
        let url: HubUrl = lines.next().unwrap_or_default().parse()?;
        let port = lines.next().and_then(|line| line.parse().ok());
        let mqtts_port = port.ok_or(AgentError::Answer("the file `hub` is damaged"))?;
        Ok(Some(Enrolment { hub: url, mqtts_port, root, issuing }))
    }

    /// Keeps an enrolment; the certificate last, since it is what makes it one.
    pub(crate) fn keep(&self, enrolment: &Enrolment, leaf: &[u8]) -> Result<(), AgentError> {
        let hub = format!("{}\n{}\n", enrolment.hub, enrolment.mqtts_port);
        self.write(HUB, hub.as_bytes())?;
        self.write(ROOT, &enrolment.root)?;
        self.write(ISSUING, &enrolment.issuing)?;
        self.write(CURRENT, leaf)
    }

    pub(crate) fn certificate(&self, which: Which) -> Result<Option<Vec<u8>>, AgentError> {
        self.read(file_of(which))
    }

    pub(crate) fn keep_next(&self, leaf: &[u8]) -> Result<(), AgentError> {
        self.write(NEXT, leaf)
    }

    /// The next certificate works: it takes the place of the current one, in one step.
    pub(crate) fn promote_next(&self) -> Result<(), AgentError> {
        let (from, to) = (self.directory.join(NEXT), self.directory.join(CURRENT));
        let context = |error| AgentError::File(to.clone(), error);
        fs::rename(&from, &to).map_err(context)?;
        fs::File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(context)
    }

    /// The next certificate does not work: it is forgotten.
    pub(crate) fn drop_next(&self) {
        let _ = fs::remove_file(self.directory.join(NEXT));
    }

    /// Who the device is with one of its certificates.
    pub(crate) fn identity(
        &self,
        enrolment: &Enrolment,
        which: Which,
    ) -> Result<Option<Identity>, AgentError> {
        let Some(leaf) = self.certificate(which)? else { return Ok(None) };
        let key = Arc::clone(&self.key);
        let sign = move |message: &[u8]| key.sign(message).map_err(|error| error.to_string());
        let key = HandshakeKey::new(self.key.spki().to_vec(), sign);
        Ok(Some(Identity { chain: vec![leaf, enrolment.issuing.clone()], key }))
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AgentError> {
        let path = self.directory.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(AgentError::File(path, error)),
        }
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), AgentError> {
        let path = self.directory.join(name);
        write_durably(&path, bytes).map_err(|error| AgentError::File(path, error))
    }
}

const fn file_of(which: Which) -> &'static str {
    match which {
        Which::Current => CURRENT,
        Which::Next => NEXT,
    }
}

/// From when to when a certificate is valid, read from its DER.
pub(crate) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    use hedgerow_onboarding::der::{Reader, tag};
    let mut fields = Reader::new(certificate).ok()?.enter(tag::SEQUENCE).ok()?;
    let mut fields = fields.enter(tag::SEQUENCE).ok()?;
    if fields.peek() == Some(tag::CONTEXT_0) {
        fields.any().ok()?;
    }
    for expected in [tag::INTEGER, tag::SEQUENCE, tag::SEQUENCE] {
        fields.take(expected).ok()?;
    }
    let mut validity = fields.enter(tag::SEQUENCE).ok()?;
    let mut moment = || validity.any().ok().and_then(|(tag, text, _)| asn1_time(tag, text));
    Some((moment()?, moment()?))
}

/// UTCTime (two digits of the year, RFC 5280 section 4.1.2.5.1) or GeneralizedTime.
fn asn1_time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let full = match tag {
        0x17 => {
            let year: u8 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < 50 { "20" } else { "19" })
        }
        0x18 => text.to_owned(),
        _ => return None,
    };
    let part = |from, to| full.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_of_x_509_are_read() {
        let moment = Timestamp::parse("2026-11-22T10:20:30Z");
        assert!(moment.is_some());
        assert_eq!(asn1_time(0x17, b"261122102030Z"), moment);
        assert_eq!(asn1_time(0x18, b"20261122102030Z"), moment);
        assert_eq!(asn1_time(0x18, b"20261122102030"), None);
        assert_eq!(asn1_time(0x17, b""), None);
    }

    #[test]
    fn a_state_without_a_certificate_is_no_enrolment() {
        let directory = tempfile::tempdir().unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let state = State::open(directory.path(), &sealing).unwrap();
        assert_eq!(state.enrolment().unwrap(), None);
        let enrolment = Enrolment {
            hub: "hub:1".parse().unwrap(),
            mqtts_port: 2,
            root: vec![1],
            issuing: vec![2],
        };
        state.keep(&enrolment, b"leaf").unwrap();
        assert_eq!(state.enrolment().unwrap(), Some(enrolment));
        fs::remove_file(directory.path().join(CURRENT)).unwrap();
        assert_eq!(state.enrolment().unwrap(), None);
        assert_eq!(State::open(directory.path(), &sealing).unwrap().id(), state.id());
    }
}
