//! The revocation list, for those who ask.

use hedgerow_identity::revocation;

use hedgerow_base::{Fault, Timestamp};

use crate::{Control, Failure};

impl Control {
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
