//! A key in a TPM when the TPM is gone, another one, locked or busy.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    sync::{Arc, Mutex},
};

use hedgerow_base::Fault;
use hedgerow_keys::{EcKey, KeyError, Tpm, TpmKeyFile, limits::TPM_TRIES_MAX};
use hedgerow_tpm::{
    Auth, Create, CreatePrimary, Handle, Meaning, Problem, Reader, Sign, Use, Writer, answer,
    command,
};
use tempfile::TempDir;

use crate::{
    meddler::{Meddler, Trouble, message},
    swtpm::Swtpm,
    tpm::{at, signs, slots},
};

/// A key, with a meddler before its TPM once it is made.
fn meddled(
    choose: impl Fn(usize) -> Trouble + Send + 'static,
) -> (Arc<Mutex<Swtpm>>, Meddler, TempDir, EcKey) {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    EcKey::in_tpm(&at(&tpm.address()), directory.path(), "device").unwrap();
    let tpm = Arc::new(Mutex::new(tpm));
    // Opening the key again is 4 commands: the root, the key, both flushed.
    let meddler = Meddler::new(&tpm, move |n| n.checked_sub(4).map_or(Trouble::None, &choose));
    let line = Arc::new(Tpm::at(meddler.address()));
    let key = EcKey::in_tpm(&line, directory.path(), "device").unwrap();
    assert_eq!(meddler.heard(), 4);
    (tpm, meddler, directory, key)
}

#[test]
fn a_restart_before_each_of_the_five_commands_of_a_signature_costs_nothing() {
    for victim in 0..5 {
        let cut = move |n| if n == victim { Trouble::Restart } else { Trouble::None };
        let (tpm, meddler, _directory, key) = meddled(cut);
        signs(&key).unwrap_or_else(|error| panic!("cut before command {victim}: {error}"));
        // The signature was there before the last flush was lost.
        let again = if victim < 4 { 5 } else { 0 };
        assert_eq!(meddler.heard() - 4, victim + 1 + again);
        assert!(slots(tpm.lock().unwrap().at()) >= 2);
    }
}

#[test]
fn a_tpm_that_keeps_restarting_is_said_to_be_gone() {
    let (_tpm, meddler, _directory, key) = meddled(|_| Trouble::Restart);
    assert!(matches!(signs(&key), Err(KeyError::TpmGone(..))));
    assert_eq!(meddler.heard() - 4, 2, "once, and once more");
}

#[test]
fn a_tpm_that_is_switched_off_comes_back() {
    let (mut tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let key = EcKey::in_tpm(&at(&tpm.address()), directory.path(), "device").unwrap();
    tpm.stop();
    let error = signs(&key).unwrap_err();
    assert!(matches!(error, KeyError::TpmGone(..)));
    assert!(error.to_string().contains("can't be reached") && error.fault() == Fault::Unavailable);
    tpm.start();
    signs(&key).unwrap();
}

#[test]
fn without_a_tpm_no_key_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let absent = format!("tpm:{}/tpmrm0", directory.path().display());
    let error = EcKey::in_tpm(&at(&absent), directory.path(), "device").unwrap_err();
    assert!(error.to_string().starts_with(&format!("{absent} can't be reached")), "{error}");
    assert!(at(&absent).check().is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn another_tpm_can_not_use_the_key_and_makes_no_new_one() {
    let (mine, other) = (Swtpm::new(), Swtpm::new());
    let directory = tempfile::tempdir().unwrap();
    let key = EcKey::in_tpm(&at(&mine.address()), directory.path(), "device").unwrap();
    let file = TpmKeyFile::new(directory.path(), "device");
    let before = fs::read(file.path()).unwrap();
    let error = EcKey::in_tpm(&at(&other.address()), directory.path(), "device").unwrap_err();
    assert!(matches!(error, KeyError::ForeignTpm(..)));
    assert!(error.to_string().contains("enrol it again") && error.fault() == Fault::Denied);
    assert_eq!(fs::read(file.path()).unwrap(), before);
    signs(&key).unwrap();
}

#[test]
fn a_damaged_file_is_no_foreign_tpm_and_is_not_replaced() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    EcKey::in_tpm(&at(&tpm.address()), directory.path(), "device").unwrap();
    let file = TpmKeyFile::new(directory.path(), "device");
    let mut bytes = fs::read(file.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file.path(), &bytes).unwrap();
    let error = EcKey::in_tpm(&at(&tpm.address()), directory.path(), "device").unwrap_err();
    assert!(matches!(error, KeyError::DamagedKeyFile(_)));
    assert_eq!(fs::read(file.path()).unwrap(), bytes);
}

#[test]
fn a_busy_tpm_is_asked_again_and_not_for_ever() {
    for code in [0x908, 0x90a, 0x922] {
        let busy = move |n| if n < 2 { Trouble::Refused(code) } else { Trouble::None };
        let (_tpm, meddler, _directory, key) = meddled(busy);
        signs(&key).unwrap();
        assert_eq!(meddler.heard() - 4, 2 + 5);
    }
    let most = TPM_TRIES_MAX as usize;
    for (refusals, is_enough) in [(most - 1, true), (most, false)] {
        let busy = move |n| if n < refusals { Trouble::Refused(0x922) } else { Trouble::None };
        let (_tpm, _meddler, _directory, key) = meddled(busy);
        assert_eq!(signs(&key).is_ok(), is_enough, "{refusals} refusals");
    }
}

#[test]
fn a_locked_tpm_says_so_and_is_not_asked_again() {
    // At each command: what was loaded by then is flushed all the same.
    for victim in 0..4 {
        let locked = move |n| if n == victim { Trouble::Refused(0x921) } else { Trouble::None };
        let (tpm, meddler, _directory, key) = meddled(locked);
        let before = slots(tpm.lock().unwrap().at());
        let error = signs(&key).unwrap_err();
        assert!(matches!(error, KeyError::TpmLockedOut(_)), "{error}");
        assert!(error.to_string().contains("locked itself"));
        let flushed = [0, 1, 2, 1][victim];
        assert_eq!(meddler.heard() - 4, victim + 1 + flushed);
        assert_eq!(slots(tpm.lock().unwrap().at()), before);
    }
}

/// Sends a command as it is; gives the response, whatever it says.
fn raw(stream: &mut TcpStream, parts: &[&[u8]]) -> Vec<u8> {
    stream.write_all(&parts.concat()).unwrap();
    message(stream).unwrap()
}

/// Handle of the password, no nonce, no attributes, no password.
const NO_PASSWORD: &[u8] = &[0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];

#[test]
fn an_owner_with_a_password_is_told_apart() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    // TPM2_HierarchyChangeAuth of the owner, to `pw`.
    let head = [0x80, 2, 0, 0, 0, 31, 0, 0, 1, 0x29, 0x40, 0, 0, 1];
    let mut stream = TcpStream::connect(tpm.at()).unwrap();
    let said = raw(&mut stream, &[&head, NO_PASSWORD, &[0, 2, b'p', b'w']]);
    assert_eq!(said[6..10], [0; 4]);
    drop(stream);
    let error = EcKey::in_tpm(&at(&tpm.address()), directory.path(), "device").unwrap_err();
    assert!(matches!(error, KeyError::TpmOwned(_)), "{error}");
    assert!(error.to_string().contains("has set a password"));
}

#[test]
fn a_tpm_that_was_cleared_is_another_one() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let key = EcKey::in_tpm(&at(&tpm.address()), directory.path(), "device").unwrap();
    // TPM2_Clear, with the lockout's authorization.
    let head = [0x80, 2, 0, 0, 0, 27, 0, 0, 1, 0x26, 0x40, 0, 0, 0x0a];
    let mut stream = TcpStream::connect(tpm.at()).unwrap();
    assert_eq!(raw(&mut stream, &[&head, NO_PASSWORD])[6..10], [0; 4]);
    drop(stream);
    let error = signs(&key).unwrap_err();
    assert!(matches!(error, KeyError::ForeignTpm(..)), "{error}");
}

#[test]
fn somebody_elses_wrong_passwords_do_not_lock_our_key_out() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let key = EcKey::in_tpm(&at(&tpm.address()), directory.path(), "device").unwrap();
    let mut stream = TcpStream::connect(tpm.at()).unwrap();
    let (none, right, wrong) = (Auth::EMPTY, Auth::new(b"r").unwrap(), Auth::new(b"w").unwrap());
    let srk = CreatePrimary { owner: &none, purpose: Use::Storage };
    let said = raw(&mut stream, &[&command(&srk).unwrap()]);
    let (parent, _) = answer::<CreatePrimary<'_>>(&said).unwrap();
    // A key of somebody else's, whose password counts: without noDA.
    let mut create = command(&Create { parent, auth: &right, purpose: Use::Signing }).unwrap();
    let at = create.windows(4).position(|bytes| bytes == [0, 4, 4, 0x72]).unwrap();
    create[at + 2] = 0;
    let made = raw(&mut stream, &[&create]);
    let mut reader = Reader::new(&made[14..]);
    let (private, public) = (reader.sized(1024).unwrap(), reader.sized(1024).unwrap());
    let areas = Writer::default().sized(private).sized(public).finish();
    let size = u32::try_from(areas.len() + 27).unwrap().to_be_bytes();
    let load = [0, 0, 1, 0x57];
    let parent = parent.number().to_be_bytes();
    let loaded = raw(&mut stream, &[&[0x80, 2], &size, &load, &parent, NO_PASSWORD, &areas]);
    let theirs = Handle::new(u32::from_be_bytes(loaded[10..14].try_into().unwrap()));
    let guess = Sign { key: theirs, auth: &wrong, digest: [1; 32] };
    let meaning = |said: &[u8]| match answer::<Sign<'_>>(said) {
        Err(Problem::Refused(code)) => code.meaning(),
        other => panic!("{other:?}"),
    };
    let guesses = (0..40).map(|_| meaning(&raw(&mut stream, &[&command(&guess).unwrap()])));
    let meanings: Vec<_> = guesses.collect();
    // The very first one is answered with TPM_RC_RETRY: it has to be written down that passwords count.
    assert!(meanings.contains(&Meaning::WrongAuth));
    assert_eq!(meanings.last(), Some(&Meaning::Lockout));
    for handle in [theirs.number().to_be_bytes(), parent] {
        let flush = [0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65];
        assert_eq!(raw(&mut stream, &[&flush, &handle])[6..10], [0; 4]);
    }
    drop(stream);
    signs(&key).unwrap();
}
