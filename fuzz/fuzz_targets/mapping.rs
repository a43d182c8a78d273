#![no_main]
//! A payload on the topics of the shipped profiles.

#[path = "../bodies/mapping.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
