//! A SenML pack in JSON, and the same bytes as a single value: the reader ends.

use hedgerow_base::Timestamp;
use hedgerow_model::{senml::Pack, single};

pub(super) fn run(payload: &[u8]) -> bool {
    let _ = single::Single::parse(payload);
    let _ = single::any_json(payload);
    let Ok(mut pack) = Pack::json(payload, Timestamp::from_secs(1_800_000_000)) else {
        return false;
    };
    loop {
        match pack.next_record() {
            Ok(Some(_)) => {}
            ended => return ended.is_ok(),
        }
    }
}
