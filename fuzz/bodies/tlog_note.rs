//! A signed checkpoint from anywhere: what is believed says what was signed, and nothing is believed
//! without the signature.

use hedgerow_tlog::{Note, NoteProblem};

const ORIGIN: &str = "hedgerow/hub/1";
const KEY: [u8; 32] = [5; 32];

pub(super) fn run(note: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(note) else { return false };
    let note = Note::from_text(text.to_owned());
    let opened = note.open(ORIGIN, &KEY, |message, signature| {
        assert!(text.as_bytes().starts_with(message));
        !signature.is_empty()
    });
    let refused = note.open(ORIGIN, &KEY, |_, _| false);
    let Ok(checkpoint) = opened else {
        assert!(refused.is_err());
        return false;
    };
    assert_eq!(refused, Err(NoteProblem::Forged));
    assert_eq!(checkpoint.origin, ORIGIN);
    assert!(text.starts_with(&checkpoint.text()));
    true
}
