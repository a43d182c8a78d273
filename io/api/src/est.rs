//! Enrollment over Secure Transport (RFC 7030): the four operations.
//!
//! 1. `cacerts` and `csrattrs` are for everyone: a device has to know its hub before it can ask.
//! 2. `simpleenroll` wants a claim secret by HTTP Basic; any user name will do.
//! 3. `simplereenroll` wants the current certificate, or the one that has expired: the one operation for it.

use std::sync::Arc;

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_base::Fault;
use hedgerow_control::{Ctx, Failure};
use hedgerow_listen::server::{certificate_id, now};
use hedgerow_onboarding::{est, password_hash};
use hedgerow_policy::{Actor, LapsedDevice};

use crate::{
    Caller,
    devices::{Devices, plain},
};

const BASE64: (&str, &str) = ("content-transfer-encoding", "base64");

fn certificates(der: &[&[u8]]) -> Response {
    let body = est::to_body(&est::certs_only(der));
    ([("content-type", est::PKCS7_TYPE), BASE64], body).into_response()
}

/// Root CA, and the issuing CA that signs now.
pub(crate) async fn cacerts(State(devices): State<Arc<Devices>>) -> Response {
    let [root, issuing] = (devices.authorities)();
    certificates(&[&root, &issuing])
}

/// What we like to see in a request.
pub(crate) async fn csrattrs() -> Response {
    let body = est::to_body(est::CSRATTRS);
    ([("content-type", est::CSRATTRS_TYPE), BASE64], body).into_response()
}

/// First enrolment with a claim code.
pub(crate) async fn simpleenroll(
    State(devices): State<Arc<Devices>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(password) = basic_password(&headers) else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"claim\", charset=\"UTF-8\"")];
        let text = "send the claim code's secret as the password of HTTP Basic\n";
        return (StatusCode::UNAUTHORIZED, challenge, text).into_response();
    };
    let request = match est::from_body(&body) {
        Ok(request) => request,
        Err(problem) => return plain(&Failure::new(Fault::Invalid, problem.to_string())),
    };
    let hash = password_hash(&password);
    let enrolled =
        devices.control.enrol(now(), &request, hash, &caller.binding, certificate_id).await;
    match enrolled {
        Ok(enrolled) => {
            tracing::info!(device = %enrolled.device.id, "a device enrolled");
            certificates(&[&enrolled.certificate])
        }
        Err(failure) => {
            tracing::info!(%failure, from = %caller.from, "an enrolment was refused");
            plain(&failure)
        }
    }
}

/// Renewal by the current certificate, or rescue by the expired one.
pub(crate) async fn simplereenroll(
    State(devices): State<Arc<Devices>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Response {
    if let Some(lapsed) = caller.lapsed {
        return rescue(&devices, lapsed, &caller, &body).await;
    }
    let Some(peer) = caller.peer else {
        let reason = "a renewal needs the current certificate on the connection";
        return plain(&Failure::new(Fault::Denied, reason));
    };
    let Some(device) = peer.device() else {
        return plain(&Failure::new(Fault::Denied, "only a device renews a certificate"));
    };
    let request = match est::from_body(&body) {
        Ok(request) => request,
        Err(problem) => return plain(&Failure::new(Fault::Invalid, problem.to_string())),
    };
    let ctx = Ctx::new(Actor::Peer(peer), now());
    let renewed =
        devices.control.renew(&ctx, *device, &request, &caller.binding, certificate_id).await;
    match renewed {
        Ok(renewed) => {
            tracing::info!(device = %renewed.device.id, "a certificate was renewed");
            certificates(&[&renewed.certificate])
        }
        Err(failure) => {
            tracing::info!(%failure, device = %device.device, "a renewal was refused");
            plain(&failure)
        }
    }
}

async fn rescue(devices: &Devices, lapsed: LapsedDevice, caller: &Caller, body: &[u8]) -> Response {
    let request = match est::from_body(body) {
        Ok(request) => request,
        Err(problem) => return plain(&Failure::new(Fault::Invalid, problem.to_string())),
    };
    let rescued =
        devices.control.rescue(now(), lapsed, &request, &caller.binding, certificate_id).await;
    match rescued {
        Ok(rescued) => {
            tracing::info!(device = %rescued.device.id, "an expired certificate was replaced");
            certificates(&[&rescued.certificate])
        }
        Err(failure) => {
            let device = lapsed.device();
            tracing::info!(%failure, %device, from = %caller.from, "a rescue was refused");
            plain(&failure)
        }
    }
}

/// The password of HTTP Basic (RFC 7617); the user name does not matter.
fn basic_password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(credentials.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn basic_credentials_are_read_and_others_are_not() {
        let basic = format!("basic {}", STANDARD.encode("claim:a:b"));
        assert_eq!(basic_password(&headers(&basic)).as_deref(), Some("a:b"));
        assert_eq!(basic_password(&headers("Bearer abc")), None);
        assert_eq!(basic_password(&headers("Basic %%%")), None);
        assert_eq!(basic_password(&HeaderMap::new()), None);
    }
}
