//! The W3C Thing Directory (WoT Discovery, section 7), for reading: a Thing Description (TD 1.1) for each
//! device, made of its profile, the owner's overlay and what the registry says.
//!
//! A property is written, and an action asked for, where the forms lead: at the device's place in the API.
//!
//! What it leaves out: events, since no form of ours carries them to an application yet; registration, search
//! and notification, since devices come in by a claim and in no other way.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Extension, Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use hedgerow_base::DeviceId;
use hedgerow_control::Failure;
use hedgerow_model::{
    Profile, Property, Shape,
    limits::{INTEGER_MAX, TEXT_BYTES_MAX},
    mapping::Told,
    profile::{Action, vocabulary::TD_CONTEXT},
};
use hedgerow_policy::Overlay;
use hedgerow_registry::{Device, Filter, Page};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::{IntoParams, ToSchema};

use super::{forms::Ask, readings::Measured};
use crate::{
    Bounds, People, Transport,
    door::SignedIn,
    limits::{THINGS_DEFAULT, THINGS_MAX},
    problem::{Problem, Refused},
};

/// What a device is and how an application reaches it: a W3C Thing Description 1.1.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThingDescription {
    /// The context of TD 1.1.
    #[serde(rename = "@context")]
    context: [&'static str; 1],
    /// `urn:hedgerow:device:` and the device's id.
    id: String,
    /// What people call it.
    title: String,
    /// What its profile says it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// When it enrolled.
    created: String,
    /// What the forms are relative to.
    base: String,
    /// How an application signs in.
    #[serde(rename = "securityDefinitions")]
    security_definitions: BTreeMap<&'static str, Scheme>,
    /// Which of them holds.
    security: [&'static str; 1],
    /// Its profile.
    links: [Link; 1],
    /// What it measures.
    properties: BTreeMap<String, PropertyAffordance>,
    /// What it can be asked to do.
    actions: BTreeMap<String, ActionAffordance>,
}

/// A way to sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scheme {
    /// `bearer`: a token of this hub.
    scheme: &'static str,
    /// `header`.
    #[serde(rename = "in")]
    place: &'static str,
}

/// Something beside the device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// `type`: the Thing Model that this was made of.
    rel: &'static str,
    /// Where.
    href: String,
    /// `application/tm+json`.
    #[serde(rename = "type")]
    media_type: &'static str,
}

/// What a device measures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PropertyAffordance {
    /// For people.
    title: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// boolean, integer, number or string.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of SenML or UCUM.
    #[serde(skip_serializing_if = "String::is_empty")]
    unit: String,
    /// The least allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    minimum: Option<Number>,
    /// The greatest allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    maximum: Option<Number>,
    /// The longest text allowed, in characters.
    #[serde(rename = "maxLength", skip_serializing_if = "Option::is_none")]
    length_max: Option<usize>,
    /// The words allowed.
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    words: Vec<String>,
    /// Whether only the device changes it.
    #[serde(rename = "readOnly")]
    is_read_only: bool,
    /// How to read it, and to write it.
    forms: Vec<Form>,
}

/// What a device can be asked to do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionAffordance {
    /// For people.
    title: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// What it needs to be told; nothing when it needs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Input>,
    /// How to ask.
    forms: [Form; 1],
}

/// What an action needs as input.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Input {
    /// boolean, integer, number or string.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The least allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    minimum: Option<Number>,
    /// The greatest allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    maximum: Option<Number>,
}

/// How an application does it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Form {
    /// Relative to the base.
    href: String,
    /// readproperty, writeproperty or invokeaction.
    op: &'static str,
    /// `application/json`.
    #[serde(rename = "contentType")]
    content_type: &'static str,
    /// The method of HTTP.
    #[serde(rename = "htv:methodName")]
    method: &'static str,
}

fn form(op: &'static str, method: &'static str, href: String) -> Form {
    Form { href, op, content_type: "application/json", method }
}

/// The least and greatest of a shape, where it has them.
fn bounds(shape: &Shape) -> (Option<Number>, Option<Number>) {
    let number = |bound: f64| Number::from_f64(bound).filter(|_| bound.abs() < f64::MAX);
    let whole = |bound: i64| (bound.abs() < INTEGER_MAX).then(|| Number::from(bound));
    match *shape {
        Shape::Number { minimum, maximum } => (number(minimum), number(maximum)),
        Shape::Integer { minimum, maximum } => (whole(minimum), whole(maximum)),
        Shape::Boolean | Shape::Text { .. } => (None, None),
    }
}

fn property(id: DeviceId, property: &Property, is_writable: bool) -> PropertyAffordance {
    let (minimum, maximum) = bounds(&property.shape);
    let (length_max, words) = match &property.shape {
        Shape::Text { length_max, words } => {
            let words = words.iter().map(ToString::to_string).collect();
            ((*length_max < TEXT_BYTES_MAX).then_some(*length_max), words)
        }
        Shape::Boolean | Shape::Integer { .. } | Shape::Number { .. } => (None, Vec::new()),
    };
    let rest = format!("{id}/properties/{}", property.name);
    let read = form("readproperty", "GET", format!("things/{rest}"));
    let write = form("writeproperty", "PUT", format!("api/v1/devices/{rest}"));
    PropertyAffordance {
        title: property.title.to_string(),
        description: property.description.to_string(),
        kind: property.shape.kind().word(),
        unit: property.unit.to_string(),
        minimum,
        maximum,
        length_max,
        words,
        is_read_only: !is_writable,
        forms: [read].into_iter().chain(is_writable.then_some(write)).collect(),
    }
}

fn action(id: DeviceId, action: &Action, input: Option<&Shape>) -> ActionAffordance {
    let input = input.map(|shape| {
        let (minimum, maximum) = bounds(shape);
        Input { kind: shape.kind().word(), minimum, maximum }
    });
    let href = format!("api/v1/devices/{id}/actions/{}", action.name);
    ActionAffordance {
        title: action.title.to_string(),
        description: action.description.to_string(),
        input,
        forms: [form("invokeaction", "POST", href)],
    }
}

fn describe(device: &Device, profile: &Profile, overlay: &Overlay, base: &str) -> ThingDescription {
    let id = device.key.id;
    let allows = |name: &str| !overlay.withheld.contains(name);
    let properties = profile.properties().iter().filter(|one| allows(&one.name));
    let actions = profile.actions().iter().filter(|one| allows(&one.name));
    let input = |one: &Action| {
        let index = profile.action_index(&one.name).and_then(|at| u16::try_from(at).ok())?;
        profile.plan().command(Told::Action(index))?.input()
    };
    let bearer = Scheme { scheme: "bearer", place: "header" };
    ThingDescription {
        context: [TD_CONTEXT],
        id: format!("urn:hedgerow:device:{id}"),
        title: device.name.clone(),
        description: profile.description.to_string(),
        created: device.created.to_string(),
        base: base.to_owned(),
        security_definitions: [("token", bearer)].into(),
        security: ["token"],
        links: [Link {
            rel: "type",
            href: format!("api/v1/profiles/{}/document", device.profile),
            media_type: "application/tm+json",
        }],
        properties: properties
            .map(|one| (one.name.to_string(), property(id, one, profile.is_writable(&one.name))))
            .collect(),
        actions: actions.map(|one| (one.name.to_string(), action(id, one, input(one)))).collect(),
    }
}

/// What the forms are relative to: the address by which this request came.
fn base(transport: Transport, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = if transport == Transport::Https { "https" } else { "http" };
    format!("{scheme}://{}/", host.unwrap_or("localhost"))
}

fn described(people: &People, device: &Device, base: &str) -> ThingDescription {
    let Bounds { profile, overlay } = people.bounds_of(device);
    describe(device, &profile, &overlay, base)
}

/// The device in a path, by its id or its URN.
fn id_of(text: &str) -> Result<DeviceId, Refused> {
    let id = text.strip_prefix("urn:hedgerow:device:").unwrap_or(text);
    id.parse().map_err(|_| Failure::absent("thing").into())
}

/// Which things, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ThingQuery {
    /// The last one of the page before; the `Link` of a page has it.
    #[param(pattern = r"^[0-7][0-9a-hjkmnp-tv-z]{24}[048cgmrw]$")]
    after: Option<String>,
    /// Things in the page.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<u32>,
}

impl ThingQuery {
    fn page(&self) -> Result<Page, Refused> {
        let size = self.limit.unwrap_or(THINGS_DEFAULT);
        if !(1..=THINGS_MAX).contains(&size) {
            return Err(Refused::invalid(format!("a page has 1 to {THINGS_MAX} things")));
        }
        let wrong = || Refused::invalid("after is no thing's id; begin without it");
        let after = match &self.after {
            Some(text) => Some(text.parse().map_err(|_| wrong())?),
            None => None,
        };
        Ok(Page { after, size })
    }
}

/// A Thing Description for each device. The `Link` header leads to the next page.
#[utoipa::path(get, path = "/things", tag = "things", params(ThingQuery), responses(
    (status = 200, description = "A page of Thing Descriptions", body = Vec<ThingDescription>, content_type = "application/ld+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
    who: SignedIn,
    Ask(query): Ask<ThingQuery>,
) -> Result<Response, Refused> {
    let page = query.page()?;
    let found = people.control.devices(&who.ctx, &Filter::default(), page).await?;
    let base = base(transport, &headers);
    let all: Vec<_> = found.items.iter().map(|one| described(&people, one, &base)).collect();
    let mut response = Json(all).into_response();
    let media_type = HeaderValue::from_static("application/ld+json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    if let Some(next) = found.next {
        let link = format!("</things?after={next}&limit={}>; rel=\"next\"", page.size);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// The Thing Description of one device.
#[utoipa::path(get, path = "/things/{id}", tag = "things",
    params(("id" = String, Path, description = "The device's id, or its URN")), responses(
    (status = 200, description = "The Thing Description", body = ThingDescription, content_type = "application/td+json"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn one(
    State(people): State<Arc<People>>,
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let device = people.control.device(&who.ctx, id_of(&id)?).await?;
    let mut response =
        Json(described(&people, &device, &base(transport, &headers))).into_response();
    let media_type = HeaderValue::from_static("application/td+json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

/// The newest value of a property, as its Thing Description says.
#[utoipa::path(get, path = "/things/{id}/properties/{name}", tag = "things",
    params(("id" = String, Path, description = "The device's id, or its URN"),
        ("name" = String, Path, description = "The property's name")), responses(
    (status = 200, description = "The value", body = Measured),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn value(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path((id, name)): Path<(String, String)>,
) -> Result<Json<Measured>, Refused> {
    let id = id_of(&id)?;
    let device = people.control.device(&who.ctx, id).await?;
    let Bounds { profile, overlay } = people.bounds_of(&device);
    if profile.property(&name).is_none() || overlay.withheld.contains(name.as_str()) {
        return Err(Failure::absent("property of this thing").into());
    }
    let last = people.control.last_values(&who.ctx, id).await?;
    let found = last.iter().find(|one| one.series == name);
    let nothing = || Failure::absent("value yet: the device has not sent one");
    Ok(Json(Measured::from(&found.ok_or_else(nothing)?.value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_things_has_its_limit() {
        let size = |limit| ThingQuery { after: None, limit }.page().map(|page| page.size).ok();
        assert_eq!((size(None), size(Some(THINGS_MAX))), (Some(THINGS_DEFAULT), Some(THINGS_MAX)));
        assert_eq!((size(Some(0)), size(Some(THINGS_MAX + 1))), (None, None));
    }

    #[test]
    fn ranges_that_say_nothing_are_left_out() {
        let profile = Profile::parse(hedgerow_model::LINUX_HOST.as_bytes()).unwrap();
        let of = |name: &str| {
            let one =
                property(DeviceId::from_bytes([7; 16]), profile.property(name).unwrap(), false);
            serde_json::to_value(one).unwrap()
        };
        let cpu = of("cpuPercent");
        assert_eq!(
            (&cpu["minimum"], &cpu["maximum"], &cpu["unit"]),
            (&0.0.into(), &100.0.into(), &"%".into())
        );
        let uptime = of("uptimeSeconds");
        assert_eq!((&uptime["type"], &uptime["minimum"]), (&"integer".into(), &0.into()));
        assert!(uptime.get("maximum").is_none() && uptime.get("enum").is_none());
        assert_eq!(uptime["forms"][0]["op"], "readproperty");
    }

    #[test]
    fn a_thing_is_found_by_id_and_urn() {
        let id = DeviceId::from_bytes([7; 16]);
        assert_eq!(id_of(&id.to_string()).unwrap(), id);
        assert_eq!(id_of(&format!("urn:hedgerow:device:{id}")).unwrap(), id);
        assert!(id_of("urn:other:1").is_err());
    }
}
