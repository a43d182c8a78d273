//! The fleet as a whole.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use hedgerow_control::ports::Keys;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// How keys and certificates are, of devices that are not retired, erased or cut.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FleetKeys {
    /// By the days that the certificate has left.
    days_left: DaysLeft,
    /// By where devices say that their keys are kept.
    #[schema(example = json!({"sealed-file": 12, "tpm": 3}))]
    key_storage: BTreeMap<&'static str, u64>,
    /// By the issuing CA of the certificate, newest first.
    issuing: Vec<IssuedBy>,
}

/// Devices by the days that their certificates have left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DaysLeft {
    /// Its certificate has ended.
    ended: u64,
    /// Fewer than 7: it should have been renewed.
    under_7: u64,
    /// 7 to 13.
    under_14: u64,
    /// 14 or more.
    more: u64,
    /// No certificate: a password, or another device that carries it.
    none: u64,
}

/// Devices whose certificate an issuing CA made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedBy {
    /// The CA's number, as in `/api/v1/authority`.
    number: i64,
    /// How many.
    devices: u64,
}

/// How keys and certificates are.
#[utoipa::path(get, path = "/api/v1/fleet/keys", tag = "devices", responses(
    (status = 200, description = "Devices by days left, key storage and issuing CA", body = FleetKeys),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn keys(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<FleetKeys>, Refused> {
    let Keys { without, ended, late, soon, later, storage, issuers } =
        people.control.keys(&who.ctx).await?;
    let days_left = DaysLeft { ended, under_7: late, under_14: soon, more: later, none: without };
    let issuing = issuers.into_iter().map(|(ca, devices)| IssuedBy { number: ca.0, devices });
    Ok(Json(FleetKeys { days_left, key_storage: storage, issuing: issuing.collect() }))
}
