//! Who is there, what was decided about them, and what they may do.
//!
//! A [`Peer`] is what a connection has proven, a [`Standing`] is how far a device is trusted now, a
//! [`Permit`] is one decision as a value: functions that change things take it, and only this crate
//! makes it. Everything here is a pure function of its arguments; unknown means no.
//!
//! What it is not: it keeps no state, reads no clock, and knows no wire.

pub mod audit;
mod filter_tree;
mod foreign;
mod grants;
pub mod limits;
mod peer;
mod permit;
mod standing;
mod topic_grants;
mod widening;

pub use grants::{Channel, GrantDenial, Grants, Overlay, REMEDIATION_ACTIONS};
pub use peer::{
    Application, CertificateId, DirectDevice, LapsedDevice, PasswordId, Peer, PersonId, Role,
    Scopes, WeakDevice, Witness,
};
pub use permit::{Action, Actor, Denial, Permit, authorise};
pub use standing::{Fact, Judgement, Standing, judge};
pub use topic_grants::{TopicGrant, TopicGrantError, TopicGrants, Verb};
pub use widening::{Widening, widenings};
