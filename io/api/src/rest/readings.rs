use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use hedgerow_base::Timestamp;
use hedgerow_control::limits::{BUCKETS_MAX, READINGS_MAX};
use hedgerow_model::Value;
use hedgerow_registry::Device;
use hedgerow_telemetry::Range;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::{IntoParams, ToSchema};

use super::forms::{Ask, Id, moment};
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// What was measured.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Measured {
    /// Yes or no.
    Boolean(bool),
    /// A number.
    #[schema(value_type = f64)]
    Number(Number),
    /// Text.
    Text(String),
}

impl From<&Value> for Measured {
    fn from(value: &Value) -> Self {
        match value {
            Value::Boolean(truth) => Self::Boolean(*truth),
            Value::Integer(whole) => Self::Number((*whole).into()),
            // What is not finite was never stored.
            Value::Number(number) => Self::Number(Number::from_f64(*number).unwrap_or(0.into())),
            Value::Text(text) => Self::Text(text.to_string()),
        }
    }
}

/// One reading.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reading {
    /// Of which property, or `event/{name}`, `result/{action}`, `reported`.
    property: String,
    /// When it was measured (RFC 3339).
    timestamp: String,
    /// What was measured: a number, a boolean or text.
    value: Measured,
    /// Its unit, as the profile says it.
    unit: Option<String>,
}

/// Readings between two moments, down-sampled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BucketView {
    /// When the bucket begins.
    timestamp: String,
    /// Readings in it.
    count: u64,
    /// The least of them.
    min: Option<f64>,
    /// The greatest of them.
    max: Option<f64>,
    /// Their mean.
    mean: Option<f64>,
}

/// Newest readings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadingList {
    /// Readings.
    items: Vec<Reading>,
    /// Always null: a shorter time or buckets bring less.
    next: Option<String>,
}

/// Buckets of one property.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BucketList {
    /// The property.
    property: String,
    /// Its unit.
    unit: Option<String>,
    /// How wide a bucket is, in milliseconds.
    width_ms: i64,
    /// Buckets with readings, in order of time.
    items: Vec<BucketView>,
    /// Always null.
    next: Option<String>,
}

fn unit_of(people: &People, device: &Device, series: &str) -> Option<String> {
    let profile = people.bounds_of(device).profile;
    let unit = profile.property(series).map(|property| property.unit.to_string());
    unit.filter(|unit| !unit.is_empty())
}

/// The newest reading of everything that a device measures.
#[utoipa::path(get, path = "/api/v1/devices/{id}/values", tag = "telemetry",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "Newest readings", body = ReadingList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn values(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
) -> Result<Json<ReadingList>, Refused> {
    let device = people.control.device(&who.ctx, id).await?;
    let last = people.control.last_values(&who.ctx, id).await?;
    let items = last.into_iter().map(|one| Reading {
        unit: unit_of(&people, &device, &one.series),
        timestamp: one.at.to_string(),
        value: Measured::from(&one.value),
        property: one.series,
    });
    Ok(Json(ReadingList { items: items.collect(), next: None }))
}

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadingQuery {
    /// One property; every one when left out.
    property: Option<String>,
    /// From when: RFC 3339, or how long ago (30s, 15m, 24h, 7d); an hour ago when left out.
    #[param(
        pattern = r"^[0-9]{1,6}[smhd]$|^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
    )]
    since: Option<String>,
    /// Until when, not included; now when left out.
    #[param(
        pattern = r"^[0-9]{1,6}[smhd]$|^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
    )]
    until: Option<String>,
    /// `csv` for a table.
    #[param(pattern = r"^(csv|json)$")]
    format: Option<String>,
}

fn range(since: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Range, Refused> {
    let from = moment(since.unwrap_or("1h"), now)?;
    let to = match until {
        Some(text) => moment(text, now)?,
        // Readings of this very instant count.
        None => now.plus_ms(1),
    };
    Ok(Range { from, to })
}

/// Which readings, and in how many buckets.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BucketQuery {
    /// The property.
    property: String,
    /// From when: RFC 3339, or how long ago (30s, 15m, 24h, 7d); an hour ago when left out.
    #[param(
        pattern = r"^[0-9]{1,6}[smhd]$|^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
    )]
    since: Option<String>,
    /// Until when, not included; now when left out.
    #[param(
        pattern = r"^[0-9]{1,6}[smhd]$|^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
    )]
    until: Option<String>,
    /// At most so many buckets; 300 when left out.
    #[param(minimum = 1, maximum = 2000)]
    count: Option<u32>,
}

/// Readings of one property, down-sampled to buckets of equal width.
#[utoipa::path(get, path = "/api/v1/devices/{id}/buckets", tag = "telemetry",
    params(("id" = String, Path, description = "The device's id"), BucketQuery), responses(
    (status = 200, description = "Buckets that have readings", body = BucketList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn buckets(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    Ask(query): Ask<BucketQuery>,
) -> Result<Json<BucketList>, Refused> {
    let device = people.control.device(&who.ctx, id).await?;
    let range = range(query.since.as_deref(), query.until.as_deref(), who.ctx.now)?;
    let count = query.count.unwrap_or(300);
    if !(1..=BUCKETS_MAX).contains(&count) {
        return Err(Refused::invalid(format!("there are 1 to {BUCKETS_MAX} buckets")));
    }
    let property = query.property;
    let (width_ms, found) = people.control.buckets(&who.ctx, id, &property, range, count).await?;
    let finite = |number: f64| number.is_finite().then_some(number);
    let items = found.iter().map(|bucket| BucketView {
        timestamp: bucket.start.to_string(),
        count: bucket.count,
        min: finite(bucket.minimum),
        max: finite(bucket.maximum),
        mean: bucket.mean().and_then(finite),
    });
    let (unit, items) = (unit_of(&people, &device, &property), items.collect());
    Ok(Json(BucketList { property, unit, width_ms, items, next: None }))
}

/// Readings of a device over time, as they are stored.
#[utoipa::path(get, path = "/api/v1/devices/{id}/readings", tag = "telemetry",
    params(("id" = String, Path, description = "The device's id"), ReadingQuery), responses(
    (status = 200, description = "Readings in order of property and time", content(
        (ReadingList = "application/json"), (String = "text/csv"))),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn readings(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    Ask(query): Ask<ReadingQuery>,
) -> Result<Response, Refused> {
    let device = people.control.device(&who.ctx, id).await?;
    let range = range(query.since.as_deref(), query.until.as_deref(), who.ctx.now)?;
    let is_csv = match query.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => {
            return Err(Refused::invalid(format!("no format {other}; there are json and csv")));
        }
    };
    let series = match query.property {
        Some(series) => vec![series],
        None => {
            let last = people.control.last_values(&who.ctx, id).await?;
            last.into_iter().map(|one| one.series).collect()
        }
    };
    let mut items = Vec::new();
    for property in series {
        let unit = unit_of(&people, &device, &property);
        for (at, value) in people.control.readings(&who.ctx, id, &property, range).await? {
            let (property, unit) = (property.clone(), unit.clone());
            items.push(Reading {
                property,
                timestamp: at.to_string(),
                value: Measured::from(&value),
                unit,
            });
        }
        if items.len() > READINGS_MAX {
            let reason =
                "that is too much for one answer; ask for one property, less time, or buckets";
            let failure = hedgerow_control::Failure::new(hedgerow_base::Fault::TooMuch, reason);
            return Err(failure.into());
        }
    }
    if is_csv {
        return Ok(csv(&items));
    }
    Ok(Json(ReadingList { items, next: None }).into_response())
}

fn csv(items: &[Reading]) -> Response {
    let mut text = String::from("timestamp,property,value,unit\r\n");
    for item in items {
        let value = match &item.value {
            Measured::Text(words) => quoted(words),
            Measured::Boolean(truth) => truth.to_string(),
            Measured::Number(number) => number.to_string(),
        };
        let (unit, property) = (item.unit.as_deref().unwrap_or_default(), quoted(&item.property));
        text.push_str(&format!("{},{property},{value},{}\r\n", item.timestamp, quoted(unit)));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"readings.csv\""),
    ];
    (headers, text).into_response()
}

/// A field of RFC 4180; one that a spreadsheet would run as a formula is defused.
fn quoted(text: &str) -> String {
    let defused = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if text.contains([',', '"', '\r', '\n']) || !defused.is_empty() {
        return format!("\"{defused}{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_defused() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
