use std::io::BufRead;

use clap::Subcommand;
use serde_json::Value;

use super::{
    Done,
    hub::{Hub, escaped},
    show::{self, out},
};

/// Readings.
#[derive(Debug, Subcommand)]
pub(crate) enum Telemetry {
    /// Ask for readings of a device over time
    ///
    /// Example: hedgerow telemetry query --device ID --property cpuPercent --since 24h --buckets 100
    Query {
        /// The device's id
        #[arg(long)]
        device: String,
        /// One property; every one when left out
        #[arg(long)]
        property: Option<String>,
        /// From when: 2026-01-31T12:00:00Z, or how long ago (30s, 15m, 24h, 7d)
        #[arg(long, default_value = "1h")]
        since: String,
        /// Until when
        #[arg(long)]
        until: Option<String>,
        /// Down-sampled to at most so many buckets
        #[arg(long, requires = "property")]
        buckets: Option<u32>,
    },
}

/// Look on.
#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    /// The device's id
    #[arg(long)]
    device: String,
}

pub(crate) fn run(hub: &Hub, json: bool, telemetry: Telemetry) -> Done {
    let Telemetry::Query { device, property, since, until, buckets } = telemetry;
    let mut query = vec![("since", since)];
    query.extend(until.map(|until| ("until", until)));
    query.extend(property.map(|property| ("property", property)));
    query.extend(buckets.map(|count| ("count", count.to_string())));
    let what = if buckets.is_some() { "buckets" } else { "readings" };
    let found = hub.get(&format!("/devices/{}/{what}", escaped(&device)), &query)?;
    if json {
        show::json(&found);
    } else if buckets.is_some() {
        let columns = [
            ("FROM", "timestamp"),
            ("COUNT", "count"),
            ("MIN", "min"),
            ("MEAN", "mean"),
            ("MAX", "max"),
        ];
        show::table(&found, &columns);
    } else {
        let columns =
            [("AT", "timestamp"), ("PROPERTY", "property"), ("VALUE", "value"), ("UNIT", "unit")];
        show::table(&found, &columns);
    }
    Ok(())
}

pub(crate) fn watch(hub: &Hub, json: bool, watch: &Watch) -> Done {
    let stream = hub.stream(&format!("/devices/{}/live", escaped(&watch.device)))?;
    for line in stream.lines() {
        let line = line?;
        let Some(data) = line.strip_prefix("data:") else { continue };
        if json {
            out!("{}", data.trim());
            continue;
        }
        let reading: Value = serde_json::from_str(data)?;
        let (at, property) = (show::text(&reading, "timestamp"), show::text(&reading, "property"));
        out!("{at}  {property:32} {}", show::text(&reading, "value"));
    }
    Ok(())
}
