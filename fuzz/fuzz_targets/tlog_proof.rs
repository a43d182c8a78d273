#![no_main]
//! A proof between two logs, or of a record in a log.

#[path = "../bodies/tlog_proof.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
