//! The profiles that the hub knows, in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use hedgerow_api::Bounds;
use hedgerow_base::{Fault, TenantId};
use hedgerow_control::{Failure, KnownProfile, ProfileRecord};
use hedgerow_model::Profile;

/// What devices are held to, by the names of profiles.
#[derive(Debug)]
pub(super) struct Profiles {
    built_in: BTreeMap<String, Bounds>,
    /// Added here, or built in and narrowed.
    changed: RwLock<BTreeMap<(TenantId, String), Bounds>>,
    none: Bounds,
}

/// A profile that declares nothing, so that a device of an unknown kind may publish nothing.
const EMPTY: &str = r#"{
  "@context": ["https://www.w3.org/2022/wot/td/v1.1", {"hedgerow": "urn:hedgerow:vocabulary:1#"}],
  "@type": "tm:ThingModel", "title": "Unknown", "version": {"model": "1.0.0"},
  "hedgerow:maker": "unknown", "hedgerow:model": "unknown", "properties": {}
}"#;

fn bounds(known: KnownProfile) -> Bounds {
    Bounds { profile: Arc::new(known.profile), overlay: Arc::new(known.overlay) }
}

impl Profiles {
    /// The built-in ones.
    pub(super) fn new() -> Result<Self, Failure> {
        let none = Profile::parse(EMPTY.as_bytes()).map_err(|error| {
            Failure::new(Fault::Broken, format!("the profile of unknown devices: {error}"))
        })?;
        let none = Bounds { profile: Arc::new(none), overlay: Arc::default() };
        let built_in =
            KnownProfile::built_in().map(|known| (known.name.clone(), bounds(known))).collect();
        Ok(Self { built_in, changed: RwLock::default(), none })
    }

    /// What devices of that profile are held to; nothing is allowed when it is not known.
    pub(super) fn named(&self, tenant: TenantId, name: &str) -> Bounds {
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let found = changed.get(&(tenant, name.to_owned())).or_else(|| self.built_in.get(name));
        found.unwrap_or(&self.none).clone()
    }

    /// Takes over what is stored of a profile now; a document that can't be read allows nothing.
    pub(super) fn set(
        &self,
        tenant: TenantId,
        name: &str,
        record: Option<ProfileRecord>,
    ) -> Bounds {
        let place = (tenant, name.to_owned());
        let mut changed = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        match record.map(KnownProfile::read) {
            Some(Ok(known)) => drop(changed.insert(place, bounds(known))),
            Some(Err(failure)) => {
                tracing::error!(%failure, "its devices may publish nothing");
                changed.insert(place, self.none.clone());
            }
            None => drop(changed.remove(&place)),
        }
        drop(changed);
        self.named(tenant, name)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_base::Timestamp;
    use hedgerow_policy::Overlay;

    use super::*;

    const TENANT: TenantId = TenantId::FIRST;

    fn record(document: Option<&str>) -> ProfileRecord {
        ProfileRecord {
            tenant: TENANT,
            name: "linux-host".into(),
            document: document.map(|text| text.into()),
            waiting: None,
            overlay: Overlay { retention_days_max: Some(7), ..Overlay::default() },
            revision: 1,
            changed: Timestamp::from_secs(0),
        }
    }

    #[test]
    fn an_unknown_profile_declares_nothing() {
        let profiles = Profiles::new().unwrap();
        assert!(profiles.named(TENANT, "toaster").profile.properties().is_empty());
        assert!(!profiles.named(TENANT, "linux-host").profile.properties().is_empty());
    }

    #[test]
    fn a_stored_profile_that_cannot_be_read_allows_nothing() {
        let profiles = Profiles::new().unwrap();
        profiles.set(TENANT, "linux-host", Some(record(Some("{}"))));
        assert!(profiles.named(TENANT, "linux-host").profile.properties().is_empty());
    }

    #[test]
    fn a_built_in_profile_is_narrowed_for_its_tenant_alone_and_comes_back() {
        let profiles = Profiles::new().unwrap();
        let days = |tenant| profiles.named(tenant, "linux-host").overlay.retention_days_max;
        profiles.set(TENANT, "linux-host", Some(record(None)));
        assert_eq!((days(TENANT), days(TenantId(2))), (Some(7), None));
        assert!(!profiles.named(TENANT, "linux-host").profile.properties().is_empty());
        profiles.set(TENANT, "linux-host", None);
        assert_eq!(days(TENANT), None);
    }
}
