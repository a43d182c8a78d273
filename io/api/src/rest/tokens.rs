use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hedgerow_control::{NewToken, Token};
use hedgerow_listen::server::certificate_id;
use hedgerow_onboarding::est;
use hedgerow_policy::{Scopes, TopicGrant};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    devices::hex,
    forms::{Body, unprocessable, whole},
};
use crate::{
    People,
    door::{SignedIn, digest},
    problem::{Problem, Refused},
};

/// A program that shall sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What people will call it.
    #[schema(pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]{1,80}$")]
    name: String,
    /// What it may do: read, devices, admin. It needs one, or something in `allow`.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// What it may say and hear over MQTT, instead of what its scopes say there: `subscribe` or `publish`, a space, a
    /// topic filter.
    #[schema(max_items = 64)]
    #[serde(default)]
    allow: Vec<Grant>,
    /// How many seconds it works; 90 days when left out, 366 days at most.
    #[schema(minimum = 1, maximum = 31_622_400)]
    #[serde(default, deserialize_with = "whole")]
    expires_in: Option<i64>,
    /// A certification request (PKCS#10, PEM) for a P-256 key: the program then proves itself over MQTT by the
    /// certificate that comes back, and there is no secret.
    #[schema(max_length = 16384)]
    csr: Option<String>,
}

/// One thing that a token may say or hear over MQTT: `subscribe things/+/properties/#`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(pattern = r"^(publish|subscribe) [^\x00-\x1f]+$", max_length = 522)]
pub(crate) struct Grant(String);

/// A thing that a token may do.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Read devices, telemetry and audit.
    Read,
    /// Claim, quarantine, release and retire devices.
    Devices,
    /// People, tokens, settings.
    Admin,
}

impl Scope {
    const fn scopes(self) -> Scopes {
        match self {
            Self::Read => Scopes::READ,
            Self::Devices => Scopes::DEVICES,
            Self::Admin => Scopes::ADMIN,
        }
    }
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenView {
    /// Its number.
    id: i64,
    /// What people call it.
    name: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// What it may say and hear over MQTT; where it is empty, its scopes say.
    allow: Vec<String>,
    /// SHA-256 over the certificate that its program shows instead of a secret, in hex.
    certificate: Option<String>,
    /// When it was made.
    created: String,
    /// Until when it works; null for the token of the machine itself.
    expires: Option<String>,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenMade {
    /// Without its secret.
    token: TokenView,
    /// The secret; shown once, and null where there is a certificate instead.
    secret: Option<String>,
    /// The certificate and the issuing CA's (PEM), where a request was sent.
    certificate: Option<String>,
}

/// Tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    /// Oldest first.
    items: Vec<TokenView>,
    /// Always null.
    next: Option<String>,
}

fn view(token: &Token) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name.clone(),
        scopes: token.scopes.words().collect(),
        allow: token.grants.iter().map(TopicGrant::to_string).collect(),
        certificate: token.certificate.map(|one| hex(&one.id.0)),
        created: token.created.to_string(),
        expires: token.expires.map(|at| at.to_string()),
    }
}

fn grants(texts: &[Grant]) -> Result<Vec<TopicGrant>, Refused> {
    let read = |Grant(text): &Grant| {
        TopicGrant::parse(text).map_err(|error| {
            let reason = format!("allow {text:?}: {error}");
            Refused::invalid(reason).with_status(StatusCode::UNPROCESSABLE_ENTITY)
        })
    };
    texts.iter().map(read).collect()
}

/// Makes a token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = TokenRequest, responses(
    (status = 201, description = "The token; its secret is shown once", body = TokenMade),
    (status = 422, description = "Nothing that it may do, or a grant that is none", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Body(request): Body<TokenRequest>,
) -> Result<Response, Refused> {
    const DEFAULT_S: i64 = 90 * 86_400;
    let seconds = request.expires_in.unwrap_or(DEFAULT_S);
    let scopes = request.scopes.iter().map(|scope| scope.scopes()).fold(Scopes::NONE, Scopes::and);
    if scopes == Scopes::NONE && request.allow.is_empty() {
        let reason = "give it scopes (read, devices, admin), or something in allow";
        return Err(Refused::invalid(reason).with_status(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let life_ms = seconds.checked_mul(1000).unwrap_or(i64::MAX);
    let new = NewToken { name: request.name, scopes, grants: grants(&request.allow)?, life_ms };
    let made = match request.csr {
        Some(csr) => certified(&people, &who, new, &csr).await?,
        None => {
            let secret = people.secret();
            let token = people.control.create_token(&who.ctx, new, digest(&secret)).await?;
            TokenMade { token: view(&token), secret: Some(secret), certificate: None }
        }
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn certified(
    people: &People,
    who: &SignedIn,
    new: NewToken,
    csr: &str,
) -> Result<TokenMade, Refused> {
    // What is no body at all is no request either, and answered as such.
    let request = est::from_body(csr.as_bytes()).unwrap_or_default();
    let made =
        people.control.create_token_with_certificate(&who.ctx, new, &request, certificate_id);
    let (token, der) = made.await.map_err(unprocessable)?;
    let own = people.control.own_certificates(&who.ctx).await?;
    let by = token.certificate.map(|one| one.issuer);
    let issuing = own.iter().find(|(kind, one)| *kind == "issuing" && Some(one.id) == by);
    let issuing = issuing.map(|(_, one)| est::to_pem(&one.der));
    let certificate = Some(est::to_pem(&der) + &issuing.unwrap_or_default());
    Ok(TokenMade { token: view(&token), secret: None, certificate })
}

/// Tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses(
    (status = 200, description = "Tokens", body = TokenList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<TokenList>, Refused> {
    let tokens = people.control.tokens(&who.ctx).await?;
    Ok(Json(TokenList { items: tokens.iter().map(view).collect(), next: None }))
}

/// Takes a token away; it stops working at once.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = i64, Path, description = "The token's number")), responses(
    (status = 204, description = "It does not work any more"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    // No token has a negative number, so what is no number is simply not there.
    people.control.remove_token(&who.ctx, id.parse().unwrap_or(-1)).await?;
    Ok(StatusCode::NO_CONTENT)
}
