//! What the Linux agent is made of.
//!
//! [`enrol`] makes the device's key and trades a claim code for a certificate; [`Agent::run`] connects,
//! publishes what [`metrics`] reads from `/proc` and `/sys`, keeps readings in a bounded file while it is
//! offline, renews the certificate, and checks that the hub's audit log only grows. One thread, blocking
//! sockets, no runtime: a device has better uses for its memory.
//!
//! The key is in a sealed file or in a TPM 2.0 ([`KeyChoice`]). What it does not do yet: updates,
//! PKCS#11 keys, attestation.

mod agent;
mod backoff;
mod checkpoint;
mod enrol;
mod error;
mod http;
mod hub;
mod key;
pub mod limits;
pub mod metrics;
mod outbox;
mod sandbox;
mod session;
mod state;

pub use agent::{Agent, Options};
pub use enrol::enrol;
pub use error::AgentError;
pub use hub::HubUrl;
pub use key::{KeyChoice, KeyPlace};
pub use state::{Enrolment, State};

use std::time::{SystemTime, UNIX_EPOCH};

use hedgerow_base::Timestamp;

/// The clock. Read at the rim and handed inwards.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
