//! Which certificates the hub issues, to whom, and which it takes back.
//!
//! Everything here is a decision: [`Request::parse`] reads what a device asks for, [`enrol`] says what to
//! sign or why not, as a [`CertificatePlan`]; [`rescue`] the same for a certificate that has expired; [`authority`] plans the hub's own certificates,
//! [`revocation`] its list of the revoked, [`ocsp`] its word on a single one. The name in a certificate comes from our decision, never from
//! the request. Keys and signatures are `io/keys`' business, records `io/store`'s.
//!
//! Standards: PKCS#10 (RFC 2986), X.509 (RFC 5280), EST (RFC 7030). Accepted device keys: P-256.

pub mod authority;
mod claim;
pub mod enrol;
pub mod limits;
pub mod ocsp;
mod plan;
mod request;
pub mod rescue;
pub mod revocation;

pub use claim::{Claim, ClaimState};
pub use enrol::Refusal;
pub use plan::{CertificatePlan, Issuer, Name, Serial, Usage};
pub use request::{Request, RequestProblem};
