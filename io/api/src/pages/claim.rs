//! Claiming a device: a code, shown once, and the codes that wait.

use std::sync::Arc;

use axum::{
    Form,
    extract::State,
    response::{Redirect, Response},
};
use hedgerow_base::Fault;
use hedgerow_control::{Claimed, Failure, KnownProfile, NewClaim};
use hedgerow_identity::Claim;
use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;

use super::{
    frame::{Frame, Place, copyable},
    names::NewDevice,
    visitor::{Trouble, Visitor, sentence},
    words,
};
use crate::{
    People,
    rest::{claims::unhex, devices::hex, forms::Ask},
};

/// The profile of most devices that are claimed.
const USUAL: &str = "linux-host";

fn show(people: &People, visitor: &Visitor, main: Markup) -> Response {
    let title = "Claim a device";
    Frame { people, visitor, title, place: Place::Claim, scripts: &[] }.page(main)
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Ask(form): Ask<NewDevice>,
) -> Result<Response, Trouble> {
    let form = form.or(USUAL);
    let profiles = people.control.profiles(&visitor.ctx).await?;
    let main = asking(&people, &visitor, (&form, &profiles), None).await?;
    Ok(show(&people, &visitor, main))
}

async fn asking(
    people: &People,
    visitor: &Visitor,
    (form, profiles): (&NewDevice, &[KnownProfile]),
    wrong: Option<&str>,
) -> Result<Markup, Trouble> {
    let open = people.control.open_claims(&visitor.ctx).await?;
    Ok(html! {
        h1 { "Claim a device" }
        @if visitor.operates() {
            p { "A claim code lets one device in, once. The device makes its own key, shows the code, and gets its certificate." }
            @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
            form.stack method="post" action="/claim" {
                (form.fields(profiles))
                (NewDevice::buttons("Make the code"))
            }
            @if visitor.owns() {
                p { "A plug or a bulb without a key of its own? " a href="/claim/weak" { "Take it in with a password" } "." }
            }
        } @else { p { "Operators and owners claim devices. You can look." } }
        h2 { "Codes that wait for their device" }
        (waiting(visitor, &open))
    })
}

fn waiting(visitor: &Visitor, open: &[Claim]) -> Markup {
    let now = visitor.now();
    html! {
        @if open.is_empty() { p.hint { "None." } } @else {
            ul.rows {
                @for claim in open {
                    li {
                        span { strong { (claim.name) } " "
                            span.hint {
                                @for (name, value) in claim.names.iter() { code { (name) "=" (value) } ", " }
                                "made " (words::moment(claim.created, now)) ", "
                                @if claim.expires > now { "ends " (words::moment(claim.expires, now)) } @else { "ended " (words::moment(claim.expires, now)) }
                            }
                        }
                        @if visitor.operates() {
                            form method="post" action="/claim/withdraw" {
                                input type="hidden" name="id" value=(hex(&claim.secret_hash));
                                button aria-label={ "Withdraw the code for " (claim.name) } { "Withdraw" }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(crate) async fn create(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<NewDevice>,
) -> Result<Response, Trouble> {
    let form = form.or(USUAL);
    people.control.may_claim(&visitor.ctx).await?;
    let profiles = people.control.profiles(&visitor.ctx).await?;
    if form.lacks_fields(&profiles) {
        let main = asking(&people, &visitor, (&form, &profiles), None).await?;
        return Ok(show(&people, &visitor, main));
    }
    match make(&people, &visitor, &form, &profiles).await {
        Ok(made) => {
            let main = shown_once(&people, &visitor, &made)?;
            Ok(show(&people, &visitor, main))
        }
        Err(failure) if matches!(failure.fault, Fault::Invalid | Fault::Conflict) => {
            let wrong = sentence(&failure.reason);
            let main = asking(&people, &visitor, (&form, &profiles), Some(&wrong)).await?;
            Ok(show(&people, &visitor, main))
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn make(
    people: &People,
    visitor: &Visitor,
    form: &NewDevice,
    profiles: &[KnownProfile],
) -> Result<Claimed, Failure> {
    let (name, profile) = (form.name.clone(), form.profile.clone());
    let new = NewClaim { name, profile, names: form.names(profiles)?, life_ms: None };
    people.control.claim(&visitor.ctx, new).await
}

fn shown_once(people: &People, visitor: &Visitor, made: &Claimed) -> Result<Markup, Failure> {
    let code = made.code.to_string();
    let command = format!("hedgerow-agent enroll --hub {} --claim {code}", people.devices_url);
    Ok(html! {
        h1 { "The code for " (made.claim.name) }
        p { strong { "It is shown only now." } " It works once, and ends " (words::moment(made.claim.expires, visitor.now())) "." }
        @if !made.claim.names.is_empty() {
            p { "On its own topics it calls itself " @for (name, value) in made.claim.names.iter() { span.pair { (name) ": " span.said { (value) } } " " } }
        }
        div.code-once {
            (qr(&code)?)
            div {
                h2 { "Code" }
                p { (copyable(&code, "code")) }
                h2 { "On a Linux device" }
                p { (copyable(&command, "command")) }
                p.hint { "The code also holds the hub's fingerprint, so the device knows its hub before it shows the secret." }
            }
        }
        p { a.button href="/devices" { "To the devices" } " " a.button href="/claim" { "Claim another" } }
    })
}

/// The code as a picture: dark on light in every theme, since cameras need it so.
fn qr(code: &str) -> Result<Markup, Failure> {
    const QUIET: usize = 4;
    let made = QrCode::with_error_correction_level(code, EcLevel::M);
    let made = made.map_err(|error| Failure::new(Fault::Broken, format!("a QR code: {error}")))?;
    let width = made.width();
    let dark = made.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
    let path: String = dark
        .map(|(at, _)| format!("M{} {}h1v1h-1z", at % width + QUIET, at / width + QUIET))
        .collect();
    let side = width + 2 * QUIET;
    Ok(html! {
        svg.qr viewBox={ "0 0 " (side) " " (side) } role="img" aria-label="The claim code as a QR code" shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    })
}

#[derive(Deserialize)]
pub(crate) struct WithdrawForm {
    id: String,
}

pub(crate) async fn withdraw(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<WithdrawForm>,
) -> Result<Redirect, Trouble> {
    let hash = unhex(&form.id).unwrap_or_default();
    people.control.withdraw_claim(&visitor.ctx, hash).await?;
    Ok(Redirect::to("/claim"))
}
