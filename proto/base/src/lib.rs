//! The lowest room of the house: what every other room may name.
//!
//! It holds device ids, time as a value, rates, limits, the seven kinds of outcome and secrets that erase
//! themselves. It is `no_std`, never allocates, and is meant to change rarely. It knows no protocol,
//! no storage and no clock: every `now` is an argument.
//!
//! ```
//! use hedgerow_base::DeviceId;
//!
//! let id = DeviceId::from_public_key(b"a SubjectPublicKeyInfo in DER");
//! let text = id.to_string();
//! assert_eq!(text.len(), 26);
//! assert_eq!(text.parse::<DeviceId>(), Ok(id));
//! ```
#![no_std]

#[cfg(test)]
extern crate std;

pub mod base32;
mod fault;
mod id;
pub mod limits;
mod rate;
mod secret;
mod time;

pub use fault::Fault;
pub use id::{DeviceId, DeviceKey, Incarnation, NotADeviceId, TenantId};
pub use rate::{Rate, Spent};
pub use secret::Secret;
pub use time::{Deadline, Timestamp};
