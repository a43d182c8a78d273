#![no_main]
//! Values in DER.

#[path = "../bodies/der.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
