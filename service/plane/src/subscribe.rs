//! What a session may subscribe to, and be handed.

use std::sync::atomic::Ordering;

use hedgerow_base::{DeviceKey, Fault, Timestamp};
use hedgerow_model::{Profile, mapping::Told};
use hedgerow_policy::GrantDenial;

use crate::{
    Admitted, Plane, Refusal,
    connect::{UNKNOWN, Who},
    directory::Entry,
    publish::may_carry,
};

const OUTSIDE: Refusal =
    Refusal::new(Fault::Denied, "outside", "this listener carries topics outside things/ only");

const UNDECLARED: Refusal =
    Refusal::new(Fault::Absent, "undeclared", "the device's profile does not declare that action");
const NO_PROPERTY: Refusal =
    Refusal::new(Fault::Absent, "undeclared", "the device's profile declares no such property");
const UNWRITABLE: Refusal = Refusal::new(
    Fault::Conflict,
    "unwritable",
    "the device's profile does not say how this property is written; it may have an action for it",
);
const AWAY: Refusal =
    Refusal::new(Fault::Conflict, "away", "the device is not connected; try again when it is");

/// What somebody wants of a device, by its name in the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish<'a> {
    /// That it does this action.
    Action(&'a str),
    /// That this property has the value that is the input.
    Property(&'a str),
}

/// A message that asks a device for an action, or to change a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it goes to.
    pub topic: Box<str>,
    /// What it says.
    pub payload: Vec<u8>,
}

impl Plane {
    /// Whether this session may subscribe to `filter`. A filter may be wider than what is handed out:
    /// each message is judged by [`Plane::may_receive`] as well.
    ///
    /// # Errors
    /// A [`Refusal`] that says why not.
    pub fn subscribe(&self, session: &Admitted, filter: &str) -> Result<(), Refusal> {
        let judged = match &session.0 {
            Who::Device { entry, .. } => {
                let own = entry.compiled(self.readings()).grants.subscribe(filter);
                let grant =
                    |carried: &Entry| carried.compiled(self.readings()).grants.subscribe(filter);
                self.or_carried(entry, filter, own, grant).map_err(Refusal::from)
            }
            Who::Application(program) => Self::subscribe_application(&program.token, filter),
            // What is handed out is judged message by message.
            Who::Onlooker(_) => Ok(()),
            Who::LoopbackTester if may_test(filter) => Ok(()),
            Who::LoopbackTester => Err(OUTSIDE),
        };
        judged.inspect_err(|refusal| self.denied(session, refusal.word, filter))
    }

    /// What a device is sent when something is wished of it now: on its own topic of the action's name, or the
    /// topic and payload that its profile maps the wish to. A property is written only where it is mapped.
    ///
    /// # Errors
    /// A [`Refusal`]: it is not declared or not mapped, its standing or its owner does not allow it, it is not
    /// connected, or the input is not what the profile says.
    pub fn ask(
        &self,
        device: DeviceKey,
        wish: Wish<'_>,
        input: &[u8],
        now: Timestamp,
    ) -> Result<Asked, Refusal> {
        let entry = self.directory().find(device.tenant, device.id).ok_or(UNKNOWN)?;
        let told = told(&entry.admission.profile, wish)?;
        let grants = &entry.compiled(self.readings()).grants;
        let own = match wish {
            Wish::Action(action) => Some(format!("things/{}/actions/{action}", device.id)),
            Wish::Property(_) => None,
        };
        match &own {
            Some(topic) => grants.receive(topic)?,
            None => grants.may_be_told(told)?,
        }
        let connected = self.directory().connected_as(&entry);
        if entry.admission.carrier.is_some() {
            may_carry(&connected)?;
        }
        if connected.vitals.sessions.load(Ordering::Relaxed) == 0 {
            return Err(AWAY);
        }
        let foreign = match grants.mapping() {
            Some(mapping) => mapping.command(told, input, now)?,
            None => None,
        };
        match (foreign, own) {
            (Some((topic, payload)), _) => Ok(Asked { topic: topic.into(), payload }),
            (None, Some(topic)) => Ok(Asked { topic: topic.into(), payload: input.into() }),
            (None, None) => Err(UNWRITABLE),
        }
    }

    /// Whether what a session subscribed to can be wider than what it may be handed, so that each
    /// delivery is to be judged by [`Plane::may_receive`]: a device's filters are not, until its standing
    /// narrows, unless its profile maps foreign topics.
    #[must_use]
    pub fn judges_deliveries(&self, session: &Admitted) -> bool {
        match &session.0 {
            Who::Device { entry, .. } => entry.compiled(self.readings()).grants.is_wide(),
            Who::Application(_) | Who::Onlooker(_) | Who::LoopbackTester => true,
        }
    }

    /// What a device may do with a topic: by its own grants, or those of a device that it carries.
    fn or_carried(
        &self,
        entry: &Entry,
        topic: &str,
        own: Result<(), GrantDenial>,
        grant: impl Fn(&Entry) -> Result<(), GrantDenial>,
    ) -> Result<(), GrantDenial> {
        match own {
            Err(GrantDenial::NotYours) => {
                let carried =
                    self.directory().carried(entry, topic).ok_or(GrantDenial::NotYours)?;
                may_carry(entry)?;
                grant(&carried)
            }
            own => own,
        }
    }

    /// Whether this session may be handed a message on `topic` now. Cheap; asked for each delivery.
    #[must_use]
    #[inline]
    pub fn may_receive(&self, session: &Admitted, topic: &str) -> bool {
        match &session.0 {
            Who::Device { entry, .. } => {
                let own = entry.compiled(self.readings()).grants.receive(topic);
                let grant =
                    |carried: &Entry| carried.compiled(self.readings()).grants.receive(topic);
                self.or_carried(entry, topic, own, grant).is_ok()
            }
            Who::Application(program) => self.may_application_receive(&program.token, topic),
            Who::Onlooker(onlooker) => self.may_look_on(onlooker, topic),
            Who::LoopbackTester => self.is_for_testers(topic),
        }
    }
}

/// The place in the profile of what is wished.
fn told(profile: &Profile, wish: Wish<'_>) -> Result<Told, Refusal> {
    let place = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
    match wish {
        Wish::Action(action) => {
            profile.action_index(action).map(place).map(Told::Action).ok_or(UNDECLARED)
        }
        Wish::Property(name) => {
            let told = Told::Property(place(profile.property_index(name).ok_or(NO_PROPERTY)?));
            profile.plan().command(told).map(|_| told).ok_or(UNWRITABLE)
        }
    }
}

/// `#` and `+/…` are let through for testers: what is under `things/` is not handed to them.
fn may_test(filter: &str) -> bool {
    filter.split('/').next() != Some("things")
}
