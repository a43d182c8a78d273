#![no_main]
//! A block of the journal.

#[path = "../bodies/readings_journal.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
