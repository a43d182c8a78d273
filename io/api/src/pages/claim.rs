//! Claiming a device: a code, shown once, and the codes that wait.

use std::sync::Arc;

use axum::{
    Form,
    extract::State,
    response::{Redirect, Response},
};
use hedgerow_base::Fault;
use hedgerow_control::{Claimed, Failure, NewClaim};
use hedgerow_identity::Claim;
use hedgerow_model::mapping::Names;
use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;

use super::{
    frame::{Frame, Place, copyable},
    visitor::{Trouble, Visitor, sentence},
    words,
};
use crate::{
    People,
    rest::{claims::unhex, devices::hex},
};

fn show(people: &People, visitor: &Visitor, main: Markup) -> Response {
    let title = "Claim a device";
    Frame { people, visitor, title, place: Place::Claim, scripts: &[] }.page(main)
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
) -> Result<Response, Trouble> {
    let main = asking(&people, &visitor, &ClaimForm::default(), None).await?;
    Ok(show(&people, &visitor, main))
}

async fn asking(
    people: &People,
    visitor: &Visitor,
    form: &ClaimForm,
    wrong: Option<&str>,
) -> Result<Markup, Trouble> {
    let profiles = people.control.profiles(&visitor.ctx).await?;
    let open = people.control.open_claims(&visitor.ctx).await?;
    Ok(html! {
        h1 { "Claim a device" }
        @if visitor.operates() {
            p { "A claim code lets one device in, once. The device makes its own key, shows the code, and gets its certificate." }
            @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
            form.row method="post" action="/claim" {
                label { span { "What will it be called?" }
                    input name="name" required maxlength="80" value=(form.name) placeholder="Greenhouse" autocomplete="off"; }
                label { span { "What kind of device is it?" }
                    select name="profile" {
                        @for known in &profiles {
                            option value=(known.name) selected[known.name == form.profile] { (known.profile.title) " (" (known.name) ")" }
                        }
                    } }
                button.primary { "Make the code" }
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
                            span.hint { "made " (words::moment(claim.created, now)) ", "
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

#[derive(Deserialize)]
pub(crate) struct ClaimForm {
    name: String,
    #[serde(default = "usual")]
    profile: String,
}

fn usual() -> String {
    "linux-host".into()
}

impl Default for ClaimForm {
    fn default() -> Self {
        Self { name: String::new(), profile: usual() }
    }
}

pub(crate) async fn create(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<ClaimForm>,
) -> Result<Response, Trouble> {
    let (name, profile) = (form.name.clone(), form.profile.clone());
    let new = NewClaim { name, profile, names: Names::default(), life_ms: None };
    match people.control.claim(&visitor.ctx, new).await {
        Ok(made) => {
            let main = shown_once(&people, &visitor, &made)?;
            Ok(show(&people, &visitor, main))
        }
        Err(failure) if matches!(failure.fault, Fault::Invalid | Fault::Conflict) => {
            let wrong = sentence(&failure.reason);
            let main = asking(&people, &visitor, &form, Some(&wrong)).await?;
            Ok(show(&people, &visitor, main))
        }
        Err(failure) => Err(failure.into()),
    }
}

fn shown_once(people: &People, visitor: &Visitor, made: &Claimed) -> Result<Markup, Failure> {
    let code = made.code.to_string();
    let command = format!("hedgerow-agent enroll --hub {} --claim {code}", people.devices_url);
    Ok(html! {
        h1 { "The code for " (made.claim.name) }
        p { strong { "It is shown only now." } " It works once, and ends " (words::moment(made.claim.expires, visitor.now())) "." }
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
