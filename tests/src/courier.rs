use std::{
    collections::{BTreeMap, BTreeSet},
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use hedgerow_mqtt::{
    Ack, Connect, Filters, Packet, PacketId, Properties, Publish, QoS, Split, Subscribe,
    SubscriptionOptions, Version, split,
};

/// How long a client waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of 3.1.1 with a session that lasts, which keeps what the protocol wants it to keep: with it,
/// QoS 2 is exactly once.
pub struct Courier {
    client_id: &'static str,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
    last_id: u16,
    /// Messages on their way to the hub, by packet identifier; whether PUBREC has come.
    sent: BTreeMap<PacketId, (u64, QoS, bool)>,
    /// Identifiers of messages of QoS 2 from the hub that it has not released.
    held: BTreeSet<PacketId>,
    /// Numbers of messages that the hub has acknowledged for good, by quality.
    pub confirmed: [Vec<u64>; 3],
    /// Numbers of messages that came, by quality.
    pub received: [Vec<u64>; 3],
}

impl Courier {
    /// A client that was never connected.
    #[must_use]
    pub const fn new(client_id: &'static str) -> Self {
        Self {
            client_id,
            stream: None,
            bytes: Vec::new(),
            last_id: 0,
            sent: BTreeMap::new(),
            held: BTreeSet::new(),
            confirmed: [const { Vec::new() }; 3],
            received: [const { Vec::new() }; 3],
        }
    }

    /// Connects, and sends again what the protocol wants sent again; whether the hub had its session.
    pub fn connect(&mut self, port: u16) -> bool {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        (self.stream, self.bytes) = (Some(stream), Vec::new());
        self.send(&Packet::Connect(Connect {
            version: Version::V311,
            clean_start: false,
            keep_alive_s: 60,
            client_id: self.client_id,
            will: None,
            username: None,
            password: None,
            properties: Properties::NONE,
        }));
        let mut answer = [0; 4];
        self.stream.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!((answer[0], answer[3]), (0x20, 0), "accepted");
        for (id, (number, qos, is_released)) in self.sent.clone() {
            match is_released {
                true => self.send(&Packet::PubRel(Ack::success(id))),
                false => self.send_message(id, number, qos, true),
            }
        }
        answer[2] == 1
    }

    /// Asks for messages of a quality.
    pub fn subscribe(&mut self, filter: &str, qos: QoS) {
        let filters = [(filter, SubscriptionOptions::of(qos))];
        let (filters, properties) = (Filters::list(&filters), Properties::NONE);
        self.send(&Packet::Subscribe(Subscribe { id: PacketId::MIN, properties, filters }));
        let mut answer = [0; 5];
        self.stream.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!((answer[0], answer[4]), (0x90, qos as u8), "granted");
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(Version::V311, &mut bytes).unwrap();
        if let Some(stream) = &mut self.stream {
            // What does not arrive is sent again.
            let _ = stream.write_all(&bytes);
        }
    }

    fn send_message(&mut self, id: PacketId, number: u64, qos: QoS, dup: bool) {
        let (topic, payload) = (format!("courier/{}", qos as u8), number.to_be_bytes());
        let message = Publish { qos, id: Some(id), dup, ..Publish::at_most_once(&topic, &payload) };
        self.send(&Packet::Publish(message));
    }

    /// Messages on their way.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.sent.len()
    }

    /// Sends a new message to `courier/1` or `courier/2`.
    pub fn publish(&mut self, number: u64, qos: QoS) {
        let id = loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last_id).filter(|id| !self.sent.contains_key(id)) {
                break id;
            }
        };
        self.sent.insert(id, (number, qos, false));
        self.send_message(id, number, qos, false);
    }

    /// Takes and answers what comes within `patience`; whether anything did.
    pub fn pump(&mut self, patience: Duration) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        stream.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 16 * 1024];
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => self.bytes.extend_from_slice(&buffer[..count]),
            Ok(_) => return false,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => return false,
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = &*bytes;
        while let Split::Whole(frame, more) = split(rest, 1 << 20).unwrap() {
            self.take(&Packet::decode(frame, Version::V311).unwrap());
            rest = more;
        }
        self.bytes = rest.to_vec();
        true
    }

    fn take(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Publish(message) => {
                let number = u64::from_be_bytes(message.payload.try_into().unwrap());
                let id = message.id.unwrap();
                if message.qos == QoS::AtLeastOnce {
                    self.received[1].push(number);
                    return self.send(&Packet::PubAck(Ack::success(id)));
                }
                if self.held.insert(id) {
                    self.received[2].push(number);
                }
                self.send(&Packet::PubRec(Ack::success(id)));
            }
            Packet::PubRel(ack) => {
                self.held.remove(&ack.id);
                self.send(&Packet::PubComp(Ack::success(ack.id)));
            }
            Packet::PubRec(ack) => {
                if let Some((_, _, is_released)) = self.sent.get_mut(&ack.id) {
                    *is_released = true;
                }
                self.send(&Packet::PubRel(Ack::success(ack.id)));
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                if let Some((number, qos, _)) = self.sent.remove(&ack.id) {
                    self.confirmed[qos as usize].push(number);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// The connection is gone without a word.
    pub fn vanish(&mut self) {
        self.stream = None;
    }
}
