use std::sync::Arc;

use axum::{Json, extract::State};
use hedgerow_control::{AuthorityRecord, CutOff, Distrusted};
use hedgerow_identity::{authority, revocation::Reason};
use hedgerow_listen::certificate_key;
use hedgerow_onboarding::{ClaimCode, est};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    devices::hex,
    forms::{Body, whole},
};
use crate::{
    People,
    devices::list_name,
    door::SignedIn,
    limits::CUT_OFF_MAX,
    problem::{Problem, Refused},
};

/// How far what a certificate's key signed is trusted.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trust {
    /// It signs now.
    Current,
    /// It signs no more; what it signed is trusted.
    Trusted,
    /// Nothing that it signed is trusted any more.
    Distrusted,
}

/// A certificate of the hub's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthorityView {
    /// root, issuing or server.
    kind: &'static str,
    /// How far what its key signed is trusted; of several issuing CAs one is current.
    trust: Trust,
    /// Since when it is distrusted.
    distrusted: Option<String>,
    /// Its number among the hub's own; `/api/v1/fleet/keys` counts devices by it.
    number: i64,
    /// Its serial number, in hex.
    serial: Option<String>,
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
    /// Root, every issuing CA with the newest first, server.
    items: Vec<AuthorityView>,
    /// Whom a distrust of all issuing CAs but the current would cut off now.
    cut_off: CutOffView,
    /// Always null.
    next: Option<String>,
}

/// Who has nothing but certificates of earlier issuing CAs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CutOffView {
    /// Devices: they have to be claimed again.
    devices: u64,
    /// Programs with a certificate: they need new tokens.
    programs: u64,
}

/// Why earlier issuing CAs are not trusted any more (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DistrustReason {
    /// Another took their place.
    Superseded,
    /// A key is, or may be, in other hands.
    #[serde(rename = "cACompromise")]
    CaCompromise,
}

/// The end of the trust in earlier issuing CAs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistrustRequest {
    /// Why.
    reason: DistrustReason,
    /// How many devices and programs you agree to cut off, none when left out; with more it is refused and nothing happens.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[serde(default, deserialize_with = "whole")]
    cut_off: Option<i64>,
}

/// What ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DistrustDone {
    /// Issuing CAs that are not trusted any more since this moment.
    authorities: usize,
    /// Who was cut off.
    cut_off: CutOffView,
}

/// A certificate on a revocation list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedView {
    /// Its serial number, in hex.
    serial: String,
    /// The list that it is on: each issuing CA signs one of its own.
    url: String,
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
    /// Where devices of other machines find the signed list of the current issuing CA, in DER.
    url: String,
    /// In the order of the list.
    items: Vec<RevokedView>,
    /// Always null.
    next: Option<String>,
}

impl From<CutOff> for CutOffView {
    fn from(CutOff { devices, programs }: CutOff) -> Self {
        Self { devices, programs }
    }
}

fn view(kind: &'static str, record: &AuthorityRecord, is_newest: bool) -> AuthorityView {
    let der = &record.der;
    let life = authority::read(der).map(|(life, _)| life);
    let key = certificate_key(der).ok().map(ClaimCode::hub_fingerprint);
    AuthorityView {
        kind,
        number: record.id.0,
        trust: match record.distrusted {
            Some(_) => Trust::Distrusted,
            None if is_newest => Trust::Current,
            None => Trust::Trusted,
        },
        distrusted: record.distrusted.map(|(at, _)| at.to_string()),
        serial: authority::serial(der).map(|serial| hex(serial.as_bytes())),
        fingerprint: hex(&Sha256::digest(der)),
        key_fingerprint: key.map(|key| hex(&key)),
        not_before: life.map(|(from, _)| from.to_string()),
        not_after: life.map(|(_, until)| until.to_string()),
        pem: est::to_pem(der),
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
    listed(&people, &who).await.map(Json)
}

async fn listed(people: &People, who: &SignedIn) -> Result<AuthorityList, Refused> {
    let own = people.control.own_certificates(&who.ctx).await?;
    let cut_off = people.control.cut_off(&who.ctx).await?.into();
    let mut seen = Vec::new();
    let items = own.iter().map(|(kind, record)| {
        let is_newest = !seen.contains(kind);
        seen.push(*kind);
        view(kind, record, is_newest)
    });
    Ok(AuthorityList { items: items.collect(), cut_off, next: None })
}

/// Makes a new issuing CA, which signs from now on. What earlier ones signed is still trusted; the server
/// certificate is signed anew and shown to new connections.
#[utoipa::path(post, path = "/api/v1/authority/rotate", tag = "authority", responses(
    (status = 200, description = "The certificates as they are now", body = AuthorityList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn rotate(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<AuthorityList>, Refused> {
    people.control.rotate(&who.ctx, authority::HUB_NAME).await?;
    listed(&people, &who).await.map(Json)
}

/// Ends the trust in every issuing CA but the current: what they signed is revoked, the sessions that it admitted end
/// within a second. Can't be undone.
#[utoipa::path(post, path = "/api/v1/authority/distrust", tag = "authority", request_body = DistrustRequest, responses(
    (status = 200, description = "What ended", body = DistrustDone),
    (status = 409, description = "Nothing to distrust, or more would be cut off than agreed to", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn distrust(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Body(request): Body<DistrustRequest>,
) -> Result<Json<DistrustDone>, Refused> {
    let reason = match request.reason {
        DistrustReason::Superseded => Reason::Superseded,
        DistrustReason::CaCompromise => Reason::CaCompromise,
    };
    let agreed = request.cut_off.unwrap_or(0);
    let agreed = u64::try_from(agreed).ok().filter(|agreed| *agreed <= CUT_OFF_MAX);
    let agreed = agreed.ok_or_else(|| Refused::invalid("cut_off is a number from 0 on"))?;
    let done = people.control.distrust(&who.ctx, reason, agreed).await?;
    let Distrusted { authorities, cut_off } = done;
    Ok(Json(DistrustDone { authorities, cut_off: cut_off.into() }))
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
    let url = |list: &str| format!("{}/crl/{list}", people.devices_url);
    let items = revoked.iter().map(|(issuer, one)| RevokedView {
        url: url(list_name(issuer).as_deref().unwrap_or("issuing.crl")),
        serial: hex(one.serial.as_bytes()),
        at: one.at.to_string(),
        reason: one.reason.code(),
        not_after: one.not_after.to_string(),
    });
    let items = items.collect();
    Ok(Json(RevokedList { url: url("issuing.crl"), items, next: None }))
}
