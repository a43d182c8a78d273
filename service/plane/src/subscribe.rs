//! What a session may subscribe to, and be handed.

use std::sync::atomic::Ordering;

use hedgerow_base::{DeviceKey, Fault};

use crate::{
    Admitted, Plane, Refusal,
    connect::{UNKNOWN, Who},
    publish::is_under_things,
};

const OUTSIDE: Refusal =
    Refusal::new(Fault::Denied, "outside", "this listener carries topics outside things/ only");

const UNDECLARED: Refusal =
    Refusal::new(Fault::Absent, "undeclared", "the device's profile does not declare that action");
const AWAY: Refusal =
    Refusal::new(Fault::Conflict, "away", "the device is not connected; try again when it is");

impl Plane {
    /// Whether this session may subscribe to `filter`. A filter may be wider than what is handed out:
    /// each message is judged by [`Plane::may_receive`] as well.
    ///
    /// # Errors
    /// A [`Refusal`] that says why not.
    pub fn subscribe(&self, session: &Admitted, filter: &str) -> Result<(), Refusal> {
        let judged = match &session.0 {
            Who::Device { entry, .. } => {
                let compiled = entry.compiled(self.readings());
                compiled.grants.subscribe(filter).map_err(Refusal::from)
            }
            Who::Application(program) => Self::subscribe_application(&program.token, filter),
            // What is handed out is judged message by message.
            Who::Onlooker(_) => Ok(()),
            Who::LoopbackTester if may_test(filter) => Ok(()),
            Who::LoopbackTester => Err(OUTSIDE),
        };
        judged.inspect_err(|refusal| self.denied(session, refusal.word, filter))
    }

    /// Whether a device may be asked for an action now: declared, allowed by its standing, connected.
    ///
    /// # Errors
    /// A [`Refusal`] that says which of these is missing.
    pub fn may_ask(&self, device: DeviceKey, action: &str) -> Result<(), Refusal> {
        let entry = self.directory().find(device.tenant, device.id).ok_or(UNKNOWN)?;
        if entry.admission.profile.action_index(action).is_none() {
            return Err(UNDECLARED);
        }
        let topic = format!("things/{}/actions/{action}", device.id);
        entry.compiled(self.readings()).grants.receive(&topic)?;
        if entry.vitals.sessions.load(Ordering::Relaxed) == 0 {
            return Err(AWAY);
        }
        Ok(())
    }

    /// Whether what a session subscribed to can be wider than what it may be handed, so that each
    /// delivery is to be judged by [`Plane::may_receive`]: a device's filters are not, until its standing
    /// narrows.
    #[must_use]
    pub const fn judges_deliveries(&self, session: &Admitted) -> bool {
        match &session.0 {
            Who::Device { .. } => false,
            Who::Application(_) | Who::Onlooker(_) | Who::LoopbackTester => true,
        }
    }

    /// Whether this session may be handed a message on `topic` now. Cheap; asked for each delivery.
    #[must_use]
    #[inline]
    pub fn may_receive(&self, session: &Admitted, topic: &str) -> bool {
        match &session.0 {
            Who::Device { entry, .. } => {
                entry.compiled(self.readings()).grants.receive(topic).is_ok()
            }
            Who::Application(program) => self.may_application_receive(&program.token, topic),
            Who::Onlooker(onlooker) => self.may_look_on(onlooker, topic),
            Who::LoopbackTester => !is_under_things(topic),
        }
    }
}

/// `#` and `+/…` are let through for testers: what is under `things/` is not handed to them.
fn may_test(filter: &str) -> bool {
    filter.split('/').next() != Some("things")
}
