//! Values in DER, walked into as deep as they go: each is written back byte for byte.

use hedgerow_onboarding::der::{Reader, value};

/// Values in values.
const DEPTH_MAX: u32 = 64;
/// Set in the tags of values that hold values.
const CONSTRUCTED: u8 = 0x20;

pub(super) fn run(bytes: &[u8]) -> bool {
    Reader::new(bytes).is_ok_and(|reader| is_walked(reader, DEPTH_MAX))
}

fn is_walked(mut reader: Reader<'_>, deeper: u32) -> bool {
    while !reader.is_empty() {
        let (tag, mut before) = (reader.peek(), reader);
        let Ok((found, contents, whole)) = reader.any() else { return false };
        assert_eq!(tag, Some(found));
        assert_eq!(before.take(found), Ok(contents));
        assert_eq!(value(found, &[contents]), whole);
        let Ok(inside) = Reader::new(contents) else { panic!("a part is longer than the whole") };
        if found & CONSTRUCTED != 0 && (deeper == 0 || !is_walked(inside, deeper - 1)) {
            return false;
        }
    }
    true
}
