//! The doors for people and programs: API and pages.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, Version, header},
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hedgerow_base::TenantId;
use hedgerow_control::{Control, ports::Random};
use hedgerow_model::Profile;
use hedgerow_plane::{Broker, Flows, LocalBus, Plane};
use hedgerow_policy::Overlay;
use hedgerow_registry::Device;
use hedgerow_tlog::{Checkpoint, Note};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Meters, Onlookers, TakeMqtt, door::Transport, limits::BODY_BYTES_MAX, pages, rest, websocket,
};

/// Checks a note of a tenant's audit log.
pub type OpenNote = dyn Fn(TenantId, &Note) -> Result<Checkpoint, String> + Send + Sync;

/// What the devices of a profile are held to.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// What it declares.
    pub profile: Arc<Profile>,
    /// What its owner takes away from that.
    pub overlay: Arc<Overlay>,
}

/// The bounds of a tenant's profile by its name.
pub type BoundsByName = dyn Fn(TenantId, &str) -> Bounds + Send + Sync;

/// What the MQTT port counts.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Doorstep {
    /// Connections now, those at the door included.
    pub connections: usize,
    /// Connections now that have not been accepted yet.
    pub half_open: usize,
    /// How connections ended, and waits and refusals at the door, since the hub started.
    pub ends: BTreeMap<&'static str, u64>,
}

/// Looks at the MQTT port's counters.
pub type LookAtDoorstep = dyn Fn() -> Doorstep + Send + Sync;

/// What the handlers need.
pub struct People {
    /// The control plane.
    pub control: Arc<Control>,
    /// The data plane.
    pub plane: Plane,
    /// Live values.
    pub bus: Arc<LocalBus>,
    /// Takes MQTT that comes over WebSocket.
    pub take_mqtt: Box<TakeMqtt>,
    /// Sessions of MQTT.
    pub broker: Arc<dyn Broker>,
    /// How much goes through.
    pub flows: Arc<Flows>,
    /// Where people and programs look on at messages.
    pub onlookers: Onlookers,
    /// Connections of devices.
    pub doorstep: Box<LookAtDoorstep>,
    /// Checks the audit log's checkpoints.
    pub open_note: Box<OpenNote>,
    /// The audit log's public key.
    pub log_key: [u8; 32],
    /// What devices are held to, by the names of profiles.
    pub bounds: Box<BoundsByName>,
    /// Reads what is counted elsewhere.
    pub meters: Box<dyn Fn() -> Meters + Send + Sync>,
    /// Randomness for cookies and tokens.
    pub random: Arc<dyn Random>,
    /// Root CA as PEM, to be downloaded.
    pub ca_pem: String,
    /// Fingerprint of the root's key, as in claim codes, in hex.
    pub fingerprint: String,
    /// Where devices of other machines enrol: `https://host:8444`.
    pub devices_url: String,
    /// Where they publish: `host:8883`.
    pub mqtts: String,
    /// Where devices with a password publish, if there is such a door.
    pub mqtts_weak: Option<String>,
    /// DNS names by which people reach the hub: where passkeys can be made.
    pub hosts: Vec<String>,
    /// Passkeys that are being made or used.
    pub passkeys: pages::Passkeys,
    /// Shown on every page when the insecure listener is open.
    pub warning: Option<String>,
}

impl People {
    /// What a device is held to.
    pub(crate) fn bounds_of(&self, device: &Device) -> Bounds {
        (self.bounds)(device.key.tenant, &device.profile)
    }

    /// A fresh secret of 256 bits as text, for a cookie, a link or a token.
    pub(crate) fn secret(&self) -> String {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// The routes for people and programs, by one of the two transports.
pub fn router(people: &Arc<People>, transport: Transport) -> Router {
    Router::new()
        .merge(rest::router())
        .merge(pages::router())
        .route("/mqtt", get(websocket::upgrade))
        .with_state(Arc::clone(people))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(move |mut request: Request, next: Next| {
            request.extensions_mut().insert(transport);
            name_host(&mut request);
            guard(request, next)
        }))
}

/// HTTP/2 says the host in `:authority` (RFC 9113 section 8.3.1); handlers read it in one place.
fn name_host(request: &mut Request) {
    let said = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = said.filter(|_| request.version() == Version::HTTP_2) {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// Headers on every answer: nothing is framed, sniffed, referred or kept where others read it, and a
/// page loads only what the hub itself serves.
async fn guard(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 6] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
