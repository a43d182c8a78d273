#![no_main]
//! A TPM's answers.

#[path = "../bodies/tpm_response.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
