//! The codec and the machines from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod conformance;
mod conversation;
mod corpus;
mod defaults;
mod exactly_once;
mod malformed;
mod offences;
mod pair;
mod round_trip;
mod session;
mod vectors;
