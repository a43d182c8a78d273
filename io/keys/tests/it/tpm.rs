//! A key in a TPM as it should be.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    thread,
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED,
        EcdsaKeyPair, UnparsedPublicKey,
    },
};
use hedgerow_keys::{EcKey, KeyError, Storage, Tpm, TpmKeyFile};
use hedgerow_tpm::{
    Attest, Auth, Command, Create, CreatePrimary, FlushContext, Load, Meaning, PcrRead, Pcrs,
    Problem, Quote, Sign, Use, answer, command,
};

use crate::{meddler::message, swtpm::Swtpm};

pub(crate) fn at(address: &str) -> Arc<Tpm> {
    Arc::new(Tpm::at(address.parse().unwrap()))
}

/// The key signs, and the signature is this key's.
pub(crate) fn signs(key: &EcKey) -> Result<(), KeyError> {
    let signature = key.sign(b"message")?;
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point());
    public.verify(b"message", &signature).expect("signed by this key");
    assert!(public.verify(b"another", &signature).is_err());
    Ok(())
}

/// How many keys a TPM can take in now.
pub(crate) fn slots(at: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(at).unwrap();
    let mut ask = |bytes: Vec<u8>| {
        stream.write_all(&bytes).unwrap();
        message(&mut stream).unwrap()
    };
    let srk = CreatePrimary { owner: &Auth::EMPTY, purpose: Use::Storage };
    let mut loaded = Vec::new();
    while let Ok((handle, _)) = answer::<CreatePrimary<'_>>(&ask(command(&srk).unwrap())) {
        loaded.push(handle);
    }
    for handle in &loaded {
        let flush = command(&FlushContext(*handle)).unwrap();
        answer::<FlushContext>(&ask(flush)).unwrap();
    }
    loaded.len()
}

fn in_tpm(tpm: &Swtpm, directory: &Path) -> Result<EcKey, KeyError> {
    EcKey::in_tpm(&at(&tpm.address()), directory, "device")
}

#[test]
fn a_key_is_made_once_and_signs_as_itself() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    assert_eq!(at(&tpm.address()).check().unwrap(), "IBM");
    let first = in_tpm(&tpm, directory.path()).unwrap();
    let again = in_tpm(&tpm, directory.path()).unwrap();
    assert_eq!(first.spki(), again.spki());
    assert_eq!(first.storage(), Storage::Tpm);
    signs(&first).unwrap();
    signs(&again).unwrap();
    let other = EcKey::in_tpm(&at(&tpm.address()), directory.path(), "other").unwrap();
    assert_ne!(first.spki(), other.spki());
    let file = TpmKeyFile::new(directory.path(), "device");
    assert_eq!(file.address().unwrap().unwrap().to_string(), tpm.address());
    assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_private_key_is_nowhere_on_disk() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let key = in_tpm(&tpm, directory.path()).unwrap();
    let files: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files, [TpmKeyFile::new(directory.path(), "device").path()]);
    let bytes = fs::read(&files[0]).unwrap();
    assert!(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &bytes).is_err());
    // No 32 bytes of it are the number whose point is the public key.
    let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let is_private = |scalar: &[u8]| {
        EcdsaKeyPair::from_private_key_and_public_key(kind, scalar, key.point()).is_ok()
    };
    assert!(bytes.len() > 250);
    assert!(!bytes.windows(32).any(is_private));
}

#[test]
fn signatures_leave_nothing_in_the_tpm() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let before = slots(tpm.at());
    assert!(before >= 2);
    let shared = at(&tpm.address());
    let keys =
        ["one", "two", "three"].map(|n| EcKey::in_tpm(&shared, directory.path(), n).unwrap());
    for turn in 0..50 {
        signs(&keys[turn % 3]).unwrap();
    }
    assert_eq!(slots(tpm.at()), before);
}

#[test]
fn threads_and_programs_wait_for_each_other() {
    let (tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let before = slots(tpm.at());
    let one = in_tpm(&tpm, directory.path()).unwrap();
    // As another program would, with an opening of its own.
    let other = in_tpm(&tpm, directory.path()).unwrap();
    thread::scope(|scope| {
        for key in [&one, &one, &other, &other] {
            scope.spawn(move || (0..5).for_each(|_| signs(key).unwrap()));
        }
    });
    assert_eq!(slots(tpm.at()), before);
}

#[test]
fn after_a_restart_of_the_tpm_it_is_the_same_key() {
    let (mut tpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let key = in_tpm(&tpm, directory.path()).unwrap();
    tpm.stop();
    tpm.start();
    signs(&key).unwrap();
    let again = in_tpm(&tpm, directory.path()).unwrap();
    assert_eq!(again.spki(), key.spki());
    signs(&again).unwrap();
}

/// The words that attestation will need, against a TPM that is there.
#[test]
fn a_quote_is_signed_by_its_key_over_what_is_in_the_registers() {
    let tpm = Swtpm::new();
    let mut stream = TcpStream::connect(tpm.at()).unwrap();
    fn ask<C: Command>(stream: &mut TcpStream, what: &C) -> C::Answer {
        stream.write_all(&command(what).unwrap()).unwrap();
        answer::<C>(&message(stream).unwrap()).unwrap()
    }
    let (auth, owner) = (Auth::new(b"secret").unwrap(), Auth::EMPTY);
    let (srk, _) = ask(&mut stream, &CreatePrimary { owner: &owner, purpose: Use::Storage });
    let made = ask(&mut stream, &Create { parent: srk, auth: &auth, purpose: Use::Attestation });
    let (private, public) = (&made.private, &made.public);
    let key = ask(&mut stream, &Load { parent: srk, private, public });
    let pcrs = Pcrs::of(&[0, 4, 7]).unwrap();
    let values = ask(&mut stream, &PcrRead(pcrs)).values;
    let quoted = ask(&mut stream, &Quote::of(key, &auth, b"a nonce", pcrs).unwrap());
    let attest = Attest::from_bytes(&quoted.attest).unwrap();
    assert_eq!((attest.nonce.as_slice(), attest.pcrs), (&b"a nonce"[..], pcrs));
    assert_eq!(digest(&SHA256, &values.concat()).as_ref(), attest.pcr_digest);
    let signature = [quoted.signature.r, quoted.signature.s].concat();
    let point = public.point.uncompressed();
    let verifies = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    assert!(verifies.verify(&quoted.attest, &signature).is_ok());
    assert!(verifies.verify(&quoted.attest[1..], &signature).is_err());

    // It signs nothing else, and nothing without its authValue.
    let refused = |stream: &mut TcpStream, bytes: Vec<u8>| {
        stream.write_all(&bytes).unwrap();
        match answer::<Sign<'_>>(&message(stream).unwrap()) {
            Err(Problem::Refused(code)) => code,
            other => panic!("{other:?}"),
        }
    };
    let digest = [1; 32];
    let code = refused(&mut stream, command(&Sign { key, auth: &auth, digest }).unwrap());
    assert_eq!(code.to_string(), "TPM_RC_TICKET (0x3e0)");
    let wrong = Quote::of(key, &owner, b"a nonce", pcrs).unwrap();
    let code = refused(&mut stream, command(&wrong).unwrap());
    assert_eq!(code.meaning(), Meaning::WrongAuth, "{code}");
}
