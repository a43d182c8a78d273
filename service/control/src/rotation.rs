//! A new issuing CA in place of the old, without stranding anybody.
//!
//! 1. [`Control::rotate`]: a new issuing CA with a new key, signed by the root, and a server certificate of
//!    it. From here on it signs; what the earlier ones signed is still trusted.
//! 2. Devices get certificates of the new one as they renew.
//! 3. [`Control::distrust`]: what the earlier ones signed is revoked, and the sessions that it admitted end.

use hedgerow_base::Fault;
use hedgerow_identity::{Serial, authority, revocation::Reason};

use crate::{
    AuthorityId, AuthorityRecord, Change, Control, Ctx, Event, Failure, TimelineEntry,
    gate::{Effects, action},
    revocation::ReadAuthority,
};

action!(
    /// An owner gives the hub a new issuing CA.
    Rotate = "authority.rotate", role Owner, scope ADMIN
);
action!(
    /// An owner ends the trust in the earlier issuing CAs.
    Distrust = "authority.distrust", role Owner, scope ADMIN
);

/// Who has nothing but certificates of earlier issuing CAs: a distrust cuts them off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutOff {
    /// Devices.
    pub devices: u64,
    /// Programs with a certificate.
    pub programs: u64,
}

impl CutOff {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.devices.saturating_add(self.programs)
    }
}

/// What a distrust did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distrusted {
    /// Issuing CAs that are not trusted any more since then.
    pub authorities: usize,
    /// Who has to be claimed, or made, again.
    pub cut_off: CutOff,
}

const NOTHING_EARLIER: &str =
    "no earlier issuing CA is trusted; make a new one first with `hedgerow ca rotate`";

impl Control {
    /// Makes a new issuing CA and a server certificate of it, in one step; `hub` is what it is called.
    ///
    /// # Errors
    /// Not allowed, done by somebody else at the same time, too many in the hub's life, or an outage.
    pub async fn rotate(&self, ctx: &Ctx, hub: &str) -> Result<(), Failure> {
        let permit = self.permit::<Rotate>(ctx).await?;
        let none = || Failure::new(Fault::Unavailable, "the hub has no certificates yet");
        let root = self.newest("root").await?.ok_or_else(none)?;
        let server = self.newest("server").await?.ok_or_else(none)?;
        let issuing = self.store.authorities("issuing").await?;
        let seen = issuing.first().ok_or_else(none)?.id;

        let certified = issuing.iter().filter_map(|one| authority::public_key(&one.der));
        let key = self.signer.next_issuing_key(certified.collect()).await?;
        let serial = self.serial();
        let plan = authority::issuing(key, hub, issuing.len() + 1, serial, ctx.now);
        let subject = plan.subject.clone();
        let der = self.signer.certificate(plan, Some(root.der)).await?;

        let key = self.signer.public_key("server").await?;
        let plan = authority::server_again(key, &server.der, self.serial(), ctx.now);
        let unreadable = || Failure::new(Fault::Broken, "the server certificate can't be read");
        let next = self.signer.certificate(plan.ok_or_else(unreadable)?, Some(der.clone())).await?;

        let changes = vec![
            Change::AddAuthority { kind: "issuing", seen, der },
            Change::AddAuthority { kind: "server", seen: server.id, der: next },
        ];
        let effects = Effects::on("authority:issuing".into(), changes)
            .saying("subject", subject)
            .saying("serial", hex(serial))
            .telling(Event::Authority);
        self.commit(ctx, permit, effects).await
    }

    /// Ends the trust in every issuing CA but the newest. `cut_off_max` is what the person agreed to:
    /// how many devices and programs may be left without a valid certificate.
    ///
    /// # Errors
    /// Not allowed, nothing to distrust, more would be cut off, or an outage.
    pub async fn distrust(
        &self,
        ctx: &Ctx,
        reason: Reason,
        cut_off_max: u64,
    ) -> Result<Distrusted, Failure> {
        let permit = self.permit::<Distrust>(ctx).await?;
        let issuing = self.store.authorities("issuing").await?;
        let Some((newest, earlier)) = issuing.split_first() else {
            return Err(Failure::new(Fault::Conflict, NOTHING_EARLIER));
        };
        let going = || earlier.iter().filter(|one| one.distrusted.is_none());
        if going().next().is_none() {
            return Err(Failure::new(Fault::Conflict, NOTHING_EARLIER));
        }
        let (cut_off, programs) = self.cut_off_by(ctx, newest.id).await?;
        if cut_off.total() > cut_off_max {
            return Err(Failure::new(Fault::Conflict, too_many(cut_off)));
        }
        let told = TimelineEntry {
            at: ctx.now,
            kind: "distrusted".into(),
            detail: "Its certificate's issuing CA is not trusted any more; claim it again.".into(),
        };
        let newest = newest.id;
        let change = Change::DistrustIssuers { newest, reason, cut_off_max, told };
        let authorities = going().count();
        let mut effects = Effects::on("authority:issuing".into(), vec![change])
            .saying("reason", reason.word())
            .saying("authorities", authorities.to_string())
            .saying("devices", cut_off.devices.to_string())
            .saying("programs", cut_off.programs.to_string())
            .telling(Event::Authority);
        for (tenant, token) in programs {
            effects = effects.telling(Event::Token(tenant, token));
        }
        self.commit(ctx, permit, effects).await?;
        Ok(Distrusted { authorities, cut_off })
    }

    /// Whom a distrust would cut off now.
    ///
    /// # Errors
    /// Not allowed, or an outage.
    pub async fn cut_off(&self, ctx: &Ctx) -> Result<CutOff, Failure> {
        let _permit = self.permit::<ReadAuthority>(ctx).await?;
        match self.newest("issuing").await? {
            Some(AuthorityRecord { id, .. }) => Ok(self.cut_off_by(ctx, id).await?.0),
            None => Ok(CutOff::default()),
        }
    }

    /// The same, with the programs by their tokens: those that have expired lose nothing and are not counted.
    async fn cut_off_by(
        &self,
        ctx: &Ctx,
        newest: AuthorityId,
    ) -> Result<(CutOff, Vec<(hedgerow_base::TenantId, i64)>), Failure> {
        let devices = self.store.hanging_on_others(newest, ctx.now).await?;
        let mut tokens = self.store.all_tokens().await?;
        tokens.retain(|token| token.certificate.is_some_and(|one| one.issuer != newest));
        let works = tokens.iter().filter(|token| token.expires.is_none_or(|end| ctx.now < end));
        let programs = u64::try_from(works.count()).unwrap_or(u64::MAX);
        let named = tokens.iter().map(|token| (token.tenant, token.id)).collect();
        Ok((CutOff { devices, programs }, named))
    }
}

fn too_many(CutOff { devices, programs }: CutOff) -> String {
    format!(
        "{devices} devices and {programs} programs have only certificates of earlier issuing CAs and would be \
         cut off; wait until they have renewed, or agree to it"
    )
}

fn hex(serial: Serial) -> String {
    serial.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
