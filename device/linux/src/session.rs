//! One MQTT connection of the agent.

use std::{
    io::{ErrorKind, Read, Write},
    sync::Arc,
    time::Duration,
};

use hedgerow_base::Timestamp;
use hedgerow_listen::client::{self, Stream};
use hedgerow_mqtt::{
    Client, ClientEvent, Connect, PacketId, Properties, PropertyId, Publish, QoS, ReasonCode,
    Split, SubscriptionOptions, Version, split,
};
use rustls::ClientConfig;

use crate::{
    AgentError, Enrolment,
    limits::{KEEP_ALIVE_S, PACKET_BYTES_MAX, WINDOW},
    now,
};

/// Longest wait for the next packet; deadlines are looked at in between.
const TURN_MS_MAX: i64 = 1_000;

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A message: topic, payload, correlation data.
    Message(String, Vec<u8>),
    /// What became of a message.
    Acknowledged(PacketId, Answer),
}

/// What the hub answered to a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is safe.
    Stored,
    /// Not now; the same may pass later.
    Later(String),
    /// Refused for good.
    Refused(String),
}

impl Answer {
    fn of(reason: ReasonCode, properties: Properties<'_>) -> Self {
        match reason {
            reason if reason.0 < 0x80 => Self::Stored,
            ReasonCode::UNSPECIFIED
            | ReasonCode::IMPLEMENTATION_SPECIFIC
            | ReasonCode::QUOTA_EXCEEDED => Self::Later(words(reason, properties)),
            reason => Self::Refused(words(reason, properties)),
        }
    }
}

/// A connection on which the hub let us in.
pub(crate) struct Session {
    stream: Stream,
    client: Client<WINDOW>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

impl Session {
    /// Connects, says who we are, subscribes to `filters`.
    pub(crate) fn open(
        enrolment: &Enrolment,
        config: &Arc<ClientConfig>,
        filters: &[String],
    ) -> Result<Self, AgentError> {
        let stream = client::connect(enrolment.hub.host(), enrolment.mqtts_port, config)?;
        let mut session =
            Self { stream, client: Client::new(), inbox: Vec::new(), outbox: Vec::new() };
        let connect = Connect {
            version: Version::V5,
            clean_start: true,
            keep_alive_s: KEEP_ALIVE_S,
            client_id: "agent",
            will: None,
            username: None,
            password: None,
            properties: Properties::NONE,
        };
        session.client.connect(&connect, now(), &mut session.outbox).map_err(mqtt)?;
        session.flush()?;
        while !session.client.is_open() {
            session.turn(now().plus_ms(TURN_MS_MAX))?;
            session.tick()?;
        }
        let qos = SubscriptionOptions::of(QoS::AtLeastOnce);
        let filters: Vec<_> = filters.iter().map(|filter| (filter.as_str(), qos)).collect();
        session.client.subscribe(&filters, now(), &mut session.outbox).map_err(mqtt)?;
        session.flush()?;
        Ok(session)
    }

    /// Messages that may be published now.
    pub(crate) fn room(&self) -> usize {
        self.client.room()
    }

    /// Publishes at QoS 1.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<PacketId, AgentError> {
        let message = Publish { qos: QoS::AtLeastOnce, ..Publish::at_most_once(topic, payload) };
        let id = self.client.publish(&message, now(), &mut self.outbox).map_err(mqtt)?;
        self.flush()?;
        id.ok_or(AgentError::Answer("a message went without an identifier"))
    }

    /// Waits for packets until `until` at the latest, and keeps the connection alive.
    pub(crate) fn wait(&mut self, until: Timestamp) -> Result<Vec<News>, AgentError> {
        let limit = now().plus_ms(TURN_MS_MAX);
        let news = self.turn(until.min(limit))?;
        self.tick()?;
        Ok(news)
    }

    /// Says goodbye.
    pub(crate) fn close(mut self) {
        if self.client.disconnect(now(), &mut self.outbox).is_ok() && self.flush().is_ok() {
            self.stream.conn.send_close_notify();
            let _ = self.stream.flush();
        }
    }

    fn tick(&mut self) -> Result<(), AgentError> {
        self.client.tick(now(), &mut self.outbox).map_err(mqtt)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), AgentError> {
        let written = self.stream.write_all(&self.outbox).and_then(|()| self.stream.flush());
        self.outbox.clear();
        written.map_err(|error| AgentError::lost(&error))
    }

    fn turn(&mut self, until: Timestamp) -> Result<Vec<News>, AgentError> {
        let ms = until.since_ms(now()).clamp(1, TURN_MS_MAX);
        let wait = Duration::from_millis(ms.unsigned_abs());
        let lost = |error: std::io::Error| AgentError::lost(&error);
        self.stream.sock.set_read_timeout(Some(wait)).map_err(lost)?;
        let mut piece = [0; 2048];
        match self.stream.read(&mut piece) {
            Ok(0) => return Err(AgentError::Lost("the hub closed it".into())),
            Ok(len) => self.inbox.extend_from_slice(piece.get(..len).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(lost(error)),
        }
        let news = self.digest()?;
        self.flush()?;
        Ok(news)
    }

    /// Takes every whole packet out of the inbox.
    fn digest(&mut self) -> Result<Vec<News>, AgentError> {
        let mut news = Vec::new();
        let mut rest: &[u8] = &self.inbox;
        while let Split::Whole(frame, after) = split(rest, PACKET_BYTES_MAX).map_err(mqtt)? {
            rest = after;
            match self.client.receive(frame).map_err(mqtt)? {
                ClientEvent::Message(message) => {
                    news.push(News::Message(message.topic.into(), message.payload.into()));
                    if let Some(id) = message.id {
                        self.client.acknowledge(id, now(), &mut self.outbox).map_err(mqtt)?;
                    }
                }
                ClientEvent::Acknowledged(ack) => {
                    let answer = Answer::of(ack.reason, ack.properties);
                    news.push(News::Acknowledged(ack.id, answer));
                }
                ClientEvent::Refused(answer) => {
                    return Err(AgentError::Refused(
                        answer.reason.0.into(),
                        words(answer.reason, answer.properties),
                    ));
                }
                ClientEvent::Disconnected(end) => {
                    return Err(AgentError::Lost(words(end.reason, end.properties)));
                }
                ClientEvent::Connected(_)
                | ClientEvent::Subscribed(..)
                | ClientEvent::Unsubscribed(_)
                | ClientEvent::Nothing => {}
            }
        }
        let taken = self.inbox.len() - rest.len();
        self.inbox.drain(..taken);
        Ok(news)
    }
}

fn words(reason: ReasonCode, properties: Properties<'_>) -> String {
    let said = properties.text(PropertyId::REASON_STRING);
    said.unwrap_or_else(|| reason.text()).to_owned()
}

fn mqtt(error: hedgerow_mqtt::Error) -> AgentError {
    AgentError::Lost(error.to_string())
}
