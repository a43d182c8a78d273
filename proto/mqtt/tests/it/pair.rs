//! Two endpoints and a fake clock: the client machine against the server machine.

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{
    Client, ClientEvent, Closed, Connect, DeliveryOptions, Event, Kept, Properties, Publish, QoS,
    ReasonCode, Server, Session, Settings, Split, Version, Will, split,
};

/// What an endpoint saw, as text: short to write in assertions.
pub(crate) type Log = Vec<String>;

pub(crate) struct Pair {
    pub(crate) now: Timestamp,
    pub(crate) client: Client<4>,
    pub(crate) server: Server,
    pub(crate) up: Vec<u8>,
    pub(crate) down: Vec<u8>,
    pub(crate) kept: Option<Session>,
    /// Tickets given to QoS 1 messages instead of an acknowledgement, when `Some`.
    pub(crate) next_ticket: Option<u64>,
    pub(crate) closed: Option<Closed>,
}

pub(crate) fn connect(version: Version, clean_start: bool) -> Connect<'static> {
    Connect {
        version,
        clean_start,
        keep_alive_s: 60,
        client_id: "c",
        will: None,
        username: None,
        password: None,
        properties: Properties::NONE,
    }
}

pub(crate) fn with_will(version: Version) -> Connect<'static> {
    let will = Will {
        topic: "will",
        payload: b"gone",
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Properties::NONE,
    };
    Connect { will: Some(will), ..connect(version, true) }
}

pub(crate) fn message(topic: &'static str, qos: QoS) -> Publish<'static> {
    Publish { qos, ..Publish::at_most_once(topic, b"x") }
}

impl Pair {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Timestamp::from_secs(1_000_000);
        Self {
            now,
            client: Client::new(),
            server: Server::new(settings.into(), now),
            up: vec![],
            down: vec![],
            kept: None,
            next_ticket: None,
            closed: None,
        }
    }

    /// A connected pair.
    pub(crate) fn open(settings: Settings, connect: &Connect<'_>) -> Self {
        let mut pair = Self::new(settings);
        let log = pair.dial(connect);
        assert!(pair.client.is_open() && pair.server.is_open(), "{log:?}");
        pair
    }

    pub(crate) fn dial(&mut self, connect: &Connect<'_>) -> Log {
        self.client.connect(connect, self.now, &mut self.up).unwrap();
        self.exchange()
    }

    /// A new connection of the same client; the server's session lives on if it may.
    pub(crate) fn redial(&mut self, settings: Settings, connect: &Connect<'_>) -> Log {
        self.kept = self.server.take_session().map(|(session, _)| session);
        self.server = Server::new(settings.into(), self.now);
        (self.up, self.down, self.closed) = (vec![], vec![], None);
        self.client.broken();
        self.dial(connect)
    }

    /// Carries bytes both ways until nothing moves; gives what both sides saw.
    pub(crate) fn exchange(&mut self) -> Log {
        let mut log = vec![];
        while !self.up.is_empty() || !self.down.is_empty() {
            let up = std::mem::take(&mut self.up);
            self.serve(&up, &mut log);
            let down = std::mem::take(&mut self.down);
            self.answer(&down, &mut log);
        }
        log
    }

    pub(crate) fn serve(&mut self, mut bytes: &[u8], log: &mut Log) {
        while self.server.wants_input() {
            match split(bytes, self.server.packet_bytes_max()) {
                Ok(Split::Whole(frame, rest)) => {
                    let event = self.server.receive(frame, self.now, &mut self.down);
                    self.handle(event, log);
                    bytes = rest;
                }
                Ok(Split::More(_)) => break,
                Err(error) => {
                    self.closed = Some(self.server.offence(error, &mut self.down));
                    break;
                }
            }
        }
        if self.server.is_open() && !bytes.is_empty() {
            self.up.extend_from_slice(bytes);
        }
    }

    fn handle(&mut self, event: Event<'_>, log: &mut Log) {
        let Self { server, down, now, .. } = self;
        match event {
            Event::Connect(_) => {
                server.accept(self.kept.take(), None, down);
                server.send(*now, usize::MAX, u64::MAX, down);
            }
            Event::Publish(publish) => {
                log.push(format!("publish {} {:?} dup={}", publish.topic, publish.id, publish.dup));
                let asked = publish.id.map(|id| (id, publish.qos));
                match (asked, self.next_ticket.as_mut()) {
                    (Some(asked), Some(ticket)) => {
                        server.acknowledge_later(asked, *ticket);
                        *ticket += 1;
                    }
                    (Some(asked), None) => {
                        server.acknowledge(asked, ReasonCode::SUCCESS, None, down);
                    }
                    (None, _) => {}
                }
                if !self.up_has_subscription(publish.topic) {
                    return;
                }
                if publish.qos == QoS::AtLeastOnce {
                    self.deliver(&publish);
                } else {
                    let version = self.server.version();
                    publish.encode(version, &mut self.down).unwrap();
                }
            }
            Event::Subscribe(subscribe) => {
                let beyond = server.subscribe(&subscribe, |_, _, _| Ok(()), down);
                log.extend(beyond.map(|limit| format!("beyond {limit}")));
            }
            Event::Unsubscribe(unsubscribe) => server.unsubscribe(&unsubscribe, |_| (), down),
            Event::Acknowledged => {
                log.push("acknowledged".into());
                server.send(*now, usize::MAX, u64::MAX, down);
            }
            Event::Closed(closed) => self.closed = Some(closed),
            Event::Refused(why) => log.push(format!("refused {why}")),
            Event::Aliased(aliased) => {
                let message = aliased.message();
                let bytes = message.properties.as_bytes();
                log.push(format!("aliased {} {bytes:02x?}", message.topic));
            }
            Event::Repeated => log.push("repeated".into()),
            Event::Released(id) => log.push(format!("released {id}")),
            Event::Recorded(id, order) => log.push(format!("recorded {id} {order}")),
            Event::Nothing => {}
        }
    }

    fn up_has_subscription(&self, topic: &str) -> bool {
        let mut subscriptions = self.server.session().subscriptions();
        subscriptions.any(|(filter, _)| hedgerow_mqtt::topic::matches(filter, topic))
    }

    /// Hands the client a QoS 1 message from elsewhere.
    pub(crate) fn deliver(&mut self, publish: &Publish<'_>) {
        self.deliver_as(publish, &DeliveryOptions::of(QoS::AtLeastOnce));
    }

    pub(crate) fn deliver_as(&mut self, publish: &Publish<'_>, options: &DeliveryOptions) {
        self.server.deliver(&Kept::new(publish, self.now), options, self.now);
        self.server.send(self.now, usize::MAX, u64::MAX, &mut self.down);
    }

    pub(crate) fn answer(&mut self, mut bytes: &[u8], log: &mut Log) {
        while let Ok(Split::Whole(frame, rest)) = split(bytes, usize::MAX) {
            bytes = rest;
            match self.client.receive(frame).unwrap() {
                ClientEvent::Nothing => {}
                ClientEvent::Connected(ack) => {
                    log.push(format!("connected present={}", ack.session_present));
                }
                ClientEvent::Refused(ack) => log.push(format!("refused 0x{:02X}", ack.reason.0)),
                ClientEvent::Message(publish) => {
                    let id = publish.id.map_or(0, |id| id.get());
                    log.push(format!("message {} {id} dup={}", publish.topic, publish.dup));
                    if let Some(id) = publish.id {
                        self.client.acknowledge(id, self.now, &mut self.up).unwrap();
                    }
                }
                ClientEvent::Acknowledged(ack) => {
                    log.push(format!("puback {} 0x{:02X}", ack.id, ack.reason.0));
                }
                ClientEvent::Subscribed(_, codes) => log.push(format!("suback {codes:02x?}")),
                ClientEvent::Unsubscribed(_) => log.push("unsuback".into()),
                ClientEvent::Disconnected(end) => {
                    log.push(format!("disconnect 0x{:02X}", end.reason.0));
                }
            }
        }
    }
}
