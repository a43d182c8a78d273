//! What a device and a hub say to each other before they know each other.
//!
//! [`ClaimCode`] is the slip of paper: a single-use secret and the hash of the hub's root key.
//! [`csr`] writes a PKCS#10 certification request (RFC 2986) for a P-256 key that stays elsewhere,
//! [`est`] holds the messages of Enrollment over Secure Transport (RFC 7030), [`ocsp`] those of online
//! certificate status (RFC 6960), [`crl`] writes lists of revoked certificates (RFC 5280), [`name`] the one place
//! where a device id stands in a certificate, [`renewal`] the moment at which to ask for the next one.
//!
//! It needs `alloc`, no `std`. It verifies no signature and opens no connection. Of RFC 7030 it leaves
//! out server-side key generation and full CMC: a key that a server made is not the device's own.
//!
//! ```
//! use hedgerow_base::Secret;
//! use hedgerow_onboarding::ClaimCode;
//!
//! let code = ClaimCode::new(Secret::new([7; 16]), [9; 16]);
//! let typed = code.to_string().to_lowercase().replace('-', " ");
//! assert_eq!(typed.parse::<ClaimCode>(), Ok(code));
//! ```
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod claim_code;
pub mod crl;
pub mod csr;
pub mod der;
pub mod est;
pub mod limits;
pub mod name;
pub mod ocsp;
pub mod renewal;

pub use claim_code::{ClaimCode, NotAClaimCode, password_hash};
