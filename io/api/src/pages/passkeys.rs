//! Passkeys (WebAuthn level 3), made and used.
//!
//! 1. The page asks to begin; the hub answers with a question and the number of the ceremony.
//! 2. The browser has the person's authenticator answer it.
//! 3. The page sends number and answer; the hub checks them against what it asked.
//!
//! A passkey belongs to a host name, so each is kept with the one that it was made at. Whoever asks for
//! a name that has no passkey gets a question that looks like any other and can't be answered.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use axum::{
    Extension, Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, Method, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hedgerow_base::{Fault, Timestamp};
use hedgerow_control::{Failure, SignInRequest};
use hedgerow_listen::server::now;
use hedgerow_policy::PersonId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{
        Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
        RegisterPublicKeyCredential, Url,
    },
};

use super::visitor::{Turned, Visitor};
use crate::{
    People,
    door::{Transport, digest, refuse_foreign_pages, session},
    limits::{CEREMONIES_MAX, CEREMONY_LIFE_MS, PASSKEY_NAME_CHARS_MAX},
    problem::Refused,
    rest::{forms::Body, session::welcome},
};

/// What was asked and waits for its answer.
enum Asked {
    New(PersonId, Box<PasskeyRegistration>),
    SignIn(PersonId, Box<PasskeyAuthentication>),
    /// Of a name that has no passkey: no answer fits.
    Nobody,
}

struct Ceremony {
    number: String,
    ends: Timestamp,
    asked: Asked,
}

/// Ceremonies under way, in memory: who restarts the hub begins again.
#[derive(Default)]
pub struct Passkeys {
    open: Mutex<VecDeque<Ceremony>>,
    /// Known to nobody, so that nobody can tell a made-up credential from a real one.
    salt: OnceLock<String>,
}

impl Passkeys {
    fn put(&self, number: String, asked: Asked, now: Timestamp) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|ceremony| now < ceremony.ends);
        while open.len() >= CEREMONIES_MAX {
            open.pop_front();
        }
        open.push_back(Ceremony { number, ends: now.plus_ms(CEREMONY_LIFE_MS), asked });
    }

    fn take(&self, number: &str, now: Timestamp) -> Option<Asked> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|ceremony| ceremony.number == number)?;
        open.remove(at).filter(|ceremony| now < ceremony.ends).map(|ceremony| ceremony.asked)
    }
}

/// The host and origin that a browser came to.
pub(crate) struct Site {
    host: String,
    origin: Url,
}

impl Site {
    /// Where passkeys can be made and used.
    ///
    /// # Errors
    /// Why not here, for people.
    pub(crate) fn of(
        people: &People,
        transport: Transport,
        headers: &HeaderMap,
    ) -> Result<Self, String> {
        let authority = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        Self::at(&people.hosts, transport, authority.unwrap_or_default())
    }

    fn at(hosts: &[String], transport: Transport, authority: &str) -> Result<Self, String> {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_lowercase();
        let scheme = match transport {
            Transport::Https => "https",
            Transport::Local if host == "localhost" => "http",
            Transport::Local => return Err("open this page as http://localhost.".into()),
        };
        if !hosts.contains(&host) {
            return Err(format!(
                "they need one of the hub's host names ({}), not an address.",
                hosts.join(", ")
            ));
        }
        let origin = Url::parse(&format!("{scheme}://{authority}")).map_err(|e| e.to_string())?;
        Ok(Self { host, origin })
    }

    fn webauthn(&self) -> Result<Webauthn, Failure> {
        WebauthnBuilder::new(&self.host, &self.origin)
            .and_then(|builder| builder.rp_name("Hedgerow").build())
            .map_err(|error| {
                Failure::new(Fault::Broken, format!("passkeys at {}: {error}", self.host))
            })
    }
}

fn here(people: &People, transport: Transport, headers: &HeaderMap) -> Result<Site, Refused> {
    let why_not = |why| Refused::invalid(format!("passkeys don't work here: {why}"));
    Site::of(people, transport, headers).map_err(why_not)
}

/// A passkey as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) host: String,
    made: String,
    key: Passkey,
}

impl Kept {
    pub(super) fn made(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.made)
    }
}

async fn kept(
    people: &People,
    person: PersonId,
    site: &Site,
) -> Result<Vec<(String, Kept)>, Refused> {
    let all = people.control.passkeys(person).await?;
    let read = all.into_iter().filter_map(|(_, name, data)| {
        serde_json::from_str::<Kept>(&data).ok().map(|kept| (name, kept))
    });
    Ok(read.filter(|(_, kept)| kept.host == site.host).collect())
}

/// A question, and the number of its ceremony.
#[derive(Serialize)]
pub(crate) struct Question {
    ceremony: String,
    options: Value,
}

fn in_json(options: impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(options)
        .map_err(|error| Failure::new(Fault::Broken, format!("a passkey's question: {error}")))
}

fn refused(error: impl std::fmt::Display) -> Refused {
    tracing::info!(%error, "a passkey was refused");
    Failure::new(Fault::Denied, "the passkey was refused; try again, or sign in another way").into()
}

/// A new passkey for whoever is signed in.
pub(crate) async fn begin_new(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
    Scripted(visitor): Scripted,
) -> Result<Json<Question>, Refused> {
    begin_registration(&people, transport, &headers, &visitor).await
}

/// A visitor by way of a script, which is told in its own form when nobody is signed in.
pub(crate) struct Scripted(Visitor);

impl FromRequestParts<Arc<People>> for Scripted {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, people: &Arc<People>) -> Result<Self, Response> {
        match Visitor::from_request_parts(parts, people).await {
            Ok(visitor) => Ok(Self(visitor)),
            Err(Turned::SignIn { .. }) => Err(Refused::unknown().into_response()),
            Err(Turned::Trouble(trouble)) => Err(trouble.into_response()),
        }
    }
}

async fn begin_registration(
    people: &People,
    transport: Transport,
    headers: &HeaderMap,
    visitor: &Visitor,
) -> Result<Json<Question>, Refused> {
    let site = here(people, transport, headers)?;
    let person = &visitor.person;
    let known = people.control.passkeys(person.id).await?;
    let known = known.into_iter().map(|(credential, ..)| credential).collect();
    let handle = Uuid::from_u64_pair(person.tenant.0.into(), person.id.0.cast_unsigned());
    let (options, state) = site
        .webauthn()?
        .start_passkey_registration(handle, &person.name, &person.name, Some(known))
        .map_err(refused)?;
    let ceremony = people.secret();
    let asked = Asked::New(person.id, Box::new(state));
    people.passkeys.put(ceremony.clone(), asked, visitor.now());
    Ok(Json(Question { ceremony, options: in_json(options)? }))
}

/// The answer of a new passkey.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAnswer {
    ceremony: String,
    name: String,
    answer: RegisterPublicKeyCredential,
}

pub(crate) async fn finish_new(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
    Scripted(visitor): Scripted,
    Body(body): Body<NewAnswer>,
) -> Result<Json<Value>, Refused> {
    finish_registration(&people, transport, &headers, &visitor, body).await?;
    Ok(Json(json!({ "kept": true })))
}

async fn finish_registration(
    people: &People,
    transport: Transport,
    headers: &HeaderMap,
    visitor: &Visitor,
    body: NewAnswer,
) -> Result<(), Refused> {
    let site = here(people, transport, headers)?;
    let now = visitor.now();
    let state = match people.passkeys.take(&body.ceremony, now) {
        Some(Asked::New(person, state)) if person == visitor.person.id => state,
        Some(_) | None => return Err(refused("no such ceremony")),
    };
    let key =
        site.webauthn()?.finish_passkey_registration(&body.answer, &state).map_err(refused)?;
    let name: String = body.name.trim().chars().filter(|c| !c.is_control()).collect();
    let name = name.chars().take(PASSKEY_NAME_CHARS_MAX).collect::<String>();
    let name = if name.is_empty() { format!("Passkey at {}", site.host) } else { name };
    let credential = key.cred_id().to_vec();
    let kept = Kept { host: site.host, made: now.to_string(), key };
    let data = in_json(kept)?.to_string();
    people.control.put_passkey(&visitor.ctx, credential, name, data).await?;
    Ok(())
}

/// Who wants to sign in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Who {
    name: String,
}

pub(crate) async fn begin_sign_in(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    method: Method,
    headers: HeaderMap,
    Body(who): Body<Who>,
) -> Result<Json<Question>, Refused> {
    refuse_foreign_pages(&method, &headers)?;
    let site = here(&people, transport, &headers)?;
    let ceremony = people.secret();
    let person = people.control.person_by_name(who.name.trim()).await?;
    let keys = match &person {
        Some(person) => kept(&people, person.id, &site).await?,
        None => Vec::new(),
    };
    let keys: Vec<Passkey> = keys.into_iter().map(|(_, kept)| kept.key).collect();
    let (asked, options) = match person.filter(|_| !keys.is_empty()) {
        Some(person) => {
            let started = site.webauthn()?.start_passkey_authentication(&keys);
            let (options, state) = started.map_err(refused)?;
            (Asked::SignIn(person.id, Box::new(state)), in_json(options)?)
        }
        None => (Asked::Nobody, decoy(&people, &site, who.name.trim())),
    };
    people.passkeys.put(ceremony.clone(), asked, now());
    Ok(Json(Question { ceremony, options }))
}

/// A question for a name without passkeys: the same credential for the same name until the hub starts
/// again.
fn decoy(people: &People, site: &Site, name: &str) -> Value {
    let salt = people.passkeys.salt.get_or_init(|| people.secret());
    let mut hash = Sha256::new_with_prefix(salt.as_bytes());
    hash.update(name.as_bytes());
    let id = URL_SAFE_NO_PAD.encode(hash.finalize());
    json!({ "publicKey": {
        "challenge": people.secret(), "timeout": CEREMONY_LIFE_MS, "rpId": site.host,
        "allowCredentials": [{ "type": "public-key", "id": id }], "userVerification": "required",
    }})
}

/// The answer of a passkey.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    ceremony: String,
    answer: PublicKeyCredential,
}

pub(crate) async fn finish_sign_in(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    method: Method,
    headers: HeaderMap,
    Body(body): Body<Answer>,
) -> Result<Response, Refused> {
    refuse_foreign_pages(&method, &headers)?;
    let site = here(&people, transport, &headers)?;
    let now = now();
    let (person, state) = match people.passkeys.take(&body.ceremony, now) {
        Some(Asked::SignIn(person, state)) => (person, state),
        Some(_) | None => return Err(refused("no such ceremony")),
    };
    let answer = site.webauthn()?.finish_passkey_authentication(&body.answer, &state);
    let answer = answer.map_err(refused)?;
    let cookie = people.secret();
    let hash = digest(&cookie);
    let signed_in = people.control.sign_in(SignInRequest::Passkey(person), hash, now).await?;
    // The counter moves on, so that a copy of the authenticator is noticed.
    for (name, mut known) in kept(&people, person, &site).await? {
        if known.key.update_credential(&answer) == Some(true) {
            let who = session(&people, hash).await?;
            let credential = known.key.cred_id().to_vec();
            let data = in_json(known)?.to_string();
            people.control.put_passkey(&who.ctx, credential, name, data).await?;
        }
    }
    Ok(welcome(transport, &cookie, signed_in))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<String> {
        vec!["localhost".into(), "hub".into()]
    }

    #[test]
    fn passkeys_need_a_host_name_of_the_hub() {
        let at = |transport, authority| Site::at(&hosts(), transport, authority);
        assert!(at(Transport::Local, "localhost:8080").is_ok());
        assert!(at(Transport::Https, "hub:8443").is_ok());
        assert!(at(Transport::Https, "Hub").is_ok());
        for wrong in ["127.0.0.1:8080", "[::1]:8080", "evil:8080", ""] {
            assert!(at(Transport::Https, wrong).is_err(), "{wrong}");
            assert!(at(Transport::Local, wrong).is_err(), "{wrong}");
        }
        assert!(at(Transport::Local, "hub:8080").is_err(), "no secure context");
    }

    #[test]
    fn a_ceremony_is_used_once_and_ends() {
        let (open, begun) = (Passkeys::default(), Timestamp::from_secs(1));
        open.put("a".into(), Asked::Nobody, begun);
        assert!(open.take("a", begun).is_some());
        assert!(open.take("a", begun).is_none(), "used");
        open.put("b".into(), Asked::Nobody, begun);
        assert!(open.take("b", begun.plus_ms(CEREMONY_LIFE_MS)).is_none(), "too late");
    }

    #[test]
    fn one_ceremony_past_the_limit_lets_the_oldest_go() {
        let (open, now) = (Passkeys::default(), Timestamp::from_secs(1));
        for number in 0..CEREMONIES_MAX {
            open.put(number.to_string(), Asked::Nobody, now);
        }
        assert!(open.take("1", now).is_some());
        open.put("1".into(), Asked::Nobody, now);
        open.put("last".into(), Asked::Nobody, now);
        assert!(open.take("0", now).is_none() && open.take("last", now).is_some());
    }
}
