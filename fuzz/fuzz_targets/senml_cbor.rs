//! A SenML pack in CBOR: nothing may panic, and the reader ends.
#![no_main]

use hedgerow_base::Timestamp;
use hedgerow_model::senml::Pack;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    if let Ok(mut pack) = Pack::cbor(payload, Timestamp::from_secs(1_800_000_000)) {
        while let Ok(Some(_)) = pack.next_record() {}
    }
});
