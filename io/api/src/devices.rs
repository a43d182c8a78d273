//! The door for devices: EST, revocation lists and the word on single certificates, checkpoints of the audit log.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_base::{Fault, TenantId};
use hedgerow_control::{Control, Failure, ListOf, Lists};
use hedgerow_listen::{certificate_key, server::now};
use hedgerow_onboarding::{ClaimCode, crl::delta_name, est::BASE_PATH};
use hedgerow_tlog::Note;
use serde::Deserialize;

use crate::{
    Caller, RevocationLists, est, limits::BODY_BYTES_MAX, ocsp, problem::status_of,
    rest::devices::hex,
};

/// What the handlers need.
pub struct Devices {
    /// The control plane.
    pub control: Arc<Control>,
    /// Root CA and the issuing CA that signs now, in DER.
    pub authorities: Box<dyn Fn() -> [Vec<u8>; 2] + Send + Sync>,
    /// The lists that are given out.
    pub revocation: Arc<RevocationLists>,
    /// Size of a checkpoint of ours; none when it is not one.
    pub size_of: fn(&Note) -> Option<u64>,
    /// The audit log's public key.
    pub log_key: [u8; 32],
    /// Where this door is, for those who were given one of its documents.
    pub url: String,
    /// Where MQTT over TLS is.
    pub mqtts_port: u16,
}

/// Every route of this door, for the test that tries each without rights.
pub const ROUTES: [(&str, &str); 9] = [
    ("GET", "/.well-known/est/cacerts"),
    ("GET", "/.well-known/est/csrattrs"),
    ("POST", "/.well-known/est/simpleenroll"),
    ("POST", "/.well-known/est/simplereenroll"),
    ("GET", "/.well-known/hedgerow"),
    ("GET", "/crl/{name}"),
    ("POST", "/ocsp"),
    ("GET", "/ocsp/{*request}"),
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
        .route("/crl/{name}", get(crl))
        .route("/ocsp", post(ocsp::post))
        .route("/ocsp/{*request}", get(ocsp::get))
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

/// `issuing.crl` is the list of the issuing CA that signs now, `root.crl` that of the root, and each issuing
/// CA has its own by the first 16 bytes of SHA-256 over its key, in hex. `.delta.crl` is what came since.
async fn crl(State(devices): State<Arc<Devices>>, Path(name): Path<String>) -> Response {
    let whole = name.strip_suffix(".delta.crl").map(|name| format!("{name}.crl"));
    match lists(&devices, whole.as_deref().unwrap_or(&name)).await {
        Ok(lists) => {
            let list = if whole.is_some() { lists.delta } else { lists.whole };
            ([(header::CONTENT_TYPE, "application/pkix-crl")], list).into_response()
        }
        Err(failure) => plain(&failure),
    }
}

async fn lists(devices: &Devices, name: &str) -> Result<Lists, Failure> {
    let (of, name) = list_of(&devices.control, name).await?;
    let freshest = format!("{}/crl/{}", devices.url, delta_name(&name));
    devices.revocation.current(&devices.control, of, &freshest, now()).await
}

/// Whose list has this name, and the name that it always has.
async fn list_of(control: &Control, name: &str) -> Result<(ListOf, String), Failure> {
    if name == "root.crl" {
        return Ok((ListOf::Root, name.to_owned()));
    }
    let issuing = control.issuing_authorities().await?;
    let found = match name {
        "issuing.crl" => issuing.first(),
        _ => issuing.iter().find(|one| list_name(&one.der).as_deref() == Some(name)),
    };
    let found = found.and_then(|one| Some((ListOf::Issuing(one.id), list_name(&one.der)?)));
    found.ok_or_else(|| Failure::absent("list; see issuing.crl and root.crl"))
}

/// What the revocation list of an issuing CA is called.
pub(crate) fn list_name(issuing: &[u8]) -> Option<String> {
    let key = certificate_key(issuing).ok()?;
    Some(format!("{}.crl", hex(&ClaimCode::hub_fingerprint(key))))
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
