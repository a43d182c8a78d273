//! Enrolment (RFC 7030 section 4.2).
//!
//! 1. A device shows a claim code's secret and a request: [`Control::enrol`].
//! 2. We decide what to sign, sign it, and write device, certificate and record in one transaction.
//! 3. Later the device shows its certificate and a request: [`Control::renew`].

use hedgerow_base::Incarnation;
use hedgerow_identity::{CertificatePlan, Request, enrol};
use hedgerow_policy::{Actor, CertificateId, DirectDevice, Fact, Permit, Standing, judge};
use hedgerow_registry::{Device, DeviceKey, KeyStorage, State, Step};

use crate::{
    CertificateRecord, Change, Control, Ctx, Event, Failure, TimelineEntry,
    claim::claim_subject,
    gate::{Effects, action},
    topics::Asking,
};

action!(
    /// A device enrols with a claim code.
    Enrol = "device.enrol", only CLAIMANT
);
action!(
    /// A device renews its certificate.
    Renew = "device.renew", only DEVICE
);

/// A certificate that was just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Whose.
    pub device: DeviceKey,
    /// The certificate in DER.
    pub certificate: Vec<u8>,
}

impl Control {
    /// First enrolment: `password_hash` leads to the claim, `binding` is the base64 of the connection's
    /// TLS exporter (RFC 9266), `digest` names a certificate by its DER.
    ///
    /// # Errors
    /// A refusal that says what to do, or an outage.
    pub async fn enrol(
        &self,
        now: hedgerow_base::Timestamp,
        request: &[u8],
        password_hash: Option<[u8; 32]>,
        binding: &str,
        digest: impl Fn(&[u8]) -> CertificateId + Send,
    ) -> Result<Enrolled, Failure> {
        let request = Request::parse(request)?;
        let found = match password_hash {
            Some(hash) => self.store.claim(hash).await?,
            None => None,
        };
        let Some((tenant, claim)) = found else {
            return Err(hedgerow_identity::Refusal::UnknownClaim.into());
        };
        let [a, b, c, d, e, f, g, h, ..] = claim.secret_hash;
        let ctx = Ctx::new(Actor::Claimant(tenant, [a, b, c, d, e, f, g, h]), now);
        let known = self.store.device(tenant, request.device()).await?;
        let channel = enrol::Channel { binding };
        let decided = enrol::first(
            &request,
            Some(&claim),
            known_as(known.as_ref()),
            channel,
            self.serial(),
            now,
        );
        let plan = match decided {
            Ok(plan) => plan,
            Err(refusal) => {
                let subject = claim_subject(&claim.secret_hash);
                self.record_denial(&ctx, "device.enrol", subject, refusal.word()).await;
                return Err(refusal.into());
            }
        };
        let permit = self.permit::<Enrol>(&ctx).await?;
        if known.is_none() {
            let asking = Asking::Enrols(request.device(), Some(claim.secret_hash), now);
            self.refuse_taken_topics(tenant, &claim.profile, &claim.names, asking).await?;
        }
        let mut changes =
            vec![Change::UseClaim { secret_hash: claim.secret_hash, device: request.device() }];
        let key = match &known {
            Some(device) => {
                let to = device.state.after(Step::Enrol)?;
                let (device, from) = (device.key, device.state);
                changes.push(Change::MoveDevice { device, from, to });
                device
            }
            None => {
                let device = new_device(&permit, &request, &claim, now);
                let key = device.key;
                changes.push(Change::AddDevice(Box::new(device)));
                key
            }
        };
        let record = self.sign(key, plan, digest).await?;
        let certificate = record.der.clone();
        changes.push(Change::AddCertificate(Box::new(record)));
        if known.is_none() {
            changes.extend(first_judgement(key));
        }
        changes.push(tell(key, now, "enrolled", "It made its key and got its first certificate."));
        let effects = Effects::on(format!("device:{}", key.id), changes)
            .saying("claim", claim_subject(&claim.secret_hash))
            .telling(Event::Device(key));
        self.commit(&ctx, permit, effects).await?;
        Ok(Enrolled { device: key, certificate })
    }

    /// Renewal by the current certificate.
    ///
    /// # Errors
    /// A refusal that says what to do, or an outage.
    pub async fn renew(
        &self,
        ctx: &Ctx,
        peer: DirectDevice,
        request: &[u8],
        binding: &str,
        digest: impl Fn(&[u8]) -> CertificateId + Send,
    ) -> Result<Enrolled, Failure> {
        let request = Request::parse(request)?;
        let permit = self.permit::<Renew>(ctx).await?;
        let current = self.store.certificate(peer.certificate).await?;
        let device = self.store.device(peer.tenant, peer.device).await?;
        let decided = enrol::again(
            &request,
            current.as_ref().map(|current| enrol::Current {
                device: peer.device,
                key: &current.key,
                is_revoked: current.revoked.is_some(),
                not_after: current.not_after,
            }),
            known_as(device.as_ref()),
            enrol::Channel { binding },
            self.serial(),
            ctx.now,
        );
        let plan = match decided {
            Ok(plan) => plan,
            Err(refusal) => {
                let subject = format!("device:{}", peer.device);
                self.record_denial(ctx, "device.renew", subject, refusal.word()).await;
                return Err(refusal.into());
            }
        };
        let key = device.map(|device| device.key).ok_or_else(|| Failure::absent("device"))?;
        let record = self.sign(key, plan, digest).await?;
        let certificate = record.der.clone();
        let changes = vec![
            Change::UseCertificate(peer.certificate, ctx.now),
            Change::AddCertificate(Box::new(record)),
            tell(key, ctx.now, "renewed", "It got its next certificate."),
        ];
        let effects =
            Effects::on(format!("device:{}", key.id), changes).telling(Event::Device(key));
        self.commit(ctx, permit, effects).await?;
        Ok(Enrolled { device: key, certificate })
    }

    pub(crate) async fn sign(
        &self,
        device: DeviceKey,
        plan: CertificatePlan,
        digest: impl Fn(&[u8]) -> CertificateId + Send,
    ) -> Result<CertificateRecord, Failure> {
        let issuing = self.issuing().await?;
        let (issuer, revoked, used) = (issuing.id, None, None);
        let (serial, key) = (plan.serial, plan.key.clone());
        let (not_before, not_after) = (plan.not_before, plan.not_after);
        let der = self.signer.certificate(plan, Some(issuing.der)).await?;
        let id = digest(&der);
        Ok(CertificateRecord {
            id,
            device,
            issuer,
            serial,
            key,
            der,
            not_before,
            not_after,
            revoked,
            used,
        })
    }
}

pub(crate) fn known_as(device: Option<&Device>) -> enrol::Known {
    match device.map(|device| device.state) {
        None => enrol::Known::No,
        Some(State::Retired | State::Erased) => enrol::Known::Gone,
        Some(
            State::Made | State::Claimed | State::Enrolled | State::Active | State::Quarantined,
        ) => enrol::Known::Enrolled,
    }
}

fn new_device(
    permit: &Permit<Enrol>,
    request: &Request,
    claim: &hedgerow_identity::Claim,
    now: hedgerow_base::Timestamp,
) -> Device {
    let (tenant, id) = (permit.tenant(), request.device());
    Device {
        key: DeviceKey { tenant, id, incarnation: Incarnation::FIRST },
        name: claim.name.clone(),
        state: State::Enrolled,
        standing: Standing::Full,
        because: Some(Fact::Certified),
        profile: claim.profile.clone(),
        names: claim.names.clone(),
        carrier: None,
        group: None,
        labels: Vec::new(),
        key_storage: KeyStorage::Unknown,
        certificate: None,
        password: None,
        created: now,
        last_seen: None,
        is_connected: false,
        revision: 1,
    }
}

fn first_judgement(device: DeviceKey) -> [Change; 2] {
    let facts = vec![Fact::Certified];
    let judgement = judge(&facts);
    let (standing, because) = (judgement.standing, judgement.because);
    [Change::AddFact(device, Fact::Certified), Change::Judge { device, facts, standing, because }]
}

pub(crate) fn tell(
    device: DeviceKey,
    at: hedgerow_base::Timestamp,
    kind: &str,
    detail: &str,
) -> Change {
    Change::Tell(device, TimelineEntry { at, kind: kind.into(), detail: detail.into() })
}
