#![no_main]
//! Grants by topic filter.

#[path = "../bodies/topic_grant.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
