//! The tokens that programs sign in with, as the control plane committed them.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use hedgerow_base::{TenantId, Timestamp};
use hedgerow_policy::{Application, CertificateId, Scopes, TopicGrants};

use crate::Directory;

/// Everything that decides what a program may do on the data plane.
#[derive(Clone, Debug)]
pub struct TokenAdmission {
    /// Whose program.
    pub tenant: TenantId,
    /// The token's number.
    pub token: i64,
    /// SHA-256 over its secret.
    pub hash: [u8; 32],
    /// The certificate that its program may show instead.
    pub certificate: Option<CertificateId>,
    /// What it may do, where no grant says more.
    pub scopes: Scopes,
    /// What it may say and hear; with none, what its scopes say.
    pub grants: Arc<TopicGrants>,
    /// Until when it works; none for the token of the machine itself.
    pub expires: Option<Timestamp>,
}

impl TokenAdmission {
    fn application(&self, now: Timestamp) -> Option<Application> {
        let Self { tenant, token, scopes, .. } = *self;
        (!self.is_expired(now)).then_some(Application { tenant, token, scopes })
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A token, with what is noted of its program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) token: TokenAdmission,
    /// One bit for each kind of denial that was noticed.
    pub(crate) denied: Arc<AtomicU64>,
}

/// Known tokens, found by the hash of what was shown and by their number.
#[derive(Debug)]
pub(crate) struct Tokens {
    known: RwLock<Known>,
    /// When the next of them expires, in milliseconds.
    next_expiry: AtomicI64,
}

#[derive(Debug, Default)]
struct Known {
    by_number: HashMap<(TenantId, i64), Arc<Program>>,
    by_hash: HashMap<[u8; 32], (TenantId, i64)>,
    by_certificate: HashMap<CertificateId, (TenantId, i64)>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { known: RwLock::default(), next_expiry: AtomicI64::new(i64::MAX) }
    }
}

impl Tokens {
    pub(crate) fn find(&self, tenant: TenantId, token: i64) -> Option<Arc<Program>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_number.get(&(tenant, token)).map(Arc::clone)
    }

    fn of_hash(&self, hash: &[u8; 32]) -> Option<Arc<Program>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_number.get(known.by_hash.get(hash)?).map(Arc::clone)
    }

    fn of_certificate(&self, certificate: CertificateId) -> Option<Arc<Program>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_number.get(known.by_certificate.get(&certificate)?).map(Arc::clone)
    }

    fn change(&self, act: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        act(&mut known);
    }

    fn expires_at_the_latest(&self, at: Timestamp) {
        self.next_expiry.fetch_min(at.as_ms(), Ordering::AcqRel);
    }

    /// Whether a token has expired since this was asked before.
    fn has_expired(&self, now: Timestamp) -> bool {
        if now.as_ms() < self.next_expiry.load(Ordering::Acquire) {
            return false;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let later = known.by_number.values().filter_map(|program| program.token.expires);
        let next = later.filter(|expires| now < *expires).min();
        self.next_expiry.store(next.map_or(i64::MAX, Timestamp::as_ms), Ordering::Release);
        true
    }
}

impl Known {
    fn put(&mut self, token: TokenAdmission) {
        let place = (token.tenant, token.token);
        let old = self.by_number.get(&place);
        let denied = old.map(|old| Arc::clone(&old.denied)).unwrap_or_default();
        if let Some(old) = old.map(|old| old.token.clone()) {
            self.forget_proofs(&old);
        }
        self.by_hash.insert(token.hash, place);
        self.by_certificate.extend(token.certificate.map(|certificate| (certificate, place)));
        self.by_number.insert(place, Arc::new(Program { token, denied }));
    }

    fn forget_proofs(&mut self, token: &TokenAdmission) {
        self.by_hash.remove(&token.hash);
        if let Some(certificate) = token.certificate {
            self.by_certificate.remove(&certificate);
        }
    }
}

impl Directory {
    /// Puts tokens in, or in place of what was known of them. To be called after each commit that makes
    /// one.
    pub fn apply_tokens(&self, tokens: impl IntoIterator<Item = TokenAdmission>) {
        self.tokens.change(|known| {
            for token in tokens {
                token.expires.into_iter().for_each(|at| self.tokens.expires_at_the_latest(at));
                known.put(token);
            }
        });
        self.changed();
    }

    /// Takes a token out; its sessions end at their next judgement.
    pub fn remove_token(&self, tenant: TenantId, token: i64) {
        self.tokens.change(|known| {
            if let Some(old) = known.by_number.remove(&(tenant, token)) {
                known.forget_proofs(&old.token);
            }
        });
        self.changed();
    }

    /// The program whose secret has this SHA-256, while its token works.
    #[must_use]
    pub fn application(&self, hash: &[u8; 32], now: Timestamp) -> Option<Application> {
        self.tokens.of_hash(hash)?.token.application(now)
    }

    /// The program that shows this certificate, while its token works.
    #[must_use]
    pub fn certified_application(
        &self,
        certificate: CertificateId,
        now: Timestamp,
    ) -> Option<Application> {
        self.tokens.of_certificate(certificate)?.token.application(now)
    }

    /// Whether a token is known and still works.
    #[must_use]
    pub fn knows_program(&self, tenant: TenantId, token: i64, now: Timestamp) -> bool {
        let known = self.tokens.find(tenant, token);
        known.is_some_and(|known| !known.token.is_expired(now))
    }

    /// Sessions are judged again when a token has expired since the last call. To be called several times a
    /// second; it costs one atomic load.
    pub fn expire_tokens(&self, now: Timestamp) {
        if self.tokens.has_expired(now) {
            self.changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn token(number: i64, hash: u8, expires: Option<Timestamp>) -> TokenAdmission {
        TokenAdmission {
            certificate: None,
            tenant: TenantId::FIRST,
            token: number,
            hash: [hash; 32],
            scopes: Scopes::READ,
            grants: Arc::default(),
            expires,
        }
    }

    #[test]
    fn a_secret_is_known_until_its_token_is_removed_or_expires() {
        let directory = Directory::default();
        directory.apply_tokens([token(1, 1, None), token(2, 2, Some(NOW.plus_ms(10)))]);
        let number = |hash, now| directory.application(&[hash; 32], now).map(|found| found.token);
        assert_eq!((number(1, NOW), number(2, NOW), number(3, NOW)), (Some(1), Some(2), None));
        assert_eq!((number(2, NOW.plus_ms(9)), number(2, NOW.plus_ms(10))), (Some(2), None));
        directory.remove_token(TenantId(2), 1);
        assert_eq!(number(1, NOW), Some(1), "another tenant's token of that number");
        directory.remove_token(TenantId::FIRST, 1);
        assert_eq!(number(1, NOW), None);
        let knows = |number, now| directory.knows_program(TenantId::FIRST, number, now);
        assert!(knows(2, NOW) && !knows(2, NOW.plus_ms(10)) && !knows(1, NOW));
        directory.apply_tokens([token(2, 7, None)]);
        assert_eq!((number(2, NOW), number(7, NOW)), (None, Some(2)), "the old secret is gone");
    }

    #[test]
    fn sessions_are_judged_again_once_for_each_expiry() {
        let directory = Directory::default();
        let at = |ms| Some(NOW.plus_ms(ms));
        directory.apply_tokens([token(1, 1, at(10)), token(2, 2, at(20)), token(3, 3, None)]);
        let moves = |ms| {
            let before = directory.revision();
            directory.expire_tokens(NOW.plus_ms(ms));
            directory.revision() != before
        };
        assert_eq!([moves(9), moves(10), moves(11), moves(19)], [false, true, false, false]);
        assert_eq!([moves(25), moves(26), moves(1_000_000)], [true, false, false]);
    }
}
