//! What a program may say and hear.
//!
//! With grants by topic filter these decide; without, the scopes of its token do: `read` hears everything
//! of the tenant's devices, `devices` says what they may receive. Under `things/`, and where a topic is a
//! device's foreign one, it must be that of a device of the tenant in any case, and what is said there must
//! be what the device may receive now.

use std::sync::Arc;

use hedgerow_base::{Fault, Timestamp};
use hedgerow_policy::{Application, GrantDenial, Scopes};

use crate::{
    Outcome, Plane, Refusal, Verdict,
    publish::is_under_things,
    tokens::{Program, TokenAdmission},
    watch::device_of,
};

const UNKNOWN: Refusal =
    Refusal::new(Fault::Denied, "token", "the token was removed or has expired; make a new one");
const SCOPE_DEVICES: Refusal =
    Refusal::new(Fault::Denied, "scope", "the token needs the scope devices or a grant for this");
const SCOPE_READ: Refusal =
    Refusal::new(Fault::Denied, "scope", "the token needs the scope read or a grant for this");
const FILTER: Refusal = Refusal::new(
    Fault::Denied,
    "filter",
    "a program without grants may subscribe under things/ only; make a token with --allow",
);
const GRANT: Refusal =
    Refusal::new(Fault::Denied, "grant", "no grant of the token covers this; see its --allow");

impl Plane {
    /// The token of a program that was proven, if it still works.
    pub(crate) fn token_of(
        &self,
        application: &Application,
        now: Timestamp,
    ) -> Result<Arc<Program>, Refusal> {
        let known = self.directory().tokens.find(application.tenant, application.token);
        known.filter(|known| !known.token.is_expired(now)).ok_or(UNKNOWN)
    }

    /// A token never changes, so a session goes on as it was or ends.
    /// What is left of one that ends, like its will, has no rights.
    pub(crate) fn rejudge_application(&self, held: &mut Arc<Program>, now: Timestamp) -> Verdict {
        let token = &held.token;
        let known = self.directory().tokens.find(token.tenant, token.token);
        let is_same = |known: &TokenAdmission| known.hash == token.hash && !known.is_expired(now);
        if known.is_some_and(|known| is_same(&known.token)) {
            return Verdict::Unchanged;
        }
        let (scopes, grants) = (Scopes::NONE, Arc::default());
        let token = TokenAdmission { scopes, grants, ..token.clone() };
        *held = Arc::new(Program { token, denied: Arc::clone(&held.denied) });
        Verdict::Ended(UNKNOWN)
    }

    pub(crate) fn publish_application(
        &self,
        token: &TokenAdmission,
        topic: &str,
        now: Timestamp,
    ) -> Result<Outcome, Refusal> {
        if token.is_expired(now) {
            return Err(UNKNOWN);
        }
        if token.grants.is_empty() {
            if !token.scopes.contain(Scopes::DEVICES) {
                return Err(SCOPE_DEVICES);
            }
        } else if !token.grants.may_publish(topic) {
            return Err(GRANT);
        }
        let device = match is_under_things(topic) {
            true => device_of(topic),
            false => match self.directory().foreign.holder(topic) {
                None if token.grants.is_empty() => None,
                None => return Ok(Outcome::Done),
                Some(holder) => (holder.tenant == token.tenant).then_some(holder.device),
            },
        };
        let entry = device.and_then(|device| self.directory().find(token.tenant, device));
        let entry = entry.ok_or(GrantDenial::NotYours)?;
        entry.compiled(self.readings()).grants.receive(topic)?;
        Ok(Outcome::Done)
    }

    pub(crate) fn subscribe_application(
        token: &TokenAdmission,
        filter: &str,
    ) -> Result<(), Refusal> {
        if !token.grants.is_empty() {
            return if token.grants.may_subscribe(filter) { Ok(()) } else { Err(GRANT) };
        }
        if !token.scopes.contain(Scopes::READ) {
            return Err(SCOPE_READ);
        }
        if filter.starts_with("things/") { Ok(()) } else { Err(FILTER) }
    }

    pub(crate) fn may_application_receive(&self, token: &TokenAdmission, topic: &str) -> bool {
        let is_granted = match token.grants.is_empty() {
            true => token.scopes.contain(Scopes::READ) && is_under_things(topic),
            false => token.grants.may_receive(topic),
        };
        is_granted
            && match is_under_things(topic) {
                true => device_of(topic)
                    .is_some_and(|device| self.directory().knows(token.tenant, device)),
                false => {
                    let holder = self.directory().foreign.holder(topic);
                    holder.is_none_or(|holder| holder.tenant == token.tenant)
                }
            }
    }
}
