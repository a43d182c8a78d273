#![no_main]
//! A Sparkplug B payload.

#[path = "../bodies/sparkplug.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
