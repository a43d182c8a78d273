//! The hub's own identity: made at the first start, renewed when due.

use std::net::IpAddr;

use hedgerow_base::Fault;
use hedgerow_identity::{CertificatePlan, Serial, authority};

use crate::{
    AuthorityId, AuthorityRecord, Change, Control, Ctx, Event, Failure,
    gate::{Effects, action},
    ports::Store,
};

action!(
    /// The hub makes a certificate for itself.
    Certify = "hub.certify", only HUB
);

/// The hub's certificates, in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Root CA.
    pub root: Vec<u8>,
    /// Issuing CAs whose certificates are trusted: the newest, which signs, first.
    pub issuing: Vec<Vec<u8>>,
    /// Issuing CAs whose certificates are not trusted any more.
    pub distrusted: Vec<Vec<u8>>,
    /// TLS server; its key signs handshakes.
    pub server: Vec<u8>,
}

impl Authority {
    /// What the store has; `None` before the first start is done.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn read(store: &dyn Store) -> Result<Option<Self>, Failure> {
        // The server's last: what signed it is there already.
        let issuing = store.authorities("issuing").await?;
        let newest = async |kind| {
            let found = store.authorities(kind).await?;
            Ok::<_, Failure>(found.into_iter().next().map(|record| record.der))
        };
        let (Some(root), Some(server)) = (newest("root").await?, newest("server").await?) else {
            return Ok(None);
        };
        let (trusted, not): (Vec<_>, Vec<_>) =
            issuing.into_iter().partition(|one| one.distrusted.is_none());
        let der = |records: Vec<AuthorityRecord>| records.into_iter().map(|one| one.der).collect();
        Ok(Some(Self { root, issuing: der(trusted), distrusted: der(not), server }))
    }
}

impl Control {
    /// Gives the hub's certificates and makes those that are missing. `is_stale` judges the stored
    /// server certificate (see [`authority::server_is_stale`]).
    ///
    /// # Errors
    /// When keys or store can't be used.
    pub async fn authority(
        &self,
        ctx: &Ctx,
        hub: &str,
        (hosts, addresses): (&[String], &[IpAddr]),
        is_stale: impl Fn(&[u8]) -> bool + Send,
    ) -> Result<Authority, Failure> {
        let root = match self.newest("root").await? {
            Some(root) => root.der,
            None => {
                let key = self.signer.public_key("root").await?;
                let plan = authority::root(key, hub, self.serial(), ctx.now);
                self.certify(ctx, ("root", AuthorityId::NONE), plan, None).await?
            }
        };
        let issuing = match self.newest("issuing").await? {
            Some(issuing) => issuing.der,
            None => {
                let key = self.signer.public_key("issuing").await?;
                let plan = authority::issuing(key, hub, 1, self.serial(), ctx.now);
                self.certify(ctx, ("issuing", AuthorityId::NONE), plan, Some(root)).await?
            }
        };
        let server = self.newest("server").await?;
        if server.as_ref().is_none_or(|server| is_stale(&server.der)) {
            let seen = server.map_or(AuthorityId::NONE, |server| server.id);
            let key = self.signer.public_key("server").await?;
            let plan = authority::server(key, hosts, addresses, self.serial(), ctx.now);
            self.certify(ctx, ("server", seen), plan, Some(issuing)).await?;
        }
        let made = Authority::read(&*self.store).await?;
        made.ok_or_else(|| Failure::new(Fault::Broken, "the hub's certificates are gone again"))
    }

    async fn certify(
        &self,
        ctx: &Ctx,
        (kind, seen): (&'static str, AuthorityId),
        plan: CertificatePlan,
        issuer: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Failure> {
        let permit = self.permit::<Certify>(ctx).await?;
        let subject = plan.subject.clone();
        let der = self.signer.certificate(plan, issuer).await?;
        let change = Change::AddAuthority { kind, seen, der: der.clone() };
        let effects = Effects::on(format!("authority:{kind}"), vec![change]);
        let effects = effects.saying("subject", subject).telling(Event::Authority);
        self.commit(ctx, permit, effects).await?;
        Ok(der)
    }

    /// The newest certificate of the hub's own of a kind.
    pub(crate) async fn newest(
        &self,
        kind: &'static str,
    ) -> Result<Option<AuthorityRecord>, Failure> {
        Ok(self.store.authorities(kind).await?.into_iter().next())
    }

    /// The issuing CA that signs.
    pub(crate) async fn issuing(&self) -> Result<AuthorityRecord, Failure> {
        let none = || Failure::new(Fault::Unavailable, "the hub has no issuing CA yet");
        self.newest("issuing").await?.ok_or_else(none)
    }

    pub(crate) fn serial(&self) -> Serial {
        Serial::from_random(self.random())
    }
}
