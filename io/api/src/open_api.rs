//! The OpenAPI 3.1 document of the API, made from the handlers themselves.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::rest::{
    actions, audit, authority, broker, claims, devices, fleet, health, live, messages, persons,
    profiles, readings, session, standing, things, tokens, weak,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hedgerow",
        description = "Devices, their readings and the audit log of a hub. Errors are \
                       `application/problem+json` (RFC 9457).",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    paths(
        health::health, health::status, health::limits, health::metrics,
        fleet::keys, devices::list, devices::carry, devices::one, devices::edit, devices::timeline, devices::certificates,
        standing::quarantine, standing::release, standing::retire, standing::revoke, weak::admit, weak::change, actions::invoke, actions::write,
        readings::values, readings::readings, readings::buckets, live::live,
        broker::show, broker::sessions, broker::session, broker::end, broker::retained,
        messages::messages,
        claims::create, claims::list, claims::withdraw,
        profiles::list, profiles::one, profiles::document, profiles::put, profiles::remove,
        profiles::accept, profiles::narrow,
        audit::list, audit::verify, audit::checkpoint,
        authority::list, authority::revoked, authority::rotate, authority::distrust,
        things::list, things::one, things::value,
        persons::list, persons::add, persons::set_role, persons::remove,
        tokens::create, tokens::list, tokens::remove,
        session::show, session::sign_in, session::sign_out, session::set_password,
    ),
    modifiers(&Schemes),
    security(("token" = []), ("cookie" = []))
)]
pub(crate) struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let cookie = ApiKey::Cookie(ApiKeyValue::new("__Host-hedgerow"));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// The document itself.
pub(crate) async fn document() -> Response {
    let json = Document::openapi().to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}
