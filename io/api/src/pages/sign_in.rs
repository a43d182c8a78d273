//! Signing in and out.
//!
//! 1. By the one-time link `/sign-in#TOKEN`: the script takes the token out of the address bar, posts it
//!    to `/api/v1/session`, and goes on to `/welcome`. Without scripts the link is pasted into a form.
//! 2. By name and password: a form.
//! 3. By passkey: the script; see [`super::passkeys`].

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_control::{SignInRequest, limits::SESSION_LIFE_MS};
use hedgerow_listen::server::now;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame,
    passkeys::Site,
    visitor::{Trouble, Visitor, own_place, sentence},
};
use crate::{
    People,
    door::{Transport, digest, refuse_foreign_pages},
    problem::Refused,
};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Where {
    next: Option<String>,
}

/// What the form sends: a name and a password, or a link.
#[derive(Deserialize)]
pub(crate) struct SignInForm {
    name: Option<String>,
    password: Option<String>,
    link: Option<String>,
    next: Option<String>,
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    Query(query): Query<Where>,
    headers: HeaderMap,
) -> Response {
    let site = Site::of(&people, transport, &headers);
    let next = own_place(query.next.as_deref());
    frame::show(render(&people, &site, next, "", None))
}

fn render(
    people: &People,
    site: &Result<Site, String>,
    next: &str,
    name: &str,
    wrong: Option<&str>,
) -> Markup {
    frame::bare(
        "Sign in",
        &["passkey.js"],
        html! {
            (frame::warning(people))
            h1 { "Sign in" }
            p.wrong #wrong role="alert" hidden[wrong.is_none()] { (wrong.unwrap_or_default()) }
            p.busy #busy role="status" hidden { "Signing in…" }
            form.stack method="post" action="/sign-in" #by-password {
                input type="hidden" name="next" value=(next);
                label { "Name" input name="name" autocomplete="username webauthn" value=(name) required maxlength="64" autocapitalize="none" spellcheck="false"; }
                label { "Password" input type="password" name="password" autocomplete="current-password" required maxlength="256"; }
                button.primary { "Sign in" }
                @match site {
                    Ok(_) => button type="button" data-passkey="sign-in" hidden { "Sign in with a passkey" },
                    Err(why) => p.hint { "Passkeys don't work here: " (why) },
                }
            }
            details {
                summary { "I have a one-time link" }
                form.stack method="post" action="/sign-in" {
                    label { "The link, or what stands behind its #" input name="link" required autocomplete="off" spellcheck="false" maxlength="300"; }
                    button { "Sign in with the link" }
                }
                p.hint { "The hub prints a link when it starts and nobody can sign in yet. Owners make one for each new person. A link works once, for 15 minutes." }
            }
            details {
                summary { "My browser does not trust this hub" }
                p { "Every hub has its own certificate authority. " a href="/ca.pem" { "Download its certificate" } " and add it to the trusted ones of your system, after you have compared its fingerprint on the hub itself:" }
                p { code.wrap { (people.fingerprint) } }
            }
        },
    )
}

pub(crate) async fn enter(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    method: Method,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, Trouble> {
    refuse_foreign_pages(&method, &headers)?;
    let next = own_place(form.next.as_deref()).to_owned();
    let name = form.name.unwrap_or_default();
    let (request, next) = match form.link {
        Some(link) => {
            let token = link.rsplit('#').next().unwrap_or_default().trim();
            (SignInRequest::Link(digest(token)), "/welcome".to_owned())
        }
        None => (SignInRequest::Password(name.clone(), form.password.unwrap_or_default()), next),
    };
    let cookie = people.secret();
    match people.control.sign_in(request, digest(&cookie), now()).await {
        Ok(_) => {
            let cookie = transport.set_cookie(&cookie, SESSION_LIFE_MS / 1000);
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
        }
        Err(failure) => {
            let wrong = sentence(&failure.reason);
            let (_, status) = Refused::from(failure).into_parts();
            if status.is_server_error() {
                return Err(Trouble { failure: broken(), status });
            }
            let site = Site::of(&people, transport, &headers);
            let page = render(&people, &site, &next, &name, Some(&wrong));
            let status =
                if status == StatusCode::FORBIDDEN { StatusCode::UNAUTHORIZED } else { status };
            Ok((status, frame::show(page)).into_response())
        }
    }
}

fn broken() -> hedgerow_control::Failure {
    let reason = "the hub can't sign anybody in now; try again, and look at its log";
    hedgerow_control::Failure::new(hedgerow_base::Fault::Unavailable, reason)
}

pub(crate) async fn leave(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    visitor: Visitor,
) -> Result<Response, Trouble> {
    people.control.sign_out(&visitor.ctx, visitor.session).await?;
    let gone = transport.set_cookie("", 0);
    Ok(([(header::SET_COOKIE, gone)], Redirect::to("/sign-in")).into_response())
}
