use hedgerow_base::{DeviceId, TenantId, Timestamp};
use hedgerow_identity::{Claim, Serial, revocation::Reason};
use hedgerow_policy::{
    CertificateId, Fact, Overlay, PasswordId, PersonId, Role, Standing, audit::Entry,
};
use hedgerow_registry::{Device, DeviceKey, KeyStorage, Label, State};

use crate::Token;

/// A certificate of the hub's own, as the store numbers it: a later one has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthorityId(pub i64);

impl AuthorityId {
    /// Before the first.
    pub const NONE: Self = Self(0);
}

/// A certificate of the hub's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRecord {
    /// Its number.
    pub id: AuthorityId,
    /// The certificate.
    pub der: Vec<u8>,
    /// Since when what it signed is not trusted any more, and why: issuing CAs only.
    pub distrusted: Option<(Timestamp, Reason)>,
}

/// A certificate that the hub issued to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// SHA-256 over [`Self::der`].
    pub id: CertificateId,
    /// Whose.
    pub device: DeviceKey,
    /// By which issuing CA.
    pub issuer: AuthorityId,
    /// Serial number.
    pub serial: Serial,
    /// SubjectPublicKeyInfo in DER.
    pub key: Vec<u8>,
    /// The certificate.
    pub der: Vec<u8>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// When it was revoked, and why.
    pub revoked: Option<(Timestamp, Reason)>,
    /// When the device was first seen to have it.
    pub used: Option<Timestamp>,
}

/// Something that happened to a device, for its owner to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// A word: `enrolled`, `connected`, `quarantined`.
    pub kind: String,
    /// A sentence, or nothing.
    pub detail: String,
}

/// What is kept of a device profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileRecord {
    /// Of the tenant.
    pub tenant: TenantId,
    /// What claims name it by.
    pub name: String,
    /// The Thing Model in force, byte for byte; none for a profile that the hub brings with it.
    pub document: Option<Vec<u8>>,
    /// A wider version that waits for the owner's consent.
    pub waiting: Option<Vec<u8>>,
    /// What the owner takes away.
    pub overlay: Overlay,
    /// Grows with every change; the first is 1.
    pub revision: i64,
    /// When it changed last.
    pub changed: Timestamp,
}

/// One thing to write. Changes that depend on what they found carry it, and the whole commit is refused
/// when it no longer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new claim code.
    AddClaim(TenantId, Claim),
    /// This device enrolled with it; refused when another did, or it was withdrawn.
    UseClaim {
        /// The record.
        secret_hash: [u8; 32],
        /// By whom.
        device: DeviceId,
    },
    /// A person took it back; refused when it was used.
    WithdrawClaim {
        /// The record.
        secret_hash: [u8; 32],
    },
    /// A new device; refused when its key is taken.
    AddDevice(Box<Device>),
    /// From one state to another; refused when it is no longer in the first.
    MoveDevice {
        /// Which.
        device: DeviceKey,
        /// Where it was.
        from: State,
        /// Where it is.
        to: State,
    },
    /// Name, group, labels; refused when the revision has moved on.
    EditDevice {
        /// Which.
        device: DeviceKey,
        /// What the editor saw.
        revision: i64,
        /// The new name.
        name: String,
        /// The new group.
        group: Option<String>,
        /// The new labels.
        labels: Vec<Label>,
    },
    /// Where the device says that its key is.
    NoteKeyStorage(DeviceKey, KeyStorage),
    /// The password of a weak device, or none any more.
    SetDevicePassword(DeviceKey, Option<PasswordId>),
    /// A fact begins.
    AddFact(DeviceKey, Fact),
    /// A fact ends.
    EndFact(DeviceKey, Fact),
    /// What followed from the facts: kept with its inputs.
    Judge {
        /// Which device.
        device: DeviceKey,
        /// Everything known, in order.
        facts: Vec<Fact>,
        /// What followed.
        standing: Standing,
        /// From which of them.
        because: Option<Fact>,
    },
    /// A new certificate; refused when its issuer is not the newest issuing CA.
    AddCertificate(Box<CertificateRecord>),
    /// The device has it: it was shown for the first time. Later times are not kept.
    UseCertificate(CertificateId, Timestamp),
    /// Every unrevoked certificate of a device is revoked.
    RevokeCertificates(DeviceKey, Reason),
    /// Something for the device's timeline.
    Tell(DeviceKey, TimelineEntry),
    /// Something for the timelines of several devices, at most [`TELL_MAX`](crate::limits::TELL_MAX).
    TellAll(Vec<(DeviceKey, TimelineEntry)>),
    /// When it was last heard, and whether it has a session.
    Seen {
        /// Which.
        device: DeviceKey,
        /// When.
        at: Timestamp,
        /// Whether it has a session.
        is_connected: bool,
    },
    /// What is kept of a profile; refused when the revision has moved on.
    PutProfile {
        /// The revision that the editor saw; 0 when nothing was kept.
        seen: i64,
        /// What to keep; its own revision and moment are the store's.
        record: Box<ProfileRecord>,
    },
    /// A profile is gone; refused when the revision has moved on, or a device or an open claim needs it.
    RemoveProfile {
        /// Of the tenant.
        tenant: TenantId,
        /// Which.
        name: String,
        /// The revision that the editor saw.
        seen: i64,
    },
    /// A certificate of the hub's own; refused when another came in between.
    AddAuthority {
        /// `root`, `issuing`, `server`.
        kind: &'static str,
        /// The newest of its kind that the maker saw.
        seen: AuthorityId,
        /// The certificate.
        der: Vec<u8>,
    },
    /// No issuing CA but the newest is trusted any more: whatever they signed for devices is revoked,
    /// programs with a certificate of theirs lose their tokens. Refused when another CA came in between, or
    /// more would be cut off than was agreed to.
    DistrustIssuers {
        /// The newest.
        newest: AuthorityId,
        /// Why.
        reason: Reason,
        /// How many devices and programs may be left without a valid certificate.
        cut_off_max: u64,
        /// What those devices' timelines say.
        told: TimelineEntry,
    },
    /// A one-time link; the bytes are SHA-256 over its token.
    AddLink {
        /// Of the tenant.
        tenant: TenantId,
        /// SHA-256 over the token.
        hash: [u8; 32],
        /// For whom; nobody yet for the first owner.
        person: Option<PersonId>,
        /// Until when.
        expires: Timestamp,
    },
    /// The link is used; refused when it was used or has expired.
    UseLink {
        /// SHA-256 over the token.
        hash: [u8; 32],
    },
    /// A new person; the store gives the number.
    AddPerson {
        /// Of the tenant.
        tenant: TenantId,
        /// The number: one past the highest.
        person: PersonId,
        /// What they sign in with.
        name: String,
        /// What they may do.
        role: Role,
    },
    /// A new role.
    SetRole(PersonId, Role),
    /// The person is gone, with sessions and passkeys.
    RemovePerson(PersonId),
    /// A PHC string, or none.
    SetPassword(PersonId, Option<String>),
    /// How often a sign-in failed in a row, and until when the account is locked.
    NoteSignIn {
        /// Who.
        person: PersonId,
        /// Failures in a row.
        failures: u32,
        /// Locked until.
        locked_until: Option<Timestamp>,
    },
    /// A passkey, as its library writes it.
    PutPasskey {
        /// Whose.
        person: PersonId,
        /// Credential id.
        credential: Vec<u8>,
        /// What the person calls it.
        name: String,
        /// Serialised credential.
        data: String,
    },
    /// A passkey is taken away.
    RemovePasskey(PersonId, Vec<u8>),
    /// A signed-in browser; the bytes are SHA-256 over its cookie.
    AddSession {
        /// SHA-256 over the cookie.
        hash: [u8; 32],
        /// Whose.
        person: PersonId,
        /// Until when.
        expires: Timestamp,
    },
    /// Signed out.
    EndSession([u8; 32]),
    /// A new token; refused when its certificate's issuer is not the newest issuing CA.
    AddToken(Box<Token>),
    /// The token is gone.
    RemoveToken(TenantId, i64),
}

/// Something that others in the program want to hear once it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The standing, certificates, profile or life of a device changed.
    Device(DeviceKey),
    /// What devices of this profile may do changed.
    Profile(TenantId, String),
    /// A token was made or taken away.
    Token(TenantId, i64),
    /// Certificates were revoked: the list is to be made anew.
    Revoked,
    /// The hub's own certificates changed: another is current, or some are not trusted any more.
    Authority,
}

/// What lands together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// When.
    pub now: Timestamp,
    /// The effect, in order.
    pub changes: Vec<Change>,
    /// Its records.
    pub audit: Vec<Entry>,
    /// Whom to tell.
    pub events: Vec<Event>,
}
