//! A sealed chunk as it is after decryption: nothing may panic, and what is read can be sealed again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|chunk: &[u8]| {
    let _ = hedgerow_telemetry::summary(chunk);
    if let Ok((summary, points)) = hedgerow_telemetry::open(chunk) {
        assert_eq!(points.len(), summary.count as usize);
        assert!(hedgerow_telemetry::seal(&points).is_ok());
    }
});
