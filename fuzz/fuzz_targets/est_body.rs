#![no_main]
//! The body of an EST message.

#[path = "../bodies/est_body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
