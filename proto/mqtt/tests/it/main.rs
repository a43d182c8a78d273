//! The codec and the machines from outside.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod malformed;
mod round_trip;
mod vectors;
