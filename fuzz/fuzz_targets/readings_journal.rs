//! A block of the journal, and bare readings: nothing may panic, and the reader ends.
#![no_main]

use hedgerow_telemetry::{Readings, journal::open_block};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|block: &[u8]| {
    if let Ok((readings, _)) = open_block(block) {
        let _ = readings.count();
    }
    let _ = Readings::new(block).count();
});
