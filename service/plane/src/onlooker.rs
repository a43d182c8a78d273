//! What a person may look on at.
//!
//! Every role sees what the devices of its tenant say; what is said elsewhere belongs to programs, whose tokens
//! owners make, so it is for owners. Nobody speaks this way.

use hedgerow_base::{Fault, TenantId};
use hedgerow_policy::{PersonId, Role};

use crate::{Plane, Refusal, publish::is_under_things, watch::device_of};

/// A person who looks on at messages, as they were signed in when they began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Onlooker {
    pub(crate) tenant: TenantId,
    pub(crate) person: PersonId,
    pub(crate) role: Role,
}

impl Onlooker {
    pub(crate) const SILENT: Refusal =
        Refusal::new(Fault::Denied, "person", "people look on only; use a token for a program");
}

impl Plane {
    pub(crate) fn may_look_on(&self, onlooker: &Onlooker, topic: &str) -> bool {
        if !is_under_things(topic) {
            return onlooker.role == Role::Owner && onlooker.tenant == TenantId::FIRST;
        }
        device_of(topic).is_some_and(|device| self.directory().knows(onlooker.tenant, device))
    }
}
