//! Foreign topics: whose they are.
//!
//! Each belongs to one device of the whole hub, so that nobody speaks as another's device or hears it:
//! programs and testers are judged by this where no grant of a device says anything.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use hedgerow_base::{DeviceId, TenantId};
use hedgerow_model::mapping::Mapping;
use hedgerow_policy::Standing;

use crate::DeviceAdmission;

/// Which device a foreign topic belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) tenant: TenantId,
    pub(crate) device: DeviceId,
}

/// The foreign topics of all devices.
#[derive(Debug, Default)]
pub(crate) struct ForeignTopics {
    holders: RwLock<HashMap<Box<str>, Holder>>,
    /// How many there are, so that a hub without any pays one load a message.
    count: AtomicUsize,
}

impl ForeignTopics {
    /// Gives a device the topics of its profile in place of the ones that it had. None are given to a
    /// device that is cut, whose names do not fit its profile, or of whose topics another has one: the
    /// control plane refuses that before, and this is where it ends if it did not.
    pub(crate) fn give(
        &self,
        before: Option<&Mapping>,
        admission: &DeviceAdmission,
    ) -> Option<Arc<Mapping>> {
        let plan = admission.profile.plan();
        if before.is_none() && plan.is_empty() {
            return None;
        }
        let holder = Holder { tenant: admission.tenant, device: admission.device };
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        before.into_iter().flat_map(all).for_each(|topic| take_back(&mut holders, topic, holder));
        let is_wanted = !plan.is_empty() && admission.standing != Standing::Cut;
        let id = admission.device.to_string();
        let compiled =
            is_wanted.then(|| Mapping::compile(plan, &admission.names, &id).ok()).flatten();
        let is_free = |topic: &str| holders.get(topic).is_none_or(|known| *known == holder);
        let given = compiled.filter(|mapping| all(mapping).all(is_free)).map(Arc::new);
        for topic in given.iter().flat_map(|mapping| all(mapping)) {
            holders.insert(topic.into(), holder);
        }
        self.count.store(holders.len(), Ordering::Release);
        given
    }

    /// Frees the topics of a device that is gone.
    pub(crate) fn take_back(&self, mapping: &Mapping, holder: Holder) {
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        all(mapping).for_each(|topic| take_back(&mut holders, topic, holder));
        self.count.store(holders.len(), Ordering::Release);
    }

    /// Whose topic it is, if it is a device's.
    pub(crate) fn holder(&self, topic: &str) -> Option<Holder> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let holders = self.holders.read().unwrap_or_else(PoisonError::into_inner);
        holders.get(topic).copied()
    }
}

fn take_back(holders: &mut HashMap<Box<str>, Holder>, topic: &str, holder: Holder) {
    if holders.get(topic) == Some(&holder) {
        holders.remove(topic);
    }
}

fn all(mapping: &Mapping) -> impl Iterator<Item = &str> {
    let told = mapping.commands().map(|(topic, _)| topic);
    mapping.topics().map(|(topic, _)| topic).chain(told)
}
