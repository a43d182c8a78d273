//! One's own password and passkeys.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hedgerow_base::Fault;
use hedgerow_control::limits::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame,
    passkeys::{Kept, Site},
    visitor::{Trouble, Visitor, own_place, sentence},
    words,
};
use crate::{People, door::Transport};

/// After the first sign-in by a link: choose how to come back.
pub(crate) async fn welcome(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let has_key = !people.control.passkeys(visitor.person.id).await?.is_empty();
    if has_key || visitor.person.password.is_some() {
        return Ok(Redirect::to("/").into_response());
    }
    let site = Site::of(&people, transport, &headers);
    Ok(frame::show(render_welcome(&people, &visitor, &site, None)))
}

fn render_welcome(
    people: &People,
    visitor: &Visitor,
    site: &Result<Site, String>,
    wrong: Option<&str>,
) -> Markup {
    frame::bare(
        "Welcome",
        &["passkey.js"],
        html! {
            (frame::warning(people))
            h1 { "Welcome" }
            p { "You are signed in as " strong { (visitor.person.name) } ", the link is used up. Choose how you will sign in from now on." }
            p.wrong #wrong role="alert" hidden[wrong.is_none()] { (wrong.unwrap_or_default()) }
            section.card {
                h2 { "A passkey" }
                p { "Your device keeps a key for this hub and shows it when you unlock it: nothing to remember, nothing to steal." }
                (new_passkey(site, "/"))
            }
            section.card {
                h2 { "Or a password" }
                (password_form("/"))
            }
            details {
                summary { "Skip for now" }
                p { "Without a passkey or a password this browser is your only way in. When it is signed out, or after 7 days, you need a new link: the hub prints one when it starts." }
                p { a.button href="/" { "Go on without" } }
            }
        },
    )
}

/// The button that makes a passkey, or why there is none.
pub(super) fn new_passkey(site: &Result<Site, String>, next: &str) -> Markup {
    html! {
        @match site {
            Ok(_) => div.stack {
                label { "Name it" input #passkey-name maxlength="40" value="This device" autocomplete="off"; }
                button.primary type="button" data-passkey="new" data-next=(next) disabled { "Make a passkey" }
                noscript { p.hint { "Passkeys need scripts. Set a password instead." } }
            },
            Err(why) => p.hint { "Passkeys don't work here: " (why) },
        }
    }
}

pub(super) fn password_form(next: &str) -> Markup {
    html! {
        form.stack method="post" action="/settings/password" {
            input type="hidden" name="next" value=(next);
            label { "New password, at least " (PASSWORD_CHARS_MIN) " characters"
                input type="password" name="password" autocomplete="new-password" required
                    minlength=(PASSWORD_CHARS_MIN) maxlength=(PASSWORD_CHARS_MAX);
            }
            button { "Set the password" }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    password: String,
    next: Option<String>,
}

pub(crate) async fn set_password(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
    visitor: Visitor,
    Form(form): Form<PasswordForm>,
) -> Result<Response, Trouble> {
    let next = match own_place(form.next.as_deref()) {
        "/" => "/?done=password",
        _ => "/settings?done=password",
    };
    match people.control.set_password(&visitor.ctx, form.password).await {
        Ok(()) => Ok(Redirect::to(next).into_response()),
        Err(failure) if failure.fault == Fault::Invalid => {
            let site = Site::of(&people, transport, &headers);
            let wrong = sentence(&failure.reason);
            let page = frame::show(render_welcome(&people, &visitor, &site, Some(&wrong)));
            Ok((axum::http::StatusCode::BAD_REQUEST, page).into_response())
        }
        Err(failure) => Err(failure.into()),
    }
}

/// One's passkeys with a way to take each away.
pub(super) async fn passkey_list(people: &People, visitor: &Visitor) -> Result<Markup, Trouble> {
    let keys = people.control.passkeys(visitor.person.id).await?;
    Ok(html! {
        @if keys.is_empty() { p.hint { "No passkey yet." } } @else {
            ul.rows {
                @for (credential, name, data) in &keys {
                    @let kept = serde_json::from_str::<Kept>(data).ok();
                    li {
                        span { strong { (name) }
                            @if let Some(kept) = &kept {
                                span.hint { " for " (kept.host) @if let Some(made) = kept.made() { ", made " (words::moment(made, visitor.now())) } }
                            }
                        }
                        details.confirm {
                            summary { "Remove" }
                            form method="post" action="/settings/passkey/remove" {
                                input type="hidden" name="credential" value=(URL_SAFE_NO_PAD.encode(credential));
                                p { "You can't sign in with it any more. This can't be undone, but you can make a new one." }
                                button.danger { "Remove the passkey" }
                            }
                        }
                    }
                }
            }
        }
    })
}

#[derive(Deserialize)]
pub(crate) struct CredentialForm {
    credential: String,
}

pub(crate) async fn remove_passkey(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<CredentialForm>,
) -> Result<Redirect, Trouble> {
    let credential = URL_SAFE_NO_PAD.decode(&form.credential).unwrap_or_default();
    people.control.remove_passkey(&visitor.ctx, credential).await?;
    Ok(Redirect::to("/settings?done=passkey-removed"))
}
