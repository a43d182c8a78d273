//! A Sparkplug B payload: what is accepted gives its metrics, each with a value at most.

use hedgerow_model::sparkplug::Payload;

pub(super) fn run(bytes: &[u8]) -> bool {
    let Ok(payload) = Payload::decode(bytes) else { return false };
    for metric in payload.metrics() {
        for datatype in [None, Some(1), Some(4), Some(8)] {
            let value = metric.value(datatype);
            assert!(!metric.is_null || value.is_none());
        }
    }
    true
}
