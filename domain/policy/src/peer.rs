use std::fmt;

use hedgerow_base::{DeviceId, TenantId};

/// Which certificate was shown: SHA-256 over its DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(pub [u8; 32]);

impl fmt::Debug for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Which password was shown: SHA-256 over it. It has 128 random bits, so nobody finds it by guessing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PasswordId(pub [u8; 32]);

impl fmt::Debug for PasswordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordId(..)")
    }
}

/// A person with an account at this hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(pub i64);

/// What a person may do in general; each role includes the ones after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, people and tokens included.
    Owner,
    /// Devices: claim, quarantine, release, retire.
    Operator,
    /// Look, change nothing.
    Viewer,
}

impl Role {
    /// The word in the API and the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// Reads [`Role::word`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Owner, Self::Operator, Self::Viewer].into_iter().find(|role| role.word() == word)
    }
}

/// What a token may do: a set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Read devices, telemetry and audit.
    pub const READ: Self = Self(1);
    /// Claim, quarantine, release and retire devices.
    pub const DEVICES: Self = Self(2);
    /// People, tokens, settings.
    pub const ADMIN: Self = Self(4);

    /// Nothing: what a token may do is said by its grants by topic filter.
    pub const NONE: Self = Self(0);

    const WORDS: [(Self, &'static str); 3] =
        [(Self::READ, "read"), (Self::DEVICES, "devices"), (Self::ADMIN, "admin")];

    /// Whether every scope of `other` is here.
    #[must_use]
    pub const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The words, in a fixed order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::WORDS.into_iter().filter(move |(scope, _)| self.contain(*scope)).map(|(_, word)| word)
    }

    /// Reads words as written by [`Scopes::words`]; `None` when one is unknown or there is none.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let all = words.into_iter().try_fold(Self::default(), |set, word| {
            let (scope, _) = Self::WORDS.into_iter().find(|(_, known)| *known == word)?;
            Some(set.and(scope))
        })?;
        (all != Self::NONE).then_some(all)
    }
}

/// A device that showed its own certificate on its own connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectDevice {
    /// Whose device.
    pub tenant: TenantId,
    /// The id in the certificate's SubjectAltName.
    pub device: DeviceId,
    /// Which certificate proved it.
    pub certificate: CertificateId,
}

/// A device that proved the key of a certificate of ours that has expired: not a [`Peer`], and nothing that
/// asks for one takes it. All that it may do is ask for its next certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LapsedDevice {
    tenant: TenantId,
    device: DeviceId,
    certificate: CertificateId,
}

impl LapsedDevice {
    /// Whose device.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The id in the certificate's SubjectAltName.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// Which certificate it showed.
    #[must_use]
    pub const fn certificate(&self) -> CertificateId {
        self.certificate
    }
}

/// A device that can do no better than a password of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeakDevice {
    /// Whose device.
    pub tenant: TenantId,
    /// The id that it gave as its user name.
    pub device: DeviceId,
    /// Which password proved it.
    pub password: PasswordId,
}

/// A program with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Application {
    /// Whose program.
    pub tenant: TenantId,
    /// The token's record.
    pub token: i64,
    /// What the token may do.
    pub scopes: Scopes,
}

/// Who is at the other end of a connection, as proven by it. There is no anonymous peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(Proven);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Proven {
    Device(DirectDevice),
    WeakDevice(WeakDevice),
    Application(Application),
    Person { tenant: TenantId, person: PersonId, role: Role },
    LoopbackTester,
}

/// The right to say who is at the other end of a connection.
///
/// INVARIANT: only `io/listen` (from a verified certificate or token) and the sign-in of `io/api` (from a
/// verified credential) make one; `cargo xtask layers` refuses [`Witness::of_a_proof`] elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Witness(());

impl Witness {
    /// To be called where a proof was just checked, and nowhere else.
    #[must_use]
    pub const fn of_a_proof() -> Self {
        Self(())
    }

    /// A device that proved its certificate in this connection's handshake.
    #[must_use]
    pub const fn device(self, device: DirectDevice) -> Peer {
        Peer(Proven::Device(device))
    }

    /// A device that proved the key of an expired certificate in this connection's handshake.
    #[must_use]
    pub const fn lapsed_device(
        self,
        tenant: TenantId,
        device: DeviceId,
        certificate: CertificateId,
    ) -> LapsedDevice {
        LapsedDevice { tenant, device, certificate }
    }

    /// A device that showed its password.
    #[must_use]
    pub const fn weak_device(self, device: WeakDevice) -> Peer {
        Peer(Proven::WeakDevice(device))
    }

    /// A program that showed a valid token.
    #[must_use]
    pub const fn application(self, application: Application) -> Peer {
        Peer(Proven::Application(application))
    }

    /// A person who signed in.
    #[must_use]
    pub const fn person(self, tenant: TenantId, person: PersonId, role: Role) -> Peer {
        Peer(Proven::Person { tenant, person, role })
    }

    /// A load generator on the insecure loopback listener: no rights under `things/`.
    #[must_use]
    pub const fn loopback_tester(self) -> Peer {
        Peer(Proven::LoopbackTester)
    }
}

impl Peer {
    /// The device, when the peer is one.
    #[must_use]
    pub const fn device(&self) -> Option<&DirectDevice> {
        match &self.0 {
            Proven::Device(device) => Some(device),
            Proven::WeakDevice(_)
            | Proven::Application(_)
            | Proven::Person { .. }
            | Proven::LoopbackTester => None,
        }
    }

    /// The device, when the peer is one that showed a password.
    #[must_use]
    pub const fn weak_device(&self) -> Option<&WeakDevice> {
        match &self.0 {
            Proven::WeakDevice(device) => Some(device),
            Proven::Device(_)
            | Proven::Application(_)
            | Proven::Person { .. }
            | Proven::LoopbackTester => None,
        }
    }

    /// Which device the peer is, whatever it showed.
    #[must_use]
    pub const fn device_id(&self) -> Option<(TenantId, DeviceId)> {
        match &self.0 {
            Proven::Device(device) => Some((device.tenant, device.device)),
            Proven::WeakDevice(device) => Some((device.tenant, device.device)),
            Proven::Application(_) | Proven::Person { .. } | Proven::LoopbackTester => None,
        }
    }

    /// Whether this is a load generator on the insecure loopback listener.
    #[must_use]
    pub const fn is_loopback_tester(&self) -> bool {
        matches!(self.0, Proven::LoopbackTester)
    }

    /// The tenant that the peer belongs to; a loopback tester belongs to none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match &self.0 {
            Proven::Device(device) => Some(device.tenant),
            Proven::WeakDevice(device) => Some(device.tenant),
            Proven::Application(application) => Some(application.tenant),
            Proven::Person { tenant, .. } => Some(*tenant),
            Proven::LoopbackTester => None,
        }
    }

    /// The person and role, when the peer is a person.
    #[must_use]
    pub const fn person(&self) -> Option<(PersonId, Role)> {
        match &self.0 {
            Proven::Person { person, role, .. } => Some((*person, *role)),
            Proven::Device(_)
            | Proven::WeakDevice(_)
            | Proven::Application(_)
            | Proven::LoopbackTester => None,
        }
    }

    /// The program, when the peer is one.
    #[must_use]
    pub const fn application(&self) -> Option<&Application> {
        match &self.0 {
            Proven::Application(application) => Some(application),
            Proven::Device(_)
            | Proven::WeakDevice(_)
            | Proven::Person { .. }
            | Proven::LoopbackTester => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scope_spoils_the_whole_set() {
        assert_eq!(Scopes::parse(["read", "devices"]), Some(Scopes::READ.and(Scopes::DEVICES)));
        assert_eq!(Scopes::parse(["read", "everything"]), None);
        assert_eq!(Scopes::parse([]), None);
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in [Role::Owner, Role::Operator, Role::Viewer] {
            assert_eq!(Role::parse(role.word()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
    }

    #[test]
    fn a_loopback_tester_belongs_to_no_tenant() {
        let peer = Witness::of_a_proof().loopback_tester();
        assert_eq!((peer.tenant(), peer.device()), (None, None));
    }
}
