//! The OpenAPI 3.1 document of the API, made from the handlers themselves.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "Hedgerow", description = "Devices, readings and the audit log of a hub"),
    paths(crate::rest::health::health)
)]
struct Document;

/// The document itself.
pub(crate) async fn document() -> Response {
    let json = Document::openapi().to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}
