use std::{
    fs,
    path::{Path, PathBuf},
};

use hedgerow_device_linux::{AgentError, KeyChoice, KeyPlace, State};
use hedgerow_keys::{KeyError, SealingKey, Storage};
use tempfile::TempDir;

use crate::swtpm::Swtpm;

/// A device's directory, and a sealing key beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn sealing(&self) -> Result<SealingKey, KeyError> {
        SealingKey::from_file(&self.0.path().join("elsewhere/seal"))
    }

    fn open(&self, choice: &KeyChoice) -> Result<State, AgentError> {
        State::open_with(&self.state(), choice, || self.sealing())
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state()).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn best(address: &str) -> KeyChoice {
    KeyChoice::Best(address.parse().unwrap())
}

fn in_tpm(tpm: &Swtpm) -> KeyChoice {
    KeyChoice::Tpm(tpm.address().parse().unwrap())
}

const ABSENT: &str = "tpm:/nowhere/tpmrm0";

#[test]
fn the_best_is_the_tpm_and_it_stays_the_tpm() {
    let (tpm, place) = (Swtpm::new(), Place::new());
    let no_sealing = || panic!("a key in a TPM needs no sealing key");
    let first = State::open_with(&place.state(), &best(&tpm.address()), no_sealing).unwrap();
    assert_eq!(first.key_place().storage(), Storage::Tpm);
    assert_eq!(first.key_place().to_string(), format!("the TPM at {}", tpm.address()));
    assert_eq!(place.files(), ["device.tpm"]);
    // Whatever is the best now, and for programs that don't ask.
    assert_eq!(place.open(&best(ABSENT)).unwrap().id(), first.id());
    assert_eq!(State::open(&place.state(), &place.sealing().unwrap()).unwrap().id(), first.id());
    assert_eq!(place.open(&in_tpm(&tpm)).unwrap().id(), first.id());
    let error = place.open(&KeyChoice::File).unwrap_err();
    assert!(error.to_string().contains("is in the TPM at tpm:swtpm:"), "{error}");
    assert_eq!(place.files(), ["device.tpm"]);
}

#[test]
fn without_a_tpm_the_best_is_a_file_and_it_stays_the_file() {
    let (tpm, place) = (Swtpm::new(), Place::new());
    let first = place.open(&best(ABSENT)).unwrap();
    assert!(matches!(first.key_place(), KeyPlace::File(_)) && first.passed_over().is_none());
    let later = place.open(&best(&tpm.address())).unwrap();
    assert_eq!((later.id(), later.key_place()), (first.id(), first.key_place()));
    let error = place.open(&in_tpm(&tpm)).unwrap_err();
    assert!(matches!(error, AgentError::KeyElsewhere(KeyPlace::File(_))), "{error}");
    assert!(error.to_string().contains("leave `--key` out"), "{error}");
    assert_eq!(place.files(), ["device.sealed"]);
}

#[test]
fn a_tpm_that_can_not_be_used_is_passed_over_with_a_word_unless_it_was_asked_for() {
    let (mut tpm, place) = (Swtpm::new(), Place::new());
    tpm.stop();
    let error = place.open(&in_tpm(&tpm)).unwrap_err();
    assert!(error.to_string().contains("can't be reached"), "{error}");
    assert!(place.files().is_empty());
    let state = place.open(&best(&tpm.address())).unwrap();
    assert_eq!(state.key_place().storage(), Storage::SealedFile);
    assert!(matches!(state.passed_over(), Some(KeyError::TpmGone(..))));
    // It was said once; the key is where it is.
    tpm.start();
    let again = place.open(&best(&tpm.address())).unwrap();
    assert!(again.id() == state.id() && again.passed_over().is_none());
}

#[test]
fn a_tpm_that_is_gone_makes_no_new_key() {
    let (mut tpm, place) = (Swtpm::new(), Place::new());
    let id = place.open(&in_tpm(&tpm)).unwrap().id();
    tpm.stop();
    for choice in [best(&tpm.address()), best(ABSENT), in_tpm(&tpm)] {
        let error = place.open(&choice).unwrap_err();
        assert!(matches!(error, AgentError::Key(KeyError::TpmGone(..))), "{error}");
    }
    let other = Swtpm::new();
    let error = place.open(&in_tpm(&other)).unwrap_err();
    assert!(matches!(error, AgentError::Key(KeyError::ForeignTpm(..))), "{error}");
    assert_eq!(place.files(), ["device.tpm"]);
    tpm.start();
    assert_eq!(place.open(&best(ABSENT)).unwrap().id(), id);
}

#[test]
fn two_keys_are_not_chosen_between() {
    let (tpm, place, other) = (Swtpm::new(), Place::new(), Place::new());
    place.open(&in_tpm(&tpm)).unwrap();
    other.open(&KeyChoice::File).unwrap();
    let copy = |name: &str, from: &Path, to: &Path| fs::copy(from.join(name), to.join(name));
    copy("device.sealed", &other.state(), &place.state()).unwrap();
    for choice in [best(&tpm.address()), in_tpm(&tpm), KeyChoice::File] {
        assert!(matches!(place.open(&choice), Err(AgentError::TwoKeys(_))));
    }
    let error = State::open(&place.state(), &place.sealing().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("device.sealed") && error.to_string().contains("device.tpm")
    );
}

#[test]
fn an_enrolled_device_whose_key_is_gone_gets_no_other() {
    let (tpm, place) = (Swtpm::new(), Place::new());
    fs::create_dir_all(place.state()).unwrap();
    fs::write(place.state().join("certificate.der"), [0x30, 0]).unwrap();
    for choice in [KeyChoice::File, in_tpm(&tpm), best(ABSENT)] {
        assert!(matches!(place.open(&choice), Err(AgentError::KeyMissing(_))));
    }
    let error = State::open(&place.state(), &place.sealing().unwrap()).unwrap_err();
    assert!(error.to_string().contains("restore device.sealed or device.tpm"), "{error}");
    assert_eq!(place.files(), ["certificate.der"]);
}
