use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_base::{DeviceId, Timestamp};
use hedgerow_control::{Edit, Failure, NewCarried};
use hedgerow_model::mapping::Names;
use hedgerow_policy::Fact;
use hedgerow_registry::{Device, Filter, Page, limits::PAGE_DEFAULT};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::forms::{Ask, Body, Id, refuse_stale, seen, unprocessable};
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// A device as the hub knows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceView {
    /// Its id for life: 26 characters.
    id: String,
    /// What people call it.
    name: String,
    /// Where it is in its life: enrolled, active, quarantined, retired, erased.
    state: &'static str,
    /// How far it is trusted now: full, restricted, remediate, cut.
    standing: &'static str,
    /// The fact that its standing follows from.
    because: Option<&'static str>,
    /// The profile that it is held to.
    profile: String,
    /// The variables of its foreign topics that were set.
    names: BTreeMap<String, String>,
    /// The device whose connection carries it; null when it has its own.
    carrier: Option<String>,
    /// The group that it is in.
    group: Option<String>,
    /// Its labels.
    labels: BTreeMap<String, String>,
    /// Where its key is kept: unknown, sealed-file, tpm, token.
    key_storage: &'static str,
    /// Its newest certificate.
    certificate: Option<CertificateView>,
    /// Whether it signs in with a password: it can do no better, and its owner took it in all the same.
    weak: bool,
    /// When it enrolled.
    created: String,
    /// When it was last heard.
    last_seen: Option<String>,
    /// Whether it has an open session.
    connected: bool,
    /// Grows with every edit; also the ETag.
    revision: i64,
}

/// A certificate of a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CertificateView {
    /// SHA-256 over its DER, in hex.
    fingerprint: String,
    /// Valid from.
    not_before: String,
    /// Valid until.
    not_after: String,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn view(people: &People, device: Device) -> DeviceView {
    let key = device.key;
    // The data plane knows better than the store what goes on this moment.
    let presence = people.plane.directory().presence(key.tenant, key.id);
    let heard = presence.and_then(|presence| presence.last_seen).max(device.last_seen);
    DeviceView {
        id: key.id.to_string(),
        name: device.name,
        state: device.state.word(),
        standing: device.standing.word(),
        because: device.because.map(Fact::word),
        profile: device.profile,
        names: super::claims::names(&device.names),
        carrier: device.carrier.map(|id| id.to_string()),
        group: device.group,
        labels: device.labels.iter().map(|l| (l.key().into(), l.value().into())).collect(),
        key_storage: device.key_storage.word(),
        certificate: device.certificate.map(|certificate| CertificateView {
            fingerprint: hex(&certificate.id.0),
            not_before: certificate.not_before.to_string(),
            not_after: certificate.not_after.to_string(),
            revoked: None,
        }),
        weak: device.password.is_some(),
        created: device.created.to_string(),
        last_seen: heard.map(|at| at.to_string()),
        connected: presence.is_some_and(|presence| presence.sessions > 0),
        revision: device.revision,
    }
}

/// One device with its ETag.
pub(crate) fn answer(people: &People, device: Device) -> Response {
    let tag = format!("\"{}\"", device.revision);
    ([(header::ETAG, tag)], Json(view(people, device))).into_response()
}

/// Which devices, and how many.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeviceQuery {
    /// In the name, at the beginning of the id, or in a label's value.
    #[param(max_length = 200)]
    pub(crate) q: Option<String>,
    /// made, claimed, enrolled, active, quarantined, retired, erased.
    #[param(pattern = r"^(made|claimed|enrolled|active|quarantined|retired|erased)$")]
    pub(crate) state: Option<String>,
    /// full, restricted, remediate, cut.
    #[param(pattern = r"^(full|restricted|remediate|cut)$")]
    pub(crate) standing: Option<String>,
    /// Whether it has an open session.
    pub(crate) connected: Option<bool>,
    /// The group.
    pub(crate) group: Option<String>,
    /// A label as key=value.
    #[param(pattern = r"^[a-z0-9._-]{1,63}=[A-Za-z0-9._-]{1,63}$")]
    pub(crate) label: Option<String>,
    /// Only those whose certificate has fewer days left: 0 is those whose certificate has ended. Devices that are
    /// retired, erased or cut need none.
    #[param(minimum = 0, maximum = 3650)]
    pub(crate) days_left: Option<u32>,
    /// Where the key is kept: unknown, sealed-file, tpm, token.
    #[param(pattern = r"^(unknown|sealed-file|tpm|token)$")]
    pub(crate) key_storage: Option<String>,
    /// `next` of the page before.
    #[param(pattern = r"^[0-7][0-9a-hjkmnp-tv-z]{24}[048cgmrw]$")]
    pub(crate) after: Option<String>,
    /// Devices in the page.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<u32>,
}

impl DeviceQuery {
    pub(crate) fn filter(&self, now: Timestamp) -> Result<Filter, Refused> {
        let fail = |problem: hedgerow_registry::FilterProblem| {
            Refused::from(hedgerow_control::Failure::from(problem))
        };
        let mut filter = Filter { is_connected: self.connected, ..Filter::default() };
        filter.group.clone_from(&self.group);
        filter = filter.search(self.q.as_deref().unwrap_or_default()).map_err(fail)?;
        if let Some(word) = &self.state {
            filter = filter.state(word).map_err(fail)?;
        }
        if let Some(word) = &self.standing {
            filter = filter.standing(word).map_err(fail)?;
        }
        if let Some(days) = self.days_left {
            filter = filter.days_left(days, now).map_err(fail)?;
        }
        if let Some(word) = &self.key_storage {
            filter = filter.key_storage(word).map_err(fail)?;
        }
        if let Some(text) = &self.label {
            filter = filter.label(text).map_err(fail)?;
        }
        Ok(filter)
    }

    pub(crate) fn page(&self) -> Result<Page, Refused> {
        let after = match &self.after {
            Some(text) => Some(text.parse::<DeviceId>().map_err(|_| {
                Refused::invalid("after is not what `next` of a page said; begin without it")
            })?),
            None => None,
        };
        let page = Page::new(after, self.limit.unwrap_or(PAGE_DEFAULT));
        page.map_err(|problem| hedgerow_control::Failure::from(problem).into())
    }
}

/// A device behind another one's connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CarriedRequest {
    /// What it is called.
    #[schema(pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]{1,80}$")]
    name: String,
    /// The profile that it is held to: one that maps foreign topics.
    #[schema(pattern = r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    profile: String,
    /// The variables of its foreign topics, where they are not the profile's defaults.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// The id of the device whose connection carries it.
    #[schema(pattern = r"^[0-7][0-9a-hjkmnp-tv-z]{24}[048cgmrw]$")]
    carrier: String,
}

/// Takes in a device that another device's connection carries, such as a sensor behind a bridge.
#[utoipa::path(post, path = "/api/v1/devices", tag = "devices", request_body = CarriedRequest, responses(
    (status = 201, description = "The device", body = DeviceView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn carry(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Body(request): Body<CarriedRequest>,
) -> Result<Response, Refused> {
    people.control.may_carry(&who.ctx).await?;
    let names = request.names.iter().map(|(name, value)| (&**name, &**value));
    let names = Names::new(names).map_err(Failure::from).map_err(unprocessable)?;
    let carrier = request.carrier.parse().map_err(|_| Failure::absent("device"))?;
    let CarriedRequest { name, profile, .. } = request;
    let new = NewCarried { name, profile, names, carrier };
    let device = people.control.carry(&who.ctx, new).await.map_err(unprocessable)?;
    Ok((StatusCode::CREATED, answer(&people, device)).into_response())
}

/// A page of devices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceList {
    /// In the order of their ids.
    items: Vec<DeviceView>,
    /// To be sent as `after` for the next page; null at the end.
    next: Option<String>,
}

/// Devices that fit a filter.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", params(DeviceQuery), responses(
    (status = 200, description = "A page of devices", body = DeviceList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Ask(query): Ask<DeviceQuery>,
) -> Result<Json<DeviceList>, Refused> {
    let found =
        people.control.devices(&who.ctx, &query.filter(who.ctx.now)?, query.page()?).await?;
    let items = found.items.into_iter().map(|device| view(&people, device)).collect();
    Ok(Json(DeviceList { items, next: found.next.map(|id| id.to_string()) }))
}

/// One device.
#[utoipa::path(get, path = "/api/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "The device; its revision is the ETag", body = DeviceView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
) -> Result<Response, Refused> {
    Ok(answer(&people, people.control.device(&who.ctx, id).await?))
}

/// What to change on a device. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceEdit {
    /// What people call it.
    #[schema(pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]{1,80}$")]
    name: Option<String>,
    /// The group; empty takes it out of its group.
    #[schema(pattern = r"^((?=.*\S)[^\x00-\x1f\x7f-\x9f]{1,80})?$")]
    group: Option<String>,
    /// All labels anew.
    #[schema(max_items = 32)]
    labels: Option<Vec<LabelBody>>,
}

/// A label of a device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelBody {
    /// What kind of label: `room`.
    #[schema(pattern = r"^[a-z0-9._-]{1,63}$")]
    key: String,
    /// Its value: `kitchen`.
    #[schema(pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]{1,63}$")]
    value: String,
}

/// Names and sorts a device. `If-Match` has to carry the ETag that was seen.
#[utoipa::path(patch, path = "/api/v1/devices/{id}", tag = "devices", request_body = DeviceEdit,
    params(("id" = String, Path, description = "The device's id"),
        ("If-Match" = String, Header, description = "The ETag that was seen")), responses(
    (status = 200, description = "The device as it is now", body = DeviceView),
    (status = 412, description = "Somebody else was faster", body = Problem, content_type = "application/problem+json"),
    (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn edit(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    headers: HeaderMap,
    Body(edit): Body<DeviceEdit>,
) -> Result<Response, Refused> {
    // Whether one may comes before how one asks.
    people.control.may_edit_devices(&who.ctx).await?;
    let known = people.control.device(&who.ctx, id).await?;
    let revision = seen(&headers)?;
    refuse_stale(revision, known.revision)?;
    let edit = Edit {
        revision,
        name: edit.name,
        group: edit.group.map(|group| (!group.is_empty()).then_some(group)),
        labels: edit.labels.map(|labels| labels.into_iter().map(|l| (l.key, l.value)).collect()),
    };
    Ok(answer(&people, people.control.edit_device(&who.ctx, id, edit).await?))
}

/// Which part of a timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// `next` of the page before.
    before: Option<i64>,
    /// Entries in the page.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Something that happened to a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineView {
    /// When.
    at: String,
    /// A word: enrolled, connected, quarantined, denied …
    kind: String,
    /// A sentence.
    detail: String,
}

/// A page of a timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timeline {
    /// Newest first.
    items: Vec<TimelineView>,
    /// To be sent as `before` for the next page; null at the end.
    next: Option<i64>,
}

/// What happened to a device, newest first.
#[utoipa::path(get, path = "/api/v1/devices/{id}/timeline", tag = "devices",
    params(("id" = String, Path, description = "The device's id"), TimelineQuery), responses(
    (status = 200, description = "A page of its timeline", body = Timeline),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn timeline(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
    Ask(query): Ask<TimelineQuery>,
) -> Result<Json<Timeline>, Refused> {
    let limit = limit(query.limit)?;
    let entries = people.control.timeline(&who.ctx, id, query.before, limit).await?;
    let is_full = entries.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = entries.last().filter(|_| is_full).map(|(seq, _)| *seq);
    let items = entries.into_iter().map(|(_, entry)| TimelineView {
        at: entry.at.to_string(),
        kind: entry.kind,
        detail: entry.detail,
    });
    Ok(Json(Timeline { items: items.collect(), next }))
}

/// How many entries of a page, said or not.
pub(crate) fn limit(said: Option<u32>) -> Result<u32, Refused> {
    let limit = said.unwrap_or(100);
    if (1..=hedgerow_control::limits::PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    let reason = format!("a page has 1 to {} entries", hedgerow_control::limits::PAGE_MAX);
    Err(Refused::invalid(reason))
}

/// Certificates of a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CertificateList {
    /// Newest first.
    items: Vec<CertificateView>,
    /// Always null: there are few.
    next: Option<String>,
}

/// The certificates that a device got, newest first.
#[utoipa::path(get, path = "/api/v1/devices/{id}/certificates", tag = "devices",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "Its certificates", body = CertificateList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn certificates(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
) -> Result<Json<CertificateList>, Refused> {
    let found = people.control.certificates(&who.ctx, id).await?;
    let items = found.into_iter().map(|certificate| CertificateView {
        fingerprint: hex(&certificate.id.0),
        not_before: certificate.not_before.to_string(),
        not_after: certificate.not_after.to_string(),
        revoked: certificate.revoked.map(|(at, _)| at.to_string()),
    });
    Ok(Json(CertificateList { items: items.collect(), next: None }))
}
