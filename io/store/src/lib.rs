//! What is kept, and how it survives a power cut.
//!
//! [`ControlStore`] holds the control plane in SQLite: relations, facts, decisions, the audit log. One
//! writer puts what waits into one transaction (WAL, synchronous=FULL); readers have connections of their
//! own. [`ReadingsStore`] holds readings in a database file of their own: a journal with group commit,
//! sealed chunks under a key for each device, retention and erasure. [`SessionsStore`] holds what sessions
//! leave for the next start, and retained messages, in a third.

mod cipher;
mod control;
mod disk;
mod examine;
pub mod readings;
pub mod sessions;

pub use cipher::{CipherError, MasterKey};
pub use control::ControlStore;
pub use examine::{Examination, examine};
pub use readings::ReadingsStore;
pub use sessions::{SessionsError, SessionsStore};
