#![no_main]
//! A server's connection from random bytes, judgements and moments.

#[path = "../bodies/mqtt_server.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
