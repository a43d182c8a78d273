//! What is known of sessions and retained messages, for those who look after the broker: the port, and what goes
//! through it.

use std::{fmt, future::Future, num::NonZeroU32, pin::Pin};

use hedgerow_base::{TenantId, Timestamp};
use hedgerow_policy::PersonId;

use crate::Identity;

/// An answer that takes a moment.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The name of a session: whose it is, and what its client calls itself. As text `device:ID:CLIENT`,
/// `token:NUMBER:CLIENT`, `person:NUMBER:CLIENT` or `tester::CLIENT`; the tenant is that of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName {
    /// Whose.
    pub identity: Identity,
    /// The client identifier; it may hold anything that MQTT lets through.
    pub client_id: Box<str>,
}

impl SessionName {
    /// Reads the text of a name, for somebody of `tenant`; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str, tenant: TenantId) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (id, client_id) = rest.split_once(':')?;
        let identity = match kind {
            "device" => Identity::Device(tenant, id.parse().ok()?),
            "token" => Identity::Token(tenant, id.parse().ok()?),
            "person" => Identity::Person(tenant, PersonId(id.parse().ok()?)),
            "tester" if id.is_empty() && tenant == TenantId::FIRST => Identity::LoopbackTester,
            _ => return None,
        };
        Some(Self { identity, client_id: client_id.into() })
    }

    /// Whether somebody of `tenant` may know of it. Testers are on the hub's own machine.
    #[must_use]
    pub fn is_of(&self, tenant: TenantId) -> bool {
        match self.identity {
            Identity::Device(of, _) | Identity::Token(of, _) | Identity::Person(of, _) => {
                of == tenant
            }
            Identity::LoopbackTester => tenant == TenantId::FIRST,
        }
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity {
            Identity::Device(_, device) => write!(f, "device:{device}:")?,
            Identity::Token(_, token) => write!(f, "token:{token}:")?,
            Identity::Person(_, person) => write!(f, "person:{}:", person.0)?,
            Identity::LoopbackTester => f.write_str("tester::")?,
        }
        f.write_str(&self.client_id)
    }
}

/// Which sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All.
    #[default]
    All,
    /// Those whose client is connected.
    Connected,
    /// Those whose client is away.
    Away,
}

/// A question for sessions.
#[derive(Clone, Debug)]
pub struct AskedSessions {
    /// Whose.
    pub tenant: TenantId,
    /// Only those whose name, as text, has this in it.
    pub find: Option<Box<str>>,
    /// Only these.
    pub which: Which,
    /// Only those after this one.
    pub after: Option<SessionName>,
    /// So many at most.
    pub size: usize,
}

/// A session at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its name.
    pub name: SessionName,
    /// Whether its client is connected.
    pub is_connected: bool,
    /// Since when it is, or is not.
    pub since: Timestamp,
    /// When it ends unless its client comes back, of one whose client is away.
    pub until: Option<Timestamp>,
    /// The version spoken: 3.1.1 or 5.0; none while its client has not been here since the hub started.
    pub version: Option<&'static str>,
    /// What MQTT is spoken over: tls, websocket, plain, or inside for who looks on by way of the hub's pages.
    pub transport: Option<&'static str>,
    /// The address of the client, where it came over a network.
    pub from: Option<std::net::IpAddr>,
    /// Seconds of silence after which the client is taken for gone; none without a keep-alive.
    pub silence_s_max: Option<i64>,
    /// Seconds that it outlives its connection.
    pub expiry_s: u32,
    /// When its client was heard last.
    pub heard: Option<Timestamp>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages of QoS 1 and 2 that wait to be sent or acknowledged.
    pub queued: usize,
    /// Bytes of these.
    pub queued_bytes: usize,
    /// Those of them that were sent.
    pub in_flight: usize,
    /// Bytes that wait for the client to read them.
    pub out_bytes: usize,
    /// Messages that came in this connection, refused ones included.
    pub messages_in: u64,
    /// Messages handed to its client in this connection; of a client that is away, in the last one.
    pub messages_out: u64,
    /// Messages that it did not get in this connection, or since its client went.
    pub dropped: u64,
    /// Whether it has a will.
    pub has_will: bool,
    /// That it does not keep up.
    pub slow: Option<Slow>,
}

/// That a subscriber does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Since when so much waits for it.
    pub since: Timestamp,
    /// Messages that it did not get since then.
    pub dropped: u64,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// To what; `$share/…` when it is shared.
    pub filter: Box<str>,
    /// The most that the client wants: 0 to 2.
    pub qos: u8,
    /// Without what it says itself.
    pub no_local: bool,
    /// With the retain flag as published.
    pub retain_as_published: bool,
    /// 0: retained messages are wanted; 1: when the subscription is new; 2: not.
    pub retain_handling: u8,
    /// The subscription identifier.
    pub identifier: Option<NonZeroU32>,
}

/// What is said if a client goes without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillView {
    /// Where.
    pub topic: Box<str>,
    /// What.
    pub payload: Box<[u8]>,
    /// How: 0 to 2.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// Seconds after the end of the connection.
    pub delay_s: u32,
}

/// A session with what is told only of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDetail {
    /// What is told of each.
    pub view: SessionView,
    /// Its subscriptions, by filter.
    pub subscriptions: Vec<Subscribed>,
    /// Its will.
    pub will: Option<WillView>,
}

/// Some sessions, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// At most as many as were asked for; fewer when it was long to find them.
    pub items: Vec<SessionView>,
    /// After which to go on; none when these were the last.
    pub next: Option<SessionName>,
}

/// The message that a topic has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedMessage {
    /// Where.
    pub topic: Box<str>,
    /// The payload's beginning.
    pub payload: Box<[u8]>,
    /// Bytes of the whole payload.
    pub bytes: usize,
    /// How it was published: 0 to 2.
    pub qos: u8,
}

/// Some retained messages, in the order of their topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetainedPage {
    /// At most as many as were asked for; fewer when it was long to find them.
    pub items: Vec<RetainedMessage>,
    /// The topic after which to go on; none when these were the last.
    pub next: Option<Box<str>>,
}

/// A name at one level of the topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// A topic ends here and has a message.
    pub has_message: bool,
    /// There are topics below.
    pub has_more: bool,
}

/// The names at one level of the topics that have a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// By name.
    pub branches: std::collections::BTreeMap<Box<str>, Branch>,
    /// The topic after which to go on; none when these were the last.
    pub next: Option<Box<str>>,
}

/// Who may see a topic.
pub type MaySee<'a> = dyn Fn(&str) -> bool + 'a;

/// The broker, as those see it who look after it.
pub trait Broker: Send + Sync {
    /// Sessions, in the order of their names.
    fn sessions(&self, asked: AskedSessions) -> Answer<'_, SessionPage>;

    /// Those that do not keep up, of a tenant: the longest first, at most as many as are kept in mind.
    fn slow(&self, tenant: TenantId) -> Answer<'_, Vec<SessionView>>;

    /// One session.
    fn session(&self, name: SessionName) -> Answer<'_, Option<SessionDetail>>;

    /// Retained messages whose topic matches a filter, after a topic: at most so many, and so many bytes of each
    /// payload.
    fn retained(
        &self,
        filter: &str,
        after: Option<&str>,
        at_most: (usize, usize),
        may_see: &MaySee<'_>,
    ) -> RetainedPage;

    /// Names at the level below `prefix`, which is empty or ends with a slash, after a topic.
    fn level(&self, prefix: &str, after: Option<&str>, size: usize, may_see: &MaySee<'_>) -> Level;
}

#[cfg(test)]
mod tests {
    use hedgerow_base::DeviceId;

    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_nothing_else_is() {
        let first = TenantId::FIRST;
        let device = DeviceId::from_bytes([7; 16]);
        for identity in [
            Identity::Device(first, device),
            Identity::Token(first, 4),
            Identity::Person(first, PersonId(9)),
            Identity::LoopbackTester,
        ] {
            for client_id in ["agent", "", "a:b/c d", "<script>\u{202e}"] {
                let name = SessionName { identity, client_id: client_id.into() };
                assert_eq!(SessionName::parse(&name.to_string(), first), Some(name.clone()));
                assert!(name.is_of(first) && !name.is_of(TenantId(2)));
            }
        }
        for wrong in ["", "device", "device:x:c", "token:4", "tester:1:c", "hub:1:c", "person::c"] {
            assert_eq!(SessionName::parse(wrong, first), None, "{wrong}");
        }
        assert_eq!(SessionName::parse("tester::c", TenantId(2)), None);
    }
}
