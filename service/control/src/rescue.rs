//! A device whose certificate has expired comes back.
//!
//! 1. It shows the expired certificate and proves its key in the handshake; that makes it a
//!    [`LapsedDevice`], which is nobody's peer.
//! 2. [`Control::rescue`] looks what is known of it now; `domain/identity` decides within the owner's grace.
//! 3. The next certificate, its record and the word in the timeline land in one transaction.

use hedgerow_base::Timestamp;
use hedgerow_identity::{
    Refusal, Request, enrol,
    rescue::{self, Newer},
};
use hedgerow_policy::{Actor, CertificateId, LapsedDevice, Standing};
use hedgerow_registry::{Device, DeviceKey};

use crate::{
    CertificateRecord, Change, Control, Ctx, Enrolled, Event, Failure,
    enrol::{known_as, tell},
    gate::{Effects, action},
};

action!(
    /// A device gets its next certificate by one that has expired.
    Rescue = "device.rescue", only LAPSED
);

const DAY_MS: i64 = 86_400_000;

impl Control {
    /// The next certificate for a device whose last one has expired; `binding` and `digest` as for
    /// [`Control::enrol`].
    ///
    /// # Errors
    /// A refusal that says what to do, or an outage.
    pub async fn rescue(
        &self,
        now: Timestamp,
        lapsed: LapsedDevice,
        request: &[u8],
        binding: &str,
        digest: impl Fn(&[u8]) -> CertificateId + Send,
    ) -> Result<Enrolled, Failure> {
        let ctx = Ctx::new(Actor::Lapsed(lapsed), now);
        let request = Request::parse(request)?;
        let permit = self.permit::<Rescue>(&ctx).await?;
        let shown = self.store.certificate(lapsed.certificate()).await?;
        let device = self.store.device(lapsed.tenant(), lapsed.device()).await?;
        let seen = match (&shown, &device) {
            (Some(shown), Some(device)) => Some(self.look(shown, device, lapsed, now).await?),
            (Some(_) | None, _) => None,
        };
        let known = known_as(device.as_ref());
        let channel = enrol::Channel { binding };
        let decided =
            rescue::rescue(&request, seen, known, channel, self.grace, self.serial(), now);
        let key = device.map(|device| device.key);
        let plan = match decided {
            Ok(plan) => plan,
            Err(refusal) => {
                self.note_refusal(&ctx, lapsed, key, refusal).await;
                return Err(refusal.into());
            }
        };
        let key = key.ok_or_else(|| Failure::absent("device"))?;
        let ended = shown.map_or(now, |shown| shown.not_after);
        let record = self.sign(key, plan, digest).await?;
        let certificate = record.der.clone();
        let days = now.since_ms(ended) / DAY_MS;
        let words = match days {
            ..1 => "Its certificate had expired today; it proved its key and got the next.".into(),
            1 => {
                "Its certificate had expired a day ago; it proved its key and got the next.".into()
            }
            2.. => format!(
                "Its certificate had expired {days} days ago; it proved its key and got the next."
            ),
        };
        let changes = vec![
            Change::UseCertificate(lapsed.certificate(), now),
            Change::AddCertificate(Box::new(record)),
            tell(key, now, "rescued", &words),
        ];
        let effects = Effects::on(format!("device:{}", key.id), changes)
            .saying("days", days.to_string())
            .telling(Event::Device(key));
        self.commit(&ctx, permit, effects).await?;
        Ok(Enrolled { device: key, certificate })
    }

    /// What speaks for and against a certificate that was shown. It names the device of the handshake, and the
    /// record is that device's.
    async fn look<'a>(
        &self,
        shown: &'a CertificateRecord,
        device: &Device,
        lapsed: LapsedDevice,
        now: Timestamp,
    ) -> Result<rescue::Lapsed<'a>, Failure> {
        let issuing = self.store.authorities("issuing").await?;
        let issuer = issuing.iter().find(|one| one.id == shown.issuer);
        let all = self.store.certificates(device.key).await?;
        // Newest first, so that what stands before the one that was shown came after it.
        let newer = || all.iter().take_while(|one| one.id != shown.id);
        let was_used = newer().any(|one| one.used.is_some());
        let is_of_today = |one: &&CertificateRecord| now.since_ms(one.not_before) < DAY_MS;
        Ok(rescue::Lapsed {
            device: lapsed.device(),
            key: &shown.key,
            not_after: shown.not_after,
            is_revoked: shown.revoked.is_some(),
            is_issuer_trusted: issuer.is_some_and(|one| one.distrusted.is_none()),
            is_of_this_life: shown.device == device.key,
            is_cut: device.standing == Standing::Cut,
            newer: if was_used { Newer::Used } else { Newer::Unused },
            issued_today: newer().filter(is_of_today).count(),
        })
    }

    /// Recorded once a kind; a copy of a device is also told in its timeline.
    async fn note_refusal(
        &self,
        ctx: &Ctx,
        lapsed: LapsedDevice,
        key: Option<DeviceKey>,
        refusal: Refusal,
    ) {
        let is_copy = refusal == Refusal::Superseded;
        let told = key.filter(|_| is_copy).map(|key| {
            let words = "Somebody showed a certificate that this device replaced and that has expired: \
                         a copy of it, or a backup that was put back. It was refused.";
            tell(key, ctx.now, "copied", words)
        });
        let subject = format!("device:{}", lapsed.device());
        let changes = told.into_iter().collect();
        let word = refusal.word();
        self.record_denial_with(ctx, word, "device.rescue", subject, word, changes).await;
    }
}
