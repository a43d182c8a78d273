#![no_main]
//! Packets of both versions from random bytes.

#[path = "../bodies/mqtt_codec.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
