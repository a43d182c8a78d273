//! A device that can do no better than a password: taken in by its owner, its password shown once.

use std::sync::Arc;

use axum::{Form, extract::State, response::Response};
use hedgerow_base::Fault;
use hedgerow_control::{Failure, KnownProfile, NewWeakDevice};
use hedgerow_registry::Device;
use maud::{Markup, html};

use super::{
    device::{Sight, Tab},
    frame::{Frame, Place, copyable},
    names::{self, NewDevice},
    visitor::{Trouble, Visitor, sentence},
};
use crate::{
    People,
    rest::{
        forms::{Ask, Id},
        weak::password,
    },
};

fn show(people: &People, visitor: &Visitor, main: Markup) -> Response {
    let title = "Take in a weak device";
    let frame = Frame { people, visitor, title, place: Place::Claim, scripts: &[] };
    frame.page(html! { p.crumbs { a href="/claim" { "Claim a device" } } (main) })
}

/// The kinds that a weak device can be: what comes in packs is not for it.
async fn kinds(people: &People, visitor: &Visitor) -> Result<Vec<KnownProfile>, Failure> {
    let mut kinds = people.control.profiles(&visitor.ctx).await?;
    kinds.retain(|known| !known.profile.plan().routes().iter().any(|route| route.is_pack()));
    Ok(kinds)
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Ask(form): Ask<NewDevice>,
) -> Result<Response, Trouble> {
    people.control.may_admit_weak_devices(&visitor.ctx).await?;
    let kinds = kinds(&people, &visitor).await?;
    Ok(show(&people, &visitor, asking(&people, &form, &kinds, None)))
}

fn asking(
    people: &People,
    form: &NewDevice,
    kinds: &[KnownProfile],
    wrong: Option<&str>,
) -> Markup {
    html! {
        h1 { "Take in a device with a password" }
        section.warning {
            p { strong { "Only for a device that can do no better." } " It gets a password instead of a key of its own. Whoever learns the password can pose as it." }
            p { "It is marked as weak wherever it is shown, and may do less: its values one at a time, its events and its actions. Replace it when you can. It can be retired at any time." }
        }
        (no_door(people))
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
        form.stack method="post" action="/claim/weak" {
            (form.fields(kinds))
            (NewDevice::buttons("Take it in as weak"))
        }
        p { "It can make its own key? " a href="/claim" { "Make a claim code instead" } "." }
    }
}

/// What is missing when the hub does not listen to such devices.
fn no_door(people: &People) -> Markup {
    html! {
        @if people.mqtts_weak.is_none() {
            p.warning { strong { "The hub has no door for it yet." } " Start the hub with " code { "hedgerow up --mqtts-weak [::]:8884" } "; until then the device can't connect." }
        }
    }
}

pub(crate) async fn admit(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<NewDevice>,
) -> Result<Response, Trouble> {
    people.control.may_admit_weak_devices(&visitor.ctx).await?;
    let kinds = kinds(&people, &visitor).await?;
    if form.lacks_fields(&kinds) {
        return Ok(show(&people, &visitor, asking(&people, &form, &kinds, None)));
    }
    let (password, id) = password(&people);
    let admitted = async {
        let (name, profile) = (form.name.clone(), form.profile.clone());
        let new = NewWeakDevice { name, profile, names: form.names(&kinds)? };
        people.control.admit_weak_device(&visitor.ctx, new, id).await
    };
    match admitted.await {
        Ok(device) => {
            let main = html! {
                h1 { (device.name) " is taken in" }
                (shown_once(&people, &device, &password))
                p { a.button href={ "/devices/" (device.key.id) } { "To the device" } " " a.button href="/claim/weak" { "Take in another" } }
            };
            Ok(show(&people, &visitor, main))
        }
        Err(failure) if matches!(failure.fault, Fault::Invalid | Fault::Conflict) => {
            let wrong = sentence(&failure.reason);
            Ok(show(&people, &visitor, asking(&people, &form, &kinds, Some(&wrong))))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// What the device's own settings ask for.
fn shown_once(people: &People, device: &Device, password: &str) -> Markup {
    let door = people.mqtts_weak.as_deref().and_then(|door| door.rsplit_once(':'));
    html! {
        (no_door(people))
        section.card {
            h2 { "Write this into its MQTT settings" }
            p { strong { "The password is shown only now." } }
            dl.facts {
                @if let Some((host, port)) = door {
                    dt { "Broker address" } dd { (copyable(host, "broker address")) }
                    dt { "Port" } dd { (copyable(port, "port")) }
                }
                dt { "User name" } dd { (copyable(&device.key.id.to_string(), "user name")) }
                dt { "Password" } dd { (copyable(password, "password")) }
                dt { "Client id" } dd { "Any, or none" }
                (names::rows(people, device))
                dt { "TLS" } dd { "On: version 1.2 or 1.3, with the " a href="/ca.pem" { "hub's certificate authority" } ". Without it the device tells its password to whoever asks." }
            }
        }
        (names::topics(people, device))
    }
}

pub(crate) async fn ask_password(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let sight = Sight { people: &people, visitor: &visitor, device: &device };
    Ok(sight.page(
        Tab::Act,
        &[],
        html! {
            section.card.question {
                h2 { "Another password for " (device.name) "?" }
                p { "This is about 1 device. Its sessions end at once, and it stays out until the new password stands in its settings." }
                p { strong { "This can't be undone: the old password is of no use afterwards." } }
                form.row method="post" action={ "/devices/" (id) "/password" } {
                    button.primary { "Make another password" }
                    a.button href={ "/devices/" (id) "/identity" } { "Leave it as it is" }
                }
            }
        },
    ))
}

pub(crate) async fn change_password(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
) -> Result<Response, Trouble> {
    let (password, hash) = password(&people);
    let device = people.control.change_device_password(&visitor.ctx, id, hash).await?;
    let sight = Sight { people: &people, visitor: &visitor, device: &device };
    Ok(sight.page(
        Tab::Act,
        &[],
        html! {
            (shown_once(&people, &device, &password))
            p { a.button href={ "/devices/" (id) "/identity" } { "To the device" } }
        },
    ))
}
