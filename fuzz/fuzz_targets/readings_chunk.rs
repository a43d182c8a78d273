#![no_main]
//! A sealed chunk.

#[path = "../bodies/readings_chunk.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
