//! Exchanges with swtpm, byte for byte: commands that it took, answers that it gave.

use hedgerow_tpm::{
    Attest, Auth, Command, Create, CreatePrimary, FlushContext, GetCurves, GetEcdsa,
    GetManufacturer, GetRandom, Handle, Load, Meaning, PcrRead, Pcrs, Private, Problem, Public,
    Quote, ReadPublic, Sign, Use, answer, command,
};

const EXCHANGES: &str = include_str!("../swtpm.txt");
/// SHA-256 of `message`.
const DIGEST: &str = "ab530a13e45914982b79f9b7e3fba994cfd1f3fb22f71cea1afbf02b460c6d1d";

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn exchange(name: &str) -> (Vec<u8>, Vec<u8>) {
    let line = EXCHANGES.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
    let mut words = line.split(' ').skip(1);
    (bytes(words.next().unwrap()), bytes(words.next().unwrap()))
}

/// The command is what swtpm took; gives what it answered.
fn ask<C: Command>(name: &str, what: &C) -> Result<C::Answer, Problem> {
    let (sent, said) = exchange(name);
    assert_eq!(command(what).unwrap(), sent, "{name}");
    answer::<C>(&said)
}

const SRK: Handle = Handle::new(0x8000_0000);
const KEY: Handle = Handle::new(0x8000_0001);

fn created() -> (Private, Public) {
    let wish = Create { parent: SRK, auth: &Auth::EMPTY, purpose: Use::Signing };
    let created = ask("Create", &wish).unwrap();
    (created.private, created.public)
}

#[test]
fn it_is_there_and_can_do_what_is_needed() {
    assert_eq!(ask("GetRandom", &GetRandom::of(8).unwrap()).unwrap().0.len(), 8);
    assert_eq!(ask("GetManufacturer", &GetManufacturer).unwrap().to_string(), "IBM");
    assert!(ask("GetCurves", &GetCurves).unwrap().has_p256());
    assert!(ask("GetEcdsa", &GetEcdsa).unwrap());
}

#[test]
fn a_key_is_made_loaded_shown_and_flushed() {
    let srk = CreatePrimary { owner: &Auth::EMPTY, purpose: Use::Storage };
    let (handle, public) = ask("CreatePrimary", &srk).unwrap();
    assert_eq!((handle, public.purpose), (SRK, Use::Storage));
    let (private, public) = created();
    assert_eq!(public.purpose, Use::Signing);
    assert_eq!(Public::from_bytes(&public.to_bytes()), Ok(public));
    let load = Load { parent: SRK, private: &private, public: &public };
    assert_eq!(ask("Load", &load), Ok(KEY));
    assert_eq!(ask("ReadPublic", &ReadPublic(KEY)), Ok(public));
    assert_eq!(ask("FlushContext", &FlushContext(SRK)), Ok(()));
}

#[test]
fn a_digest_is_signed() {
    let digest = bytes(DIGEST).try_into().unwrap();
    let signature = ask("Sign", &Sign { key: KEY, auth: &Auth::EMPTY, digest }).unwrap();
    assert_ne!(signature.r, signature.s);
}

#[test]
fn registers_are_read_and_quoted() {
    let pcrs = Pcrs::of(&[0, 7]).unwrap();
    let values = ask("PcrRead", &PcrRead(pcrs)).unwrap();
    assert_eq!((values.read, values.values.len()), (pcrs, 2));
    let auth = Auth::EMPTY;
    let quote = Quote::of(KEY, &auth, b"nonce", pcrs).unwrap();
    let quoted = ask("Quote", &quote).unwrap();
    let attest = Attest::from_bytes(&quoted.attest).unwrap();
    assert_eq!((attest.nonce.as_slice(), attest.pcrs), (&b"nonce"[..], pcrs));
    assert_eq!((attest.signer.len(), attest.is_clock_safe), (34, true));
    for cut in 0..quoted.attest.len() {
        assert!(Attest::from_bytes(&quoted.attest[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Attest::from_bytes(&[&quoted.attest[..], &[0]].concat()).is_err());
}

#[test]
fn what_was_flushed_and_what_another_made_is_told_apart() {
    let digest = bytes(DIGEST).try_into().unwrap();
    let gone = ask("SignFlushed", &Sign { key: SRK, auth: &Auth::EMPTY, digest }).unwrap_err();
    let (private, public) = created();
    let load = Load { parent: SRK, private: &private, public: &public };
    let other = ask("LoadElsewhere", &load).unwrap_err();
    for (problem, meaning) in [(gone, Meaning::NoSuchHandle), (other, Meaning::NotItsOwn)] {
        let Problem::Refused(code) = problem else { panic!("{problem}") };
        assert_eq!(code.meaning(), meaning, "{code}");
    }
}

#[test]
fn a_response_cut_anywhere_or_with_a_byte_more_is_refused() {
    fn holds<C: Command>(name: &str) {
        let (_, said) = exchange(name);
        assert!(answer::<C>(&said).is_ok(), "{name}");
        let resized = |mut bytes: Vec<u8>| {
            let size = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            if let Some(field) = bytes.get_mut(2..6) {
                field.copy_from_slice(&size);
            }
            bytes
        };
        for cut in 0..said.len() {
            assert!(answer::<C>(&said[..cut]).is_err(), "{name} cut at {cut}");
            assert!(answer::<C>(&resized(said[..cut].to_vec())).is_err(), "{name} cut at {cut}");
        }
        assert!(answer::<C>(&resized([&said[..], &[0]].concat())).is_err(), "{name}");
    }
    holds::<GetRandom>("GetRandom");
    holds::<GetManufacturer>("GetManufacturer");
    holds::<GetCurves>("GetCurves");
    holds::<GetEcdsa>("GetEcdsa");
    holds::<CreatePrimary<'_>>("CreatePrimary");
    holds::<Create<'_>>("Create");
    holds::<Load<'_>>("Load");
    holds::<ReadPublic>("ReadPublic");
    holds::<Sign<'_>>("Sign");
    holds::<FlushContext>("FlushContext");
    holds::<PcrRead>("PcrRead");
    holds::<Quote<'_>>("Quote");
}
