//! Whole-product scenarios against the real program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod applications;
mod audit;
mod broker;
mod burst;
mod crowd;
mod disk;
mod doctor;
mod interop;
mod kill;
mod limits;
mod metrics;
mod ocsp;
mod profiles;
mod rescue;
mod rights;
mod rotation;
mod sessions;
mod standing;
mod things;
mod tpm;
mod weak;
