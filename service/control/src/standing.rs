//! Quarantine, release, retire, revoke: how far a device is trusted, by a person's word.

use hedgerow_base::{DeviceId, Fault, TenantId};
use hedgerow_identity::revocation::Reason;
use hedgerow_policy::{Action, Fact, Permit, judge};
use hedgerow_registry::{Device, Step};

use crate::{
    Change, Control, Ctx, Event, Failure,
    enrol::tell,
    gate::{Effects, action},
};

action!(
    /// A person puts a device apart.
    Quarantine = "device.quarantine", role Operator, scope DEVICES
);
action!(
    /// A person lets a device back.
    Release = "device.release", role Operator, scope DEVICES
);
action!(
    /// A person retires a device.
    Retire = "device.retire", role Operator, scope DEVICES
);
action!(
    /// A person revokes a device's certificates.
    Revoke = "device.revoke", role Operator, scope DEVICES
);

/// Why, in the words of the person who did it; kept in record and timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    /// Characters of a cause.
    pub const CHARS_MAX: usize = 500;

    /// Takes a sentence; control characters are left out.
    ///
    /// # Errors
    /// When it is over [`Self::CHARS_MAX`].
    pub fn new(text: &str) -> Result<Self, Failure> {
        if text.chars().nth(Self::CHARS_MAX).is_some() {
            let reason = format!("a reason has up to {} characters", Self::CHARS_MAX);
            return Err(Failure::new(Fault::Invalid, reason));
        }
        Ok(Self(text.trim().chars().filter(|c| !c.is_control()).collect()))
    }

    fn sentence(&self, did: &str) -> String {
        if self.0.is_empty() { did.to_owned() } else { format!("{did} Reason given: {}", self.0) }
    }
}

/// How often a word is said when something else happens to the device at the same time.
const TRIES_MAX: u32 = 5;

/// One change of standing by a person: its step in the table, the facts that begin and end with it.
struct Word<'a> {
    step: Option<Step>,
    begins: Option<Fact>,
    ends: Option<Fact>,
    revokes: Option<Reason>,
    kind: &'a str,
    sentence: String,
}

impl Control {
    /// Leaves a device only what it needs to heal. Its open sessions are narrowed before this returns.
    ///
    /// # Errors
    /// Not allowed, absent, or not possible in its state.
    pub async fn quarantine(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        cause: &Cause,
    ) -> Result<Device, Failure> {
        let sentence = cause.sentence("It may only do what it needs to heal.");
        let word = Word {
            step: Some(Step::Quarantine),
            begins: Some(Fact::Quarantined),
            ends: None,
            revokes: None,
            kind: "quarantined",
            sentence,
        };
        self.speak::<Quarantine>(ctx, id, &word).await
    }

    /// Lets a device back.
    ///
    /// # Errors
    /// Not allowed, absent, or not in quarantine.
    pub async fn release(&self, ctx: &Ctx, id: DeviceId, cause: &Cause) -> Result<Device, Failure> {
        let word = Word {
            step: Some(Step::Release),
            begins: None,
            ends: Some(Fact::Quarantined),
            revokes: None,
            kind: "released",
            sentence: cause.sentence("It may do what its profile allows again."),
        };
        self.speak::<Release>(ctx, id, &word).await
    }

    /// Ends a device's life here: certificates revoked, sessions closed before this returns. Can't be
    /// undone.
    ///
    /// # Errors
    /// Not allowed, absent, or retired already.
    pub async fn retire(&self, ctx: &Ctx, id: DeviceId, cause: &Cause) -> Result<Device, Failure> {
        let word = Word {
            step: Some(Step::Retire),
            begins: Some(Fact::Retired),
            ends: None,
            revokes: Some(Reason::CessationOfOperation),
            kind: "retired",
            sentence: cause.sentence("It can't connect any more."),
        };
        self.speak::<Retire>(ctx, id, &word).await
    }

    /// Revokes every certificate of a device: its key is not trusted any more.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn revoke(&self, ctx: &Ctx, id: DeviceId, cause: &Cause) -> Result<Device, Failure> {
        let word = Word {
            step: None,
            begins: Some(Fact::CertificateRevoked),
            ends: None,
            revokes: Some(Reason::KeyCompromise),
            kind: "revoked",
            sentence: cause.sentence("Its certificates are not trusted any more."),
        };
        self.speak::<Revoke>(ctx, id, &word).await
    }

    /// Says the word, and again when the device moved at the same time (it connected, say): what is asked
    /// for does not depend on where exactly it was, as long as the table has a way.
    async fn speak<A: Action>(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        word: &Word<'_>,
    ) -> Result<Device, Failure> {
        let mut tries = 0;
        loop {
            let permit = self.permit::<A>(ctx).await?;
            tries += 1;
            match self.speak_once(ctx, permit, id, word).await {
                Err(failure) if failure.fault == Fault::Conflict && tries < TRIES_MAX => {
                    // A step that the table does not have fails the same way each time.
                    let device =
                        self.existing(ctx.actor.tenant().unwrap_or(TenantId::FIRST), id).await?;
                    if word.step.is_some_and(|step| device.state.after(step).is_err()) {
                        return Err(failure);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    async fn speak_once<A: Action>(
        &self,
        ctx: &Ctx,
        permit: Permit<A>,
        id: DeviceId,
        word: &Word<'_>,
    ) -> Result<Device, Failure> {
        let tenant = permit.tenant();
        let device = self.existing(tenant, id).await?;
        let key = device.key;
        let mut changes = Vec::new();
        if let Some(step) = word.step {
            let (from, to) = (device.state, device.state.after(step)?);
            changes.push(Change::MoveDevice { device: key, from, to });
        }
        let mut facts = self.store.facts(key).await?;
        facts.retain(|fact| Some(*fact) != word.ends);
        changes.extend(word.ends.map(|fact| Change::EndFact(key, fact)));
        if let Some(fact) = word.begins.filter(|fact| !facts.contains(fact)) {
            facts.push(fact);
            changes.push(Change::AddFact(key, fact));
        }
        facts.sort_unstable();
        let judgement = judge(&facts);
        let (standing, because) = (judgement.standing, judgement.because);
        changes.push(Change::Judge { device: key, facts, standing, because });
        changes.extend(word.revokes.map(|reason| Change::RevokeCertificates(key, reason)));
        if word.revokes.is_some() && device.password.is_some() {
            changes.push(Change::SetDevicePassword(key, None));
        }
        changes.push(tell(key, ctx.now, word.kind, &word.sentence));
        let mut effects = Effects::on(format!("device:{id}"), changes)
            .saying("standing", standing.word())
            .telling(Event::Device(key));
        if word.revokes.is_some() {
            effects = effects.telling(Event::Revoked);
        }
        self.commit(ctx, permit, effects).await?;
        self.existing(tenant, id).await
    }

    pub(crate) async fn existing(&self, tenant: TenantId, id: DeviceId) -> Result<Device, Failure> {
        self.store.device(tenant, id).await?.ok_or_else(|| Failure::absent("device"))
    }
}
