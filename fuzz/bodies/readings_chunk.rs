//! A sealed chunk as it is after decryption: its summary is true, and what is read can be sealed again.

use hedgerow_telemetry::{open, seal, summary};

pub(super) fn run(chunk: &[u8]) -> bool {
    let said = summary(chunk);
    let Ok((read, points)) = open(chunk) else { return false };
    assert_eq!(said, Ok(read));
    assert_eq!(points.len(), read.count as usize);
    assert!(seal(&points).is_ok());
    true
}
