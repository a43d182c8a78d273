use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_base::Fault;
use hedgerow_control::{Failure, SignIn, SignInRequest, limits::SESSION_LIFE_MS};
use hedgerow_listen::server::now;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::forms::Body;
use crate::{
    People,
    door::{SignedIn, Transport, digest, refuse_foreign_pages},
    problem::{Problem, Refused},
};

/// How a person shows who they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
pub(crate) enum SignInBody {
    /// By the one-time link.
    Link {
        /// What stands behind the `#` of the link.
        token: String,
    },
    /// By name and password.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// The person's name; null for a token.
    name: Option<String>,
    /// owner, operator, viewer; null for a token.
    role: Option<&'static str>,
    /// Whether they have set a password.
    has_password: bool,
}

fn view(who: &SignedIn) -> SessionView {
    SessionView {
        name: who.person.as_ref().map(|person| person.name.clone()),
        role: who.person.as_ref().map(|person| person.role.word()),
        has_password: who.person.as_ref().is_some_and(|person| person.password.is_some()),
    }
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses(
    (status = 200, description = "Who is signed in", body = SessionView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(who: SignedIn) -> Json<SessionView> {
    Json(view(&who))
}

/// Signs a browser in: the answer carries its cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignInBody, security(()),
    responses(
    (status = 200, description = "Signed in", body = SessionView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn sign_in(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    method: Method,
    headers: HeaderMap,
    Body(body): Body<SignInBody>,
) -> Result<Response, Refused> {
    refuse_foreign_pages(&method, &headers)?;
    let request = match body {
        SignInBody::Link { token } => SignInRequest::Link(digest(&token)),
        SignInBody::Password { name, password } => SignInRequest::Password(name, password),
    };
    let cookie = people.secret();
    let signed_in = people.control.sign_in(request, digest(&cookie), now()).await?;
    Ok(welcome(transport, &cookie, signed_in))
}

/// The answer that signs a browser in.
pub(crate) fn welcome(transport: Transport, cookie: &str, signed_in: SignIn) -> Response {
    let person = signed_in.person;
    let view = SessionView {
        role: Some(person.role.word()),
        has_password: person.password.is_some(),
        name: Some(person.name),
    };
    let cookie = transport.set_cookie(cookie, SESSION_LIFE_MS / 1000);
    ([(header::SET_COOKIE, cookie)], Json(view)).into_response()
}

/// Signs this browser out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses(
    (status = 204, description = "Signed out"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn sign_out(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    who: SignedIn,
) -> Result<Response, Refused> {
    let Some(session) = who.session else {
        let reason = "a token has no session to end; remove the token instead";
        return Err(Failure::new(Fault::Conflict, reason).into());
    };
    people.control.sign_out(&who.ctx, session).await?;
    let gone = transport.set_cookie("", 0);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// A new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    /// 12 to 256 characters.
    #[schema(min_length = 12, max_length = 256)]
    password: String,
}

/// Sets one's own password.
#[utoipa::path(post, path = "/api/v1/session/password", tag = "session", request_body = PasswordBody,
    responses(
    (status = 204, description = "It is set"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_password(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Body(body): Body<PasswordBody>,
) -> Result<StatusCode, Refused> {
    people.control.set_password(&who.ctx, body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
