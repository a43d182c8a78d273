//! A connection that may say anything: no panic, the limits hold, and what the server writes is always
//! a sequence of whole packets of its version. The first two bytes choose what the judge does.

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{
    DeliveryOptions, Event, Kept, Later, Packet, Publish, QoS, QueueBounds, QueuePolicy,
    ReasonCode, Server, Settings, Split, split, topic::TopicLimits,
};

const SETTINGS: Settings = Settings {
    packet_bytes_max: 4096,
    receive_maximum: 8,
    topic_alias_max: 2,
    in_flight_max: 4,
    keep_alive_s_max: 100,
    session_expiry_s_max: 1000,
    connect_ms_max: 1000,
    topics: TopicLimits::WIDEST,
    queue: QueueBounds {
        messages_max: 8,
        bytes_max: 1024,
        age_ms_max: 50_000,
        policy: QueuePolicy::DropOldest,
    },
    subscriptions_max: 4,
    server_reference: None,
};

pub(super) fn run(bytes: &[u8]) {
    let [judge, pace, stream @ ..] = bytes else { return };
    let (mut now, mut out) = (Timestamp::from_secs(1), Vec::new());
    let mut server = Server::new(SETTINGS.into(), now);
    let mut stream = stream;
    let mut ticket = 0;
    while server.wants_input() {
        let frame = match split(stream, server.packet_bytes_max()) {
            Ok(Split::Whole(frame, rest)) => {
                stream = rest;
                frame
            }
            Ok(Split::More(_)) => break,
            Err(error) => {
                server.offence(error, &mut out);
                break;
            }
        };
        now = now.plus_ms(i64::from(*pace) * 100);
        if server.expire(now, &mut out).is_some() {
            break;
        }
        match server.receive(frame, now, &mut out) {
            Event::Connect(_) if judge & 1 == 1 => {
                let fault = hedgerow_base::Fault::Denied;
                server.refuse(ReasonCode::NOT_AUTHORIZED, "test", fault, Some("no"), &mut out);
            }
            Event::Connect(connect) => {
                let assigned = connect.client_id.is_empty().then_some("assigned");
                server.accept(None, assigned, &mut out);
                if judge & 64 != 0 {
                    server.session_mut().keep_as(Some(1));
                }
            }
            Event::Publish(message) => {
                deliver(&mut server, &message, now, &mut out);
                settle(&mut server, &message, judge, &mut ticket, &mut out);
            }
            Event::Aliased(aliased) => {
                let message = aliased.message();
                deliver(&mut server, &message, now, &mut out);
                settle(&mut server, &message, judge, &mut ticket, &mut out);
            }
            Event::Subscribe(subscribe) => {
                let verdict = if judge & 2 == 0 { Ok(()) } else { Err(ReasonCode::NOT_AUTHORIZED) };
                server.subscribe(&subscribe, |_, _, _| verdict, &mut out);
            }
            Event::Unsubscribe(unsubscribe) => server.unsubscribe(&unsubscribe, |_| (), &mut out),
            Event::Acknowledged => {
                server.send(now, 8192, ticket, &mut out);
            }
            Event::Nothing | Event::Refused(_) | Event::Repeated => {}
            Event::Released(id) => server.answer_later(Later::PubComp(id), ticket),
            Event::Recorded(id, _) => server.answer_later(Later::PubRel(id), ticket),
            Event::Closed(_) => break,
        }
        let session = server.session();
        assert!(session.queued() <= SETTINGS.queue.messages_max);
        assert!(session.queued_bytes() <= SETTINGS.queue.bytes_max);
        assert!(session.subscription_count() <= SETTINGS.subscriptions_max);
        assert!(server.unacknowledged() <= usize::from(SETTINGS.receive_maximum));
    }
    let version = server.version();
    let mut written = &*out;
    while let Ok(Split::Whole(frame, rest)) = split(written, usize::MAX) {
        Packet::decode(frame, version).expect("the server writes valid packets");
        written = rest;
    }
    assert!(written.is_empty(), "the server writes whole packets");
}

/// Sends the client its own message back, in all the ways that there are.
fn deliver(server: &mut Server, message: &Publish<'_>, now: Timestamp, out: &mut Vec<u8>) {
    let kept = Kept::new(message, now);
    assert_eq!((kept.topic(), kept.payload()), (message.topic, message.payload));
    let identifiers = message.retain.then(|| [1, 268_435_455].into());
    let options = DeliveryOptions { qos: message.qos, retain: message.retain, identifiers };
    if message.qos == QoS::AtMostOnce {
        server.send_kept_now(&kept, &options, now, out);
    } else {
        server.deliver(&kept, &options, now);
        server.send(now, 8192, u64::MAX, out);
    }
}

fn settle(
    server: &mut Server,
    message: &Publish<'_>,
    judge: &u8,
    ticket: &mut u64,
    out: &mut Vec<u8>,
) {
    let Some(id) = message.id.map(|id| (id, message.qos)) else { return };
    match judge >> 2 & 3 {
        0 => server.acknowledge(id, ReasonCode::SUCCESS, None, out),
        1 => server.acknowledge(id, ReasonCode::QUOTA_EXCEEDED, Some("less, or later"), out),
        _ => {
            server.acknowledge_later(id, *ticket);
            *ticket += 1;
            let stored = ticket.saturating_sub(u64::from(judge >> 4));
            server.settle(|ticket| (ticket < stored).then_some(ReasonCode::SUCCESS), out);
        }
    }
}
