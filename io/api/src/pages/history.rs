//! One property over time.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use hedgerow_base::{DeviceId, Timestamp};
use hedgerow_model::{Property, unit};
use hedgerow_telemetry::{Bucket, Range};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    device::{Sight, Tab, is_numeric},
    devices::escaped,
    visitor::{Trouble, Visitor},
    words,
};
use crate::{
    People,
    limits::HISTORY_ROWS,
    rest::forms::{Ask, Id, moment},
};

/// How far back a press goes.
const SPANS: [(&str, &str); 6] = [
    ("15m", "15 minutes"),
    ("1h", "1 hour"),
    ("6h", "6 hours"),
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
];

#[derive(Deserialize)]
pub(crate) struct HistoryQuery {
    property: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
    Ask(query): Ask<HistoryQuery>,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let profile = people.bounds_of(&device).profile;
    let numeric: Vec<_> = profile.properties().iter().filter(|one| is_numeric(one)).collect();
    let named = query.property.as_deref().and_then(|name| profile.property(name));
    let sight = Sight { people: &people, visitor: &visitor, device: &device };
    let Some(property) = named.filter(|one| is_numeric(one)).or(numeric.first().copied()) else {
        let main = html! { div.empty { h2 { "Nothing to draw" } p { "The profile of this device declares no number." } } };
        return Ok(sight.page(Tab::History, &[], main));
    };
    let since = query.since.as_deref().unwrap_or("1h");
    let from = moment(since, visitor.now())?;
    let to = match query.until.as_deref() {
        Some(text) => moment(text, visitor.now())?,
        None => visitor.now().plus_ms(1),
    };
    let range = Range { from, to };
    let found =
        people.control.buckets(&visitor.ctx, id, &property.name, range, HISTORY_ROWS).await?;
    let main = html! {
        (choice(&numeric, property, since))
        (spans(id, property, since))
        (plot(id, property, from, to))
        (as_table(&visitor, property, &found.1))
    };
    Ok(sight.page(Tab::History, &["uplot.js", "chart.js"], main))
}

fn choice(numeric: &[&Property], chosen: &Property, since: &str) -> Markup {
    html! {
        form.filter.row data-submit-on-change {
            label { span { "Property" }
                select name="property" {
                    @for one in numeric { option value=(one.name) selected[one.name == chosen.name] { (one.title) } }
                }
            }
            input type="hidden" name="since" value=(since);
            button.plainly { "Show" }
        }
    }
}

fn spans(id: DeviceId, property: &Property, since: &str) -> Markup {
    html! {
        ul.chips aria-label="How far back" {
            @for (word, title) in SPANS {
                li { a href={ "/devices/" (id) "/history?property=" (escaped(&property.name)) "&since=" (word) } aria-current=[(word == since).then_some("true")] { (title) } }
            }
        }
    }
}

fn plot(id: DeviceId, property: &Property, from: Timestamp, to: Timestamp) -> Markup {
    let csv = format!(
        "/api/v1/devices/{id}/readings?property={}&since={}&until={}&format=csv",
        escaped(&property.name),
        escaped(&from.to_string()),
        escaped(&to.to_string()),
    );
    html! {
        section.card.wide-plot #history data-device=(id) data-property=(property.name)
            data-unit=(property.unit) data-sign=(unit::sign(&property.unit))
            data-from=(from.as_ms()) data-to=(to.as_ms()) {
            div.plot-head {
                h2 { (property.title) @if !property.unit.is_empty() { span.unit { " in " (unit::sign(&property.unit)) } } }
                p.value #history-value aria-live="off" {}
            }
            div.plot role="img" aria-label={ (property.title) " over time; the same as a table is below" } {}
            div.zoom #zoom hidden role="group" aria-label="Zoom" {
                button type="button" data-zoom="earlier" { "Earlier" }
                button type="button" data-zoom="in" { "Zoom in" }
                button type="button" data-zoom="out" { "Zoom out" }
                button type="button" data-zoom="later" { "Later" }
                button type="button" data-zoom="reset" { "Reset" }
            }
            p.hint { span #plot-hint { "The chart needs scripts; the table below does not." } " " a #csv href=(csv) { "Download as CSV" } }
        }
    }
}

fn as_table(visitor: &Visitor, property: &Property, found: &[Bucket]) -> Markup {
    let cell = |number: Option<f64>| {
        let (text, sign) = number
            .filter(|number| number.is_finite())
            .map_or(("–".into(), String::new()), |number| {
                words::quantity(number, &property.unit)
            });
        html! { td.num { (text) " " span.unit { (sign) } } }
    };
    html! {
        details {
            summary { "The same as a table" }
            @if found.is_empty() { p.hint { "No reading in this time." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Readings as a table" {
                    table {
                        thead { tr { th scope="col" { "From" } th.num scope="col" { "Least" } th.num scope="col" { "Mean" } th.num scope="col" { "Greatest" } th.num scope="col" { "Readings" } } }
                        tbody { @for bucket in found { tr {
                            th scope="row" { (words::moment(bucket.start, visitor.now())) }
                            (cell(Some(bucket.minimum))) (cell(bucket.mean())) (cell(Some(bucket.maximum)))
                            td.num { (words::grouped(bucket.count)) }
                        } } }
                    }
                }
            }
        }
    }
}
