use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hedgerow_base::base32;
use hedgerow_control::{Failure, NewWeakDevice};
use hedgerow_model::mapping::Names;
use hedgerow_policy::PasswordId;
use hedgerow_registry::Device;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    devices::{DeviceView, view},
    forms::{Body, Id, unprocessable},
};
use crate::{
    People,
    door::{SignedIn, digest},
    problem::{Problem, Refused},
};

/// A device that can do no better than a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeakRequest {
    /// What it will be called.
    #[schema(pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]{1,80}$")]
    name: String,
    /// The profile that it will be held to.
    #[schema(pattern = r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    profile: String,
    /// The variables of its foreign topics, where they are not the profile's defaults.
    #[serde(default)]
    names: BTreeMap<String, String>,
}

/// What to type into the device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WeakMade {
    /// The device.
    device: DeviceView,
    /// Its user name: its id.
    username: String,
    /// Its password; shown once.
    password: String,
    /// The host and port that take it; null while the hub has no such door (`hedgerow up --mqtts-weak`).
    mqtts: Option<String>,
}

/// A password with 128 random bits, in characters that are easy to type.
pub(crate) fn password(people: &People) -> (String, PasswordId) {
    let mut bytes = [0; 16];
    people.random.fill(&mut bytes);
    let mut text = [0; 26];
    let password = base32::encode(&bytes, &mut text).unwrap_or_default().to_owned();
    let id = PasswordId(digest(&password));
    (password, id)
}

fn made(people: &People, device: Device, password: String) -> WeakMade {
    let username = device.key.id.to_string();
    WeakMade { device: view(people, device), username, password, mqtts: people.mqtts_weak.clone() }
}

/// Takes in a device that can do no better than TLS 1.2 and a password.
#[utoipa::path(post, path = "/api/v1/weak-devices", tag = "devices", request_body = WeakRequest, responses(
    (status = 201, description = "The device and its password; shown once", body = WeakMade),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn admit(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Body(request): Body<WeakRequest>,
) -> Result<Response, Refused> {
    people.control.may_admit_weak_devices(&who.ctx).await?;
    let (password, id) = password(&people);
    let names = request.names.iter().map(|(name, value)| (&**name, &**value));
    let names = Names::new(names).map_err(Failure::from).map_err(unprocessable)?;
    let new = NewWeakDevice { name: request.name, profile: request.profile, names };
    let admitted = people.control.admit_weak_device(&who.ctx, new, id).await;
    let device = admitted.map_err(unprocessable)?;
    Ok((StatusCode::CREATED, Json(made(&people, device, password))).into_response())
}

/// Gives a weak device another password; its sessions end.
#[utoipa::path(post, path = "/api/v1/devices/{id}/password", tag = "devices",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "The new password; shown once", body = WeakMade),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(device): Id,
) -> Result<Json<WeakMade>, Refused> {
    let (password, id) = password(&people);
    let device = people.control.change_device_password(&who.ctx, device, id).await?;
    Ok(Json(made(&people, device, password)))
}
