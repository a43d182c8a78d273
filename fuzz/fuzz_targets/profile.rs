#![no_main]
//! A device profile.

#[path = "../bodies/profile.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
