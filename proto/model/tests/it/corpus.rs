//! Replays the committed fuzz corpora: nothing may panic, and what begins with `good` must be accepted,
//! what begins with `bad` refused.

use std::path::Path;

use hedgerow_base::Timestamp;
use hedgerow_model::{Profile, senml::Pack, single};

fn replay(target: &str, accepts: impl Fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let accepted = accepts(&std::fs::read(&path).unwrap());
        assert!(!name.starts_with("good") || accepted, "{target}/{name} was refused");
        assert!(!name.starts_with("bad") || !accepted, "{target}/{name} was accepted");
        seen += 1;
    }
    assert!(seen >= 5, "{target} has a corpus");
}

fn is_read(pack: Result<Pack<'_>, hedgerow_model::senml::SenmlError>) -> bool {
    let Ok(mut pack) = pack else { return false };
    loop {
        match pack.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[test]
fn senml_in_json() {
    replay("senml_json", |payload| {
        let _ = single::Single::parse(payload);
        is_read(Pack::json(payload, Timestamp::from_secs(1_800_000_000)))
    });
}

#[test]
fn senml_in_cbor() {
    replay("senml_cbor", |payload| {
        is_read(Pack::cbor(payload, Timestamp::from_secs(1_800_000_000)))
    });
}

#[test]
fn profiles() {
    replay("profile", |document| Profile::parse(document).is_ok());
}
