//! The REST API under `/api/v1`; `open_api` has its document.

pub(crate) mod health;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::People;

/// The routes of the API.
pub(crate) fn router() -> Router<Arc<People>> {
    let v1 = Router::new()
        .route("/health", get(health::health))
        .route("/openapi.json", get(crate::open_api::document));
    Router::new().nest("/api/v1", v1)
}
