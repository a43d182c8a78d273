#![no_main]
//! A typed claim code.

#[path = "../bodies/claim_code.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
