#![no_main]
//! A signed checkpoint.

#[path = "../bodies/tlog_note.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
