//! Brings what is held in memory up to what was committed.

use std::sync::{Arc, OnceLock};

use hedgerow_api::{Bounds, RevocationLists};
use hedgerow_control::{
    Authority, Event, Failure, Token,
    ports::{Herald, Pending, Store},
};
use hedgerow_listen::server::now;
use hedgerow_plane::{DeviceAdmission, Plane, TokenAdmission, ValidCertificate};
use hedgerow_policy::TopicGrants;
use hedgerow_registry::{Device, DeviceKey, State};
use tokio::sync::Mutex;

use super::{profiles::Profiles, trust::Trust};

/// Keeps the data plane's directory and the revocation list true.
pub(super) struct Messenger {
    pub(super) store: Arc<dyn Store>,
    pub(super) plane: Plane,
    pub(super) profiles: Arc<Profiles>,
    pub(super) revocation: Arc<RevocationLists>,
    /// Not there while the hub makes its first certificates.
    pub(super) trust: OnceLock<Arc<Trust>>,
    /// Held from reading the store to writing what was read, so that nothing older overwrites it.
    pub(super) turn: Mutex<()>,
}

impl Messenger {
    async fn admission(&self, device: &Device) -> Result<DeviceAdmission, Failure> {
        let certificates = self.store.certificates(device.key).await?;
        let valid = certificates.iter().filter(|certificate| certificate.revoked.is_none());
        let certificates =
            valid.map(|c| ValidCertificate { id: c.id, expires: c.not_after }).collect();
        let DeviceKey { tenant, id, incarnation } = device.key;
        let Bounds { profile, overlay } = self.profiles.named(tenant, &device.profile);
        Ok(DeviceAdmission {
            tenant,
            device: id,
            incarnation,
            standing: device.standing,
            certificates,
            password: device.password,
            profile_name: device.profile.as_str().into(),
            profile,
            overlay,
            names: device.names.clone(),
            carrier: device.carrier,
        })
    }

    /// Fills the directory at the start.
    pub(super) async fn fill(&self) -> Result<usize, Failure> {
        let _turn = self.turn.lock().await;
        for record in self.store.all_profiles().await? {
            let (tenant, name) = (record.tenant, record.name.clone());
            self.profiles.set(tenant, &name, Some(record));
        }
        let tokens: Result<Vec<_>, _> = self.store.all_tokens().await?.iter().map(token).collect();
        self.plane.directory().apply_tokens(tokens?);
        let mut admissions = Vec::new();
        for device in self.store.all_devices().await? {
            admissions.push(self.admission(&device).await?);
        }
        let count = admissions.len();
        self.plane.directory().apply_all(admissions);
        Ok(count)
    }

    /// Another issuing CA signs, or some are not trusted any more: in one step for all devices.
    async fn refresh_trust(&self) -> Result<(), Failure> {
        let Some(trust) = self.trust.get() else { return Ok(()) };
        if let Some(authority) = Authority::read(&*self.store).await? {
            trust.adopt(authority)?;
        }
        self.revocation.forget();
        let ended = self.store.distrusted(now()).await?;
        if !ended.is_empty() {
            self.plane.directory().end_certificates(&ended.into_iter().collect());
        }
        Ok(())
    }

    async fn refresh_device(&self, key: DeviceKey) -> Result<(), Failure> {
        match self.store.device(key.tenant, key.id).await? {
            // A retired device stays known, so that it is told that it is retired.
            Some(device) if device.state != State::Erased => {
                self.plane.directory().apply(self.admission(&device).await?);
            }
            Some(_) | None => self.plane.directory().remove(key.tenant, key.id),
        }
        Ok(())
    }
}

/// What the data plane is to know of a token.
fn token(token: &Token) -> Result<TokenAdmission, Failure> {
    Ok(TokenAdmission {
        tenant: token.tenant,
        token: token.id,
        hash: token.hash,
        certificate: token.certificate.map(|certificate| certificate.id),
        scopes: token.scopes,
        grants: Arc::new(TopicGrants::compile(&token.grants)?),
        expires: token.expires,
    })
}

impl Herald for Messenger {
    fn tell(&self, event: Event) -> Pending<'_, ()> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            match event {
                Event::Authority => self.refresh_trust().await?,
                Event::Revoked => self.revocation.forget(),
                Event::Token(tenant, id) => {
                    let tokens = self.store.tokens(tenant).await?;
                    match tokens.iter().find(|token| token.id == id) {
                        Some(found) => self.plane.directory().apply_tokens([token(found)?]),
                        None => self.plane.directory().remove_token(tenant, id),
                    }
                }
                Event::Device(key) => self.refresh_device(key).await?,
                Event::Profile(tenant, name) => {
                    let record = self.store.profile(tenant, &name).await?;
                    let Bounds { profile, overlay } = self.profiles.set(tenant, &name, record);
                    self.plane.directory().apply_profile(tenant, &name, &profile, &overlay);
                }
            }
            Ok(())
        })
    }
}
