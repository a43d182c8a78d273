//! HTTP, on three doors (design: ports and their client-certificate rules).
//!
//! * [`devices`]: for devices, client certificates welcome: EST (RFC 7030), revocation list, checkpoints.
//!
//! Every handler reads what came in, asks the control plane, and writes what came of it; decisions are
//! made further in.

pub mod devices;
mod est;
pub mod limits;
mod revocation;
mod serve;

pub use revocation::RevocationList;
pub use serve::{Caller, serve_tls};
