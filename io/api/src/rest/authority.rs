use std::sync::Arc;

use axum::{Json, extract::State};
use hedgerow_identity::authority;
use hedgerow_listen::certificate_key;
use hedgerow_onboarding::{ClaimCode, est};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::devices::hex;
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// A certificate of the hub's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthorityView {
    /// root, issuing or server.
    kind: &'static str,
    /// SHA-256 over its DER, in hex.
    fingerprint: String,
    /// The first 16 bytes of SHA-256 over its public key, in hex: the root's is the one in claim codes.
    key_fingerprint: Option<String>,
    /// Valid from.
    not_before: Option<String>,
    /// Valid until.
    not_after: Option<String>,
    /// The certificate.
    pem: String,
}

/// Certificates of the hub's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthorityList {
    /// Root, issuing, server.
    items: Vec<AuthorityView>,
    /// Always null.
    next: Option<String>,
}

/// A certificate on the revocation list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedView {
    /// Its serial number, in hex.
    serial: String,
    /// When it was revoked.
    at: String,
    /// The reason code of RFC 5280.
    reason: u8,
    /// When it would have ended by itself; it leaves the list then.
    not_after: String,
}

/// What is revoked and has not ended by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedList {
    /// Where devices of other machines find the signed list, in DER.
    url: String,
    /// In the order of the list.
    items: Vec<RevokedView>,
    /// Always null.
    next: Option<String>,
}

fn view((kind, der): &(&'static str, Vec<u8>)) -> AuthorityView {
    let life = authority::read(der).map(|(life, _)| life);
    let key = certificate_key(der).ok().map(ClaimCode::hub_fingerprint);
    let body = est::to_body(der);
    AuthorityView {
        kind,
        fingerprint: hex(&Sha256::digest(der)),
        key_fingerprint: key.map(|key| hex(&key)),
        not_before: life.map(|(from, _)| from.to_string()),
        not_after: life.map(|(_, until)| until.to_string()),
        pem: format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"),
    }
}

/// The certificates of the hub's own.
#[utoipa::path(get, path = "/api/v1/authority", tag = "authority", responses(
    (status = 200, description = "Root CA, issuing CA, TLS server", body = AuthorityList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<AuthorityList>, Refused> {
    let own = people.control.own_certificates(&who.ctx).await?;
    Ok(Json(AuthorityList { items: own.iter().map(view).collect(), next: None }))
}

/// The certificates that are revoked and have not ended by themselves.
#[utoipa::path(get, path = "/api/v1/authority/revoked", tag = "authority", responses(
    (status = 200, description = "What the revocation list has", body = RevokedList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoked(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<RevokedList>, Refused> {
    let revoked = people.control.revoked(&who.ctx).await?;
    let items = revoked.iter().map(|one| RevokedView {
        serial: hex(one.serial.as_bytes()),
        at: one.at.to_string(),
        reason: one.reason.code(),
        not_after: one.not_after.to_string(),
    });
    let url = format!("{}/crl/issuing.crl", people.devices_url);
    Ok(Json(RevokedList { url, items: items.collect(), next: None }))
}
