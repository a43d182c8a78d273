//! What a person may look on at.
//!
//! Every role sees what the devices of its tenant say and are told: below `things/`, and on the foreign topics that their
//! profiles map to properties, events and actions. What a profile only lets pass says nothing that it declares, and what is
//! said elsewhere belongs to programs, whose tokens owners make: both are for owners. Nobody speaks this way.

use hedgerow_base::{Fault, TenantId};
use hedgerow_policy::{PersonId, Role};

use crate::{Plane, Refusal, foreign::Holder, publish::is_under_things, watch::device_of};

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
        let is_owner = onlooker.role == Role::Owner;
        if is_under_things(topic) {
            let device = device_of(topic);
            return device.is_some_and(|device| self.directory().knows(onlooker.tenant, device));
        }
        match self.directory().foreign.holder(topic) {
            Some(holder) => {
                holder.tenant == onlooker.tenant && (is_owner || self.is_mapped(holder, topic))
            }
            None => is_owner && onlooker.tenant == TenantId::FIRST,
        }
    }

    /// Whether the profile of the topic's device says what is said on it.
    fn is_mapped(&self, holder: Holder, topic: &str) -> bool {
        let entry = self.directory().find(holder.tenant, holder.device);
        entry.as_ref().and_then(|entry| entry.mapping()).is_some_and(|mapping| mapping.maps(topic))
    }
}
