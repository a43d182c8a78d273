//! Messages as they come by, as server-sent events.
//!
//! 1. Who asks is admitted as a session of the broker and subscribes; each message is judged on its way.
//! 2. A few messages at a time go out, the rest is counted; twice a second it is looked whether whoever asked may
//!    still see them.
//! 3. It ends by itself: when the time is over, the rights have changed, or the broker ends the session.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_core::Stream;
use hedgerow_listen::server::now;
use hedgerow_mqtt::QoS;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    select,
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use utoipa::{IntoParams, ToSchema};

use super::forms::Ask;
use crate::{
    People,
    door::SignedIn,
    limits::{
        LOOK_EVERY, LOOK_S_MAX, MESSAGES_A_LOOK_MAX, MESSAGES_WAITING_MAX, PAYLOAD_BYTES_MAX,
    },
    onlooker::{Onlooker, rights},
    payload::{Payload, visible},
    problem::{Problem, Refused},
};

const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageQuery {
    /// A topic filter.
    #[serde(default = "things")]
    #[param(default = "things/#")]
    filter: String,
    /// Also those that are retained now, first.
    #[serde(default)]
    retained: bool,
    /// Adds `shown`: topic and payload for people, JSON indented, hidden characters named.
    #[serde(default)]
    shown: bool,
    /// Seconds after which it ends; 600 when left out.
    #[param(minimum = 1, maximum = 600)]
    seconds: Option<u32>,
}

fn things() -> String {
    "things/#".into()
}

/// A message that came by.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageView {
    /// When it came by.
    at: String,
    /// Its topic.
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
    /// Whether it was published to be retained.
    retain: bool,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<Shown>,
}

/// A message for people to look at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// Its topic, with hidden characters named.
    topic: String,
    /// Its payload: JSON indented, bytes in groups, hidden characters named.
    payload: String,
}

/// Messages of a topic filter as they come: those that whoever asks could be handed as a subscriber.
#[utoipa::path(get, path = "/api/v1/broker/messages", tag = "broker", params(MessageQuery), responses(
    (status = 200, description = "Events: `message` (see MessageView), `left-out` with the count of messages that \
        were too many to show, and at last `end` with why: time, rights, broker",
        body = MessageView, content_type = "text/event-stream"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn messages(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Ask(query): Ask<MessageQuery>,
) -> Result<Response, Refused> {
    let seconds = query.seconds.unwrap_or(LOOK_S_MAX);
    if !(1..=LOOK_S_MAX).contains(&seconds) {
        return Err(Refused::invalid(format!("seconds is 1 to {LOOK_S_MAX}, not {seconds}")));
    }
    let peer = who.peer()?;
    rights(&people.plane, peer, &query.filter, now())?;
    let number: String = people.secret().chars().take(8).collect();
    let client_id = format!("looking-on-{number}");
    let begun = people.onlookers.begin(peer, &client_id, &query.filter, query.retained).await?;
    let (tell, hear) = mpsc::channel(MESSAGES_WAITING_MAX);
    let until = Instant::now() + Duration::from_secs(u64::from(seconds));
    let (is_shown, room) = (query.shown, MESSAGES_A_LOOK_MAX);
    let look = Look { people, who, tell, until, is_shown, room, left_out: 0 };
    tokio::spawn(look.on(begun));
    let alive = KeepAlive::new().interval(ALIVE_EVERY);
    Ok(Sse::new(Messages(hear)).keep_alive(alive).into_response())
}

struct Messages(mpsc::Receiver<Event>);

impl Stream for Messages {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// One who looks on.
struct Look {
    people: Arc<People>,
    who: SignedIn,
    tell: mpsc::Sender<Event>,
    until: Instant,
    is_shown: bool,
    /// Messages that may still be shown until the next look.
    room: u32,
    left_out: u64,
}

impl Look {
    async fn on(mut self, mut onlooker: Onlooker) {
        let why = self.until_end(&mut onlooker).await;
        self.tell_left_out();
        let end = Event::default().event("end").data(json!({ "why": why }).to_string());
        let _ = timeout(LOOK_EVERY, self.tell.send(end)).await;
    }

    async fn until_end(&mut self, onlooker: &mut Onlooker) -> &'static str {
        let (mut looks, mut pinged) = (interval(LOOK_EVERY), Instant::now());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let tell = self.tell.clone();
        loop {
            select! {
                biased;
                () = tell.closed() => return "nobody",
                _ = looks.tick() => {
                    if Instant::now() >= self.until {
                        return "time";
                    }
                    if !self.who.is_still(&self.people).await {
                        return "rights";
                    }
                    self.tell_left_out();
                    self.room = MESSAGES_A_LOOK_MAX;
                    if onlooker.ping_every().is_some_and(|every| pinged.elapsed() >= every) {
                        pinged = Instant::now();
                        if onlooker.ping().await.is_none() {
                            return "broker";
                        }
                    }
                }
                come = onlooker.next() => {
                    let see = |topic: &str, payload: &[u8], qos, retain| {
                        self.see(topic, payload, qos, retain);
                    };
                    if come.is_none() || onlooker.take(see).await.is_none() {
                        return "broker";
                    }
                }
            }
        }
    }

    fn see(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        let Some(room) = self.room.checked_sub(1) else {
            self.left_out += 1;
            return;
        };
        let view = self.view(topic, payload, qos, retain);
        let data = serde_json::to_string(&view).unwrap_or_default();
        match self.tell.try_send(Event::default().event("message").data(data)) {
            Ok(()) => self.room = room,
            Err(_) => self.left_out += 1,
        }
    }

    fn view(&self, topic: &str, payload: &[u8], qos: QoS, retain: bool) -> MessageView {
        let beginning = payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(payload);
        let found = Payload::of(beginning, payload.len());
        let shown =
            self.is_shown.then(|| Shown { topic: visible(topic, false), payload: found.shown() });
        MessageView {
            at: now().to_string(),
            topic: topic.to_owned(),
            payload: found.text,
            form: found.form.word(),
            bytes: payload.len(),
            cut: found.is_cut,
            qos: qos as u8,
            retain,
            shown,
        }
    }

    /// Says how many messages were too many to show, when there is room for it.
    fn tell_left_out(&mut self) {
        if self.left_out > 0 {
            let data = json!({ "count": self.left_out }).to_string();
            if self.tell.try_send(Event::default().event("left-out").data(data)).is_ok() {
                self.left_out = 0;
            }
        }
    }
}
