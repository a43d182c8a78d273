//! What the control plane needs of the outside. Each is implemented in `io`, and by a fake in tests.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use hedgerow_base::{DeviceId, TenantId, Timestamp};
use hedgerow_identity::{
    CertificatePlan, Claim, Serial,
    ocsp::{Issued, OcspPlan},
    revocation::{CrlPlan, Revoked},
};
use hedgerow_model::Value;
use hedgerow_plane::{SessionName, Wish};
use hedgerow_policy::{CertificateId, Fact, PersonId};
use hedgerow_registry::{Device, DeviceKey, Filter, Page};
use hedgerow_telemetry::{Bucket, Range};
use hedgerow_tlog::{Hash, NodeId, Note};

use crate::{
    AuthorityId, AuthorityRecord, CertificateRecord, Commit, Event, Failure, Named, Person,
    ProfileRecord, TimelineEntry, Token,
};

/// An answer that takes a while.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// How many devices are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that are not retired or erased.
    pub devices: u64,
    /// With an open session.
    pub connected: u64,
    /// With a standing below full.
    pub below_full: u64,
    /// Claim codes that wait.
    pub claims_open: u64,
}

/// How the keys and certificates of a fleet are: of devices that are not retired, erased or cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Without a certificate: they sign in with a password, or another device carries them.
    pub without: u64,
    /// Whose certificate has ended.
    pub ended: u64,
    /// Whose certificate ends within [`LATE_DAYS`](crate::limits::LATE_DAYS).
    pub late: u64,
    /// Within twice as many.
    pub soon: u64,
    /// Later.
    pub later: u64,
    /// By where their keys are kept.
    pub storage: BTreeMap<&'static str, u64>,
    /// By the issuing CA of their certificates, newest first.
    pub issuers: Vec<(AuthorityId, u64)>,
}

/// One line of the audit log as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place, from 0.
    pub index: u64,
    /// The record's bytes.
    pub record: String,
    /// The hash that was kept beside it.
    pub leaf: Hash,
}

/// Which records of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only records before this place.
    pub before: Option<u64>,
    /// Only this actor.
    pub actor: Option<String>,
    /// Only actions that begin so.
    pub action: Option<String>,
    /// Only this subject.
    pub subject: Option<String>,
}

/// The relational store of the control plane.
pub trait Store: Send + Sync {
    /// Writes everything or nothing, with the audit records appended to their tenant's log and a signed
    /// checkpoint over it. Returns when it is durable.
    fn commit(&self, commit: Commit) -> Pending<'_, ()>;

    /// One device, in its newest life.
    fn device(&self, tenant: TenantId, id: DeviceId) -> Pending<'_, Option<Device>>;
    /// Devices in the order of their ids.
    fn devices<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a Filter,
        page: Page,
    ) -> Pending<'a, Vec<Device>>;
    /// Every device that may still connect, of every tenant: for the start.
    fn all_devices(&self) -> Pending<'_, Vec<Device>>;
    /// How many devices are where.
    fn counts(&self, tenant: TenantId, now: Timestamp) -> Pending<'_, Counts>;
    /// How keys and certificates are.
    fn keys(&self, tenant: TenantId, now: Timestamp) -> Pending<'_, Keys>;
    /// How many devices sign in with a password, the retired left out.
    fn weak_devices(&self, tenant: TenantId) -> Pending<'_, u64>;
    /// Facts that hold now.
    fn facts(&self, device: DeviceKey) -> Pending<'_, Vec<Fact>>;
    /// What happened to a device, newest first; `before` pages on.
    fn timeline(
        &self,
        device: DeviceKey,
        before: Option<i64>,
        limit: u32,
    ) -> Pending<'_, Vec<(i64, TimelineEntry)>>;

    /// Who has foreign topics, or will have, of every tenant: devices that are not retired, and claim codes
    /// that work at `now`.
    fn named(&self, now: Timestamp) -> Pending<'_, Vec<Named>>;

    /// A claim code by the hash of its secret.
    fn claim(&self, secret_hash: [u8; 32]) -> Pending<'_, Option<(TenantId, Claim)>>;
    /// Claim codes that were neither used nor withdrawn, newest first.
    fn open_claims(&self, tenant: TenantId) -> Pending<'_, Vec<Claim>>;

    /// A profile that was added here, or a built-in one whose overlay was set.
    fn profile<'a>(&'a self, tenant: TenantId, name: &'a str)
    -> Pending<'a, Option<ProfileRecord>>;
    /// Those of a tenant, by name.
    fn profiles(&self, tenant: TenantId) -> Pending<'_, Vec<ProfileRecord>>;
    /// Those of every tenant: for the start.
    fn all_profiles(&self) -> Pending<'_, Vec<ProfileRecord>>;

    /// A device's certificate.
    fn certificate(&self, id: CertificateId) -> Pending<'_, Option<CertificateRecord>>;
    /// Certificates of a device, newest first.
    fn certificates(&self, device: DeviceKey) -> Pending<'_, Vec<CertificateRecord>>;
    /// What an issuing CA signed, is revoked and has not ended by itself at `now`.
    fn revoked(&self, issuer: AuthorityId, now: Timestamp) -> Pending<'_, Vec<Revoked>>;
    /// What an issuing CA knows of a serial number of a device or a program.
    fn issued(&self, issuer: AuthorityId, serial: Serial) -> Pending<'_, Issued>;
    /// Certificates of devices that an issuing CA signed which is not trusted any more, as far as they have
    /// not ended by themselves at `now`.
    fn distrusted(&self, now: Timestamp) -> Pending<'_, Vec<CertificateId>>;
    /// How many devices, of every tenant, have no valid certificate of this issuing CA, and one of another.
    fn hanging_on_others(&self, issuer: AuthorityId, now: Timestamp) -> Pending<'_, u64>;
    /// The next number of a revocation list; each call gives a higher one.
    fn next_crl_number(&self) -> Pending<'_, u64>;
    /// The hub's own certificates of a kind, newest first.
    fn authorities(&self, kind: &'static str) -> Pending<'_, Vec<AuthorityRecord>>;

    /// Records of the audit log, newest first.
    fn audit<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a AuditFilter,
        limit: u32,
    ) -> Pending<'a, Vec<AuditRecord>>;
    /// Records from a place on, oldest first, whatever they are: for verification.
    fn audit_from(&self, tenant: TenantId, index: u64, limit: u32)
    -> Pending<'_, Vec<AuditRecord>>;
    /// The newest signed checkpoint.
    fn checkpoint(&self, tenant: TenantId) -> Pending<'_, Option<String>>;
    /// Every signed checkpoint, by the size of the log, ascending.
    fn checkpoints(
        &self,
        tenant: TenantId,
        from_size: u64,
        limit: u32,
    ) -> Pending<'_, Vec<(u64, String)>>;
    /// Hashes of full nodes; those that are missing are left out.
    fn audit_nodes<'a>(
        &'a self,
        tenant: TenantId,
        ids: &'a [NodeId],
    ) -> Pending<'a, Vec<(NodeId, Hash)>>;

    /// People of a tenant.
    fn people(&self, tenant: TenantId) -> Pending<'_, Vec<Person>>;
    /// A person by the name that they sign in with.
    fn person_by_name<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Person>>;
    /// A person by number.
    fn person(&self, id: PersonId) -> Pending<'_, Option<Person>>;
    /// The person of a passkey.
    fn passkeys(&self, person: PersonId) -> Pending<'_, Vec<(Vec<u8>, String, String)>>;
    /// Whose browser it is: the person, and when the session ends.
    fn session(&self, hash: [u8; 32]) -> Pending<'_, Option<(Person, Timestamp)>>;
    /// A link that was not used: its tenant, for whom, until when.
    fn link(&self, hash: [u8; 32]) -> Pending<'_, Option<(TenantId, Option<PersonId>, Timestamp)>>;
    /// A token by its hash.
    fn token(&self, hash: [u8; 32]) -> Pending<'_, Option<Token>>;
    /// Tokens of a tenant.
    fn tokens(&self, tenant: TenantId) -> Pending<'_, Vec<Token>>;
    /// Those of every tenant: for the start.
    fn all_tokens(&self) -> Pending<'_, Vec<Token>>;
}

/// The newest reading of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct LastValue {
    /// A property's name, or `event/{name}`, `result/{action}`, `reported`.
    pub series: String,
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured.
    pub value: Value,
}

/// Readings that were stored.
pub trait History: Send + Sync {
    /// Every reading in a range, in order; a failure past `limit`.
    fn readings<'a>(
        &'a self,
        device: DeviceKey,
        series: &'a str,
        range: Range,
        limit: usize,
    ) -> Pending<'a, Vec<(Timestamp, Value)>>;
    /// Readings in buckets of `width_ms`; empty ones are left out.
    fn buckets<'a>(
        &'a self,
        device: DeviceKey,
        series: &'a str,
        range: Range,
        width_ms: i64,
    ) -> Pending<'a, Vec<Bucket>>;
    /// The newest reading of every series.
    fn last_values(&self, device: DeviceKey) -> Pending<'_, Vec<LastValue>>;
}

/// The CA's keys. They never leave it; it signs.
pub trait Signer: Send + Sync {
    /// SubjectPublicKeyInfo of `root`, `issuing` or `server`; made at the first call.
    fn public_key(&self, kind: &'static str) -> Pending<'_, Vec<u8>>;
    /// SubjectPublicKeyInfo of a key for the next issuing CA: one that none of these certified ones is,
    /// made when there is none. Until it is certified it signs nothing.
    fn next_issuing_key(&self, certified: Vec<Vec<u8>>) -> Pending<'_, Vec<u8>>;
    /// Makes and signs a certificate, with the key in the issuer's; `issuer` is the issuer's certificate, none for the root itself.
    fn certificate(&self, plan: CertificatePlan, issuer: Option<Vec<u8>>) -> Pending<'_, Vec<u8>>;
    /// Makes and signs a revocation list, with the key in the issuer's certificate.
    fn crl(&self, plan: CrlPlan, issuer: Vec<u8>) -> Pending<'_, Vec<u8>>;
    /// Makes and signs the word on single certificates, with the key in the issuer's certificate.
    fn ocsp(&self, plan: OcspPlan, issuer: Vec<u8>) -> Pending<'_, Vec<u8>>;
}

/// Signs checkpoints of the audit log; quick enough to be asked inside a transaction.
pub trait Notary: Send + Sync {
    /// Signs that the log of `tenant` has `size` records under `root`.
    ///
    /// # Errors
    /// When the key can't be used; then nothing is committed.
    fn checkpoint(&self, tenant: TenantId, size: u64, root: Hash) -> Result<Note, Failure>;
}

/// Randomness fit for keys.
pub trait Random: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// Hashes of passwords. Slow on purpose, so kept off the reactor.
pub trait Passwords: Send + Sync {
    /// A PHC string.
    fn hash(&self, password: String) -> Pending<'_, String>;
    /// Whether the password fits the PHC string; with none, it takes as long and says no.
    fn verify(&self, password: String, phc: Option<String>) -> Pending<'_, bool>;
}

/// Speaks to connected devices, and ends sessions.
pub trait Voice: Send + Sync {
    /// Whether a device may be asked for this now.
    ///
    /// # Errors
    /// Its profile does not declare it, its standing does not allow it, it is not connected, or its profile
    /// maps it and the input does not fit.
    fn can_hear(
        &self,
        device: DeviceKey,
        wish: Wish<'_>,
        input: &[u8],
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Asks it.
    ///
    /// # Errors
    /// When there is nobody to carry it, or it can't be asked any more.
    fn say(
        &self,
        device: DeviceKey,
        wish: Wish<'_>,
        input: &[u8],
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Whether there is such a session, of whomever.
    fn has_session(&self, name: SessionName) -> Pending<'_, bool>;

    /// Ends it, if it is still there.
    fn end_session(&self, name: SessionName) -> Pending<'_, ()>;
}

/// Whom to tell once something is committed.
pub trait Herald: Send + Sync {
    /// Brings what is held in memory up to what was committed. The act that caused the event answers
    /// only afterwards, so that whoever asked sees it done.
    fn tell(&self, event: Event) -> Pending<'_, ()>;
}
