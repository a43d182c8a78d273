//! Replays what the fuzz target starts from and what it found; random bytes besides.

#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../../fuzz/bodies/tpm_response.rs"]
mod tpm_response;

use proptest::prelude::*;
use replay::replay;

#[test]
fn the_corpus_of_tpm_response_holds() {
    replay("tpm_response", tpm_response::run);
}

proptest! {
    #[test]
    fn random_responses_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        tpm_response::run(&bytes);
    }

    /// The frame is right, so that what is within is looked at.
    #[test]
    fn random_parameters_never_panic(
        which in 0..tpm_response::KINDS,
        body in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        for tag in [0x8001_u16, 0x8002] {
            let size = u32::try_from(body.len() + 10).unwrap();
            let head = [&[which][..], &tag.to_be_bytes(), &size.to_be_bytes(), &[0; 4]].concat();
            tpm_response::run(&[head, body.clone()].concat());
        }
    }

    /// What a TPM said, with a few bytes changed.
    #[test]
    fn changed_responses_never_panic(
        line in 0..64_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/tpm_response");
        let mut seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        seeds.sort();
        let mut bytes = std::fs::read(&seeds[line % seeds.len()]).unwrap();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        tpm_response::run(&bytes);
    }
}
