//! Tokens of programs, for owners.

use std::sync::Arc;

use axum::{
    Form,
    extract::State,
    response::{Redirect, Response},
};
use hedgerow_control::{Failure, NewToken};
use hedgerow_policy::{Scopes, TopicGrant};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame::copyable,
    settings,
    visitor::{Trouble, Visitor},
    words,
};
use crate::{People, door::digest};

const DAY_MS: i64 = 86_400_000;

pub(super) async fn section(people: &People, visitor: &Visitor) -> Result<Markup, Trouble> {
    let tokens = people.control.tokens(&visitor.ctx).await?;
    let now = visitor.now();
    Ok(html! {
        section.card {
            h2 { "Tokens" }
            p.hint { "Programs sign in to the API and over MQTT with a token." }
            @if tokens.is_empty() { p.hint { "None yet." } }
            ul.rows {
                @for token in &tokens {
                    li {
                        span { strong { (token.name) } " " span.hint {
                            @for word in token.scopes.words() { (word) ", " }
                            @for grant in &token.grants { code { (grant) } ", " }
                            @match token.expires {
                                Some(ends) if ends <= now => { "ended " (words::moment(ends, now)) },
                                Some(ends) => { "ends " (words::moment(ends, now)) },
                                None => "made anew at every start",
                            }
                        } }
                        details.confirm {
                            summary aria-label={ "Remove " (token.name) } { "Remove" }
                            form method="post" action="/settings/tokens/remove" {
                                input type="hidden" name="token" value=(token.id);
                                p { "Whatever uses it is refused at once. This can't be undone." }
                                button.danger { "Remove the token" }
                            }
                        }
                    }
                }
            }
            details {
                summary { "Make a token" }
                form.stack method="post" action="/settings/tokens" {
                    label { "What is it for?" input name="name" required maxlength="80" autocomplete="off"; }
                    fieldset {
                        legend { "What it may do" }
                        label.check { input type="checkbox" name="read" value="read" checked; "read: devices, readings, audit" }
                        label.check { input type="checkbox" name="devices" value="devices"; "devices: claim, quarantine, release, retire" }
                        label.check { input type="checkbox" name="admin" value="admin"; "admin: people, tokens" }
                    }
                    label {
                        span { "Over MQTT it may only (one a line; empty: what the above says)" }
                        textarea name="allow" rows="3" placeholder="subscribe things/+/properties/#" {}
                    }
                    label { span { "Days that it works" } input type="number" name="days" min="1" max="366" value="90" required; }
                    button { "Make the token" }
                }
            }
        }
    })
}

#[derive(Deserialize)]
pub(crate) struct TokenForm {
    name: String,
    read: Option<String>,
    devices: Option<String>,
    admin: Option<String>,
    #[serde(default)]
    allow: String,
    days: i64,
}

pub(crate) async fn create(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<TokenForm>,
) -> Result<Response, Trouble> {
    let words = [&form.read, &form.devices, &form.admin];
    // Nothing chosen is refused below, unless there are grants.
    let scopes = Scopes::parse(words.into_iter().filter_map(Option::as_deref));
    let lines = form.allow.lines().map(str::trim).filter(|line| !line.is_empty());
    let grants = lines.map(TopicGrant::parse).collect::<Result<_, _>>().map_err(Failure::from)?;
    let scopes = scopes.unwrap_or(Scopes::NONE);
    let life_ms = form.days.saturating_mul(DAY_MS);
    let new = NewToken { name: form.name, scopes, grants, life_ms };
    let secret = people.secret();
    let token = people.control.create_token(&visitor.ctx, new, digest(&secret)).await?;
    let main = html! {
        h1 { "The token " (token.name) }
        p { strong { "It is shown only now." } " A program sends it as " code { "Authorization: Bearer …" } ", or over MQTT as its password." }
        p { (copyable(&secret, "token")) }
        p { a.button href="/settings" { "To the settings" } }
    };
    Ok(settings::show(&people, &visitor, main))
}

#[derive(Deserialize)]
pub(crate) struct RemoveForm {
    token: i64,
}

pub(crate) async fn remove(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<RemoveForm>,
) -> Result<Redirect, Trouble> {
    people.control.remove_token(&visitor.ctx, form.token).await?;
    Ok(Redirect::to("/settings?done=token-removed"))
}
