//! What is kept, and how it survives a power cut.
//!
//! [`ReadingsStore`] holds readings in a database file of their own: a journal with group commit, sealed
//! chunks under a key for each device, retention and erasure.

pub mod readings;

pub use readings::{MasterKey, ReadingsStore};
