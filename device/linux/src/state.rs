//! What a device keeps: its key (sealed, or wrapped by a TPM), its hub, its certificates, the last checkpoint.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hedgerow_base::{DeviceId, Timestamp};
use hedgerow_keys::{EcKey, KeyError, SealingKey, write_durably};
use hedgerow_listen::{HandshakeKey, Identity};
use std::sync::Arc;

use crate::{
    AgentError, HubUrl,
    key::{Kept, KeyChoice, KeyPlace, is_key_there},
};

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
    place: KeyPlace,
    passed_over: Option<KeyError>,
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
    /// Issuing CA of the first certificate, in DER; later ones are kept beside their certificates.
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
    /// Opens the state in `directory`, with the device's key where it is; without one, it is made in a
    /// sealed file.
    ///
    /// # Errors
    /// When the key can't be used or the directory not be written.
    pub fn open(directory: &Path, sealing: &SealingKey) -> Result<Self, AgentError> {
        Self::with(directory, || Kept::found_or_sealed(directory, sealing))
    }

    /// The same, with a choice of where the key is made; `sealing` is asked for if it is in a file.
    ///
    /// # Errors
    /// When the key can't be used, is elsewhere than it shall be, or the directory can't be written.
    pub fn open_with<F>(
        directory: &Path,
        choice: &KeyChoice,
        sealing: F,
    ) -> Result<Self, AgentError>
    where
        F: FnOnce() -> Result<SealingKey, KeyError>,
    {
        Self::with(directory, || Kept::open(directory, choice, sealing))
    }

    fn with(
        directory: &Path,
        open: impl FnOnce() -> Result<Kept, AgentError>,
    ) -> Result<Self, AgentError> {
        // With a key that is made now an enrolled device would be another one.
        let is_enrolled = directory.join(CURRENT).exists();
        if is_enrolled && !is_key_there(directory) {
            return Err(AgentError::KeyMissing(directory.into()));
        }
        let Kept { key, place, passed_over } = open()?;
        Ok(Self { directory: directory.into(), key: Arc::new(key), place, passed_over })
    }

    /// Where the device's key is.
    #[must_use]
    pub const fn key_place(&self) -> &KeyPlace {
        &self.place
    }

    /// Why a TPM that is there was not taken for the key that was made just now.
    #[must_use]
    pub const fn passed_over(&self) -> Option<&KeyError> {
        self.passed_over.as_ref()
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
        Ok(self.chain(which)?.and_then(|chain| chain.into_iter().next()))
    }

    /// A certificate and, but for the first, its issuing CA.
    fn chain(&self, which: Which) -> Result<Option<Vec<Vec<u8>>>, AgentError> {
        let Some(file) = self.read(file_of(which))? else { return Ok(None) };
        Ok(Some(split(&file).ok_or(AgentError::Answer("the file of a certificate is damaged"))?))
    }

    /// Keeps a certificate with its issuing CA, one after the other in one file: after a power cut both are
    /// there, or neither.
    pub(crate) fn keep_next(&self, leaf: &[u8], issuing: &[u8]) -> Result<(), AgentError> {
        self.write(NEXT, &[leaf, issuing].concat())
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
        let Some(mut chain) = self.chain(which)? else { return Ok(None) };
        if chain.len() == 1 {
            chain.push(enrolment.issuing.clone());
        }
        let key = Arc::clone(&self.key);
        let sign = move |message: &[u8]| key.sign(message).map_err(|error| error.to_string());
        let key = HandshakeKey::new(self.key.spki().to_vec(), sign);
        Ok(Some(Identity { chain, key }))
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

/// The certificates of a file, one after the other; `None` when there is none or they can't be told apart.
fn split(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    use hedgerow_onboarding::der::Reader;
    let mut rest = Reader::new(file).ok()?;
    let mut certificates = Vec::new();
    while !rest.is_empty() {
        certificates.push(rest.any().ok()?.2.to_vec());
    }
    (!certificates.is_empty()).then_some(certificates)
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

    /// As much of a certificate as is looked at here.
    const LEAF: &[u8] = &[0x30, 1, 1];
    const NEXT_LEAF: &[u8] = &[0x30, 1, 2];
    const NEXT_ISSUING: &[u8] = &[0x30, 1, 3];

    fn enrolled() -> (tempfile::TempDir, State, Enrolment) {
        let directory = tempfile::tempdir().unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let state = State::open(directory.path(), &sealing).unwrap();
        let hub = "hub:1".parse().unwrap();
        let enrolment = Enrolment { hub, mqtts_port: 2, root: vec![1], issuing: vec![2] };
        state.keep(&enrolment, LEAF).unwrap();
        (directory, state, enrolment)
    }

    fn shown(state: &State, enrolment: &Enrolment, which: Which) -> Option<Vec<Vec<u8>>> {
        state.identity(enrolment, which).unwrap().map(|identity| identity.chain)
    }

    #[test]
    fn a_new_issuing_ca_comes_and_goes_with_the_certificate_that_it_signed() {
        let (_directory, state, enrolment) = enrolled();
        let first = Some(vec![LEAF.to_vec(), enrolment.issuing.clone()]);
        let second = Some(vec![NEXT_LEAF.to_vec(), NEXT_ISSUING.to_vec()]);
        assert_eq!(shown(&state, &enrolment, Which::Next), None);
        state.keep_next(NEXT_LEAF, NEXT_ISSUING).unwrap();
        assert_eq!(shown(&state, &enrolment, Which::Current), first, "until the next is proven");
        assert_eq!(shown(&state, &enrolment, Which::Next), second);
        state.drop_next();
        assert_eq!(shown(&state, &enrolment, Which::Current), first);
        state.keep_next(NEXT_LEAF, NEXT_ISSUING).unwrap();
        state.promote_next().unwrap();
        assert_eq!(shown(&state, &enrolment, Which::Current), second);
        assert_eq!(state.certificate(Which::Current).unwrap().as_deref(), Some(NEXT_LEAF));
        assert_eq!(state.enrolment().unwrap(), Some(enrolment));
    }

    #[test]
    fn a_power_cut_leaves_the_old_pair_or_the_new_and_never_a_mix() {
        let (directory, state, enrolment) = enrolled();
        let whole = [NEXT_LEAF, NEXT_ISSUING].concat();
        // What is written goes into a file beside; wherever that is cut, nobody reads it.
        for cut in 0..=whole.len() {
            fs::write(directory.path().join("certificate.next.der.new"), &whole[..cut]).unwrap();
            assert_eq!(shown(&state, &enrolment, Which::Next), None);
            let current = shown(&state, &enrolment, Which::Current).unwrap();
            assert_eq!(current, [LEAF.to_vec(), enrolment.issuing.clone()]);
        }
        state.keep_next(NEXT_LEAF, NEXT_ISSUING).unwrap();
        assert!(shown(&state, &enrolment, Which::Next).is_some());
    }

    #[test]
    fn a_damaged_certificate_is_said_to_be_damaged() {
        let (directory, state, enrolment) = enrolled();
        for damaged in [&b""[..], &[0x30, 5, 1], &[0x30, 1, 1, 0x30]] {
            fs::write(directory.path().join(CURRENT), damaged).unwrap();
            let error = state.identity(&enrolment, Which::Current).map(drop).unwrap_err();
            assert!(error.to_string().contains("damaged"), "{error}");
        }
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
        state.keep(&enrolment, LEAF).unwrap();
        assert_eq!(state.enrolment().unwrap(), Some(enrolment));
        fs::remove_file(directory.path().join(CURRENT)).unwrap();
        assert_eq!(state.enrolment().unwrap(), None);
        assert_eq!(State::open(directory.path(), &sealing).unwrap().id(), state.id());
    }
}
