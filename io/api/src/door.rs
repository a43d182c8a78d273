//! Who asks: a program with a token, or a person with a cookie.
//!
//! A cookie is sent by the browser whoever wrote the page, so a request that changes something must come
//! from a page of our own: `Sec-Fetch-Site` or `Origin` has to say so. The cookie is `SameSite=Strict` and
//! `HttpOnly`, and `Secure` over HTTPS. Tokens and cookies are looked up by their SHA-256.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use hedgerow_base::Fault;
use hedgerow_control::{Ctx, Failure, Person};
use hedgerow_listen::server::now;
use hedgerow_policy::{Actor, Application, Peer, Witness};
use sha2::{Digest, Sha256};

use crate::{People, problem::Refused};

/// The cookie over HTTP on loopback.
const LOCAL_COOKIE: &str = "hedgerow";
/// The cookie over HTTPS: the prefix binds it to this very host (RFC 6265bis section 4.1.3.2).
const SECURE_COOKIE: &str = "__Host-hedgerow";

/// By which of the two ways a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTPS, from anywhere.
    Https,
    /// HTTP on loopback.
    Local,
}

impl Transport {
    const fn cookie(self) -> &'static str {
        match self {
            Self::Https => SECURE_COOKIE,
            Self::Local => LOCAL_COOKIE,
        }
    }

    /// The `Set-Cookie` that signs a browser in.
    pub(crate) fn set_cookie(self, value: &str, max_age_s: i64) -> String {
        let secure = if self == Self::Https { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}",
            self.cookie()
        )
    }
}

/// Who is signed in, proven for this request.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    /// For the control plane.
    pub(crate) ctx: Ctx,
    /// The person, when it is one.
    pub(crate) person: Option<Person>,
    /// SHA-256 over the cookie, when there is one.
    pub(crate) session: Option<[u8; 32]>,
    /// SHA-256 over the secret of the token, when there is one.
    pub(crate) token: Option<[u8; 32]>,
}

impl SignedIn {
    /// Whoever is at the other end, as it was proven.
    pub(crate) fn peer(&self) -> Result<Peer, Refused> {
        match self.ctx.actor {
            Actor::Peer(peer) => Ok(peer),
            Actor::Hub(..) | Actor::Claimant(..) | Actor::Lapsed(_) => Err(Refused::unknown()),
        }
    }

    /// Whether they could still sign in so, with the same rights. When nobody knows, they could not.
    pub(crate) async fn is_still(&self, people: &People) -> bool {
        let again = match (self.session, self.token) {
            (Some(cookie), _) => session(people, cookie).await,
            (None, Some(secret)) => by_token(people, secret).await,
            (None, None) => return false,
        };
        again.is_ok_and(|again| again.ctx.actor == self.ctx.actor)
    }
}

/// SHA-256 over a secret that was made of 256 random bits.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl FromRequestParts<Arc<People>> for SignedIn {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, people: &Arc<People>) -> Result<Self, Refused> {
        if let Some(token) = bearer(&parts.headers) {
            return by_token(people, digest(token)).await;
        }
        let transport = transport(parts);
        let cookie = cookie(&parts.headers, transport.cookie()).ok_or_else(Refused::unknown)?;
        refuse_foreign_pages(&parts.method, &parts.headers)?;
        by_cookie(people, cookie).await
    }
}

pub(crate) fn transport(parts: &Parts) -> Transport {
    parts.extensions.get::<Transport>().copied().unwrap_or(Transport::Https)
}

async fn by_token(people: &People, secret: [u8; 32]) -> Result<SignedIn, Refused> {
    let now = now();
    let token = people.control.token_of(secret, now).await?;
    let token = token.ok_or_else(Refused::unknown)?;
    let application = Application { tenant: token.tenant, token: token.id, scopes: token.scopes };
    let peer = Witness::of_a_proof().application(application);
    let ctx = Ctx::new(Actor::Peer(peer), now);
    Ok(SignedIn { ctx, person: None, session: None, token: Some(secret) })
}

async fn by_cookie(people: &People, cookie: &str) -> Result<SignedIn, Refused> {
    session(people, digest(cookie)).await
}

/// Who is signed in by a cookie whose SHA-256 this is.
pub(crate) async fn session(people: &People, session: [u8; 32]) -> Result<SignedIn, Refused> {
    let now = now();
    let found = people.control.session_of(Witness::of_a_proof(), session, now).await?;
    let (person, actor) = found.ok_or_else(Refused::unknown)?;
    let ctx = Ctx::new(actor, now);
    Ok(SignedIn { ctx, person: Some(person), session: Some(session), token: None })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A cookie of a request.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|p| p.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// Refuses a change that a page of somebody else asks for in a signed-in browser's name.
pub(crate) fn refuse_foreign_pages(method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match text("sec-fetch-site") {
        Some(site) => matches!(site, "same-origin" | "none"),
        None => match (text("origin"), text("host")) {
            (Some(origin), Some(host)) => {
                origin.split_once("://").is_some_and(|(_, authority)| authority == host)
            }
            (None, _) | (_, None) => false,
        },
    };
    if is_ours {
        return Ok(());
    }
    let reason = "the request comes from a page of somebody else; reload this page and try again";
    Err(Refused::from(Failure::new(Fault::Denied, reason)).with_status(StatusCode::FORBIDDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn is_taken(method: &Method, pairs: &[(&'static str, &'static str)]) -> bool {
        refuse_foreign_pages(method, &headers(pairs)).is_ok()
    }

    #[test]
    fn changes_asked_for_by_other_pages_are_refused() {
        assert!(is_taken(&Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(!is_taken(&Method::POST, &[("sec-fetch-site", "cross-site")]));
        assert!(!is_taken(&Method::POST, &[("sec-fetch-site", "same-site")]));
        let host = ("host", "localhost:8080");
        assert!(is_taken(&Method::POST, &[("origin", "http://localhost:8080"), host]));
        assert!(!is_taken(&Method::DELETE, &[("origin", "http://evil:8080"), host]));
        assert!(!is_taken(&Method::POST, &[host]), "unknown means no");
        assert!(is_taken(&Method::GET, &[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn cookies_and_tokens_are_found_among_others() {
        let headers =
            headers(&[("cookie", "a=b; hedgerow=secret; c=d"), ("authorization", "bearer  t")]);
        assert_eq!(cookie(&headers, LOCAL_COOKIE), Some("secret"));
        assert_eq!(cookie(&headers, SECURE_COOKIE), None);
        assert_eq!(bearer(&headers), Some("t"));
    }

    #[test]
    fn the_cookie_over_https_is_secure_and_neither_is_for_scripts() {
        let https = Transport::Https.set_cookie("x", 60);
        assert!(https.starts_with("__Host-") && https.contains("; Secure"));
        for cookie in [https, Transport::Local.set_cookie("x", 60)] {
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
        }
    }
}
