//! Who may have a session, and for how long.
//!
//! 1. A proven peer asks at CONNECT: [`Plane::admit`] looks it up and lends it its entry.
//! 2. When the revision moved, [`Plane::rejudge`] compares the entry with what is known now.
//! 3. The session ends when its certificate, its standing or its record does.

use std::sync::{Arc, atomic::Ordering};

use hedgerow_base::{DeviceId, Fault, Incarnation, TenantId, Timestamp};
use hedgerow_policy::{
    CertificateId, DirectDevice, PasswordId, Peer, PersonId, Standing, WeakDevice,
};
use hedgerow_telemetry::DeviceKey;

use crate::{
    Plane, Refusal, denials::Known, directory::Entry, onlooker::Onlooker, tokens::Program,
};

/// Whose session it is. Sessions are keyed by this and the client id, so that nobody can take another
/// identity's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// A device of a tenant.
    Device(TenantId, DeviceId),
    /// A program of a tenant, by its token.
    Token(TenantId, i64),
    /// A person of a tenant who looks on.
    Person(TenantId, PersonId),
    /// A load generator on the insecure loopback listener.
    LoopbackTester,
}

/// A session that was admitted, with what it was judged by.
#[derive(Clone, Debug)]
pub struct Admitted(pub(crate) Who);

#[derive(Clone, Debug)]
pub(crate) enum Who {
    Device { entry: Arc<Entry>, proof: Proof },
    Application(Arc<Program>),
    Onlooker(Onlooker),
    LoopbackTester,
}

/// What a device showed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    Certificate(CertificateId, Timestamp),
    Password(PasswordId),
}

impl Proof {
    /// When it ends by itself.
    pub(crate) const fn expires(self) -> Option<Timestamp> {
        match self {
            Self::Certificate(_, expires) => Some(expires),
            Self::Password(_) => None,
        }
    }

    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        self.expires().is_some_and(|expires| now >= expires)
    }
}

/// What a new judgement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing changed for this session.
    Unchanged,
    /// What it may do changed: what waits for it must be asked for again with [`Plane::may_receive`].
    Narrowed,
    /// It must end, for this reason.
    Ended(Refusal),
}

impl Admitted {
    /// Whose session it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        match &self.0 {
            Who::Device { entry, .. } => {
                Identity::Device(entry.admission.tenant, entry.admission.device)
            }
            Who::Application(program) => Identity::Token(program.token.tenant, program.token.token),
            Who::Onlooker(onlooker) => Identity::Person(onlooker.tenant, onlooker.person),
            Who::LoopbackTester => Identity::LoopbackTester,
        }
    }

    /// When the session must end at the latest: its certificate or token expires then.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        match &self.0 {
            Who::Device { proof, .. } => proof.expires(),
            Who::Application(program) => program.token.expires,
            Who::Onlooker(_) | Who::LoopbackTester => None,
        }
    }

    /// The device and life of it, when the session is a device's.
    #[must_use]
    pub fn device(&self) -> Option<DeviceKey> {
        match &self.0 {
            Who::Device { entry, .. } => Some(entry.admission.key()),
            Who::Application(_) | Who::Onlooker(_) | Who::LoopbackTester => None,
        }
    }
}

pub(crate) const UNKNOWN: Refusal = Refusal::new(
    Fault::Denied,
    "unknown-device",
    "this hub does not know the device; enrol it with a claim code",
);
const NOT_VALID: Refusal = Refusal::new(
    Fault::Denied,
    "certificate",
    "the certificate was revoked, replaced or has expired; enrol again",
);
const WRONG_PASSWORD: Refusal = Refusal::new(
    Fault::Denied,
    "password",
    "the device's password was changed or taken away; ask its owner",
);
const CUT: Refusal = Refusal::new(Fault::Denied, "cut", "the device was cut off; ask its owner");

impl Plane {
    /// Judges a proven peer at CONNECT.
    ///
    /// # Errors
    /// A [`Refusal`] of the fault Denied: the device is not known, its certificate is not valid any more,
    /// or its standing is cut; the program's token does not work any more.
    pub fn admit(&self, peer: Peer, now: Timestamp) -> Result<Admitted, Refusal> {
        if peer.is_loopback_tester() {
            return Ok(Admitted(Who::LoopbackTester));
        }
        if let Some(application) = peer.application() {
            let program = self.token_of(application, now).inspect_err(|refusal| {
                let identity = Identity::Token(application.tenant, application.token);
                self.denials.note(identity, Known::Nobody, refusal.word, "");
            })?;
            return Ok(Admitted(Who::Application(program)));
        }
        if let (Some(tenant), Some((person, role))) = (peer.tenant(), peer.person()) {
            return Ok(Admitted(Who::Onlooker(Onlooker { tenant, person, role })));
        }
        let (tenant, device, admitted) = match (peer.device(), peer.weak_device()) {
            (Some(shown), _) => (shown.tenant, shown.device, self.admit_device(shown, now)),
            (None, Some(shown)) => (shown.tenant, shown.device, self.admit_weak(shown)),
            (None, None) => return Err(UNKNOWN),
        };
        admitted.inspect_err(|refusal| {
            let entry = self.directory().find(tenant, device);
            let identity = Identity::Device(tenant, device);
            self.denials.note(identity, entry.as_deref().into(), refusal.word, "");
        })
    }

    fn admit_weak(&self, shown: &WeakDevice) -> Result<Admitted, Refusal> {
        let entry = self.directory().find(shown.tenant, shown.device).ok_or(UNKNOWN)?;
        if entry.admission.standing == Standing::Cut {
            return Err(CUT);
        }
        if entry.admission.password != Some(shown.password) {
            return Err(WRONG_PASSWORD);
        }
        entry.compiled(self.readings());
        Ok(Admitted(Who::Device { entry, proof: Proof::Password(shown.password) }))
    }

    fn admit_device(&self, shown: &DirectDevice, now: Timestamp) -> Result<Admitted, Refusal> {
        let entry = self.directory().find(shown.tenant, shown.device).ok_or(UNKNOWN)?;
        if entry.admission.standing == Standing::Cut {
            return Err(CUT);
        }
        let certificate = shown.certificate;
        let expires = entry.certificate_expires(certificate, now).ok_or(NOT_VALID)?;
        entry.compiled(self.readings());
        Ok(Admitted(Who::Device { entry, proof: Proof::Certificate(certificate, expires) }))
    }

    /// What [`Plane::admit_again`] needs, in bytes: a kind, the tenant, who it is, by which proof. None of a
    /// person who looks on or a tester: whoever let them in is not asked again.
    #[must_use]
    pub fn proof_of(&self, session: &Admitted) -> Option<Box<[u8]>> {
        let (kind, tenant, name, shown): (u8, TenantId, Vec<u8>, &[u8; 32]) = match &session.0 {
            Who::Device { entry, proof } => {
                let DeviceKey { tenant, id, incarnation } = entry.admission.key();
                let name = [id.as_bytes().as_slice(), &incarnation.0.to_be_bytes()].concat();
                match proof {
                    Proof::Certificate(certificate, _) => (1, tenant, name, &certificate.0),
                    Proof::Password(password) => (2, tenant, name, &password.0),
                }
            }
            Who::Application(program) => {
                let token = &program.token;
                (3, token.tenant, token.token.to_be_bytes().into(), &token.hash)
            }
            Who::Onlooker(_) | Who::LoopbackTester => return None,
        };
        Some([&[kind], tenant.0.to_be_bytes().as_slice(), &name, shown].concat().into())
    }

    /// Judges who was admitted by an earlier hub, for what is left of the session: the proof must hold now.
    /// `None` when it does not, or is damaged.
    #[must_use]
    pub fn admit_again(&self, proof: &[u8], now: Timestamp) -> Option<Admitted> {
        let (kind, rest) = proof.split_first()?;
        let (tenant, rest) = rest.split_first_chunk::<4>()?;
        let (name, shown) = rest.split_last_chunk::<32>()?;
        let (tenant, shown) = (TenantId(u32::from_be_bytes(*tenant)), *shown);
        if *kind == 3 {
            let known =
                self.directory().tokens.find(tenant, i64::from_be_bytes(name.try_into().ok()?))?;
            let holds = known.token.hash == shown && !known.token.is_expired(now);
            return holds.then_some(Admitted(Who::Application(known)));
        }
        let (device, life) = name.split_first_chunk::<16>()?;
        let device = DeviceId::from_bytes(*device);
        let life = Incarnation(u32::from_be_bytes(life.try_into().ok()?));
        let admitted = match kind {
            1 => {
                let certificate = CertificateId(shown);
                self.admit_device(&DirectDevice { tenant, device, certificate }, now).ok()?
            }
            2 => {
                self.admit_weak(&WeakDevice { tenant, device, password: PasswordId(shown) }).ok()?
            }
            _ => return None,
        };
        admitted.device().is_some_and(|key| key.incarnation == life).then_some(admitted)
    }

    /// Grows with every committed change that can alter a standing or a grant. A shard compares it once
    /// a turn; it costs one atomic load.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.directory().revision()
    }

    /// Judges an open session again after the revision moved.
    pub fn rejudge(&self, session: &mut Admitted, now: Timestamp) -> Verdict {
        let (entry, proof) = match &mut session.0 {
            Who::Device { entry, proof } => (entry, *proof),
            Who::Application(program) => return self.rejudge_application(program, now),
            // Whoever let a person look on asks again whether they may, and ends it.
            Who::Onlooker(_) | Who::LoopbackTester => return Verdict::Unchanged,
        };
        if proof.is_over(now) {
            return Verdict::Ended(NOT_VALID);
        }
        let (tenant, device) = (entry.admission.tenant, entry.admission.device);
        let life = entry.admission.incarnation;
        match self.directory().find(tenant, device) {
            Some(current) if Arc::ptr_eq(&current, entry) => return Verdict::Unchanged,
            Some(current) if current.admission.incarnation != life => {
                return Verdict::Ended(NOT_VALID);
            }
            // What is left of a session that ends, like its will, has the rights of now.
            Some(current) => *entry = current,
            None => {}
        }
        let admitted = match proof {
            Proof::Certificate(certificate, _) => {
                self.admit_device(&DirectDevice { tenant, device, certificate }, now)
            }
            Proof::Password(password) => self.admit_weak(&WeakDevice { tenant, device, password }),
        };
        match admitted {
            Ok(admitted) => {
                *session = admitted;
                Verdict::Narrowed
            }
            Err(refusal) => Verdict::Ended(refusal),
        }
    }

    /// Told by the wire when a session began.
    pub fn connected(&self, session: &Admitted, client_id: &str, now: Timestamp) {
        if let Who::Device { entry, proof } = &session.0 {
            let certificate = match proof {
                Proof::Certificate(id, _) => Some(*id),
                Proof::Password(_) => None,
            };
            entry.vitals.sessions.fetch_add(1, Ordering::Relaxed);
            entry.vitals.last_seen_ms.fetch_max(now.as_ms(), Ordering::Relaxed);
            self.notices().connected(entry.admission.key(), client_id, certificate, now);
        }
    }

    /// Told by the wire when a session ended, and why.
    pub fn disconnected(
        &self,
        session: &Admitted,
        client_id: &str,
        why: &'static str,
        now: Timestamp,
    ) {
        if let Who::Device { entry, .. } = &session.0 {
            let less = |open: u32| Some(open.saturating_sub(1));
            let _ = entry.vitals.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            self.notices().disconnected(entry.admission.key(), client_id, why, now);
        }
    }
}
