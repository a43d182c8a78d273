//! What is kept, and how it survives a power cut.
//!
//! [`ControlStore`] holds the control plane in SQLite: relations, facts, decisions, the audit log. One
//! writer puts what waits into one transaction (WAL, synchronous=FULL); readers have connections of their
//! own.

mod control;

pub use control::ControlStore;
