//! Who a device is, what it may do, what happened to it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use hedgerow_control::CertificateRecord;
use hedgerow_model::{Kind, Property, unit};
use hedgerow_policy::Standing;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    device::{Sight, Tab, is_over},
    frame::copyable,
    names,
    visitor::{Trouble, Visitor},
    words,
};
use crate::{
    Bounds, People,
    rest::{
        devices::hex,
        forms::{Ask, Id},
    },
};

/// Entries of a timeline in one page.
const ENTRIES: u32 = 100;

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let certificates = people.control.certificates(&visitor.ctx, id).await?;
    let sight = Sight { people: &people, visitor: &visitor, device: &device };
    let now = visitor.now();
    let main = html! {
        dl.facts {
            dt { "Id" } dd { (copyable(&id.to_string(), "id")) }
            dt { "State" } dd { (words::state(device.state)) }
            dt { "Profile" } dd { (device.profile) }
            (names::rows(&people, &device))
            @if let Some(group) = &device.group { dt { "Group" } dd { (group) } }
            @for label in &device.labels { dt { (label.key()) } dd { (label.value()) } }
            @if device.password.is_some() {
                dt { "Sign-in" } dd { "A password over TLS 1.2 or 1.3: " (words::weak()) }
            } @else {
                dt { "Private key" } dd { (words::key_storage(device.key_storage)) ". It never leaves the device." }
            }
            dt { "Enrolled" } dd { (words::moment(device.created, now)) }
        }
        @if visitor.operates() {
            form.row method="post" action={ "/devices/" (id) "/name" } {
                input type="hidden" name="revision" value=(device.revision);
                label { span { "Name" } input name="name" value=(device.name) maxlength="80" required; }
                button { "Rename" }
            }
        }
        @if device.password.is_some() {
            h2 { "Password" }
            p.hint { "Whoever learns it can pose as this device." }
            @if visitor.owns() && !is_over(&device) { p { a.button href={ "/devices/" (id) "/password" } { "Make another password" } } }
        } @else {
            h2 { "Certificates" }
            p.hint { "A device renews its certificate by itself when two thirds of its life are over." }
            (certificate_table(&visitor, &certificates))
        }
        (names::topics(&people, &device))
    };
    Ok(sight.page(Tab::Identity, &[], main))
}

fn certificate_table(visitor: &Visitor, certificates: &[CertificateRecord]) -> Markup {
    let now = visitor.now();
    html! {
        @if certificates.is_empty() { p { "It has none." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Certificates" {
                table.stacked {
                    thead { tr { th scope="col" { "Fingerprint (SHA-256)" } th scope="col" { "Begins" } th scope="col" { "Ends" } th scope="col" { "Revoked" } } }
                    tbody { @for one in certificates { tr {
                        td { (copyable(&hex(&one.id.0), "fingerprint")) }
                        td.num data-title="Begins" { (words::moment(one.not_before, now)) }
                        td.num data-title="Ends" { (words::moment(one.not_after, now)) }
                        td.num data-title="Revoked" { @match one.revoked { Some((at, _)) => (words::moment(at, now)), None => "no" } }
                    } } }
                }
            }
        }
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "yes or no",
        Kind::Integer => "whole number",
        Kind::Number => "number",
        Kind::Text => "text",
    }
}

pub(crate) async fn permissions(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let Bounds { profile, overlay } = people.bounds_of(&device);
    let allows = |name: &str| !overlay.withheld.contains(name);
    let properties: Vec<_> = profile.properties().iter().filter(|p| allows(&p.name)).collect();
    let sight = Sight { people: &people, visitor: &visitor, device: &device };
    let now_sentence = match device.standing {
        Standing::Full => "It has full standing, so all of this holds now.",
        Standing::Restricted => {
            "It is restricted: of this, only what its owner marked as essential passes now, events too."
        }
        Standing::Remediate => {
            "None of this passes now: it may only report its state, attest, update and be wiped."
        }
        Standing::Cut => "None of this passes now: it is cut off.",
    };
    let main = html! {
        p { "Its profile, " strong { (device.profile) } ", is the most that it may ever do. What is not on this page is refused, counted and shown. " (now_sentence) }
        h2 { "Properties that it may publish" }
        @if properties.is_empty() { p { "None." } } @else { (property_table(&properties)) }
        h2 { "Events that it may publish" }
        @if profile.events().is_empty() { p { "None." } }
        ul { @for event in profile.events().iter().filter(|event| allows(&event.name)) { li { strong { (event.title) } " " code { (event.name) } " " span.hint { (event.description) } } } }
        h2 { "Actions that it may be sent" }
        ul {
            @for action in profile.actions().iter().filter(|action| allows(&action.name)) { li { strong { (action.title) } " " code { (action.name) } " " span.hint { (action.description) } } }
            @if device.password.is_none() {
                @for name in hedgerow_policy::REMEDIATION_ACTIONS { li { code { (name) } " " span.hint { "of the platform, for every device with a key that is not cut off" } } }
            }
        }
        @if properties.iter().any(|one| profile.is_writable(&one.name)) {
            h2 { "Properties that it may be told to change" }
            ul { @for one in properties.iter().filter(|one| profile.is_writable(&one.name)) { li { strong { (one.title) } " " code { (one.name) } } } }
        }
        @if !overlay.withheld.is_empty() {
            h2 { "Withheld by the owner" }
            ul { @for name in &overlay.withheld { li { code { (name) } } } }
        }
    };
    Ok(sight.page(Tab::Permissions, &[], main))
}

fn property_table(properties: &[&Property]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Properties" {
            table.stacked {
                thead { tr { th scope="col" { "Property" } th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "Unit" } th scope="col" { "Kept" } } }
                tbody { @for one in properties { tr {
                    th scope="row" title=(one.description) { (one.title) }
                    td { code { (one.name) } }
                    td data-title="Kind" { (kind(one.shape.kind())) }
                    td data-title=[(!one.unit.is_empty()).then_some("Unit")] { (unit::sign(&one.unit)) }
                    td.num data-title="Kept" { (kept(one)) }
                } } }
            }
        }
    }
}

fn kept(property: &Property) -> String {
    words::many(property.collection.retention_days.into(), "day")
}

#[derive(Deserialize)]
pub(crate) struct TimelineQuery {
    before: Option<i64>,
}

pub(crate) async fn timeline(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
    Ask(query): Ask<TimelineQuery>,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let entries = people.control.timeline(&visitor.ctx, id, query.before, ENTRIES).await?;
    let is_full = entries.len() >= usize::try_from(ENTRIES).unwrap_or(usize::MAX);
    let next = entries.last().filter(|_| is_full).map(|(place, _)| *place);
    let sight = Sight { people: &people, visitor: &visitor, device: &device };
    let main = html! {
        @if entries.is_empty() { p { "Nothing happened before this." } }
        ol.timeline {
            @for (_, entry) in &entries {
                li class=(entry.kind) {
                    (words::moment(entry.at, visitor.now()))
                    div { strong { (headline(&entry.kind)) } " " (entry.detail) }
                }
            }
        }
        @if let Some(next) = next {
            nav.pages aria-label="Pages" { a.button rel="next" href={ "/devices/" (id) "/timeline?before=" (next) } { "Earlier" } }
        }
    };
    Ok(sight.page(Tab::Timeline, &[], main))
}

fn headline(kind: &str) -> String {
    let mut chars = kind.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
