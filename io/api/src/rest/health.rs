use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

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
