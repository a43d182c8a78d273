//! The table of devices.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use hedgerow_base::Timestamp;
use hedgerow_registry::{Device, Filter};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    bulk,
    columns::Columns,
    frame::{Frame, Place, notice},
    visitor::{Trouble, Visitor},
    words,
};
use crate::{
    People,
    limits::TABLE_ROWS,
    rest::{devices::DeviceQuery, forms::Ask},
};

/// A filter that is one press away.
struct Chip {
    word: &'static str,
    key: &'static str,
    value: &'static str,
}

const CHIPS: [Chip; 7] = [
    Chip { word: "Connected", key: "connected", value: "true" },
    Chip { word: "Not connected", key: "connected", value: "false" },
    Chip { word: "Full", key: "standing", value: "full" },
    Chip { word: "Restricted", key: "standing", value: "restricted" },
    Chip { word: "Remediate", key: "standing", value: "remediate" },
    Chip { word: "Cut", key: "standing", value: "cut" },
    Chip { word: "Retired", key: "state", value: "retired" },
];

/// Which devices, in which columns, and what was done just now.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableQuery {
    q: Option<String>,
    state: Option<String>,
    standing: Option<String>,
    connected: Option<bool>,
    group: Option<String>,
    label: Option<String>,
    days_left: Option<u32>,
    key_storage: Option<String>,
    after: Option<String>,
    columns: Option<String>,
    done: Option<String>,
    count: Option<u64>,
}

impl TableQuery {
    fn devices(&self) -> DeviceQuery {
        let Self { q, state, standing, connected, group, label, after, .. } = self.clone();
        let (days_left, key_storage) = (self.days_left, self.key_storage.clone());
        let limit = Some(TABLE_ROWS);
        DeviceQuery {
            q,
            state,
            standing,
            connected,
            group,
            label,
            days_left,
            key_storage,
            after,
            limit,
        }
    }
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    headers: HeaderMap,
    Ask(asked): Ask<TableQuery>,
) -> Result<Response, Trouble> {
    let columns = Columns::of(asked.columns.as_deref(), &headers);
    let query = asked.devices();
    let filter = query.filter(visitor.now())?;
    let found = people.control.devices(&visitor.ctx, &filter, query.page()?).await?;
    let is_all = filter == Filter::default();
    let counts = people.control.counts(&visitor.ctx).await?;
    let frame = Frame {
        people: &people,
        visitor: &visitor,
        title: "Devices",
        place: Place::Devices,
        scripts: &[],
    };
    let list = html! {
        div #list {
            (chips(&asked))
            @if found.items.is_empty() {
                (empty(&visitor, is_all && query.after.is_none()))
            } @else {
                (table(&people, &visitor, &columns, &found.items))
                (pages(&asked, found.next.map(|id| id.to_string())))
            }
        }
    };
    Ok(frame.page(html! {
        (notice(bulk::said(asked.done.as_deref(), asked.count).as_deref()))
        div.heading {
            h1 { "Devices" span.count { (words::grouped(counts.devices)) } }
            @if visitor.operates() { a.button.primary href="/claim" { "Claim a device" } }
        }
        div.tools {
        form.filter action="/devices" {
            label.hidden for="q" { "Search by name, id or label" }
            input #q type="search" name="q" maxlength="200" placeholder="Name, id or label"
                value=(query.q.as_deref().unwrap_or_default())
                hx-get="/devices" hx-trigger="input changed delay:200ms" hx-target="#list"
                hx-select="#list" hx-swap="outerHTML" hx-push-url="true" hx-include="closest form";
            @for (key, value) in kept(&asked, &["q", "after"]) { input type="hidden" name=(key) value=(value); }
            button.plainly { "Search" }
        }
        (columns.choice(&url(&kept(&asked, &["columns"]))))
        }
        (list)
    }))
}

/// The parts of the query that stand, but for some.
fn kept(query: &TableQuery, without: &[&str]) -> Vec<(&'static str, String)> {
    let pairs = [
        ("q", query.q.clone()),
        ("connected", query.connected.map(|is| is.to_string())),
        ("standing", query.standing.clone()),
        ("state", query.state.clone()),
        ("group", query.group.clone()),
        ("label", query.label.clone()),
        ("days_left", query.days_left.map(|days| days.to_string())),
        ("key_storage", query.key_storage.clone()),
        ("after", query.after.clone()),
        ("columns", query.columns.clone()),
    ];
    let said = pairs.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
    said.filter(|(key, value)| !value.is_empty() && !without.contains(key)).collect()
}

fn url(pairs: &[(&str, String)]) -> String {
    let query = pairs.iter().map(|(key, value)| format!("{key}={}", escaped(value)));
    let query: Vec<_> = query.collect();
    if query.is_empty() { "/devices".into() } else { format!("/devices?{}", query.join("&")) }
}

/// A value in a query (RFC 3986 section 2.3).
pub(super) fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    value
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn chips(query: &TableQuery) -> Markup {
    let standing = kept(query, &["after"]);
    let is_on = |chip: &Chip| standing.iter().any(|(k, v)| *k == chip.key && v == chip.value);
    let target = |chip: &Chip| {
        let mut pairs = kept(query, &["after", chip.key]);
        if !is_on(chip) {
            pairs.push((chip.key, chip.value.to_owned()));
        }
        url(&pairs)
    };
    let more = standing.iter().filter_map(|(key, value)| {
        let word = match *key {
            "group" | "label" => format!("{key} {value}"),
            "days_left" if value == "0" => "certificate ended".into(),
            "days_left" => format!("under {value} days left"),
            "key_storage" => format!("key {value}"),
            _ => return None,
        };
        Some((*key, word))
    });
    html! {
        ul.chips aria-label="Filters" {
            li { a href=(url(&kept(query, &["after", "connected", "standing", "state", "group", "label", "days_left", "key_storage"]))) aria-current=[standing.iter().all(|(key, _)| matches!(*key, "q" | "columns")).then_some("true")] { "All" } }
            @for chip in &CHIPS {
                li { a href=(target(chip)) aria-current=[is_on(chip).then_some("true")] { (chip.word) } }
            }
            @for (key, word) in more {
                li { a href=(url(&kept(query, &["after", key]))) aria-current="true" { (word) } }
            }
        }
    }
}

fn table(people: &People, visitor: &Visitor, columns: &Columns, devices: &[Device]) -> Markup {
    let operates = visitor.operates();
    html! {
        @if operates { (bulk::bar(devices.len())) }
        table.devices.ticked[operates] {
            caption.hidden { "Devices" }
            thead { tr {
                @if operates { th.tick scope="col" { span.hidden { "Tick" } } }
                th scope="col" { "Name" }
                (columns.heads())
            } }
            tbody { @for device in devices { tr {
                @if operates { (bulk::tick(device)) }
                th scope="row" {
                    a href={ "/devices/" (device.key.id) } { (device.name) }
                    @if let Some(group) = &device.group { span.hint { " " (group) } }
                }
                (columns.cells(people, visitor.now(), device))
            } } }
        }
    }
}

/// What the data plane knows this moment, or else the store.
pub(super) fn presence(people: &People, device: &Device) -> (bool, Option<Timestamp>) {
    let live = people.plane.directory().presence(device.key.tenant, device.key.id);
    let heard = live.and_then(|live| live.last_seen).max(device.last_seen);
    (live.is_some_and(|live| live.sessions > 0), heard)
}

fn pages(query: &TableQuery, next: Option<String>) -> Markup {
    html! {
        @if query.after.is_some() || next.is_some() {
            nav.pages aria-label="Pages" {
                @if query.after.is_some() { a.button href=(url(&kept(query, &["after"]))) { "First page" } }
                @if let Some(next) = next {
                    @let mut pairs = kept(query, &["after"]);
                    @let () = pairs.push(("after", next));
                    a.button rel="next" href=(url(&pairs)) { "Next page" }
                }
            }
        }
    }
}

fn empty(visitor: &Visitor, is_all: bool) -> Markup {
    html! {
        div.empty {
            @if is_all {
                h2 { "No device yet" }
                p { "A device comes in with a claim code: you make one here, it shows the code once, gets its own certificate, and appears in this table." }
                @if visitor.operates() { p { a.button.primary href="/claim" { "Claim a device" } } }
                p.hint { "To take in the machine that the hub runs on, start the hub with " code { "hedgerow up --with-agent" } "." }
            } @else {
                h2 { "No device fits" }
                p { "Search for less, or take a filter away." }
                p { a.button href="/devices" { "Show all devices" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_stand_in_the_url_and_values_are_escaped() {
        let query = TableQuery {
            q: Some("a&b".into()),
            standing: Some("full".into()),
            after: Some("x".into()),
            ..TableQuery::default()
        };
        assert_eq!(url(&kept(&query, &["after"])), "/devices?q=a%26b&standing=full");
        assert_eq!(url(&kept(&query, &["q", "standing", "after"])), "/devices");
    }
}
