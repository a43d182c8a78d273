//! A block of the journal, and bare readings: the reader ends.

use hedgerow_telemetry::{Readings, journal::open_block};

pub(super) fn run(block: &[u8]) -> bool {
    let _ = Readings::new(block).count();
    open_block(block).is_ok_and(|(mut readings, _)| readings.all(|reading| reading.is_ok()))
}
