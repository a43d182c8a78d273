//! A SenML pack in CBOR: the reader ends.

use hedgerow_base::Timestamp;
use hedgerow_model::senml::Pack;

pub(super) fn run(payload: &[u8]) -> bool {
    let Ok(mut pack) = Pack::cbor(payload, Timestamp::from_secs(1_800_000_000)) else {
        return false;
    };
    loop {
        match pack.next_record() {
            Ok(Some(_)) => {}
            ended => return ended.is_ok(),
        }
    }
}
