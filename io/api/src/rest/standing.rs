use std::sync::Arc;

use axum::{extract::State, response::Response};
use hedgerow_base::DeviceId;
use hedgerow_control::{Cause, Control, Ctx, Failure};
use hedgerow_registry::Device;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    devices::{DeviceView, answer},
    forms::{Body, Id},
};
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// Why, for the device's timeline.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CauseBody {
    /// A sentence; may be left out.
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: String,
}

async fn speak(
    people: &People,
    act: impl AsyncFnOnce(&Control, &Ctx, DeviceId, &Cause) -> Result<Device, Failure>,
    who: SignedIn,
    id: DeviceId,
    body: CauseBody,
) -> Result<Response, Refused> {
    let device = act(&people.control, &who.ctx, id, &Cause::new(&body.reason)?).await?;
    Ok(answer(people, device))
}

/// Leaves a device only what it needs to heal. Its open sessions are narrowed at once.
#[utoipa::path(post, path = "/api/v1/devices/{id}/quarantine", tag = "standing", request_body = CauseBody,
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "The device as it is now", body = DeviceView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn quarantine(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    Body(body): Body<CauseBody>,
) -> Result<Response, Refused> {
    speak(&people, Control::quarantine, who, id, body).await
}

/// Lets a device out of quarantine.
#[utoipa::path(post, path = "/api/v1/devices/{id}/release", tag = "standing", request_body = CauseBody,
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "The device as it is now", body = DeviceView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn release(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    Body(body): Body<CauseBody>,
) -> Result<Response, Refused> {
    speak(&people, Control::release, who, id, body).await
}

/// Ends a device's life here: certificates revoked, sessions closed. Can't be undone.
#[utoipa::path(post, path = "/api/v1/devices/{id}/retire", tag = "standing", request_body = CauseBody,
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "The device as it is now", body = DeviceView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn retire(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    Body(body): Body<CauseBody>,
) -> Result<Response, Refused> {
    speak(&people, Control::retire, who, id, body).await
}

/// Revokes every certificate of a device: its key is not trusted any more.
#[utoipa::path(post, path = "/api/v1/devices/{id}/revoke", tag = "standing", request_body = CauseBody,
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "The device as it is now", body = DeviceView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    Body(body): Body<CauseBody>,
) -> Result<Response, Refused> {
    speak(&people, Control::revoke, who, id, body).await
}
