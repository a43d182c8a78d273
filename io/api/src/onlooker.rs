//! Looking on at messages, as a session of the broker like any other: it has the identity of whoever looks, is judged
//! as a session of theirs, and stands in the list of sessions.
//!
//! 1. CONNECT over a stream within the hub, with nothing that outlives it.
//! 2. SUBSCRIBE to one filter at QoS 2, with the retain flag as published: so each message shows how it was sent.
//! 3. Messages come and are answered ([`Onlooker::take`]); a ping now and then keeps the session.

use std::{sync::Arc, time::Duration};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_control::Failure;
use hedgerow_mqtt::{
    Ack, ConnAck, Connect, Filters, Packet, PacketId, Properties, PropertyId, QoS, Split,
    Subscribe, SubscriptionOptions, Version,
    limits::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX},
    split,
    topic::{self, TopicLimits},
};
use hedgerow_plane::{Admitted, Plane, Refusal};
use hedgerow_policy::Peer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::limits::{ONLOOKER_BYTES, ONLOOKER_PATIENCE, ONLOOKERS_MAX};

/// Takes a stream of MQTT that begins within the hub, of somebody who was proven.
pub type EnterWire = dyn Fn(DuplexStream, Peer) + Send + Sync;

/// Where people and programs begin to look on.
pub struct Onlookers {
    enter: Box<EnterWire>,
    places: Arc<Semaphore>,
}

impl Onlookers {
    /// They come to the broker by `enter`.
    pub fn new(enter: impl Fn(DuplexStream, Peer) + Send + Sync + 'static) -> Self {
        Self { enter: Box::new(enter), places: Arc::new(Semaphore::new(ONLOOKERS_MAX)) }
    }

    /// Begins to look on at a filter.
    pub(crate) async fn begin(
        &self,
        peer: Peer,
        client_id: &str,
        filter: &str,
        wants_retained: bool,
    ) -> Result<Onlooker, Failure> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let reason = "too many look on at messages; close a page and try again";
            Failure::new(Fault::TooMuch, reason)
        })?;
        let (ours, theirs) = duplex(ONLOOKER_BYTES);
        (self.enter)(theirs, peer);
        let mut onlooker = Onlooker { stream: ours, bytes: Vec::new(), ping: None, _place: place };
        match timeout(ONLOOKER_PATIENCE, onlooker.open(client_id, filter, wants_retained)).await {
            Ok(Some(())) => Ok(onlooker),
            Ok(None) | Err(_) => {
                let reason = "the broker did not take the session; its counters say why";
                Err(Failure::new(Fault::Unavailable, reason))
            }
        }
    }
}

/// What somebody may look on at, as the data plane says: the rights of a session, without one.
pub(crate) fn rights(
    plane: &Plane,
    peer: Peer,
    filter: &str,
    now: Timestamp,
) -> Result<Admitted, Failure> {
    let refused = |refusal: Refusal| Failure::new(refusal.fault, refusal.reason);
    let invalid = |why: String| Failure::new(Fault::Invalid, format!("{filter:?}: {why}"));
    topic::check_filter(filter).map_err(|error| invalid(error.to_string()))?;
    if topic::is_shared(filter) {
        // Whoever looks on would take messages away from those that they are for.
        return Err(invalid("look on at the filter itself, not at a shared subscription".into()));
    }
    if !TopicLimits::WIDEST.allow(filter) {
        return Err(invalid(format!(
            "a filter has up to {TOPIC_BYTES_MAX} bytes and {TOPIC_LEVELS_MAX} levels"
        )));
    }
    let admitted = plane.admit(peer, now).map_err(refused)?;
    plane.subscribe(&admitted, filter).map_err(refused)?;
    Ok(admitted)
}

/// Somebody who looks on.
pub(crate) struct Onlooker {
    stream: DuplexStream,
    bytes: Vec<u8>,
    ping: Option<Duration>,
    _place: OwnedSemaphorePermit,
}

impl Onlooker {
    async fn open(&mut self, client_id: &str, filter: &str, wants_retained: bool) -> Option<()> {
        self.say(&Packet::Connect(Connect {
            version: Version::V5,
            clean_start: true,
            keep_alive_s: 0,
            client_id,
            will: None,
            username: None,
            password: None,
            properties: Properties::NONE,
        }))
        .await?;
        let ping = self.hear(|packet| match packet {
            Packet::ConnAck(ConnAck { reason, properties, .. }) if !reason.is_failure() => {
                Some(properties.number(PropertyId::SERVER_KEEP_ALIVE))
            }
            _ => None,
        });
        self.ping = ping.await??.map(|seconds| Duration::from_millis(u64::from(seconds) * 500));
        let options = SubscriptionOptions {
            retain_as_published: true,
            retain_handling: if wants_retained { 0 } else { 2 },
            ..SubscriptionOptions::of(QoS::ExactlyOnce)
        };
        let filters = [(filter, options)];
        let (properties, filters) = (Properties::NONE, Filters::list(&filters));
        self.say(&Packet::Subscribe(Subscribe { id: PacketId::MIN, properties, filters })).await?;
        let is_granted = self.hear(|packet| match packet {
            Packet::SubAck(ack) => ack.codes.iter().all(|code| *code <= 2),
            _ => false,
        });
        is_granted.await?.then_some(())
    }

    /// How often [`Self::ping`] is due; none when silence is welcome.
    pub(crate) const fn ping_every(&self) -> Option<Duration> {
        self.ping
    }

    /// Says that it is still there; `None` when the session is over.
    pub(crate) async fn ping(&mut self) -> Option<()> {
        self.say(&Packet::PingReq).await
    }

    /// Waits for a whole packet; `None` when the session is over. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Option<()> {
        while !self.has_whole() {
            if self.stream.read_buf(&mut self.bytes).await.ok()? == 0 {
                return None;
            }
        }
        Some(())
    }

    fn has_whole(&self) -> bool {
        !matches!(split(&self.bytes, usize::MAX), Ok(Split::More(_))) && !self.bytes.is_empty()
    }

    /// Takes the packets that have come: hands messages to `take`, answers them. `None` when the session is over.
    pub(crate) async fn take(
        &mut self,
        mut take: impl FnMut(&str, &[u8], QoS, bool),
    ) -> Option<()> {
        let (mut answers, mut used) = (Vec::new(), 0);
        while let Ok(Split::Whole(frame, rest)) =
            split(self.bytes.get(used..).unwrap_or_default(), usize::MAX)
        {
            let answer = match Packet::decode(frame, Version::V5).ok()? {
                Packet::Publish(message) => {
                    take(message.topic, message.payload, message.qos, message.retain);
                    message.id.map(|id| match message.qos {
                        QoS::ExactlyOnce => Packet::PubRec(Ack::success(id)),
                        QoS::AtMostOnce | QoS::AtLeastOnce => Packet::PubAck(Ack::success(id)),
                    })
                }
                Packet::PubRel(ack) => Some(Packet::PubComp(Ack::success(ack.id))),
                Packet::Disconnect(_) => return None,
                _ => None,
            };
            if let Some(answer) = answer {
                answer.encode(Version::V5, &mut answers).ok()?;
            }
            used = self.bytes.len() - rest.len();
        }
        self.bytes.drain(..used);
        if answers.is_empty() {
            return Some(());
        }
        self.stream.write_all(&answers).await.ok()
    }

    async fn say(&mut self, packet: &Packet<'_>) -> Option<()> {
        let mut bytes = Vec::new();
        packet.encode(Version::V5, &mut bytes).ok()?;
        self.stream.write_all(&bytes).await.ok()
    }

    async fn hear<T>(&mut self, look: impl FnOnce(Packet<'_>) -> T) -> Option<T> {
        self.next().await?;
        let Ok(Split::Whole(frame, rest)) = split(&self.bytes, usize::MAX) else { return None };
        let seen = look(Packet::decode(frame, Version::V5).ok()?);
        let used = self.bytes.len() - rest.len();
        self.bytes.drain(..used);
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_policy::Witness;

    use super::*;

    /// A broker that lets everybody in, sends a message of each quality, and then hears what is answered.
    async fn serve(mut stream: DuplexStream) -> Vec<u8> {
        let mut heard = [0; 256];
        assert!(stream.read(&mut heard).await.unwrap() > 0);
        stream.write_all(&[0x20, 6, 0, 0, 3, 0x13, 0, 60]).await.unwrap();
        assert!(stream.read(&mut heard).await.unwrap() > 0);
        stream.write_all(&[0x90, 4, 0, 1, 0, 2]).await.unwrap();
        // Topic `t`, no properties, payload `x`; two packets in one piece, a third in two.
        stream.write_all(&[0x30, 5, 0, 1, b't', 0, b'x']).await.unwrap();
        stream.write_all(&[0x33, 7, 0, 1, b't', 0, 7, 0, b'x', 0x34, 7, 0]).await.unwrap();
        stream.write_all(&[1, b't', 0, 8, 0, b'x', 0x62, 2, 0, 8]).await.unwrap();
        let mut answers = Vec::new();
        while answers.len() < 12 {
            stream.read_buf(&mut answers).await.unwrap();
        }
        answers
    }

    fn peer() -> Peer {
        Witness::of_a_proof().loopback_tester()
    }

    #[tokio::test]
    async fn messages_are_handed_over_and_answered_as_their_quality_wants() {
        let (tell, hear) = tokio::sync::oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        let onlookers = Onlookers::new(move |stream, _| {
            let tell = tell.lock().unwrap().take().unwrap();
            tokio::spawn(async { tell.send(serve(stream).await) });
        });
        let mut onlooker = onlookers.begin(peer(), "c", "t", false).await.unwrap();
        assert_eq!(onlooker.ping_every(), Some(Duration::from_secs(30)));
        let mut seen = Vec::new();
        while seen.len() < 3 {
            onlooker.next().await.unwrap();
            let see = |topic: &str, payload: &[u8], qos, retain| {
                seen.push((topic.to_owned(), payload.to_vec(), qos, retain));
            };
            onlooker.take(see).await.unwrap();
        }
        let message = |qos, retain| ("t".to_owned(), b"x".to_vec(), qos, retain);
        let (zero, one, two) = (QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce);
        assert_eq!(seen, [message(zero, false), message(one, true), message(two, false)]);
        let answers = tokio::spawn(hear);
        let _ = timeout(Duration::from_secs(5), onlooker.next()).await;
        let answers = answers.await.unwrap().unwrap();
        assert_eq!(answers, [0x40, 2, 0, 7, 0x50, 2, 0, 8, 0x70, 2, 0, 8]);
    }

    #[tokio::test]
    async fn so_many_look_on_and_not_one_more() {
        let onlookers = Onlookers::new(|stream, _| drop(tokio::spawn(serve(stream))));
        let mut all = Vec::new();
        for _ in 0..ONLOOKERS_MAX {
            all.push(onlookers.begin(peer(), "c", "t", false).await.unwrap());
        }
        let refused = onlookers.begin(peer(), "c", "t", false).await.err().unwrap();
        assert_eq!(refused.fault, Fault::TooMuch);
        all.pop();
        assert!(onlookers.begin(peer(), "c", "t", false).await.is_ok(), "a place came free");
    }

    #[tokio::test]
    async fn who_is_not_let_in_is_told() {
        let onlookers = Onlookers::new(|stream, _| drop(stream));
        let refused = onlookers.begin(peer(), "c", "t", false).await.err().unwrap();
        assert_eq!(refused.fault, Fault::Unavailable);
    }
}
