//! A conversation of our server machine with another people's client: nothing that the client says is an offence
//! to ours, and nothing that ours says is an error to it. The input chooses the version and what is said.

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{
    DeliveryOptions, Event, Kept, Publish, QoS, ReasonCode, Server, Settings, Split, split,
};
use mqtt_protocol_core::mqtt::{
    Connection, Version,
    common::Cursor,
    connection::Event as Told,
    packet::{GenericPacketTrait, Packet, Qos, SubEntry, SubOpts, v3_1_1, v5_0},
    role::Client,
};

const NOW: Timestamp = Timestamp::from_secs(1);
const TOPICS: [&str; 4] = ["a", "a/b", "$own/c", "ünder/d e"];
const FILTERS: [&str; 4] = ["#", "a/+", "$share/group/a", "+/d e"];

struct Talk {
    client: Connection<Client>,
    server: Server,
    is_5: bool,
    is_over: bool,
    up: Vec<u8>,
    down: Vec<u8>,
}

pub(super) fn run(bytes: &[u8]) {
    let [first, steps @ ..] = bytes else { return };
    let is_5 = first & 1 == 1;
    let version = if is_5 { Version::V5_0 } else { Version::V3_1_1 };
    let settings = Settings { receive_maximum: 8, in_flight_max: 4, ..Settings::default() };
    let mut client = Connection::<Client>::new(version);
    client.set_auto_pub_response(true);
    let server = Server::new(settings.into(), NOW);
    let mut talk = Talk { client, server, is_5, is_over: false, up: vec![], down: vec![] };
    talk.connect(first >> 1);
    assert!(talk.server.is_open(), "the CONNECT is accepted");
    for step in steps.iter().take(64) {
        if talk.is_over {
            break;
        }
        let (what, detail) = (step & 7, step >> 3);
        match what {
            0..=2 => talk.publish(what, detail),
            3 => talk.subscribe(detail),
            4 => talk.unsubscribe(detail),
            5 => talk.deliver(detail),
            6 => talk.ping(),
            _ if detail == 31 => talk.leave(),
            _ => talk.deliver(detail | 16),
        }
    }
}

/// A packet of either version with the same builder's words.
macro_rules! of {
    ($is_5:expr, $kind:ident $($word:ident($($argument:expr),*))*) => {
        if $is_5 {
            v5_0::$kind::builder()$(.$word($($argument),*))*.build().map(Packet::from)
        } else {
            v3_1_1::$kind::builder()$(.$word($($argument),*))*.build().map(Packet::from)
        }
    };
}

impl Talk {
    fn connect(&mut self, choice: u8) {
        let packet = if self.is_5 {
            let builder = v5_0::Connect::builder().client_id("c").unwrap();
            let builder = builder.clean_start(choice & 1 == 0).keep_alive(u16::from(choice));
            Packet::from(builder.build().unwrap())
        } else {
            let builder = v3_1_1::Connect::builder().client_id("c").unwrap();
            let builder = builder.clean_session(choice & 1 == 0).keep_alive(u16::from(choice));
            Packet::from(builder.build().unwrap())
        };
        self.say(packet);
    }

    fn publish(&mut self, quality: u8, detail: u8) {
        let qos = Qos::try_from(quality).unwrap();
        let full = self.client.get_receive_maximum_vacancy_for_send() == Some(0);
        if quality > 0 && full {
            return;
        }
        let id = (quality > 0).then(|| self.client.acquire_packet_id().unwrap());
        let topic = TOPICS[usize::from(detail & 3)];
        let payload = vec![detail; usize::from(detail)];
        let retain = detail & 4 != 0;
        let is_5 = self.is_5;
        let packet = if is_5 {
            let builder = v5_0::Publish::builder().topic_name(topic).unwrap().qos(qos);
            let builder = builder.retain(retain).payload(payload);
            match id {
                Some(id) => builder.packet_id(id).build(),
                None => builder.build(),
            }
            .map(Packet::from)
        } else {
            let builder = v3_1_1::Publish::builder().topic_name(topic).unwrap().qos(qos);
            let builder = builder.retain(retain).payload(payload);
            match id {
                Some(id) => builder.packet_id(id).build(),
                None => builder.build(),
            }
            .map(Packet::from)
        };
        self.say(packet.unwrap());
    }

    fn subscribe(&mut self, detail: u8) {
        let id = self.client.acquire_packet_id().unwrap();
        let qos = Qos::try_from((detail >> 2) % 3).unwrap();
        let entry = SubEntry::new(FILTERS[usize::from(detail & 3)], SubOpts::new().set_qos(qos));
        let entries = vec![entry.unwrap()];
        let packet = of!(self.is_5, Subscribe packet_id(id) entries(entries));
        self.say(packet.unwrap());
    }

    fn unsubscribe(&mut self, detail: u8) {
        let id = self.client.acquire_packet_id().unwrap();
        let filters = vec![FILTERS[usize::from(detail & 3)]];
        let packet = if self.is_5 {
            let builder = v5_0::Unsubscribe::builder().packet_id(id).entries(filters).unwrap();
            builder.build().map(Packet::from)
        } else {
            let builder = v3_1_1::Unsubscribe::builder().packet_id(id).entries(filters).unwrap();
            builder.build().map(Packet::from)
        };
        self.say(packet.unwrap());
    }

    fn ping(&mut self) {
        let packet = of!(self.is_5, Pingreq);
        self.say(packet.unwrap());
    }

    fn leave(&mut self) {
        let packet = of!(self.is_5, Disconnect);
        self.say(packet.unwrap());
        assert!(self.is_over, "a goodbye is the end");
    }

    /// A message of somebody else's.
    fn deliver(&mut self, detail: u8) {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(detail % 3)];
        let message = Publish::at_most_once(TOPICS[usize::from(detail & 3)], b"elsewhere");
        let identifiers = (self.is_5 && detail & 16 != 0).then(|| [1, 268_435_455].into());
        let options = DeliveryOptions { qos, retain: detail & 8 != 0, identifiers };
        let kept = Kept::new(&message, NOW);
        if qos == QoS::AtMostOnce {
            self.server.send_kept_now(&kept, &options, NOW, &mut self.down);
        } else {
            self.server.deliver(&kept, &options, NOW);
        }
        self.server.send(NOW, 8192, u64::MAX, &mut self.down);
        self.exchange();
    }

    fn say(&mut self, packet: Packet) {
        let told = self.client.send(packet);
        self.obey(told, "its own packet");
        self.exchange();
    }

    fn obey(&mut self, told: Vec<Told>, of: &str) {
        for one in told {
            match one {
                Told::RequestSendPacket { packet, .. } => {
                    self.up.extend_from_slice(&packet.to_continuous_buffer());
                }
                Told::NotifyError(error) => panic!("{error:?} of {of}"),
                Told::RequestClose => self.is_over = true,
                Told::NotifyPacketReceived(_)
                | Told::NotifyPacketIdReleased(_)
                | Told::RequestTimerReset { .. }
                | Told::RequestTimerCancel(_) => {}
            }
        }
    }

    fn exchange(&mut self) {
        while !self.up.is_empty() || !self.down.is_empty() {
            let up = std::mem::take(&mut self.up);
            self.serve(&up);
            let down = std::mem::take(&mut self.down);
            let mut cursor = Cursor::new(&down[..]);
            while cursor.position() < down.len() as u64 {
                let told = self.client.recv(&mut cursor);
                self.obey(told, &format!("ours: {down:02x?}"));
            }
        }
    }

    fn serve(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(Split::Whole(frame, rest)) = split(bytes, self.server.packet_bytes_max()) else {
                panic!("no whole packet: {bytes:02x?}")
            };
            bytes = rest;
            let (server, down) = (&mut self.server, &mut self.down);
            match server.receive(frame, NOW, down) {
                Event::Connect(_) => server.accept(None, None, down),
                Event::Publish(message) => {
                    if let Some(id) = message.id {
                        server.acknowledge((id, message.qos), ReasonCode::SUCCESS, None, down);
                    }
                }
                Event::Subscribe(subscribe) => {
                    server.subscribe(&subscribe, |_, _, _| Ok(()), down);
                }
                Event::Unsubscribe(unsubscribe) => server.unsubscribe(&unsubscribe, |_| (), down),
                Event::Acknowledged => {
                    server.send(NOW, 8192, u64::MAX, down);
                }
                Event::Closed(closed) => {
                    assert_eq!(closed.fault, None, "{} by {:02x?}", closed.why, frame.bytes);
                    self.is_over = true;
                }
                Event::Nothing | Event::Refused(_) | Event::Repeated => {}
                other => panic!("{other:?} in a session that is not kept"),
            }
        }
    }
}
