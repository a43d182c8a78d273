use std::sync::Arc;

use axum::{Json, extract::State};
use hedgerow_base::TenantId;
use hedgerow_control::{Failure, ports::AuditFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    devices::{hex, limit},
    forms::Ask,
};
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// `next` of the page before.
    before: Option<u64>,
    /// Records in the page.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Who did it: `person:3`, `token:7`, `device:…`, `hub:…`.
    actor: Option<String>,
    /// What was done: an action, or how it begins (`device.`).
    action: Option<String>,
    /// To what: `device:…`, `claim:…`.
    subject: Option<String>,
}

/// A record of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// Its place, from 0.
    index: u64,
    /// What was written, as it was written.
    #[schema(value_type = Object)]
    record: serde_json::Value,
    /// SHA-256 over 0x00 and the record, in hex.
    leaf: String,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditList {
    /// Newest first.
    items: Vec<AuditView>,
    /// To be sent as `before` for the next page; null at the end.
    next: Option<u64>,
}

/// Records of the audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery), responses(
    (status = 200, description = "A page of records", body = AuditList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Ask(query): Ask<AuditQuery>,
) -> Result<Json<AuditList>, Refused> {
    let limit = limit(query.limit)?;
    let AuditQuery { before, actor, action, subject, .. } = query;
    if before.is_some_and(|before| i64::try_from(before).is_err()) {
        return Err(Refused::invalid("before is not what `next` of a page said; begin without it"));
    }
    let filter = AuditFilter { before, actor, action, subject };
    let page = people.control.audit(&who.ctx, &filter, limit).await?;
    let items = page.items.into_iter().map(|record| AuditView {
        index: record.index,
        leaf: hex(&record.leaf),
        record: serde_json::from_str(&record.record).unwrap_or_default(),
    });
    Ok(Json(AuditList { items: items.collect(), next: page.next }))
}

/// What a verification of the whole log found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifiedView {
    /// Whether all is well.
    sound: bool,
    /// Records read.
    records: u64,
    /// Signed checkpoints whose root was found again.
    checkpoints: u64,
    /// What does not fit, in the order of the log.
    problems: Vec<String>,
}

/// Reads the whole log again and checks every record, every place and every signed checkpoint.
#[utoipa::path(post, path = "/api/v1/audit/verify", tag = "audit", responses(
    (status = 200, description = "What was found", body = VerifiedView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn verify(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<VerifiedView>, Refused> {
    let tenant = who.ctx.actor.tenant().unwrap_or(TenantId::FIRST);
    let open = |note: &hedgerow_tlog::Note| (people.open_note)(tenant, note);
    let found = people.control.verify_audit(&who.ctx, open).await?;
    Ok(Json(VerifiedView {
        sound: found.problems.is_empty(),
        records: found.records,
        checkpoints: found.checkpoints,
        problems: found.problems,
    }))
}

/// The newest signed checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointView {
    /// A C2SP signed note.
    note: String,
    /// The log's Ed25519 key, in hex.
    public_key: String,
}

/// The newest signed checkpoint of the audit log, to be kept elsewhere.
#[utoipa::path(get, path = "/api/v1/audit/checkpoint", tag = "audit", responses(
    (status = 200, description = "The checkpoint", body = CheckpointView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn checkpoint(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<CheckpointView>, Refused> {
    let note = people.control.newest_checkpoint(&who.ctx).await?;
    let note = note.ok_or_else(|| Failure::absent("checkpoint"))?;
    Ok(Json(CheckpointView { note, public_key: hex(&people.log_key) }))
}
