#![no_main]
//! A request for the status of certificates.

#[path = "../bodies/ocsp_request.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
