//! Brings what is held in memory up to what was committed.

use std::sync::{Arc, OnceLock};

use hedgerow_api::RevocationList;
use hedgerow_control::{
    Event, Failure,
    ports::{Herald, Pending, Store},
};
use hedgerow_model::Profile;
use hedgerow_plane::{DeviceAdmission, Plane, ValidCertificate};
use hedgerow_policy::Overlay;
use hedgerow_registry::{Device, DeviceKey, State};

/// Profiles that the hub knows.
#[derive(Debug)]
pub(super) struct Profiles {
    linux_host: Arc<Profile>,
    none: Arc<Profile>,
}

/// A profile that declares nothing, so that a device of an unknown kind may publish nothing.
const EMPTY: &str = r#"{
  "@context": ["https://www.w3.org/2022/wot/td/v1.1", {"hedgerow": "urn:hedgerow:vocabulary:1#"}],
  "@type": "tm:ThingModel", "title": "Unknown", "version": {"model": "1.0.0"},
  "hedgerow:maker": "unknown", "hedgerow:model": "unknown", "properties": {}
}"#;

impl Profiles {
    pub(super) fn built_in() -> Result<Self, Failure> {
        let parse = |document: &str| {
            Profile::parse(document.as_bytes()).map(Arc::new).map_err(|error| {
                Failure::new(hedgerow_base::Fault::Broken, format!("a built-in profile: {error}"))
            })
        };
        Ok(Self { linux_host: parse(hedgerow_model::LINUX_HOST)?, none: parse(EMPTY)? })
    }

    /// The profile of that name; one that declares nothing when it is not known.
    pub(super) fn named(&self, name: &str) -> Arc<Profile> {
        if name == "linux-host" { Arc::clone(&self.linux_host) } else { Arc::clone(&self.none) }
    }
}

/// Keeps the data plane's directory and the revocation list true.
pub(super) struct Messenger {
    pub(super) store: Arc<dyn Store>,
    pub(super) plane: Plane,
    pub(super) profiles: Arc<Profiles>,
    pub(super) revocation: Arc<RevocationList>,
    pub(super) overlay: Arc<Overlay>,
    /// Set once the plane is there; until then there is nothing to keep true.
    pub(super) ready: OnceLock<()>,
}

impl Messenger {
    async fn admission(&self, device: &Device) -> Result<DeviceAdmission, Failure> {
        let certificates = self.store.certificates(device.key).await?;
        let valid = certificates.iter().filter(|certificate| certificate.revoked.is_none());
        let certificates =
            valid.map(|c| ValidCertificate { id: c.id, expires: c.not_after }).collect();
        let DeviceKey { tenant, id, incarnation } = device.key;
        Ok(DeviceAdmission {
            tenant,
            device: id,
            incarnation,
            standing: device.standing,
            certificates,
            profile: self.profiles.named(&device.profile),
            overlay: Arc::clone(&self.overlay),
        })
    }

    /// Fills the directory at the start.
    pub(super) async fn fill(&self) -> Result<usize, Failure> {
        let mut admissions = Vec::new();
        for device in self.store.all_devices().await? {
            admissions.push(self.admission(&device).await?);
        }
        let count = admissions.len();
        self.plane.directory().apply_all(admissions);
        let _ = self.ready.set(());
        Ok(count)
    }
}

impl Herald for Messenger {
    fn tell(&self, event: Event) -> Pending<'_, ()> {
        Box::pin(async move {
            let key = match event {
                Event::Revoked => {
                    self.revocation.forget();
                    return Ok(());
                }
                Event::Device(key) => key,
            };
            match self.store.device(key.tenant, key.id).await? {
                // A retired device stays known, so that it is told that it is retired.
                Some(device) if device.state != State::Erased => {
                    self.plane.directory().apply(self.admission(&device).await?);
                }
                Some(_) | None => self.plane.directory().remove(key.tenant, key.id),
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_profile_declares_nothing() {
        let profiles = Profiles::built_in().unwrap();
        assert!(profiles.named("toaster").properties().is_empty());
        assert!(!profiles.named("linux-host").properties().is_empty());
    }
}
