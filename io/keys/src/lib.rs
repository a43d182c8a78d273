//! Private keys: where they are kept, and what they sign. They never leave this crate.
//!
//! A key lives in a [sealed file](KeyFile): AES-256-GCM under a [`SealingKey`] that comes from outside the
//! data directory (a systemd credential, a passphrase, a key file elsewhere). Device keys and TLS keys are
//! P-256 ([`EcKey`]), the audit log's is Ed25519 ([`LogKey`]). With the feature `hub` there is also the
//! certificate authority and the hashing of passwords.
//!
//! What it does not do yet: TPM 2.0 and PKCS#11. What signs for an [`EcKey`] is the seam for them.

#[cfg(feature = "hub")]
mod authority;
mod durable;
mod ec_key;
mod error;
pub mod limits;
mod log_key;
#[cfg(feature = "hub")]
mod notary;
#[cfg(feature = "hub")]
mod passwords;
mod random;
mod sealed;
mod sealing_key;

#[cfg(feature = "hub")]
pub use authority::Authority;
pub use durable::write_durably;
pub use ec_key::{EcKey, Storage};
pub use error::KeyError;
pub use log_key::{LogKey, verify_log_signature};
#[cfg(feature = "hub")]
pub use notary::Notary;
#[cfg(feature = "hub")]
pub use passwords::Argon2id;
pub use random::SystemRandom;
pub use sealed::{KeyFile, open, seal};
pub use sealing_key::{SealingKey, Source};
