//! Foreign topics: no two devices of the hub are given the same one.
//!
//! It is asked when a device is claimed, when it enrols, and when an owner accepts a profile with more
//! topics. What slips through between two of these at once ends in the plane, which gives a topic to the
//! first device alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hedgerow_base::{DeviceId, Fault, TenantId, Timestamp};
use hedgerow_model::mapping::{Mapping, Names, Plan};

use crate::{Control, Failure};

/// A device or a claim code with what decides its foreign topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Of the tenant.
    pub tenant: TenantId,
    /// The profile that it is held to.
    pub profile: String,
    /// The variables of its topics.
    pub names: Names,
    /// Which it is.
    pub who: NamedAs,
}

/// A device, or a device that will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedAs {
    /// This device.
    Device(DeviceId),
    /// The one that will use this claim code: SHA-256 over its secret.
    Claim([u8; 32]),
}

/// Who asks for topics.
#[derive(Clone, Copy)]
pub(crate) enum Asking {
    /// A person claims a device that will come.
    Claimed(Timestamp),
    /// This device comes in, with this claim code if it has one.
    Enrols(DeviceId, Option<[u8; 32]>, Timestamp),
}

/// Stands where a device's id will: no id has a dot.
const ID_TO_COME: &str = "id.to.come";

impl Control {
    /// Refuses names that do not fit the profile, or would give the device a topic of another's. Says whether
    /// the profile maps foreign topics at all.
    pub(crate) async fn refuse_taken_topics(
        &self,
        tenant: TenantId,
        profile: &str,
        names: &Names,
        asking: Asking,
    ) -> Result<bool, Failure> {
        let mut plans = Plans::default();
        let Some(plan) = plans.of(self, tenant, profile).await? else {
            if names.is_empty() {
                return Ok(false);
            }
            let reason = "the profile maps no foreign topics, so it has no names to set";
            return Err(Failure::new(Fault::Invalid, reason));
        };
        let (id, own_claim, now) = match asking {
            Asking::Claimed(now) => (None, None, now),
            Asking::Enrols(device, claim, now) => (Some(device), claim.map(NamedAs::Claim), now),
        };
        let default = id.map_or_else(|| ID_TO_COME.to_owned(), |id| id.to_string());
        let wanted = topics(&Mapping::compile(&plan, names, &default)?);
        for other in self.store.named(now).await? {
            if Some(other.who) == own_claim {
                continue;
            }
            let Some(plan) = plans.of(self, other.tenant, &other.profile).await? else { continue };
            let Some(held) = compiled(&plan, &other) else { continue };
            if let Some(topic) = topics(&held).into_iter().find(|topic| wanted.contains(topic)) {
                return Err(taken(&topic));
            }
        }
        Ok(true)
    }

    /// Refuses a new version of a profile by which a device would be given a topic of another's.
    pub(crate) async fn refuse_colliding_topics(
        &self,
        tenant: TenantId,
        profile: &str,
        plan: &Arc<Plan>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let mut plans = Plans::default();
        plans.0.insert((tenant, profile.to_owned()), Some(Arc::clone(plan)));
        let mut given = BTreeSet::new();
        for other in self.store.named(now).await? {
            let Some(plan) = plans.of(self, other.tenant, &other.profile).await? else { continue };
            let Some(held) = compiled(&plan, &other) else { continue };
            for topic in topics(&held) {
                if matches!(other.who, NamedAs::Device(_)) && !given.insert(topic.clone()) {
                    return Err(taken(&topic));
                }
            }
        }
        Ok(())
    }
}

fn compiled(plan: &Arc<Plan>, named: &Named) -> Option<Mapping> {
    let default = match named.who {
        NamedAs::Device(id) => id.to_string(),
        NamedAs::Claim(_) => ID_TO_COME.to_owned(),
    };
    Mapping::compile(plan, &named.names, &default).ok()
}

/// All topics of a device but those that its id to come makes its own.
fn topics(mapping: &Mapping) -> BTreeSet<String> {
    let told = mapping.commands().map(|(topic, _)| topic);
    let all = mapping.topics().map(|(topic, _)| topic).chain(told);
    all.filter(|topic| !topic.contains(ID_TO_COME)).map(str::to_owned).collect()
}

fn taken(topic: &str) -> Failure {
    let reason = format!(
        "the topic {topic} belongs to another device or an open claim code; give this one other names"
    );
    Failure::new(Fault::Conflict, reason)
}

/// The plans of profiles, each read once; nothing for a profile without foreign topics.
#[derive(Default)]
struct Plans(BTreeMap<(TenantId, String), Option<Arc<Plan>>>);

impl Plans {
    async fn of(
        &mut self,
        control: &Control,
        tenant: TenantId,
        profile: &str,
    ) -> Result<Option<Arc<Plan>>, Failure> {
        let place = (tenant, profile.to_owned());
        if let Some(known) = self.0.get(&place) {
            return Ok(known.clone());
        }
        let known = control.known_profile(tenant, profile).await?;
        let plan = known.map(|known| Arc::clone(known.profile.plan()));
        let plan = plan.filter(|plan| !plan.is_empty());
        self.0.insert(place, plan.clone());
        Ok(plan)
    }
}
