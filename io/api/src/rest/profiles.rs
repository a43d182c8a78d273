use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, State,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_base::Fault;
use hedgerow_control::{Failure, KnownProfile, NewProfile};
use hedgerow_model::limits::PROFILE_BYTES_MAX;
use hedgerow_policy::{Overlay, Widening};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::forms::{Body, refuse_stale, seen, whole};
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// A profile that devices can be held to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileView {
    /// What claims name it by.
    name: String,
    /// What people call this kind of device.
    title: String,
    /// Who makes it.
    maker: String,
    /// The maker's name of the model.
    model: String,
    /// Version of the model in force.
    version: String,
    /// Whether it is part of the hub.
    built_in: bool,
    /// Properties that it declares.
    properties: Vec<String>,
    /// Events that it declares.
    events: Vec<String>,
    /// Actions that it declares.
    actions: Vec<String>,
    /// What the owner takes away.
    overlay: OverlayBody,
    /// A wider version that waits for the owner's consent.
    waiting: Option<WaitingView>,
    /// When it changed last.
    changed: Option<String>,
    /// Grows with every change; also the ETag.
    revision: i64,
}

/// A version that waits for the owner's consent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingView {
    /// Its version.
    version: String,
    /// What it would widen.
    widens: Vec<WideningView>,
}

/// One thing that would be wider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WideningView {
    /// JSON pointer to its place in the new version.
    pointer: String,
    /// What would be wider there.
    what: String,
}

/// What the owner takes away from a profile.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverlayBody {
    /// Properties, events and actions that its devices may not use here.
    #[serde(default)]
    #[schema(max_items = 3072)]
    withheld: Vec<String>,
    /// Properties that a restricted device may still publish.
    #[serde(default)]
    #[schema(max_items = 1024)]
    essential: Vec<String>,
    /// The longest that readings are kept, in days, whatever the profile says.
    #[schema(minimum = 1, maximum = 3653)]
    #[serde(default, deserialize_with = "whole")]
    retention_days_max: Option<i64>,
}

/// Profiles.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileList {
    /// By name.
    items: Vec<ProfileView>,
    /// Always null: there are at most 100.
    next: Option<String>,
}

/// A W3C Thing Model with the `hedgerow:` vocabulary; docs/guide/profile.md says what each member means.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is kept byte for byte")]
pub(crate) struct ThingModel {
    /// The context of TD 1.1, then an object with `hedgerow`.
    #[schema(rename = "@context", value_type = Vec<serde_json::Value>)]
    context: (),
    /// `tm:ThingModel`.
    #[schema(rename = "@type")]
    kind: String,
    /// What people call this kind of device.
    title: String,
    /// Who makes it.
    #[schema(rename = "hedgerow:maker")]
    maker: String,
    /// The maker's name of the model.
    #[schema(rename = "hedgerow:model")]
    model: String,
    /// What its devices say.
    #[schema(value_type = Object)]
    properties: (),
}

fn view(known: KnownProfile) -> ProfileView {
    let KnownProfile { profile, overlay, .. } = known;
    let names = |names: &mut dyn Iterator<Item = &Box<str>>| names.map(|n| n.to_string()).collect();
    let list = |names: std::collections::BTreeSet<Box<str>>| -> Vec<String> {
        names.into_iter().map(String::from).collect()
    };
    ProfileView {
        name: known.name,
        title: profile.title.to_string(),
        maker: profile.maker.to_string(),
        model: profile.model.to_string(),
        version: profile.version.to_string(),
        built_in: known.is_built_in,
        properties: names(&mut profile.properties().iter().map(|property| &property.name)),
        events: names(&mut profile.events().iter().map(|event| &event.name)),
        actions: names(&mut profile.actions().iter().map(|action| &action.name)),
        overlay: OverlayBody {
            withheld: list(overlay.withheld),
            essential: list(overlay.essential),
            retention_days_max: overlay.retention_days_max.map(i64::from),
        },
        waiting: known.waiting.map(|waiting| WaitingView {
            version: waiting.profile.version.to_string(),
            widens: waiting.widens.into_iter().map(widening).collect(),
        }),
        changed: known.changed.map(|at| at.to_string()),
        revision: known.revision,
    }
}

fn widening(widening: Widening) -> WideningView {
    WideningView { pointer: widening.pointer, what: widening.what }
}

fn answer(status: StatusCode, known: KnownProfile) -> Response {
    let tag = format!("\"{}\"", known.revision);
    (status, [(header::ETAG, tag)], Json(view(known))).into_response()
}

/// Profiles that devices can be held to.
#[utoipa::path(get, path = "/api/v1/profiles", tag = "profiles", responses(
    (status = 200, description = "Profiles by name", body = ProfileList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<ProfileList>, Refused> {
    let known = people.control.profiles(&who.ctx).await?;
    Ok(Json(ProfileList { items: known.into_iter().map(view).collect(), next: None }))
}

/// One profile.
#[utoipa::path(get, path = "/api/v1/profiles/{name}", tag = "profiles",
    params(("name" = String, Path, description = "The profile's name")), responses(
    (status = 200, description = "The profile; its revision is the ETag", body = ProfileView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    Ok(answer(StatusCode::OK, people.control.profile(&who.ctx, &name).await?))
}

/// The Thing Model in force, byte for byte as it was sent.
#[utoipa::path(get, path = "/api/v1/profiles/{name}/document", tag = "profiles",
    params(("name" = String, Path, description = "The profile's name")), responses(
    (status = 200, description = "The Thing Model", body = ThingModel, content_type = "application/tm+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn document(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let known = people.control.profile(&who.ctx, &name).await?;
    Ok(([(header::CONTENT_TYPE, "application/tm+json")], known.document).into_response())
}

/// Adds a profile, or a new version of one, which needs the ETag that was seen as `If-Match`. A version
/// that is wider than the one in force waits for the owner's consent.
#[utoipa::path(put, path = "/api/v1/profiles/{name}", tag = "profiles", request_body = ThingModel,
    params(("name" = String, Path, description = "The profile's name"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was seen, for a new version")), responses(
    (status = 200, description = "The profile as it is now", body = ProfileView),
    (status = 201, description = "The profile, which is new", body = ProfileView),
    (status = 412, description = "Somebody else was faster", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The document is too long", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The document is no profile, or the name no name", body = Problem, content_type = "application/problem+json"),
    (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn put(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
    headers: HeaderMap,
    document: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    people.control.may_add_profiles(&who.ctx).await?;
    let document = document.map_err(unread)?.to_vec();
    let known = match people.control.profile(&who.ctx, &name).await {
        Ok(known) => Some(known.revision),
        Err(failure) if failure.fault == Fault::Absent => None,
        Err(failure) => return Err(failure.into()),
    };
    let (seen, status) = match known {
        Some(revision) => {
            let seen = seen(&headers)?;
            refuse_stale(seen, revision)?;
            (seen, StatusCode::OK)
        }
        None if headers.contains_key(header::IF_MATCH) => {
            refuse_stale(-1, 0)?;
            (0, StatusCode::CREATED)
        }
        None => (0, StatusCode::CREATED),
    };
    let digest = Sha256::digest(&document).into();
    let new = NewProfile { name, seen, document, digest };
    let known = people.control.add_profile(&who.ctx, new).await.map_err(unprocessable)?;
    Ok(answer(status, known))
}

/// Takes out a profile that no device and no open claim needs.
#[utoipa::path(delete, path = "/api/v1/profiles/{name}", tag = "profiles",
    params(("name" = String, Path, description = "The profile's name"),
        ("If-Match" = String, Header, description = "The ETag that was seen")), responses(
    (status = 204, description = "It is gone"),
    (status = 412, description = "Somebody else was faster", body = Problem, content_type = "application/problem+json"),
    (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    let seen = seen_of(&people, &who, &name, &headers).await?;
    people.control.remove_profile(&who.ctx, &name, seen).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The owner agrees to the version that waits. Open sessions are judged by it before this answers.
#[utoipa::path(post, path = "/api/v1/profiles/{name}/accept", tag = "profiles",
    params(("name" = String, Path, description = "The profile's name"),
        ("If-Match" = String, Header, description = "The ETag that was seen")), responses(
    (status = 200, description = "The profile as it is now", body = ProfileView),
    (status = 412, description = "Somebody else was faster", body = Problem, content_type = "application/problem+json"),
    (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn accept(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let seen = seen_of(&people, &who, &name, &headers).await?;
    let known = people.control.accept_profile(&who.ctx, &name, seen).await?;
    Ok(answer(StatusCode::OK, known))
}

/// Sets all that the owner takes away from a profile. Open sessions are judged by it before this answers.
#[utoipa::path(put, path = "/api/v1/profiles/{name}/overlay", tag = "profiles", request_body = OverlayBody,
    params(("name" = String, Path, description = "The profile's name"),
        ("If-Match" = String, Header, description = "The ETag that was seen")), responses(
    (status = 200, description = "The profile as it is now", body = ProfileView),
    (status = 412, description = "Somebody else was faster", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The profile does not declare a name", body = Problem, content_type = "application/problem+json"),
    (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn narrow(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(body): Body<OverlayBody>,
) -> Result<Response, Refused> {
    let seen = seen_of(&people, &who, &name, &headers).await?;
    let overlay = Overlay {
        withheld: body.withheld.into_iter().map(Into::into).collect(),
        essential: body.essential.into_iter().map(Into::into).collect(),
        // What is no such number is none that readings can be kept for.
        retention_days_max: body.retention_days_max.map(|days| u32::try_from(days).unwrap_or(0)),
    };
    let narrowed = people.control.narrow_profile(&who.ctx, &name, seen, overlay).await;
    Ok(answer(StatusCode::OK, narrowed.map_err(unprocessable)?))
}

/// The revision that the owner saw, when it still is the newest. Whether one may comes before how.
async fn seen_of(
    people: &People,
    who: &SignedIn,
    name: &str,
    headers: &HeaderMap,
) -> Result<i64, Refused> {
    people.control.may_narrow_profiles(&who.ctx).await?;
    let revision = people.control.profile(&who.ctx, name).await?.revision;
    let seen = seen(headers)?;
    refuse_stale(seen, revision)?;
    Ok(seen)
}

/// JSON that is well-formed and still says nothing sensible (RFC 9110 section 15.5.21).
fn unprocessable(failure: Failure) -> Refused {
    let is_invalid = failure.fault == Fault::Invalid;
    let refused = Refused::from(failure);
    if is_invalid { refused.with_status(StatusCode::UNPROCESSABLE_ENTITY) } else { refused }
}

fn unread(rejection: BytesRejection) -> Refused {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            let reason = format!("a profile has up to {PROFILE_BYTES_MAX} bytes");
            Refused::from(Failure::new(Fault::TooMuch, reason))
                .with_status(StatusCode::PAYLOAD_TOO_LARGE)
        }
        other => Refused::invalid(other.body_text()),
    }
}
