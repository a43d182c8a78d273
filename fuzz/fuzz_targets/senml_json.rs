#![no_main]
//! A SenML pack in JSON, and single values.

#[path = "../bodies/senml_json.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::run(bytes);
});
