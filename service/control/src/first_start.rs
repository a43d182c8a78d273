//! The hub's own identity: made at the first start, renewed when due.

use std::net::IpAddr;

use hedgerow_identity::{CertificatePlan, Serial, authority};

use crate::{
    Change, Control, Ctx, Failure,
    gate::{Effects, action},
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
    /// Issuing CA.
    pub issuing: Vec<u8>,
    /// TLS server; its key signs handshakes.
    pub server: Vec<u8>,
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
        let root = match self.store.authority("root").await? {
            Some(der) => der,
            None => {
                let key = self.signer.public_key("root").await?;
                let plan = authority::root(key, hub, self.serial(), ctx.now);
                self.certify(ctx, "root", plan, None).await?
            }
        };
        let issuing = match self.store.authority("issuing").await? {
            Some(der) => der,
            None => {
                let key = self.signer.public_key("issuing").await?;
                let plan = authority::issuing(key, hub, self.serial(), ctx.now);
                self.certify(ctx, "issuing", plan, Some(root.clone())).await?
            }
        };
        let server = match self.store.authority("server").await?.filter(|der| !is_stale(der)) {
            Some(der) => der,
            None => {
                let key = self.signer.public_key("server").await?;
                let plan = authority::server(key, hosts, addresses, self.serial(), ctx.now);
                self.certify(ctx, "server", plan, Some(issuing.clone())).await?
            }
        };
        Ok(Authority { root, issuing, server })
    }

    async fn certify(
        &self,
        ctx: &Ctx,
        kind: &'static str,
        plan: CertificatePlan,
        issuer: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Failure> {
        let permit = self.permit::<Certify>(ctx).await?;
        let subject = plan.subject.clone();
        let der = self.signer.certificate(plan, issuer).await?;
        let effects = Effects::on(
            format!("authority:{kind}"),
            vec![Change::AddAuthority { kind, der: der.clone() }],
        );
        self.commit(ctx, permit, effects.saying("subject", subject)).await?;
        Ok(der)
    }

    pub(crate) fn serial(&self) -> Serial {
        Serial::from_random(self.random())
    }
}
