//! Claim codes: a person tells the hub that a device will come.

use hedgerow_base::Secret;
use hedgerow_identity::{
    Claim, ClaimState,
    limits::{CLAIM_LIFE_MS, CLAIM_LIFE_MS_MAX, CLAIMS_OPEN_MAX},
};
use hedgerow_model::mapping::Names;
use hedgerow_onboarding::ClaimCode;
use hedgerow_policy::{Action, Permit};
use hedgerow_registry::check_name;

use hedgerow_base::Fault;

use crate::{
    Change, Control, Ctx, Failure,
    gate::{Effects, action},
    topics::Asking,
};

action!(
    /// A person makes a claim code.
    MakeClaim = "device.claim", role Operator, scope DEVICES
);
action!(
    /// The hub makes a claim code for the machine that it runs on.
    ClaimThisMachine = "device.claim-this-machine", only HUB
);
action!(
    /// A person takes a claim code back.
    WithdrawClaim = "claim.withdraw", role Operator, scope DEVICES
);
action!(
    /// A person looks at the claim codes that wait.
    ListClaims = "claim.list", role Viewer, scope READ
);

/// What a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClaim {
    /// What the device will be called.
    pub name: String,
    /// The profile that it will be held to.
    pub profile: String,
    /// The variables of its foreign topics, where they are not the default.
    pub names: Names,
    /// How long the code works; [`CLAIM_LIFE_MS`] when not said.
    pub life_ms: Option<i64>,
}

/// A code that was just made. The secret in it exists nowhere else.
#[derive(Debug)]
pub struct Claimed {
    /// To be carried to the device.
    pub code: ClaimCode,
    /// The record.
    pub claim: Claim,
}

impl Control {
    /// Whether the actor may make claim codes: asked before anything is said about how.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn may_claim(&self, ctx: &Ctx) -> Result<(), Failure> {
        self.permit::<MakeClaim>(ctx).await.map(drop)
    }

    /// Makes a claim code.
    ///
    /// # Errors
    /// Not allowed, a bad name or life, no such profile, too many codes open, or names that give the device
    /// a topic of another's.
    pub async fn claim(&self, ctx: &Ctx, new: NewClaim) -> Result<Claimed, Failure> {
        let permit = self.permit::<MakeClaim>(ctx).await?;
        self.make_claim(ctx, permit, new).await
    }

    /// Makes a claim code for the machine that the hub runs on.
    ///
    /// # Errors
    /// As [`Control::claim`].
    pub async fn claim_this_machine(&self, ctx: &Ctx, new: NewClaim) -> Result<Claimed, Failure> {
        let permit = self.permit::<ClaimThisMachine>(ctx).await?;
        self.make_claim(ctx, permit, new).await
    }

    async fn make_claim<A: Action>(
        &self,
        ctx: &Ctx,
        permit: Permit<A>,
        new: NewClaim,
    ) -> Result<Claimed, Failure> {
        let name = check_name(&new.name)?.to_owned();
        let life = new.life_ms.unwrap_or(CLAIM_LIFE_MS);
        if !(1..=CLAIM_LIFE_MS_MAX).contains(&life) {
            let days = CLAIM_LIFE_MS_MAX / 86_400_000;
            return Err(Failure::new(
                Fault::Invalid,
                format!("a claim code works for up to {days} days"),
            ));
        }
        if self.store.open_claims(permit.tenant()).await?.len() >= CLAIMS_OPEN_MAX {
            let reason = format!("{CLAIMS_OPEN_MAX} claim codes are open; withdraw some first");
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        self.need_profile(permit.tenant(), &new.profile).await?;
        self.refuse_taken_topics(
            permit.tenant(),
            &new.profile,
            &new.names,
            Asking::Claimed(ctx.now),
        )
        .await?;
        let root = self.signer.public_key("root").await?;
        let code = ClaimCode::new(Secret::new(self.random()), ClaimCode::hub_fingerprint(&root));
        let claim = Claim {
            secret_hash: code.secret_hash(),
            name,
            profile: new.profile,
            names: new.names,
            created: ctx.now,
            expires: ctx.now.plus_ms(life),
            state: ClaimState::Open,
        };
        let change = Change::AddClaim(permit.tenant(), claim.clone());
        let effects = Effects::on(claim_subject(&claim.secret_hash), vec![change])
            .saying("profile", claim.profile.clone())
            .saying("expires", claim.expires.to_string())
            .saying("names", claim.names.to_string().replace('\n', " "));
        self.commit(ctx, permit, effects).await?;
        Ok(Claimed { code, claim })
    }

    /// Takes a claim code back before a device used it.
    ///
    /// # Errors
    /// Not allowed, absent, or used already.
    pub async fn withdraw_claim(&self, ctx: &Ctx, secret_hash: [u8; 32]) -> Result<(), Failure> {
        let permit = self.permit::<WithdrawClaim>(ctx).await?;
        match self.store.claim(secret_hash).await? {
            Some((tenant, _)) if tenant == permit.tenant() => {}
            Some(_) | None => return Err(Failure::absent("claim code")),
        }
        let change = Change::WithdrawClaim { secret_hash };
        self.commit(ctx, permit, Effects::on(claim_subject(&secret_hash), vec![change])).await
    }

    /// Claim codes that wait for their device.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn open_claims(&self, ctx: &Ctx) -> Result<Vec<Claim>, Failure> {
        let permit = self.permit::<ListClaims>(ctx).await?;
        self.store.open_claims(permit.tenant()).await
    }
}

/// A claim in records: the head of its hash, which leads back to no secret.
pub(crate) fn claim_subject(secret_hash: &[u8; 32]) -> String {
    let head = secret_hash.iter().take(8);
    head.fold("claim:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
