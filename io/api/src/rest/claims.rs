use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hedgerow_control::{Failure, NewClaim};
use hedgerow_identity::Claim;
use hedgerow_model::mapping::Names;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    devices::hex,
    forms::{Body, unprocessable, whole},
};
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// A device that will come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimRequest {
    /// What it will be called.
    #[schema(pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]{1,80}$")]
    name: String,
    /// The profile that it will be held to; linux-host when left out.
    #[schema(pattern = r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    profile: Option<String>,
    /// The variables of its foreign topics, where they are not the profile's defaults.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// How many seconds the code works; a day when left out, 30 days at most.
    #[schema(minimum = 1, maximum = 2_592_000)]
    #[serde(default, deserialize_with = "whole")]
    expires_in: Option<i64>,
}

/// A claim code that waits for its device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClaimView {
    /// Names the claim, and leads back to no secret.
    id: String,
    /// What the device will be called.
    name: String,
    /// The profile that it will be held to.
    profile: String,
    /// The variables of the device's foreign topics that were set.
    names: BTreeMap<String, String>,
    /// When it was made.
    created: String,
    /// Until when it works.
    expires: String,
}

/// A claim code that was just made; its secret exists nowhere else.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClaimMade {
    /// The claim.
    claim: ClaimView,
    /// To be carried to the device: `hedgerow-agent enroll --hub URL --claim CODE`.
    code: String,
    /// The secret in it, as the password of HTTP Basic for EST.
    password: String,
    /// The hub's fingerprint in it, in hex: the first 16 bytes of SHA-256 over the root's public key.
    hub: String,
    /// Where the device enrols.
    url: String,
}

/// Claim codes that wait.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClaimList {
    /// Newest first.
    items: Vec<ClaimView>,
    /// Always null.
    next: Option<String>,
}

pub(crate) fn names(names: &Names) -> BTreeMap<String, String> {
    names.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn view(claim: &Claim) -> ClaimView {
    ClaimView {
        id: hex(&claim.secret_hash),
        name: claim.name.clone(),
        profile: claim.profile.clone(),
        names: names(&claim.names),
        created: claim.created.to_string(),
        expires: claim.expires.to_string(),
    }
}

/// Makes a single-use claim code.
#[utoipa::path(post, path = "/api/v1/claims", tag = "claims", request_body = ClaimRequest, responses(
    (status = 201, description = "The code; shown once", body = ClaimMade),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Body(request): Body<ClaimRequest>,
) -> Result<Response, Refused> {
    // Past every limit when it can't be multiplied, so that the limit is what is said.
    let in_ms = |seconds: i64| seconds.checked_mul(1000).unwrap_or(i64::MAX);
    let life_ms = request.expires_in.map(in_ms);
    let profile = request.profile.unwrap_or_else(|| "linux-host".into());
    let names = request.names.iter().map(|(name, value)| (&**name, &**value));
    people.control.may_claim(&who.ctx).await?;
    let names = Names::new(names).map_err(Failure::from).map_err(unprocessable)?;
    let new = NewClaim { name: request.name, profile, names, life_ms };
    let made = people.control.claim(&who.ctx, new).await.map_err(unprocessable)?;
    let body = ClaimMade {
        claim: view(&made.claim),
        code: made.code.to_string(),
        password: made.code.password(),
        hub: hex(made.code.hub()),
        url: people.devices_url.clone(),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Claim codes that wait for their device.
#[utoipa::path(get, path = "/api/v1/claims", tag = "claims", responses(
    (status = 200, description = "Claim codes, newest first", body = ClaimList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<ClaimList>, Refused> {
    let claims = people.control.open_claims(&who.ctx).await?;
    Ok(Json(ClaimList { items: claims.iter().map(view).collect(), next: None }))
}

/// Takes a claim code back before a device used it.
#[utoipa::path(delete, path = "/api/v1/claims/{id}", tag = "claims",
    params(("id" = String, Path, description = "The claim's id")), responses(
    (status = 204, description = "It does not work any more"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn withdraw(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    // What is no id is looked up like one that is not there, so that rights are judged first.
    let hash = unhex(&id).unwrap_or_default();
    people.control.withdraw_claim(&who.ctx, hash).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let absent = || Failure::absent("claim code");
    let pair = |at: usize| {
        let digits = text.get(2 * at..2 * at + 2).ok_or_else(absent)?;
        u8::from_str_radix(digits, 16).map_err(|_| absent())
    };
    if text.len() != 64 {
        return None;
    }
    let bytes: Result<Vec<u8>, Failure> = (0..32).map(pair).collect();
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let hash: [u8; 32] = [0xa7; 32];
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        for text in ["", "zz", &"g".repeat(64), &"é".repeat(32), &"a".repeat(66)] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
