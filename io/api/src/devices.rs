//! The door for devices: EST, the revocation list, checkpoints of the audit log.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_base::{Fault, TenantId};
use hedgerow_control::{Control, Failure};
use hedgerow_listen::server::now;
use hedgerow_onboarding::est::BASE_PATH;
use hedgerow_tlog::Note;
use serde::Deserialize;

use crate::{Caller, RevocationList, est, limits::BODY_BYTES_MAX, problem::status_of};

/// What the handlers need.
pub struct Devices {
    /// The control plane.
    pub control: Arc<Control>,
    /// Root CA, in DER.
    pub root: Vec<u8>,
    /// Issuing CA, in DER.
    pub issuing: Vec<u8>,
    /// The list that is given out.
    pub revocation: Arc<RevocationList>,
    /// Size of a checkpoint of ours; none when it is not one.
    pub size_of: fn(&Note) -> Option<u64>,
    /// The audit log's public key.
    pub log_key: [u8; 32],
    /// Where MQTT over TLS is.
    pub mqtts_port: u16,
}

/// Every route of this door, for the test that tries each without rights.
pub const ROUTES: [(&str, &str); 7] = [
    ("GET", "/.well-known/est/cacerts"),
    ("GET", "/.well-known/est/csrattrs"),
    ("POST", "/.well-known/est/simpleenroll"),
    ("POST", "/.well-known/est/simplereenroll"),
    ("GET", "/.well-known/hedgerow"),
    ("GET", "/crl/issuing.crl"),
    ("GET", "/audit/checkpoint"),
];

/// The routes for devices.
pub fn router(devices: Arc<Devices>) -> Router {
    let est = Router::new()
        .route("/cacerts", get(est::cacerts))
        .route("/csrattrs", get(est::csrattrs))
        .route("/simpleenroll", post(est::simpleenroll))
        .route("/simplereenroll", post(est::simplereenroll));
    Router::new()
        .nest(BASE_PATH, est)
        .route("/.well-known/hedgerow", get(doors))
        .route("/crl/issuing.crl", get(crl))
        .route("/audit/checkpoint", get(checkpoint))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(devices)
}

/// A failure as a sentence, for devices and the people who look over their shoulder.
pub(crate) fn plain(failure: &Failure) -> Response {
    let status = status_of(failure.fault);
    if failure.fault == Fault::Broken {
        tracing::error!(%failure, "a request failed by our own fault");
    }
    let text = format!("{failure}\n");
    let mut response =
        (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response();
    if failure.fault.may_pass_later() {
        let soon = header::HeaderValue::from_static("5");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

async fn crl(State(devices): State<Arc<Devices>>) -> Response {
    match devices.revocation.current(&devices.control, now()).await {
        Ok(list) => ([(header::CONTENT_TYPE, "application/pkix-crl")], list).into_response(),
        Err(failure) => plain(&failure),
    }
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    from: u64,
}

async fn checkpoint(
    State(devices): State<Arc<Devices>>,
    axum::Extension(caller): axum::Extension<Caller>,
    Query(since): Query<Since>,
) -> Response {
    let Some(tenant) = caller.peer.and_then(|peer| peer.tenant()) else {
        let reason = "show your certificate; only devices of this hub may ask";
        return plain(&Failure::new(Fault::Denied, reason));
    };
    answer(&devices, tenant, since.from).await.unwrap_or_else(|failure| plain(&failure))
}

/// The answer in lines, for devices without a JSON parser: `key` and the log's key, `proof` and a hash
/// for each step, an empty line, the checkpoint as it was signed.
async fn answer(devices: &Devices, tenant: TenantId, from: u64) -> Result<Response, Failure> {
    let growth = devices.control.growth(tenant, from, devices.size_of).await?;
    let mut text = format!("key {}\n", STANDARD.encode(devices.log_key));
    for hash in &growth.proof {
        text.push_str(&format!("proof {}\n", STANDARD.encode(hash)));
    }
    text.push('\n');
    text.push_str(&growth.checkpoint);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Where the other doors are, in lines: `mqtts` and a port.
async fn doors(State(devices): State<Arc<Devices>>) -> Response {
    let text = format!("mqtts {}\n", devices.mqtts_port);
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
