#![no_main]
//! A certification request.

#[path = "../bodies/certification_request.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
