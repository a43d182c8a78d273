//! Oneself, people, tokens, and the hub.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
};
use maud::{Markup, html};

use super::{
    device::Done,
    frame::{Frame, Place, copyable, notice},
    keys,
    passkeys::Site,
    people, tokens,
    visitor::{Trouble, Visitor},
};
use crate::{People, door::Transport};

pub(super) fn show(people: &People, visitor: &Visitor, main: Markup) -> Response {
    let title = "Settings";
    Frame { people, visitor, title, place: Place::Settings, scripts: &["passkey.js"] }.page(main)
}

fn said(done: Option<&str>) -> Option<&'static str> {
    match done? {
        "password" => Some("Your password is set."),
        "passkey" => Some("Your passkey is kept."),
        "passkey-removed" => Some("The passkey is gone."),
        "role" => Some("The role is changed."),
        "person-removed" => Some("The person is gone and signed out everywhere."),
        "token-removed" => Some("The token does not work any more."),
        _ => None,
    }
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
    visitor: Visitor,
    Query(query): Query<Done>,
) -> Result<Response, Trouble> {
    let site = Site::of(&people, transport, &headers);
    let main = html! {
        h1 { "Settings" }
        (notice(said(query.done.as_deref())))
        p.wrong #wrong role="alert" hidden {}
        section.card {
            h2 { "Your passkeys" }
            (keys::passkey_list(&people, &visitor).await?)
            (keys::new_passkey(&site, "/settings"))
        }
        section.card {
            h2 { "Your password" }
            p.hint { @if visitor.person.password.is_some() { "You have one. A new one takes its place." } @else { "You have none." } }
            (keys::password_form("/settings"))
        }
        @if visitor.owns() {
            (people::section(&people, &visitor).await?)
            (tokens::section(&people, &visitor).await?)
        }
        (hub(&people))
    };
    Ok(show(&people, &visitor, main))
}

fn hub(people: &People) -> Markup {
    html! {
        section.card {
            h2 { "This hub" }
            dl.facts {
                dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) }
                dt { "Devices enrol at" } dd { (copyable(&people.devices_url, "address")) }
                dt { "Devices publish to" } dd { (copyable(&format!("mqtts://{}", people.mqtts), "address")) }
                dt { "Fingerprint" } dd { (copyable(&people.fingerprint, "fingerprint")) }
                dt { "Certificate authority" } dd { a href="/ca.pem" { "Download its certificate" } }
                dt { "API" } dd { a href="/api/v1/openapi.json" { "OpenAPI 3.1" } }
            }
            p.hint { "The fingerprint is the first half of SHA-256 over the public key of the hub's root. Claim codes carry it." }
        }
    }
}
