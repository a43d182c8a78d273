//! Who stands at a port that welcomes more than certificates.
//!
//! 1. A client without a certificate gets through TLS as [`Unproven`], with the address that it comes from.
//! 2. The first thing that it says has to carry the secret of a token, or at a port for them the password of
//!    a weak device ([`Unproven::sign_in`]). Secrets have 256 random bits, passwords 128; they are looked up
//!    by their SHA-256, in memory.
//! 3. A wrong one is answered late ([`NotSignedIn::wait_ms`]), the later the more often one came from the
//!    same address. A right one is never kept waiting by others' wrong ones, until there were so many that
//!    the source is banned for a while: then nobody signs in from there with a secret. Client certificates
//!    are not asked here, so devices behind the same address come and go as before.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hedgerow_base::Timestamp;
use hedgerow_policy::{Application, CertificateId, Peer, WeakDevice, Witness};
use sha2::{Digest, Sha256};

use crate::{
    limits::{
        FAILED_SIGN_INS_FREE, FAILED_SIGN_INS_KEEP_MS, FAILED_SIGN_INS_MAX, SIGN_IN_SOURCES_MAX,
        SIGN_IN_WAIT_MS, SIGN_IN_WAIT_MS_MAX,
    },
    sources::source,
};

type Find = dyn Fn(Shown<'_>, Timestamp) -> Option<Proved> + Send + Sync;

/// What somebody showed.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// A secret.
    Secret {
        /// The user name; programs may give any.
        user: &'a str,
        /// SHA-256 over the secret.
        hash: &'a [u8; 32],
    },
    /// A program's certificate, verified in the handshake.
    Certificate(CertificateId),
}

/// Who that proved to be.
#[derive(Clone, Copy, Debug)]
pub enum Proved {
    /// A program, by its token.
    Application(Application),
    /// A device, by its password.
    Device(WeakDevice),
}

/// Who came through a port's door.
#[derive(Debug)]
pub enum Caller {
    /// Somebody whom the connection itself proves.
    Proven(Peer),
    /// Somebody who has yet to sign in.
    Unproven(Unproven),
}

/// Where programs sign in with the secret of a token. Shared by all connections of a port.
pub struct SignIn {
    find: Box<Find>,
    failures_max: u32,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// A client that proved nothing yet.
#[derive(Clone, Debug)]
pub struct Unproven {
    source: IpAddr,
    desk: Arc<SignIn>,
}

/// The secret was not one of a token that works, or it was not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSignedIn {
    /// Milliseconds to let pass before the client is told.
    pub wait_ms: i64,
    /// Whether the source is banned, for at most [`FAILED_SIGN_INS_KEEP_MS`].
    pub is_banned: bool,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("sources", &self.failures().len()).finish_non_exhaustive()
    }
}

impl SignIn {
    /// `find` knows whose secret has a SHA-256, while it works; it must answer from memory.
    pub fn new(
        find: impl Fn(Shown<'_>, Timestamp) -> Option<Proved> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::with_failures_max(FAILED_SIGN_INS_MAX, find)
    }

    /// The same, with so many wrong secrets from a source before it is banned.
    pub fn with_failures_max(
        failures_max: u32,
        find: impl Fn(Shown<'_>, Timestamp) -> Option<Proved> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { find: Box::new(find), failures_max, failures: Mutex::default() })
    }

    /// The program that proved this certificate of ours in its handshake, while its token works.
    pub(crate) fn certified(&self, certificate: CertificateId, now: Timestamp) -> Option<Peer> {
        match (self.find)(Shown::Certificate(certificate), now)? {
            Proved::Application(application) => {
                Some(Witness::of_a_proof().application(application))
            }
            Proved::Device(_) => None,
        }
    }

    /// Somebody from `address` stands here.
    #[must_use]
    pub fn caller(self: &Arc<Self>, address: IpAddr) -> Unproven {
        Unproven { source: source(address), desk: Arc::clone(self) }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_banned(&self, source: IpAddr, now: Timestamp) -> bool {
        self.failures().get(&source).is_some_and(|known| {
            known.count >= self.failures_max && now.since_ms(known.last) < FAILED_SIGN_INS_KEEP_MS
        })
    }

    /// Notes a failure; how long its answer is to wait.
    fn failed(&self, source: IpAddr, now: Timestamp) -> i64 {
        let is_old = |known: &Failures| now.since_ms(known.last) >= FAILED_SIGN_INS_KEEP_MS;
        let mut failures = self.failures();
        if failures.len() >= SIGN_IN_SOURCES_MAX && !failures.contains_key(&source) {
            failures.retain(|_, known| !is_old(known));
            if failures.len() >= SIGN_IN_SOURCES_MAX {
                // So many sources at once are an attack: nobody's wrong secret is answered soon.
                return SIGN_IN_WAIT_MS_MAX;
            }
        }
        let known = failures.entry(source).or_insert(Failures { count: 0, last: now });
        if is_old(known) {
            known.count = 0;
        }
        *known = Failures { count: known.count.saturating_add(1), last: now };
        wait_ms(known.count)
    }
}

impl Unproven {
    /// Signs in with the secret of a token, or a device's password.
    ///
    /// # Errors
    /// When it is nobody's, or too many came from here that were nobody's.
    pub fn sign_in(&self, user: &str, secret: &[u8], now: Timestamp) -> Result<Peer, NotSignedIn> {
        if self.desk.is_banned(self.source, now) {
            // Not counted: a program that goes on and on must not keep its neighbours out for ever.
            return Err(NotSignedIn { wait_ms: SIGN_IN_WAIT_MS_MAX, is_banned: true });
        }
        let hash = Sha256::digest(secret).into();
        match (self.desk.find)(Shown::Secret { user, hash: &hash }, now) {
            Some(Proved::Application(application)) => {
                Ok(Witness::of_a_proof().application(application))
            }
            Some(Proved::Device(device)) => Ok(Witness::of_a_proof().weak_device(device)),
            None => {
                Err(NotSignedIn { wait_ms: self.desk.failed(self.source, now), is_banned: false })
            }
        }
    }
}

fn wait_ms(failures: u32) -> i64 {
    match failures.checked_sub(FAILED_SIGN_INS_FREE + 1) {
        None => 0,
        Some(doublings) => SIGN_IN_WAIT_MS
            .saturating_mul(1i64.checked_shl(doublings).filter(|d| *d > 0).unwrap_or(i64::MAX))
            .min(SIGN_IN_WAIT_MS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_base::TenantId;
    use hedgerow_policy::Scopes;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const RIGHT: &[u8] = b"right";

    fn desk() -> Arc<SignIn> {
        let application = Application { tenant: TenantId::FIRST, token: 7, scopes: Scopes::READ };
        let right: [u8; 32] = Sha256::digest(RIGHT).into();
        SignIn::new(move |shown, _| {
            let Shown::Secret { hash, .. } = shown else { return None };
            (*hash == right).then_some(Proved::Application(application))
        })
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn wait(desk: &Arc<SignIn>, from: IpAddr, now: Timestamp) -> i64 {
        desk.caller(from).sign_in("token", b"wrong", now).unwrap_err().wait_ms
    }

    #[test]
    fn the_right_secret_makes_a_peer_and_nothing_else_does() {
        let caller = desk().caller(address(1));
        let peer = caller.sign_in("token", RIGHT, NOW).unwrap();
        assert_eq!(peer.application().map(|application| application.token), Some(7));
        for wrong in [&b""[..], b"righ", b"right ", b"RIGHT", &[0; 32]] {
            assert!(caller.sign_in("token", wrong, NOW).is_err());
        }
    }

    #[test]
    fn wrong_secrets_wait_longer_and_longer_and_the_right_one_never() {
        let desk = desk();
        let waits: Vec<i64> =
            (0..FAILED_SIGN_INS_FREE + 8).map(|_| wait(&desk, address(1), NOW)).collect();
        let (free, grown) = waits.split_at(FAILED_SIGN_INS_FREE as usize);
        assert!(free.iter().all(|wait| *wait == 0));
        assert_eq!(grown, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert!(desk.caller(address(1)).sign_in("token", RIGHT, NOW).is_ok());
        assert_eq!(wait(&desk, address(2), NOW), 0, "another address is another source");
        assert_eq!(wait_ms(u32::MAX), SIGN_IN_WAIT_MS_MAX);
    }

    #[test]
    fn failures_are_forgotten_after_a_while() {
        let desk = desk();
        (0..20).for_each(|_| assert!(wait(&desk, address(1), NOW) >= 0));
        assert_eq!(wait(&desk, address(1), NOW.plus_ms(FAILED_SIGN_INS_KEEP_MS - 1)), 8000);
        let later = NOW.plus_ms(2 * FAILED_SIGN_INS_KEEP_MS);
        assert_eq!(wait(&desk, address(1), later), 0);
    }

    #[test]
    fn so_many_wrong_secrets_ban_a_source_for_a_while_and_one_less_does_not() {
        let desk = desk();
        let banned = |from, secret: &[u8], now| {
            let told = desk.caller(address(from)).sign_in("token", secret, now);
            told.err().is_some_and(|not| not.is_banned)
        };
        (0..FAILED_SIGN_INS_MAX - 1).for_each(|_| assert!(!banned(1, b"wrong", NOW)));
        assert!(!banned(1, RIGHT, NOW), "the right one goes through until then");
        assert!(!banned(1, b"wrong", NOW), "the last that is looked at");
        assert!(banned(1, RIGHT, NOW), "not even the right one");
        assert!(!banned(2, RIGHT, NOW), "another source is not banned");
        let end = NOW.plus_ms(FAILED_SIGN_INS_KEEP_MS);
        assert!(banned(1, b"wrong", end.plus_ms(-1)), "and that makes the ban no longer");
        assert!(!banned(1, RIGHT, end));
        assert_eq!(wait(&desk, address(1), end), 0, "all is forgotten");
    }

    #[test]
    fn so_many_sources_are_told_apart_and_one_more_is_not_remembered() {
        let desk = desk();
        let most = u32::try_from(SIGN_IN_SOURCES_MAX).unwrap();
        (0..most).for_each(|number| assert_eq!(wait(&desk, address(number), NOW), 0));
        assert_eq!(wait(&desk, address(most), NOW), SIGN_IN_WAIT_MS_MAX);
        assert_eq!(desk.failures().len(), SIGN_IN_SOURCES_MAX);
        assert!(desk.caller(address(most)).sign_in("token", RIGHT, NOW).is_ok());
        let later = NOW.plus_ms(FAILED_SIGN_INS_KEEP_MS);
        assert_eq!(wait(&desk, address(most), later), 0, "the old ones made room");
        assert_eq!(desk.failures().len(), 1);
    }
}
