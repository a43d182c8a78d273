#![no_main]
//! Packets of both versions from random bytes, against two other codecs.

#[path = "../bodies/mqtt_oracle_codec.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
