use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use hedgerow_control::Failure;

use super::forms::Anything;
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// Asks a connected device to do something that its profile declares. What it answers is stored as
/// `result/{action}`.
#[utoipa::path(post, path = "/api/v1/devices/{id}/actions/{action}", tag = "devices",
    request_body(content = Value, description = "The input of the action; `{}` when it has none"),
    params(("id" = String, Path, description = "The device's id"),
        ("action" = String, Path, description = "The action, as the profile names it")), responses(
    (status = 202, description = "The device was asked"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn invoke(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path((id, action)): Path<(String, String)>,
    Anything(input): Anything,
) -> Result<StatusCode, Refused> {
    let id = id.parse().map_err(|_| Failure::absent("device"))?;
    let input = input.to_string();
    people.control.invoke(&who.ctx, id, &action, input.as_bytes()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Tells a connected device to give a property another value. What it has then, it says itself.
#[utoipa::path(put, path = "/api/v1/devices/{id}/properties/{name}", tag = "devices",
    request_body(content = Value, description = "The value, of the property's type"),
    params(("id" = String, Path, description = "The device's id"),
        ("name" = String, Path, description = "The property, as the profile names it")), responses(
    (status = 202, description = "The device was told"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn write(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path((id, name)): Path<(String, String)>,
    Anything(value): Anything,
) -> Result<StatusCode, Refused> {
    let id = id.parse().map_err(|_| Failure::absent("device"))?;
    let value = value.to_string();
    people.control.write(&who.ctx, id, &name, value.as_bytes()).await?;
    Ok(StatusCode::ACCEPTED)
}
