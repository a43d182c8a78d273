//! Devices that speak over another device's connection: behind a bridge, without a key of their own.
//!
//! 1. A person says what the device is, its names, and which device carries it.
//! 2. From then on its topics pass on the carrier's sessions, as far as both are trusted.
//! 3. Retiring or revoking either of the two ends that.

use hedgerow_base::{DeviceId, Fault, Incarnation};
use hedgerow_model::mapping::Names;
use hedgerow_policy::{Fact, Standing, judge};
use hedgerow_registry::{Device, DeviceKey, KeyStorage, State, check_name};

use crate::{
    Change, Control, Ctx, Event, Failure,
    enrol::tell,
    gate::{Effects, action},
    topics::Asking,
};

action!(
    /// A person takes in a device that another one carries.
    Carry = "device.carry", role Operator, scope DEVICES
);

/// What a person says of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCarried {
    /// What it is called.
    pub name: String,
    /// The profile that it is held to; one that maps foreign topics.
    pub profile: String,
    /// The variables of its topics.
    pub names: Names,
    /// Whose connection carries it.
    pub carrier: DeviceId,
}

impl Control {
    /// Whether the actor may take in carried devices: asked before anything is said about how.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn may_carry(&self, ctx: &Ctx) -> Result<(), Failure> {
        self.permit::<Carry>(ctx).await.map(drop)
    }

    /// Takes in a device that another one carries. The carrier's open sessions may publish its topics before
    /// this returns.
    ///
    /// # Errors
    /// Not allowed, a bad name, no such profile or one without foreign topics, no such carrier or one that
    /// can't carry, or names that give the device a topic of another's.
    pub async fn carry(&self, ctx: &Ctx, new: NewCarried) -> Result<Device, Failure> {
        let permit = self.permit::<Carry>(ctx).await?;
        let tenant = permit.tenant();
        let name = check_name(&new.name)?.to_owned();
        let carrier = self.existing(tenant, new.carrier).await?;
        let can_carry = carrier.carrier.is_none()
            && carrier.password.is_none()
            && !matches!(carrier.state, State::Retired | State::Erased);
        if !can_carry {
            let reason = "a device that is retired, weak or carried itself carries no other";
            return Err(Failure::new(Fault::Conflict, reason));
        }
        self.need_profile(tenant, &new.profile).await?;
        let id = DeviceId::from_bytes(self.random());
        let asking = Asking::Enrols(id, None, ctx.now);
        if !self.refuse_taken_topics(tenant, &new.profile, &new.names, asking).await? {
            let reason = "the profile maps no foreign topics, so no other device can speak for it";
            return Err(Failure::new(Fault::Conflict, reason));
        }
        let key = DeviceKey { tenant, id, incarnation: Incarnation::FIRST };
        let facts = vec![Fact::Carried];
        let judgement = judge(&facts);
        let device = Device {
            key,
            name,
            state: State::Enrolled,
            standing: Standing::Full,
            because: judgement.because,
            profile: new.profile,
            names: new.names,
            carrier: Some(new.carrier),
            group: None,
            labels: Vec::new(),
            key_storage: KeyStorage::Unknown,
            certificate: None,
            password: None,
            created: ctx.now,
            last_seen: None,
            is_connected: false,
            revision: 1,
        };
        let (standing, because) = (judgement.standing, judgement.because);
        let sentence = format!("It speaks over the connection of {}.", carrier.name);
        let changes = vec![
            Change::AddDevice(Box::new(device)),
            Change::AddFact(key, Fact::Carried),
            Change::Judge { device: key, facts, standing, because },
            tell(key, ctx.now, "carried", &sentence),
        ];
        let effects = Effects::on(format!("device:{id}"), changes)
            .saying("carrier", new.carrier.to_string())
            .telling(Event::Device(key));
        self.commit(ctx, permit, effects).await?;
        self.existing(tenant, id).await
    }
}
