//! The hub's certificates and its revocation list, for those who ask.

use hedgerow_identity::revocation::{self, Revoked};

use hedgerow_base::{Fault, Timestamp};

use crate::{Control, Ctx, Failure, gate::action};

action!(
    /// A person looks at the hub's certificates and at what it revoked.
    ReadAuthority = "authority.read", role Viewer, scope READ
);

impl Control {
    /// The hub's own certificates in DER: root, issuing, server, as far as there are.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn own_certificates(
        &self,
        ctx: &Ctx,
    ) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
        let _permit = self.permit::<ReadAuthority>(ctx).await?;
        let mut own = Vec::new();
        for kind in ["root", "issuing", "server"] {
            own.extend(self.store.authority(kind).await?.map(|der| (kind, der)));
        }
        Ok(own)
    }

    /// What is revoked and has not ended by itself.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn revoked(&self, ctx: &Ctx) -> Result<Vec<Revoked>, Failure> {
        let _permit = self.permit::<ReadAuthority>(ctx).await?;
        self.store.revoked(ctx.now).await
    }

    /// Makes and signs the list of revoked certificates as of `now`; the caller keeps it until the next
    /// revocation or half its life.
    ///
    /// # Errors
    /// When keys or store can't be used.
    pub async fn revocation_list(&self, now: Timestamp) -> Result<Vec<u8>, Failure> {
        let issuing = self.store.authority("issuing").await?;
        let Some(issuing) = issuing else {
            return Err(Failure::new(Fault::Unavailable, "the hub has no issuing CA yet"));
        };
        let revoked = self.store.revoked(now).await?;
        let number = self.store.next_crl_number().await?;
        self.signer.crl(revocation::list(revoked, number, now), issuing).await
    }
}
