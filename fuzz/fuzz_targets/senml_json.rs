//! A SenML pack in JSON, and the same bytes as a single value: nothing may panic, and the reader ends.
#![no_main]

use hedgerow_base::Timestamp;
use hedgerow_model::{senml::Pack, single};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let _ = single::Single::parse(payload);
    let _ = single::any_json(payload);
    if let Ok(mut pack) = Pack::json(payload, Timestamp::from_secs(1_800_000_000)) {
        while let Ok(Some(_)) = pack.next_record() {}
    }
});
