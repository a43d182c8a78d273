use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use hedgerow_identity::{limits::RESCUE_DAYS_DEFAULT, rescue::Grace};
use hedgerow_policy::{
    Action, Permit,
    audit::{Effect, Entry, actor_name},
    authorise,
};

use crate::{
    Change, Commit, Ctx, Event, Failure,
    limits::DENIAL_KINDS_MAX,
    ports::{Herald, History, Passwords, Random, Signer, Store, Voice},
};

/// Everything that the control plane needs of the outside.
pub struct Ports {
    /// Relations and the audit log.
    pub store: Arc<dyn Store>,
    /// The CA's keys.
    pub signer: Arc<dyn Signer>,
    /// Randomness fit for keys.
    pub random: Arc<dyn Random>,
    /// Hashes of passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Readings.
    pub history: Arc<dyn History>,
    /// Connected devices.
    pub voice: Arc<dyn Voice>,
    /// Who holds copies in memory.
    pub herald: Arc<dyn Herald>,
}

/// The control plane: every act of people and processes, behind one door.
pub struct Control {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) passwords: Arc<dyn Passwords>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) voice: Arc<dyn Voice>,
    herald: Arc<dyn Herald>,
    pub(crate) grace: Grace,
    denied: Mutex<BTreeSet<(String, &'static str)>>,
}

/// What an act leaves behind: its changes, and the words of its record.
pub(crate) struct Effects {
    pub changes: Vec<Change>,
    pub subject: String,
    pub detail: Vec<(&'static str, String)>,
    pub events: Vec<Event>,
}

impl Effects {
    pub(crate) fn on(subject: String, changes: Vec<Change>) -> Self {
        Self { changes, subject, detail: Vec::new(), events: Vec::new() }
    }

    pub(crate) fn saying(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.detail.push((key, value.into()));
        self
    }

    pub(crate) fn telling(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }
}

impl Control {
    /// Wires the control plane to the outside.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        let Ports { store, signer, random, passwords, history, voice, herald } = ports;
        let denied = Mutex::default();
        let grace = Grace { days: RESCUE_DAYS_DEFAULT };
        Self { store, signer, random, passwords, history, voice, herald, grace, denied }
    }

    /// With another grace for devices whose certificate has expired.
    #[must_use]
    pub fn with_grace(self, grace: Grace) -> Self {
        Self { grace, ..self }
    }

    /// The first half of the door: may this be done? A refusal is recorded the first time that this
    /// actor meets it.
    pub(crate) async fn permit<A: Action>(&self, ctx: &Ctx) -> Result<Permit<A>, Failure> {
        let denial = match authorise::<A>(ctx.actor) {
            Ok(permit) => return Ok(permit),
            Err(denial) => denial,
        };
        self.record_denial(ctx, A::NAME, String::new(), denial.needs).await;
        Err(denial.into())
    }

    /// Records a refusal, once for each kind and actor. That it could not be recorded changes nothing:
    /// the answer is no.
    pub(crate) async fn record_denial(
        &self,
        ctx: &Ctx,
        action: &'static str,
        subject: String,
        why: &str,
    ) {
        self.record_denial_with(ctx, action, action, subject, why, Vec::new()).await;
    }

    /// As [`Self::record_denial`], once for each `kind` and actor, with what else there is to write down.
    pub(crate) async fn record_denial_with(
        &self,
        ctx: &Ctx,
        kind: &'static str,
        action: &'static str,
        subject: String,
        why: &str,
        changes: Vec<Change>,
    ) {
        let Some(tenant) = ctx.actor.tenant() else { return };
        let actor = actor_name(&ctx.actor);
        let is_first = {
            let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
            denied.len() < DENIAL_KINDS_MAX && denied.insert((actor.clone(), kind))
        };
        if !is_first {
            return;
        }
        let detail = vec![("why", why.to_owned())];
        let effect = Effect::Denied;
        let entry = Entry { at: ctx.now, tenant, actor, action, subject, effect, detail };
        let commit = Commit { now: ctx.now, changes, audit: vec![entry], events: Vec::new() };
        let _ = self.store.commit(commit).await;
    }

    /// The second half of the door: the effect and its record, in one transaction; then those who hold
    /// a copy in memory are told. Uses the permit up.
    pub(crate) async fn commit<A: Action>(
        &self,
        ctx: &Ctx,
        permit: Permit<A>,
        effects: Effects,
    ) -> Result<(), Failure> {
        let Effects { changes, subject, detail, events } = effects;
        let entry = Entry {
            at: ctx.now,
            tenant: permit.tenant(),
            actor: actor_name(permit.actor()),
            action: A::NAME,
            subject,
            effect: Effect::Done,
            detail,
        };
        let commit = Commit { now: ctx.now, changes, audit: vec![entry], events: events.clone() };
        self.store.commit(commit).await?;
        for event in events {
            self.herald.tell(event).await?;
        }
        Ok(())
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}

/// Declares an [`Action`]: its type, its word, who may do it.
macro_rules! action {
    ($(#[$doc:meta])* $name:ident = $word:literal, role $role:ident, scope $scope:ident) => {
        action!(@ $(#[$doc])* $name = $word, Some(hedgerow_policy::Role::$role),
            Some(hedgerow_policy::Scopes::$scope),);
    };
    ($(#[$doc:meta])* $name:ident = $word:literal, role $role:ident) => {
        action!(@ $(#[$doc])* $name = $word, Some(hedgerow_policy::Role::$role), None,);
    };
    ($(#[$doc:meta])* $name:ident = $word:literal, only $who:ident) => {
        action!(@ $(#[$doc])* $name = $word, None, None, const $who: bool = true;);
    };
    (@ $(#[$doc:meta])* $name:ident = $word:literal, $role:expr, $scope:expr, $($more:item)*) => {
        $(#[$doc])*
        pub(crate) struct $name;
        impl hedgerow_policy::Action for $name {
            const NAME: &'static str = $word;
            const ROLE: Option<hedgerow_policy::Role> = $role;
            const SCOPE: Option<hedgerow_policy::Scopes> = $scope;
            $($more)*
        }
    };
}
pub(crate) use action;
