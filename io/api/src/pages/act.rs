//! What a person does to a device: first what it means, then the act.

use std::sync::Arc;

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_base::DeviceId;
use hedgerow_control::{Cause, Edit};
use hedgerow_registry::Device;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    device::{Sight, Tab},
    visitor::{Trouble, Visitor},
};
use crate::{People, rest::forms::Id};

/// An act on a device, and everything that has to be said before it.
struct Act {
    word: &'static str,
    title: &'static str,
    means: &'static str,
    undo: &'static str,
    button: &'static str,
    asks_name: bool,
}

const QUARANTINE: Act = Act {
    word: "quarantine",
    title: "Quarantine",
    means: "It may then only report its state, attest, update and be wiped. Readings that it sends are refused. Its open sessions are narrowed at once.",
    undo: "This can be undone: release it when it is well.",
    button: "Put it in quarantine",
    asks_name: false,
};
const RELEASE: Act = Act {
    word: "release",
    title: "Release",
    means: "It may then do again what its profile allows. Its open sessions are widened at once.",
    undo: "This can be undone: put it in quarantine again.",
    button: "Release it",
    asks_name: false,
};
const RETIRE: Act = Act {
    word: "retire",
    title: "Retire",
    means: "Its life here ends: its certificates are revoked and its sessions are closed at once. Its history stays until it is erased.",
    undo: "This can't be undone.",
    button: "Retire it for good",
    asks_name: true,
};
const REVOKE: Act = Act {
    word: "revoke",
    title: "Revoke the certificates of",
    means: "Do this when its key may be in wrong hands. Every certificate of it stops being trusted and its sessions are closed at once.",
    undo: "This can't be undone: the device stays out with the key that it has.",
    button: "Revoke its certificates",
    asks_name: true,
};

async fn ask(
    people: &People,
    visitor: &Visitor,
    id: DeviceId,
    act: &Act,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    Ok(question(people, visitor, &device, act, None))
}

fn question(
    people: &People,
    visitor: &Visitor,
    device: &Device,
    act: &Act,
    wrong: Option<&str>,
) -> Response {
    let sight = Sight { people, visitor, device };
    sight.page(Tab::Act, &[], form(device, act, wrong))
}

fn form(device: &Device, act: &Act, wrong: Option<&str>) -> Markup {
    html! {
        section.card.question {
            h2 { (act.title) " " (device.name) "?" }
            p { "This is about 1 device. " (act.means) }
            p { strong { (act.undo) } }
            form.stack method="post" action={ "/devices/" (device.key.id) "/" (act.word) } {
                label { "Why, for its timeline (may stay empty)" input name="reason" maxlength="500" autocomplete="off"; }
                @if act.asks_name {
                    label { span { "To go on, write its name: " strong { (device.name) } }
                        input name="name" required autocomplete="off" autocapitalize="none" spellcheck="false"
                            aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "name-wrong")];
                    }
                    @if let Some(wrong) = wrong { p.wrong #name-wrong role="alert" { (wrong) } }
                }
                div.row {
                    button.danger[act.asks_name].primary[!act.asks_name] { (act.button) }
                    a.button href={ "/devices/" (device.key.id) } { "Leave it as it is" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct ActForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    name: String,
}

/// Does what was asked when the name that was written is the device's, where one has to be.
async fn done(
    people: &People,
    visitor: &Visitor,
    id: DeviceId,
    act: &Act,
    form: ActForm,
) -> Result<Response, Trouble> {
    if act.asks_name {
        let device = people.control.device(&visitor.ctx, id).await?;
        if form.name.trim() != device.name {
            let page = question(people, visitor, &device, act, Some("That is not its name."));
            return Ok((StatusCode::BAD_REQUEST, page).into_response());
        }
    }
    let (control, ctx, cause) = (&people.control, &visitor.ctx, Cause::new(&form.reason)?);
    match act.word {
        "quarantine" => control.quarantine(ctx, id, &cause).await?,
        "release" => control.release(ctx, id, &cause).await?,
        "retire" => control.retire(ctx, id, &cause).await?,
        _ => control.revoke(ctx, id, &cause).await?,
    };
    Ok(Redirect::to(&format!("/devices/{id}?done={}", act.word)).into_response())
}

macro_rules! act {
    ($ask:ident, $do:ident, $act:ident) => {
        pub(crate) async fn $ask(
            State(people): State<Arc<People>>,
            visitor: Visitor,
            Id(id): Id,
        ) -> Result<Response, Trouble> {
            ask(&people, &visitor, id, &$act).await
        }

        pub(crate) async fn $do(
            State(people): State<Arc<People>>,
            visitor: Visitor,
            Id(id): Id,
            Form(form): Form<ActForm>,
        ) -> Result<Response, Trouble> {
            done(&people, &visitor, id, &$act, form).await
        }
    };
}

act!(ask_quarantine, quarantine, QUARANTINE);
act!(ask_release, release, RELEASE);
act!(ask_retire, retire, RETIRE);
act!(ask_revoke, revoke, REVOKE);

#[derive(Deserialize)]
pub(crate) struct NameForm {
    name: String,
    revision: i64,
}

pub(crate) async fn name(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
    Form(form): Form<NameForm>,
) -> Result<Redirect, Trouble> {
    let edit = Edit { revision: form.revision, name: Some(form.name), ..Edit::default() };
    people.control.edit_device(&visitor.ctx, id, edit).await?;
    Ok(Redirect::to(&format!("/devices/{id}?done=name")))
}
