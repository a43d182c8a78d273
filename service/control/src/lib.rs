//! What people and processes change, one file for each thing the product does.
//!
//! Every change goes through one door ([`Control`]'s gate): authorise, decide, one commit that carries the
//! effect and its audit record together. The rooms below decide; the [`ports`] are what this crate needs
//! of the outside; it has no runtime of its own.

mod actions;
mod audit;
mod broker;
mod carry;
mod change;
mod claim;
mod ctx;
mod devices;
mod enrol;
mod error;
mod first_start;
mod gate;
pub mod limits;
mod ocsp;
mod people;
pub mod ports;
mod profiles;
mod readings;
mod rescue;
mod revocation;
mod rotation;
mod standing;
mod tokens;
mod topics;
mod weak;

pub use audit::{AuditPage, ProofOfGrowth, Verified};
pub use carry::NewCarried;
pub use change::{
    AuthorityId, AuthorityRecord, CertificateRecord, Change, Commit, Event, ProfileRecord,
    TimelineEntry,
};
pub use claim::{Claimed, NewClaim};
pub use ctx::Ctx;
pub use devices::{DevicePage, Edit, Sighting};
pub use enrol::Enrolled;
pub use error::Failure;
pub use first_start::Authority;
pub use gate::{Control, Ports};
pub use ocsp::{Responder, Word};
pub use people::{Person, SignIn, SignInRequest};
pub use profiles::{BUILT_IN, KnownProfile, NewProfile, Waiting};
pub use revocation::{ListOf, Lists};
pub use rotation::{CutOff, Distrusted};
pub use standing::Cause;
pub use tokens::{NewToken, Token, TokenCertificate};
pub use topics::{Named, NamedAs};
pub use weak::NewWeakDevice;
