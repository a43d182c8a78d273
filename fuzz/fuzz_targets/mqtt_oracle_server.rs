#![no_main]
//! Our server machine in conversation with another client.

#[path = "../bodies/mqtt_oracle_server.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
