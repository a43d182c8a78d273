//! The broker: its numbers beside their limits, its sessions, and retained messages.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use hedgerow_control::Failure;
use hedgerow_listen::server::now;
use hedgerow_plane::{
    AskedSessions, Flow, Identity, RetainedMessage, SessionDetail, SessionName, SessionView,
    Subscribed, Which, WillView,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::forms::Ask;
use crate::{
    BrokerLimits, People,
    door::SignedIn,
    limits::{PAYLOAD_BYTES_MAX, RETAINED_MAX, SESSIONS_MAX},
    onlooker::rights,
    payload::Payload,
    people::Doorstep,
    problem::{Problem, Refused},
};

/// The broker's numbers, now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokerView {
    /// What it takes at most.
    limits: BrokerLimits,
    /// Connections now, those at the door included, and how connections ended.
    doorstep: Doorstep,
    /// How much went through a second, over the last ten; null when the hub has just started.
    a_second: Option<FlowView>,
    /// How much went through since the hub started.
    in_all: FlowView,
    /// Messages that were not delivered since the hub started, by reason.
    dropped: BTreeMap<&'static str, u64>,
    /// What devices and programs were refused since the hub started, by reason.
    refusals: BTreeMap<&'static str, u64>,
    /// Sessions whose client is away.
    sessions_away: u64,
    /// Sessions on disk.
    sessions_kept: u64,
    /// Messages that wait in these.
    messages_waiting: u64,
    /// Topics with a retained message.
    retained: u64,
    /// Bytes of these.
    retained_bytes: u64,
    /// Messages not retained for want of room.
    not_retained: u64,
    /// Subscribers that do not keep up, the longest first.
    slow: Vec<SessionLine>,
    /// How often one was found not to keep up.
    slow_found: u64,
}

/// How much goes through.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlowView {
    /// Messages that clients sent, refused ones included.
    messages_in: u64,
    /// Messages handed to clients.
    messages_out: u64,
    /// Bytes read from clients.
    bytes_in: u64,
    /// Bytes that clients took.
    bytes_out: u64,
    /// Messages that were refused.
    refused: u64,
    /// Messages that somebody did not get.
    dropped: u64,
}

impl From<Flow> for FlowView {
    fn from(flow: Flow) -> Self {
        let Flow { messages_in, messages_out, bytes_in, bytes_out, refused, dropped } = flow;
        Self { messages_in, messages_out, bytes_in, bytes_out, refused, dropped }
    }
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionLine {
    /// Its name: `device:ID:CLIENT`, `token:NUMBER:CLIENT`, `person:NUMBER:CLIENT` or `tester::CLIENT`.
    name: String,
    /// Whose it is: device, token, person, tester.
    kind: &'static str,
    /// The device's id, or the number of the token or person.
    of: Option<String>,
    /// What its client calls itself.
    client_id: String,
    /// Whether its client is connected.
    connected: bool,
    /// Since when it is, or is not.
    since: String,
    /// When it ends unless its client comes back, while that is away.
    until: Option<String>,
    /// The version of MQTT: 3.1.1 or 5.0.
    version: Option<&'static str>,
    /// What MQTT is spoken over: tls, websocket, plain; inside for who looks on by way of the hub.
    transport: Option<&'static str>,
    /// The client's address.
    from: Option<String>,
    /// Seconds of silence after which the client is taken for gone.
    silence_max_s: Option<i64>,
    /// Seconds that the session outlives its connection.
    expiry_s: u32,
    /// When its client was heard last.
    heard: Option<String>,
    /// How many subscriptions it has.
    subscriptions: usize,
    /// Messages that wait to be sent or acknowledged.
    queued: usize,
    /// Bytes of these.
    queued_bytes: usize,
    /// Messages sent and not acknowledged.
    in_flight: usize,
    /// Bytes that wait for the client to read them.
    out_bytes: usize,
    /// Messages that came in this connection.
    messages_in: u64,
    /// Messages handed to the client in this connection.
    messages_out: u64,
    /// Messages that it did not get.
    dropped: u64,
    /// Whether it has a will.
    will: bool,
    /// That it does not keep up.
    slow: Option<SlowView>,
}

/// That a subscriber does not keep up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlowView {
    /// Since when.
    since: String,
    /// Messages that it did not get since then.
    dropped: u64,
}

/// Whose a session is, and of which number or id.
pub(crate) fn owner(identity: Identity) -> (&'static str, Option<String>) {
    match identity {
        Identity::Device(_, device) => ("device", Some(device.to_string())),
        Identity::Token(_, token) => ("token", Some(token.to_string())),
        Identity::Person(_, person) => ("person", Some(person.0.to_string())),
        Identity::LoopbackTester => ("tester", None),
    }
}

impl From<SessionView> for SessionLine {
    fn from(view: SessionView) -> Self {
        let (kind, of) = owner(view.name.identity);
        Self {
            name: view.name.to_string(),
            kind,
            of,
            client_id: view.name.client_id.into_string(),
            connected: view.is_connected,
            since: view.since.to_string(),
            until: view.until.map(|at| at.to_string()),
            version: view.version,
            transport: view.transport,
            from: view.from.map(|from| from.to_string()),
            silence_max_s: view.silence_s_max,
            expiry_s: view.expiry_s,
            heard: view.heard.map(|at| at.to_string()),
            subscriptions: view.subscriptions,
            queued: view.queued,
            queued_bytes: view.queued_bytes,
            in_flight: view.in_flight,
            out_bytes: view.out_bytes,
            messages_in: view.messages_in,
            messages_out: view.messages_out,
            dropped: view.dropped,
            will: view.has_will,
            slow: view
                .slow
                .map(|slow| SlowView { since: slow.since.to_string(), dropped: slow.dropped }),
        }
    }
}

/// Sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// In the order of their names; fewer than asked for when they are long to find.
    items: Vec<SessionLine>,
    /// To be sent as `after` for the next page; null at the end.
    next: Option<String>,
}

/// One session whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionWhole {
    /// What the list says of it.
    session: SessionLine,
    /// What it subscribed to.
    subscriptions: Vec<SubscriptionLine>,
    /// What is said if its client goes without a word.
    will: Option<WillLine>,
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionLine {
    /// The topic filter.
    filter: String,
    /// The most that the client wants: 0 to 2.
    qos: u8,
    /// Without what it says itself.
    no_local: bool,
    /// With the retain flag as published.
    retain_as_published: bool,
    /// 0: retained messages are wanted; 1: when the subscription is new; 2: not.
    retain_handling: u8,
    /// The subscription identifier.
    identifier: Option<u32>,
}

impl From<Subscribed> for SubscriptionLine {
    fn from(one: Subscribed) -> Self {
        Self {
            filter: one.filter.into_string(),
            qos: one.qos,
            no_local: one.no_local,
            retain_as_published: one.retain_as_published,
            retain_handling: one.retain_handling,
            identifier: one.identifier.map(std::num::NonZeroU32::get),
        }
    }
}

/// A will.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WillLine {
    /// Where.
    topic: String,
    /// Bytes of what.
    bytes: usize,
    /// How: 0 to 2.
    qos: u8,
    /// Whether it is retained.
    retain: bool,
    /// Seconds after the end of the connection.
    delay_s: u32,
}

impl From<WillView> for WillLine {
    fn from(will: WillView) -> Self {
        let WillView { topic, payload, qos, retain, delay_s } = will;
        Self { topic: topic.into_string(), bytes: payload.len(), qos, retain, delay_s }
    }
}

/// A topic with its message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetainedLine {
    /// The topic.
    topic: String,
    /// The payload's beginning: JSON and text as they came, anything else in hex.
    payload: String,
    /// What the payload seems to be: json, text, hex.
    form: &'static str,
    /// Bytes of the whole payload.
    bytes: usize,
    /// Whether the payload goes on.
    cut: bool,
    /// How it was published: 0 to 2.
    qos: u8,
}

impl From<RetainedMessage> for RetainedLine {
    fn from(message: RetainedMessage) -> Self {
        let RetainedMessage { topic, payload, bytes, qos } = message;
        let Payload { form, text, is_cut } = Payload::of(&payload, bytes);
        let (topic, form) = (topic.into_string(), form.word());
        Self { topic, payload: text, form, bytes, cut: is_cut, qos }
    }
}

/// Topics with their messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetainedList {
    /// In the order of topics; fewer than asked for when they are long to find.
    items: Vec<RetainedLine>,
    /// To be sent as `after` for the next page; null at the end.
    next: Option<String>,
}

/// The broker's numbers beside their limits.
#[utoipa::path(get, path = "/api/v1/broker", tag = "broker", responses(
    (status = 200, description = "Its numbers", body = BrokerView),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<BrokerView>, Refused> {
    let tenant = people.control.look_at_broker(&who.ctx).await?;
    let meters = (people.meters)();
    let dropped: BTreeMap<_, _> = meters.messages_dropped.iter().copied().collect();
    Ok(Json(BrokerView {
        limits: meters.broker_limits,
        doorstep: (people.doorstep)(),
        a_second: people.flows.a_second().map(FlowView::from),
        in_all: FlowView {
            messages_in: meters.messages_in,
            messages_out: meters.messages_out,
            bytes_in: meters.bytes_in,
            bytes_out: meters.bytes_out,
            refused: meters.messages_refused,
            dropped: dropped.values().sum(),
        },
        dropped,
        refusals: people.plane.denials().collect(),
        sessions_away: meters.sessions_away,
        sessions_kept: meters.sessions_kept,
        messages_waiting: meters.messages_waiting,
        retained: meters.retained,
        retained_bytes: meters.retained_bytes,
        not_retained: meters.not_retained,
        slow: people.broker.slow(tenant).await.into_iter().map(SessionLine::from).collect(),
        slow_found: meters.slow_found,
    }))
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// Only those whose name has this in it: a device's id, a client identifier, `token:`.
    pub(crate) q: Option<String>,
    /// Only those whose client is connected, or is not.
    pub(crate) connected: Option<bool>,
    /// `next` of the page before.
    pub(crate) after: Option<String>,
    /// Sessions in the page.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
}

impl SessionQuery {
    /// As the broker is asked.
    pub(crate) fn asked(&self, tenant: hedgerow_base::TenantId) -> Result<AskedSessions, Refused> {
        let after = self.after.as_deref().filter(|after| !after.is_empty()).map(|after| {
            let wrong = "after is not what `next` of a page said; begin without it";
            SessionName::parse(after, tenant).ok_or_else(|| Refused::invalid(wrong))
        });
        let which = match self.connected {
            None => Which::All,
            Some(true) => Which::Connected,
            Some(false) => Which::Away,
        };
        let find = self.q.as_deref().map(str::trim).filter(|find| !find.is_empty());
        Ok(AskedSessions {
            tenant,
            find: find.map(Into::into),
            which,
            after: after.transpose()?,
            size: limit(self.limit, SESSIONS_MAX)?,
        })
    }
}

fn limit(asked: Option<u32>, most: u32) -> Result<usize, Refused> {
    let asked = asked.unwrap_or(most.min(50));
    match usize::try_from(asked) {
        Ok(size) if (1..=most).contains(&asked) => Ok(size),
        _ => Err(Refused::invalid(format!("limit is 1 to {most}, not {asked}"))),
    }
}

/// Sessions, connected and away.
#[utoipa::path(get, path = "/api/v1/broker/sessions", tag = "broker", params(SessionQuery), responses(
    (status = 200, description = "A page of sessions", body = SessionList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn sessions(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Ask(query): Ask<SessionQuery>,
) -> Result<Json<SessionList>, Refused> {
    let tenant = people.control.look_at_broker(&who.ctx).await?;
    let page = people.broker.sessions(query.asked(tenant)?).await;
    let items = page.items.into_iter().map(SessionLine::from).collect();
    Ok(Json(SessionList { items, next: page.next.map(|name| name.to_string()) }))
}

/// The session of a name, if whoever asks may look at it.
pub(crate) async fn find(
    people: &People,
    ctx: &hedgerow_control::Ctx,
    name: &str,
) -> Result<SessionDetail, Failure> {
    let tenant = people.control.look_at_broker(ctx).await?;
    let absent = || Failure::absent("session");
    let name = SessionName::parse(name, tenant).ok_or_else(absent)?;
    people.broker.session(name).await.ok_or_else(absent)
}

/// One session.
#[utoipa::path(get, path = "/api/v1/broker/sessions/{name}", tag = "broker",
    params(("name" = String, Path, description = "The session's name")), responses(
    (status = 200, description = "The session", body = SessionWhole),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn session(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
) -> Result<Json<SessionWhole>, Refused> {
    let SessionDetail { view, subscriptions, will } = find(&people, &who.ctx, &name).await?;
    Ok(Json(SessionWhole {
        session: view.into(),
        subscriptions: subscriptions.into_iter().map(SubscriptionLine::from).collect(),
        will: will.map(WillLine::from),
    }))
}

/// Ends a session: its connection, its subscriptions, and what waits in it. Its client may come back.
#[utoipa::path(delete, path = "/api/v1/broker/sessions/{name}", tag = "broker",
    params(("name" = String, Path, description = "The session's name")), responses(
    (status = 204, description = "It is over"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    // What names no session of the tenant names one that is not there.
    let tenant = who.ctx.actor.tenant().unwrap_or(hedgerow_base::TenantId::FIRST);
    let nobody = SessionName { identity: Identity::LoopbackTester, client_id: "".into() };
    let name = SessionName::parse(&name, tenant).unwrap_or(nobody);
    people.control.end_session(&who.ctx, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which topics.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetainedQuery {
    /// A topic filter; `things/#` when left out.
    filter: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Messages in the page.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Retained messages of a topic filter: those that whoever asks could be handed as a subscriber.
#[utoipa::path(get, path = "/api/v1/broker/retained", tag = "broker", params(RetainedQuery), responses(
    (status = 200, description = "A page of messages", body = RetainedList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn retained(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Ask(query): Ask<RetainedQuery>,
) -> Result<Json<RetainedList>, Refused> {
    let filter = query.filter.as_deref().unwrap_or("things/#");
    let size = limit(query.limit, RETAINED_MAX)?;
    let session = rights(&people.plane, who.peer()?, filter, now())?;
    let may_see = |topic: &str| people.plane.may_receive(&session, topic);
    let at_most = (size, PAYLOAD_BYTES_MAX);
    let page = people.broker.retained(filter, query.after.as_deref(), at_most, &may_see);
    let items = page.items.into_iter().map(RetainedLine::from).collect();
    Ok(Json(RetainedList { items, next: page.next.map(String::from) }))
}
