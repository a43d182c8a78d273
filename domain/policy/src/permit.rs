use std::{fmt, marker::PhantomData};

use hedgerow_base::TenantId;

use crate::{LapsedDevice, Peer, Role, Scopes};

/// Who asks, with the request that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A peer of a connection.
    Peer(Peer),
    /// The hub itself: scheduled work and the first start. The word says which.
    Hub(TenantId, &'static str),
    /// Somebody who showed the secret of a claim code; the bytes are the head of its hash.
    Claimant(TenantId, [u8; 8]),
    /// A device whose certificate has expired.
    Lapsed(LapsedDevice),
}

impl Actor {
    /// The tenant that the actor acts in.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Peer(peer) => peer.tenant(),
            Self::Hub(tenant, _) | Self::Claimant(tenant, _) => Some(*tenant),
            Self::Lapsed(device) => Some(device.tenant()),
        }
    }
}

/// A kind of act that needs permission. Implemented by zero-sized types, one an act.
pub trait Action {
    /// The word in audit records, errors and metrics: `device.quarantine`.
    const NAME: &'static str;
    /// The least role of a person that may do it; `None`: no person may.
    const ROLE: Option<Role>;
    /// The scope of a token that may do it; `None`: no token may.
    const SCOPE: Option<Scopes>;
    /// Whether the hub itself does it.
    const HUB: bool = false;
    /// Whether a device may do it for itself.
    const DEVICE: bool = false;
    /// Whether the holder of a claim code may do it.
    const CLAIMANT: bool = false;
    /// Whether a device with an expired certificate may do it for itself.
    const LAPSED: bool = false;
}

/// One decision: this actor may do `A` in this tenant, now. Not `Clone`: it is used up by the act.
#[must_use = "a permit is to be handed to the act that it permits"]
pub struct Permit<A> {
    actor: Actor,
    tenant: TenantId,
    act: PhantomData<A>,
}

impl<A: Action> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit<{}>({:?})", A::NAME, self.actor)
    }
}

impl<A: Action> Permit<A> {
    /// Who was permitted.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The tenant in which the act may happen.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
}

/// A refusal: what was asked, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The act.
    pub action: &'static str,
    /// What would have been needed, for people.
    pub needs: &'static str,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not allowed here: it needs {}", self.action, self.needs)
    }
}

impl std::error::Error for Denial {}

/// Decides whether `actor` may do `A`. Of devices it lets through what they do for themselves, like
/// renewing; what a device may publish follows from its grants.
///
/// # Errors
/// A [`Denial`] that says what would have been needed.
pub fn authorise<A: Action>(actor: Actor) -> Result<Permit<A>, Denial> {
    let deny = |needs| Err(Denial { action: A::NAME, needs });
    let permit = |tenant| Ok(Permit { actor, tenant, act: PhantomData });
    let peer = match &actor {
        Actor::Hub(tenant, _) if A::HUB => return permit(*tenant),
        Actor::Claimant(tenant, _) if A::CLAIMANT => return permit(*tenant),
        Actor::Lapsed(device) if A::LAPSED => return permit(device.tenant()),
        Actor::Lapsed(_) => return deny("a certificate that has not expired"),
        Actor::Hub(..) | Actor::Claimant(..) => return deny("a person or a token"),
        Actor::Peer(peer) => peer,
    };
    let Some(tenant) = peer.tenant() else { return deny("a signed-in person or a token") };
    if let Some((_, role)) = peer.person() {
        return match A::ROLE {
            Some(needed) if includes(role, needed) => permit(tenant),
            Some(Role::Owner) => deny("the role owner"),
            Some(Role::Operator) => deny("the role operator"),
            Some(Role::Viewer) => deny("the role viewer"),
            None => deny("something that is not a person"),
        };
    }
    if let Some(application) = peer.application() {
        return match A::SCOPE {
            Some(needed) if application.scopes.contain(needed) => permit(tenant),
            Some(needed) => deny(needed.words().next().map_or("another token", scope_needed)),
            None => deny("a person: tokens can't do this"),
        };
    }
    match peer.device() {
        Some(_) if A::DEVICE => permit(tenant),
        Some(_) | None => deny("a signed-in person or a token"),
    }
}

fn scope_needed(word: &str) -> &'static str {
    match word {
        "read" => "a token with the scope read",
        "devices" => "a token with the scope devices",
        _ => "a token with the scope admin",
    }
}

const fn includes(held: Role, needed: Role) -> bool {
    match held {
        Role::Owner => true,
        Role::Operator => !matches!(needed, Role::Owner),
        Role::Viewer => matches!(needed, Role::Viewer),
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_base::DeviceId;

    use super::*;
    use crate::{Application, CertificateId, DirectDevice, PersonId, Witness};

    struct Quarantine;
    impl Action for Quarantine {
        const NAME: &'static str = "device.quarantine";
        const ROLE: Option<Role> = Some(Role::Operator);
        const SCOPE: Option<Scopes> = Some(Scopes::DEVICES);
    }

    struct Sweep;
    impl Action for Sweep {
        const NAME: &'static str = "claims.sweep";
        const ROLE: Option<Role> = None;
        const SCOPE: Option<Scopes> = None;
        const HUB: bool = true;
    }

    struct Return;
    impl Action for Return {
        const NAME: &'static str = "device.rescue";
        const ROLE: Option<Role> = None;
        const SCOPE: Option<Scopes> = None;
        const LAPSED: bool = true;
    }

    struct Renew;
    impl Action for Renew {
        const NAME: &'static str = "device.renew";
        const ROLE: Option<Role> = None;
        const SCOPE: Option<Scopes> = None;
        const DEVICE: bool = true;
    }

    fn person(role: Role) -> Actor {
        Actor::Peer(Witness::of_a_proof().person(TenantId::FIRST, PersonId(1), role))
    }

    fn token(scopes: Scopes) -> Actor {
        let application = Application { tenant: TenantId::FIRST, token: 1, scopes };
        Actor::Peer(Witness::of_a_proof().application(application))
    }

    #[test]
    fn a_role_includes_the_ones_after_it() {
        assert!(authorise::<Quarantine>(person(Role::Owner)).is_ok());
        assert!(authorise::<Quarantine>(person(Role::Operator)).is_ok());
        assert_eq!(
            authorise::<Quarantine>(person(Role::Viewer)).unwrap_err().needs,
            "the role operator"
        );
    }

    #[test]
    fn a_token_needs_the_very_scope() {
        assert!(authorise::<Quarantine>(token(Scopes::DEVICES)).is_ok());
        assert!(authorise::<Quarantine>(token(Scopes::READ.and(Scopes::ADMIN))).is_err());
    }

    #[test]
    fn an_expired_certificate_lets_nobody_do_what_a_valid_one_does() {
        let (witness, id) = (Witness::of_a_proof(), DeviceId::from_bytes([1; 16]));
        let certificate = CertificateId([2; 32]);
        let lapsed = Actor::Lapsed(witness.lapsed_device(TenantId::FIRST, id, certificate));
        assert!(authorise::<Return>(lapsed).is_ok());
        let denied = authorise::<Renew>(lapsed).unwrap_err();
        assert_eq!(denied.needs, "a certificate that has not expired");
        assert!(authorise::<Quarantine>(lapsed).is_err());
        assert!(authorise::<Sweep>(lapsed).is_err());
        let device = DirectDevice { tenant: TenantId::FIRST, device: id, certificate };
        assert!(authorise::<Return>(Actor::Peer(witness.device(device))).is_err());
        assert!(authorise::<Return>(person(Role::Owner)).is_err());
    }

    #[test]
    fn devices_testers_and_strangers_to_the_act_are_denied() {
        let witness = Witness::of_a_proof();
        let device = witness.device(DirectDevice {
            tenant: TenantId::FIRST,
            device: DeviceId::from_bytes([1; 16]),
            certificate: CertificateId([2; 32]),
        });
        assert!(authorise::<Quarantine>(Actor::Peer(device)).is_err());
        assert!(authorise::<Quarantine>(Actor::Peer(witness.loopback_tester())).is_err());
        assert!(authorise::<Quarantine>(Actor::Hub(TenantId::FIRST, "sweep")).is_err());
        assert!(authorise::<Sweep>(person(Role::Owner)).is_err());
        assert!(authorise::<Sweep>(Actor::Hub(TenantId::FIRST, "sweep")).is_ok());
    }
}
