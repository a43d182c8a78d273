//! The REST API under `/api/v1`, `/metrics`, and the Thing Directory at `/things`. Every operation is described where it is handled; `open_api` gathers the
//! descriptions, and a test holds that no route is missing from it.

pub(crate) mod actions;
pub(crate) mod audit;
pub(crate) mod authority;
pub(crate) mod broker;
pub(crate) mod claims;
pub(crate) mod devices;
pub(crate) mod fleet;
pub(crate) mod forms;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod messages;
pub(crate) mod persons;
pub(crate) mod profiles;
pub(crate) mod readings;
pub(crate) mod session;
pub(crate) mod standing;
pub(crate) mod things;
pub(crate) mod tokens;
pub(crate) mod weak;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, patch, post, put},
};
use hedgerow_model::limits::PROFILE_BYTES_MAX;

use crate::{People, problem::Refused};

/// The routes of the API.
pub(crate) fn router() -> Router<Arc<People>> {
    let device = Router::new()
        .route("/", get(devices::one).patch(devices::edit))
        .route("/quarantine", post(standing::quarantine))
        .route("/release", post(standing::release))
        .route("/retire", post(standing::retire))
        .route("/revoke", post(standing::revoke))
        .route("/password", post(weak::change))
        .route("/actions/{action}", post(actions::invoke))
        .route("/properties/{name}", put(actions::write))
        .route("/timeline", get(devices::timeline))
        .route("/certificates", get(devices::certificates))
        .route("/values", get(readings::values))
        .route("/readings", get(readings::readings))
        .route("/buckets", get(readings::buckets))
        .route("/live", get(live::live));
    let profile = Router::new()
        .route("/", get(profiles::one).put(profiles::put).delete(profiles::remove))
        .route("/document", get(profiles::document))
        .route("/overlay", put(profiles::narrow))
        .route("/accept", post(profiles::accept))
        .layer(DefaultBodyLimit::max(PROFILE_BYTES_MAX));
    let v1 = Router::new()
        .route("/health", get(health::health))
        .route("/status", get(health::status))
        .route("/limits", get(health::limits))
        .route("/openapi.json", get(crate::open_api::document))
        .route("/devices", get(devices::list).post(devices::carry))
        .nest("/devices/{id}", device)
        .route("/broker", get(broker::show))
        .route("/broker/sessions", get(broker::sessions))
        .route("/broker/sessions/{name}", get(broker::session).delete(broker::end))
        .route("/broker/retained", get(broker::retained))
        .route("/broker/messages", get(messages::messages))
        .route("/weak-devices", post(weak::admit))
        .route("/profiles", get(profiles::list))
        .nest("/profiles/{name}", profile)
        .route("/claims", get(claims::list).post(claims::create))
        .route("/claims/{id}", delete(claims::withdraw))
        .route("/audit", get(audit::list))
        .route("/audit/verify", post(audit::verify))
        .route("/audit/checkpoint", get(audit::checkpoint))
        .route("/fleet/keys", get(fleet::keys))
        .route("/authority", get(authority::list))
        .route("/authority/revoked", get(authority::revoked))
        .route("/authority/rotate", post(authority::rotate))
        .route("/authority/distrust", post(authority::distrust))
        .route("/people", get(persons::list).post(persons::add))
        .route("/people/{id}", patch(persons::set_role).delete(persons::remove))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", delete(tokens::remove))
        .route("/session", get(session::show).post(session::sign_in).delete(session::sign_out))
        .route("/session/password", post(session::set_password))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so);
    Router::new()
        .nest("/api/v1", v1)
        .route("/metrics", get(health::metrics))
        .route("/things", get(things::list))
        .route("/things/{id}", get(things::one))
        .route("/things/{id}/properties/{name}", get(things::value))
}

async fn nowhere() -> Refused {
    hedgerow_control::Failure::absent("path; the API is described at /api/v1/openapi.json").into()
}

async fn not_so() -> Refused {
    Refused::invalid("this path takes other methods; see /api/v1/openapi.json")
        .with_status(axum::http::StatusCode::METHOD_NOT_ALLOWED)
}
