use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    People,
    door::SignedIn,
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
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        devices: counts.devices,
        connected: counts.connected,
        below_full: counts.below_full,
        claims_open: counts.claims_open,
        devices_url: people.devices_url.clone(),
        mqtts: people.mqtts.clone(),
        fingerprint: people.fingerprint.clone(),
        mqtt: (people.doorstep)(),
        refusals: people.plane.denials().filter(|(_, count)| *count > 0).collect(),
        warning: people.warning.clone(),
    }))
}
