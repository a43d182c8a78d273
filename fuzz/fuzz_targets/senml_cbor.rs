#![no_main]
//! A SenML pack in CBOR.

#[path = "../bodies/senml_cbor.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
