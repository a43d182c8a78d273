//! One device: the header of its pages, and its live values.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Query, State},
    response::Response,
};
use hedgerow_control::ports::LastValue;
use hedgerow_model::{Kind, Profile, Property, Value, unit};
use hedgerow_registry::{Device, State as Life};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    devices::presence,
    frame::{Frame, Place, notice},
    identify,
    visitor::{Trouble, Visitor},
    words, write,
};
use crate::{People, rest::forms::Id};

/// The tabs of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Live,
    History,
    Identity,
    Permissions,
    Timeline,
    /// A question about what is to be done to it.
    Act,
}

const TABS: [(Tab, &str, &str); 5] = [
    (Tab::Live, "", "Live"),
    (Tab::History, "/history", "History"),
    (Tab::Identity, "/identity", "Identity"),
    (Tab::Permissions, "/permissions", "Permissions"),
    (Tab::Timeline, "/timeline", "Timeline"),
];

#[derive(Default, Deserialize)]
pub(crate) struct Done {
    pub(super) done: Option<String>,
}

/// A device and who looks at it.
pub(super) struct Sight<'a> {
    pub(super) people: &'a People,
    pub(super) visitor: &'a Visitor,
    pub(super) device: &'a Device,
}

impl Sight<'_> {
    /// The page of a tab.
    pub(super) fn page(&self, tab: Tab, scripts: &[&str], main: Markup) -> Response {
        let frame = Frame {
            people: self.people,
            visitor: self.visitor,
            title: &self.device.name,
            place: Place::Devices,
            scripts,
        };
        frame.page(html! { (self.header(tab)) (main) })
    }

    fn header(&self, tab: Tab) -> Markup {
        let device = self.device;
        let (is_connected, heard) = presence(self.people, device);
        html! {
            p.crumbs { a href="/devices" { "Devices" } }
            div.heading {
                h1 { (device.name) }
                @if tab != Tab::Act && self.visitor.operates() { (self.acts()) }
            }
            p.about {
                (words::standing(device.standing)) " "
                @if device.password.is_some() { (words::weak()) " " }
                (words::because(device.standing, device.because)) " "
                span.hint {
                    @if is_connected { "Connected" } @else { "Not connected" }
                    @match heard {
                        Some(at) => { ", last heard " (words::moment(at, self.visitor.now())) "." },
                        None => ", never heard.",
                    }
                }
            }
            @if tab != Tab::Act {
                nav.tabs aria-label="Device" {
                    @for (one, path, word) in TABS {
                        a href={ "/devices/" (device.key.id) (path) } aria-current=[(one == tab).then_some("page")] { (word) }
                    }
                }
            }
        }
    }

    /// What can be done to it from where it is.
    fn acts(&self) -> Markup {
        let base = format!("/devices/{}", self.device.key.id);
        html! {
            @if !is_over(self.device) {
                div.acts {
                    @if self.people.bounds_of(self.device).profile.action_index(identify::ACTION).is_some() {
                        form method="post" action={ (base) "/identify" } { button title="Asks it to make itself known where it is, and waits for its answer" { "Identify" } }
                    }
                    @if self.device.state == Life::Quarantined { a.button href={ (base) "/release" } { "Release" } }
                    @else { a.button href={ (base) "/quarantine" } { "Quarantine" } }
                    a.button href={ (base) "/revoke" } { "Revoke" }
                    a.button href={ (base) "/retire" } { "Retire" }
                }
            }
        }
    }
}

/// Whether nothing more can be done to it.
pub(super) const fn is_over(device: &Device) -> bool {
    matches!(device.state, Life::Retired | Life::Erased)
}

/// What was done, as the next page says it.
fn said(done: Option<&str>) -> Option<&'static str> {
    match done? {
        "quarantine" => Some("It is in quarantine; its open sessions were narrowed."),
        "release" => Some("It is out of quarantine."),
        "retire" => Some("It is retired; its sessions were closed and its certificates revoked."),
        "revoke" => Some("Its certificates are revoked and its sessions closed."),
        "name" => Some("It has its new name."),
        "told" => Some("It was told. The new value is shown here when it says it."),
        _ => None,
    }
}

/// Whether a chart can be drawn of it.
pub(super) const fn is_numeric(property: &Property) -> bool {
    matches!(property.shape.kind(), Kind::Number | Kind::Integer)
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
    Query(query): Query<Done>,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let last = people.control.last_values(&visitor.ctx, id).await?;
    let done = query.done.as_deref();
    let said = html! { (notice(said(done))) (identify::outcome(done, &last, visitor.now())) };
    Ok(show_live(&people, &visitor, &device, &last, &said))
}

/// Its live values, below what there is to say first.
pub(super) async fn live(
    people: &People,
    visitor: &Visitor,
    device: &Device,
    said: Markup,
) -> Result<Response, Trouble> {
    let last = people.control.last_values(&visitor.ctx, device.key.id).await?;
    Ok(show_live(people, visitor, device, &last, &said))
}

fn show_live(
    people: &People,
    visitor: &Visitor,
    device: &Device,
    last: &[LastValue],
    said: &Markup,
) -> Response {
    let profile = people.bounds_of(device).profile;
    let sight = Sight { people, visitor, device };
    let main = html! {
        (said)
        (write::section(people, visitor, device, last))
        @if last.is_empty() { (nothing_yet(device)) } @else {
            p.hint.live #live-state role="status" { "Live values need scripts; reload the page for newer ones." }
            div.cards #live data-device=(device.key.id) {
                @for property in profile.properties().iter().filter(|one| is_numeric(one)) {
                    @if let Some(value) = newest(last, &property.name) { (chart_card(visitor, device, property, value)) }
                }
            }
            (others(visitor, &profile, last))
        }
    };
    sight.page(Tab::Live, &["uplot.js", "chart.js"], main)
}

fn newest<'v>(last: &'v [LastValue], series: &str) -> Option<&'v LastValue> {
    last.iter().find(|one| one.series == series)
}

fn chart_card(visitor: &Visitor, device: &Device, property: &Property, last: &LastValue) -> Markup {
    let history = format!("/devices/{}/history?property={}", device.key.id, property.name);
    html! {
        section.card.chart data-property=(property.name) data-unit=(property.unit) data-sign=(unit::sign(&property.unit)) {
            h2 title=(property.description) { a href=(history) { (property.title) } }
            p.value { (words::value(&last.value, &property.unit)) }
            div.plot role="img" aria-label={ (property.title) ", last 15 minutes" } {}
            p.hint { (words::moment(last.at, visitor.now())) }
        }
    }
}

/// What no chart is drawn of: words, truths, events, results.
fn others(visitor: &Visitor, profile: &Profile, last: &[LastValue]) -> Markup {
    let is_charted =
        |one: &&LastValue| profile.property(&one.series).is_none_or(|found| !is_numeric(found));
    let rest: Vec<_> = last.iter().filter(is_charted).collect();
    let title = |series: &str| match profile.property(series) {
        Some(property) => property.title.to_string(),
        None if series == "reported" => "Reported state".into(),
        None => match series.split_once('/') {
            Some(("result", action)) => format!("Answer to {action}"),
            Some(("event", event)) => format!("Event {event}"),
            Some(_) | None => series.into(),
        },
    };
    html! {
        @if !rest.is_empty() {
            section {
                h2 { "Also reported" }
                table {
                    thead { tr { th scope="col" { "What" } th scope="col" { "Value" } th scope="col" { "When" } } }
                    tbody { @for one in rest { tr {
                        th scope="row" { (title(&one.series)) }
                        td.break { (in_words(&one.value)) }
                        td.num { (words::moment(one.at, visitor.now())) }
                    } } }
                }
            }
        }
    }
}

/// A value; of an object, its members.
fn in_words(value: &Value) -> Markup {
    let Value::Text(text) = value else { return words::value(value, "") };
    match serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text) {
        Ok(members) => html! {
            @for (key, value) in &members {
                @let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                span.pair { (key) ": " span.said { (said) } } " "
            }
        },
        Err(_) => html! { (text) },
    }
}

fn nothing_yet(device: &Device) -> Markup {
    html! {
        div.empty {
            h2 { "No reading yet" }
            p { "Readings appear here as soon as the device publishes what its profile, " (device.profile) ", declares." }
            p.hint { "If it should publish already: the timeline says what the hub refused, and why." }
        }
    }
}
