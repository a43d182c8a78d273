//! What anybody may see: the hub's certificate, and how to report a flaw.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_control::Failure;
use hedgerow_listen::server::now;
use maud::html;

use super::{frame, visitor::Trouble};
use crate::{People, door::Transport};

/// How long a reader may trust `security.txt` (RFC 9116 section 2.5.5: less than a year).
const SECURITY_TEXT_LIFE_MS: i64 = 90 * 86_400_000;

pub(crate) async fn ca(State(people): State<Arc<People>>) -> Response {
    let about = [
        (header::CONTENT_TYPE, "application/x-pem-file"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"hedgerow-ca.pem\""),
    ];
    (about, people.ca_pem.clone()).into_response()
}

pub(crate) async fn security() -> Response {
    let main = html! {
        h1 { "Report a flaw" }
        p { "This hub is run by its owner. If it or a device of it can be misused, tell the owner first." }
        p { "Flaws of Hedgerow itself are reported as its SECURITY.md says, which comes with every copy of it. Please don't publish them before they are mended." }
    };
    frame::show(frame::bare("Report a flaw", &[], main))
}

/// RFC 9116.
pub(crate) async fn security_text(
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = if transport == Transport::Https { "https" } else { "http" };
    let host = host.unwrap_or("localhost");
    let expires = now().plus_ms(SECURITY_TEXT_LIFE_MS);
    let text = format!(
        "Contact: {scheme}://{host}/security\nExpires: {expires}\nPreferred-Languages: en\n\
         Canonical: {scheme}://{host}/.well-known/security.txt\n"
    );
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

pub(crate) async fn nowhere() -> Response {
    let failure = Failure::absent("page");
    Trouble { failure, status: StatusCode::NOT_FOUND }.into_response()
}
