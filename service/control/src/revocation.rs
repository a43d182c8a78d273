//! The hub's certificates and its revocation lists, for those who ask.

use std::sync::Arc;

use hedgerow_base::{Fault, Timestamp};
use hedgerow_identity::{
    authority,
    revocation::{self, Base, Revoked},
};

use crate::{AuthorityId, AuthorityRecord, Control, Ctx, Failure, gate::action};

action!(
    /// A person looks at the hub's certificates and at what it revoked.
    ReadAuthority = "authority.read", role Viewer, scope READ
);

/// Whose revocation list: each CA signs one, of what it signed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListOf {
    /// The root's: issuing CAs that are not trusted any more.
    Root,
    /// That of an issuing CA.
    Issuing(AuthorityId),
}

/// A revocation list and what came since an earlier one, both signed.
#[derive(Clone, Debug)]
pub struct Lists {
    /// Everything, in DER.
    pub whole: Vec<u8>,
    /// What the base had not, in DER; of the same number.
    pub delta: Vec<u8>,
    /// What the delta adds to.
    pub base: Arc<Base>,
}

impl Control {
    /// The hub's own certificates: the root, every issuing CA that it ever had, the newest first, and the
    /// server's, as far as there are.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn own_certificates(
        &self,
        ctx: &Ctx,
    ) -> Result<Vec<(&'static str, AuthorityRecord)>, Failure> {
        let _permit = self.permit::<ReadAuthority>(ctx).await?;
        let mut own = Vec::new();
        own.extend(self.newest("root").await?.map(|root| ("root", root)));
        let issuing = self.store.authorities("issuing").await?;
        own.extend(issuing.into_iter().map(|one| ("issuing", one)));
        own.extend(self.newest("server").await?.map(|server| ("server", server)));
        Ok(own)
    }

    /// What is revoked and has not ended by itself, each with the certificate of the CA that signed it.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn revoked(&self, ctx: &Ctx) -> Result<Vec<(Vec<u8>, Revoked)>, Failure> {
        let _permit = self.permit::<ReadAuthority>(ctx).await?;
        let mut revoked = Vec::new();
        for issuing in self.store.authorities("issuing").await? {
            let its = self.store.revoked(issuing.id, ctx.now).await?;
            revoked.extend(its.into_iter().map(|one| (issuing.der.clone(), one)));
        }
        Ok(revoked)
    }

    /// Every issuing CA that the hub ever had, newest first. They are public: whoever connects sees them.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn issuing_authorities(&self) -> Result<Vec<AuthorityRecord>, Failure> {
        self.store.authorities("issuing").await
    }

    /// Makes and signs a list of revoked certificates as of `now`, and its delta to `base`; when that is none or
    /// too old, the list is the next base itself. The caller keeps them until the next revocation or half
    /// their life, makes one at a time, and says where the delta will be.
    ///
    /// # Errors
    /// When keys or store can't be used, or there is no such CA.
    pub async fn revocation_lists(
        &self,
        of: ListOf,
        base: Option<Arc<Base>>,
        freshest: String,
        now: Timestamp,
    ) -> Result<Lists, Failure> {
        let none = || Failure::new(Fault::Unavailable, "the hub has no such CA yet");
        let issuing = self.store.authorities("issuing").await?;
        let (issuer, revoked) = match of {
            ListOf::Root => {
                let root = self.newest("root").await?.ok_or_else(none)?;
                (root.der, issuing.iter().filter_map(distrusted).collect())
            }
            ListOf::Issuing(id) => {
                let found = issuing.into_iter().find(|one| one.id == id).ok_or_else(none)?;
                (found.der, self.store.revoked(id, now).await?)
            }
        };
        let number = self.store.next_crl_number().await?;
        let mut list = revocation::list(revoked, number, now);
        list.freshest = Some(freshest);
        let base =
            base.filter(|base| base.is_good(now)).unwrap_or_else(|| Arc::new(Base::of(&list)));
        let delta = self.signer.crl(base.delta(&list), issuer.clone()).await?;
        let whole = self.signer.crl(list, issuer).await?;
        Ok(Lists { whole, delta, base })
    }
}

/// An issuing CA as the root's list has it.
fn distrusted(issuing: &AuthorityRecord) -> Option<Revoked> {
    let (at, reason) = issuing.distrusted?;
    let ((_, not_after), _) = authority::read(&issuing.der)?;
    Some(Revoked { serial: authority::serial(&issuing.der)?, at, reason, not_after })
}
