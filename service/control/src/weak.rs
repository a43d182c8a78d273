//! Devices that can do no better than a password: taken in by their owner's word, shown as weak, with
//! narrower grants. The way out is to replace them; they can't enrol later, for their id is no key's.

use hedgerow_base::{DeviceId, Fault, Incarnation};
use hedgerow_model::mapping::Names;
use hedgerow_policy::{Fact, PasswordId, judge};
use hedgerow_registry::{Device, DeviceKey, KeyStorage, State, check_name};

use crate::{
    Change, Control, Ctx, Event, Failure,
    enrol::tell,
    gate::{Effects, action},
    limits::WEAK_DEVICES_MAX,
    topics::Asking,
};

action!(
    /// An owner takes in a device that signs in with a password.
    AdmitWeak = "device.admit-weak", role Owner, scope ADMIN
);
action!(
    /// An owner gives such a device another password.
    ChangeDevicePassword = "device.password", role Owner, scope ADMIN
);

/// What an owner takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWeakDevice {
    /// What it will be called.
    pub name: String,
    /// The profile that it will be held to.
    pub profile: String,
    /// The variables of its foreign topics, where they are not the default.
    pub names: Names,
}

impl Control {
    /// Whether the actor may take in weak devices: asked before anything is said about how.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn may_admit_weak_devices(&self, ctx: &Ctx) -> Result<(), Failure> {
        self.permit::<AdmitWeak>(ctx).await.map(drop)
    }

    /// Takes in a device that signs in with the password that the caller made, with 128 random bits, and
    /// shows once.
    ///
    /// # Errors
    /// Not allowed, a bad name, no such profile, too many such devices, or names that give it a topic of
    /// another's.
    pub async fn admit_weak_device(
        &self,
        ctx: &Ctx,
        new: NewWeakDevice,
        password: PasswordId,
    ) -> Result<Device, Failure> {
        let permit = self.permit::<AdmitWeak>(ctx).await?;
        let tenant = permit.tenant();
        let name = check_name(&new.name)?.to_owned();
        self.need_profile(tenant, &new.profile).await?;
        let id = DeviceId::from_bytes(self.random());
        let asking = Asking::Enrols(id, None, ctx.now);
        self.refuse_taken_topics(tenant, &new.profile, &new.names, asking).await?;
        if self.store.weak_devices(tenant).await? >= WEAK_DEVICES_MAX {
            let reason = format!(
                "{WEAK_DEVICES_MAX} devices sign in with a password; replace or retire some first"
            );
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        let key = DeviceKey { tenant, id, incarnation: Incarnation::FIRST };
        let facts = vec![Fact::Password];
        let judgement = judge(&facts);
        let (standing, because) = (judgement.standing, judgement.because);
        let device = Device {
            key,
            name,
            state: State::Enrolled,
            standing,
            because,
            profile: new.profile,
            names: new.names,
            carrier: None,
            group: None,
            labels: Vec::new(),
            key_storage: KeyStorage::Unknown,
            certificate: None,
            password: Some(password),
            created: ctx.now,
            last_seen: None,
            is_connected: false,
            revision: 1,
        };
        let sentence = "Its owner took it in with a password, because it can do no better: weak.";
        let changes = vec![
            Change::AddDevice(Box::new(device)),
            Change::AddFact(key, Fact::Password),
            Change::Judge { device: key, facts, standing, because },
            tell(key, ctx.now, "admitted-weak", sentence),
        ];
        let effects = Effects::on(format!("device:{id}"), changes).telling(Event::Device(key));
        self.commit(ctx, permit, effects).await?;
        self.existing(tenant, id).await
    }

    /// Gives a weak device another password; its sessions by the old one end before this returns.
    ///
    /// # Errors
    /// Not allowed, absent, or a device that has a certificate.
    pub async fn change_device_password(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        password: PasswordId,
    ) -> Result<Device, Failure> {
        let permit = self.permit::<ChangeDevicePassword>(ctx).await?;
        let tenant = permit.tenant();
        let device = self.existing(tenant, id).await?;
        if device.password.is_none() {
            let reason = "this device has no password: it signs in with its certificate";
            return Err(Failure::new(Fault::Conflict, reason));
        }
        let key = device.key;
        let changes = vec![
            Change::SetDevicePassword(key, Some(password)),
            tell(key, ctx.now, "password", "It got another password; the old one is of no use."),
        ];
        let effects = Effects::on(format!("device:{id}"), changes).telling(Event::Device(key));
        self.commit(ctx, permit, effects).await?;
        self.existing(tenant, id).await
    }
}
