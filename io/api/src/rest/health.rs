use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    People,
    door::SignedIn,
    meters::{self, Limit},
    people::Doorstep,
    problem::{Problem, Refused},
};

/// That the hub is up, and nothing else: this needs no sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `up`.
    status: &'static str,
}

/// Whether the hub is up.
#[utoipa::path(get, path = "/api/v1/health", tag = "hub", security(()),
    responses((status = 200, description = "The hub is up", body = Health)))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "up" })
}

/// How the hub is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Version of the hub.
    version: &'static str,
    /// Devices that are not retired or erased.
    devices: u64,
    /// Devices with an open session.
    connected: u64,
    /// Devices with a standing below full.
    below_full: u64,
    /// Claim codes that wait for their device.
    claims_open: u64,
    /// Where devices of other machines enrol.
    devices_url: String,
    /// Where devices publish.
    mqtts: String,
    /// Fingerprint of the hub's root key, in hex.
    fingerprint: String,
    /// MQTT connections now.
    mqtt_connections: usize,
    /// MQTT connections, at most.
    mqtt_connections_limit: usize,
    /// Messages that devices sent since the hub started, refused ones included.
    messages_received: u64,
    /// Those of them that were refused.
    messages_refused: u64,
    /// Readings stored durably since the hub started.
    readings_stored: u64,
    /// Bytes of readings that are in memory only until they are sealed; the journal has them.
    unsealed_bytes: usize,
    /// Bytes of the databases.
    database_bytes: u64,
    /// Bytes that are free where the data is.
    disk_free_bytes: Option<u64>,
    /// What devices were refused since the hub started, by kind.
    refusals: BTreeMap<&'static str, u64>,
    /// Connections at the MQTT port.
    mqtt: Doorstep,
    /// What should not stay so.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// How the hub is doing.
#[utoipa::path(get, path = "/api/v1/status", tag = "hub", responses(
    (status = 200, description = "How the hub is doing", body = Status),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn status(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<Status>, Refused> {
    let counts = people.control.counts(&who.ctx).await?;
    let meters = (people.meters)();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        devices: counts.devices,
        connected: counts.connected,
        below_full: counts.below_full,
        claims_open: counts.claims_open,
        devices_url: people.devices_url.clone(),
        mqtts: people.mqtts.clone(),
        fingerprint: people.fingerprint.clone(),
        mqtt_connections: meters.mqtt_connections,
        mqtt_connections_limit: meters.mqtt_connections_max,
        messages_received: meters.messages_in,
        messages_refused: meters.messages_refused,
        readings_stored: meters.readings_stored,
        unsealed_bytes: meters.unsealed_bytes,
        database_bytes: meters.database_bytes.iter().map(|(_, bytes)| bytes).sum(),
        disk_free_bytes: meters.disk_bytes.map(|(free, _)| free),
        mqtt: (people.doorstep)(),
        refusals: people.plane.denials().filter(|(_, count)| *count > 0).collect(),
        warning: people.warning.clone(),
    }))
}

/// The limits of the hub.
#[utoipa::path(get, path = "/api/v1/limits", tag = "hub", responses(
    (status = 200, description = "Every limit of the configuration", body = Vec<Limit>),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn limits(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<Vec<Limit>>, Refused> {
    // Asked for its right to look, which is that of the numbers.
    people.control.counts(&who.ctx).await?;
    Ok(Json((people.meters)().limits))
}

/// What the hub counts, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "hub", responses(
    (status = 200, description = "Counters and gauges", body = String, content_type = "text/plain"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn metrics(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Response, Refused> {
    let counts = people.control.counts(&who.ctx).await?;
    let text = meters::exposition(&(people.meters)(), &counts, people.plane.denials());
    Ok(([(header::CONTENT_TYPE, meters::CONTENT_TYPE)], text).into_response())
}
