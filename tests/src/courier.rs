use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use hedgerow_mqtt::{
    Ack, Connect, Filters, Packet, PacketId, Properties, Publish, QoS, Split, Subscribe,
    SubscriptionOptions, Version, split,
};

/// How long a client waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of 3.1.1 with a session that lasts, which keeps what the protocol wants it to keep: with it,
/// QoS 2 is exactly once. With a journal it keeps that in a file, and outlives its own process.
pub struct Courier {
    client_id: String,
    /// What its topics begin with.
    prefix: String,
    journal: Option<File>,
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
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            prefix: "courier".to_owned(),
            journal: None,
            stream: None,
            bytes: Vec::new(),
            last_id: 0,
            sent: BTreeMap::new(),
            held: BTreeSet::new(),
            confirmed: [const { Vec::new() }; 3],
            received: [const { Vec::new() }; 3],
        }
    }

    /// A client that goes on where its journal ends, and whose topics begin with `prefix`. A line is written
    /// before the packet that it speaks of, so a process that is killed has lost nothing that the other side
    /// may rely on; a power cut is not what it is for.
    #[must_use]
    pub fn with_journal(client_id: &str, prefix: &str, path: &Path) -> Self {
        let mut courier = Self { prefix: prefix.to_owned(), ..Self::new(client_id) };
        let written = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be torn: then its packet never left.
        let whole = written.rfind('\n').map_or("", |end| &written[..=end]);
        whole.lines().for_each(|line| courier.replay(line));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
        file.set_len(whole.len() as u64).unwrap();
        drop(file);
        courier.journal = Some(OpenOptions::new().append(true).open(path).unwrap());
        courier
    }

    fn replay(&mut self, line: &str) {
        let words: Vec<u64> = line.split(' ').skip(1).map(|word| word.parse().unwrap()).collect();
        let id = |at: usize| PacketId::new(u16::try_from(words[at]).unwrap()).unwrap();
        match &line[..1] {
            "S" => {
                let qos = if words[2] == 2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
                self.last_id = id(0).get();
                self.sent.insert(id(0), (words[1], qos, false));
            }
            "R" => {
                self.sent.entry(id(0)).and_modify(|entry| entry.2 = true);
            }
            "C" => {
                if let Some((number, qos, _)) = self.sent.remove(&id(0)) {
                    self.confirmed[qos as usize].push(number);
                }
            }
            "G" => self.received[1].push(words[0]),
            "H" => {
                self.held.insert(id(0));
                self.received[2].push(words[1]);
            }
            "U" => {
                self.held.remove(&id(0));
            }
            other => panic!("{other}"),
        }
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        if let Some(journal) = &mut self.journal {
            // One call: a killed process leaves the line or not, or a torn end.
            journal.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }

    /// Connects, if the hub is there; whether it is.
    pub fn try_connect(&mut self, port: u16) -> bool {
        let hub = TcpStream::connect(("127.0.0.1", port));
        hub.is_ok_and(|stream| self.greet(stream).is_some())
    }

    /// Connects, and sends again what the protocol wants sent again; whether the hub had its session.
    pub fn connect(&mut self, port: u16) -> bool {
        self.greet(TcpStream::connect(("127.0.0.1", port)).unwrap()).expect("accepted")
    }

    fn greet(&mut self, stream: TcpStream) -> Option<bool> {
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        (self.stream, self.bytes) = (Some(stream), Vec::new());
        self.send(&Packet::Connect(Connect {
            version: Version::V311,
            clean_start: false,
            keep_alive_s: 60,
            client_id: &self.client_id.clone(),
            will: None,
            username: None,
            password: None,
            properties: Properties::NONE,
        }));
        let mut answer = [0; 4];
        self.stream.as_mut()?.read_exact(&mut answer).ok()?;
        assert_eq!((answer[0], answer[3]), (0x20, 0), "accepted");
        for (id, (number, qos, is_released)) in self.sent.clone() {
            match is_released {
                true => self.send(&Packet::PubRel(Ack::success(id))),
                false => self.send_message(id, number, qos, true),
            }
        }
        Some(answer[2] == 1)
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

    /// The same for whom the hub may be gone at any moment; it asks again when it is back.
    pub fn try_subscribe(&mut self, filter: &str, qos: QoS) {
        let filters = [(filter, SubscriptionOptions::of(qos))];
        let (filters, properties) = (Filters::list(&filters), Properties::NONE);
        // An identifier that no message has.
        let id = PacketId::MAX;
        self.send(&Packet::Subscribe(Subscribe { id, properties, filters }));
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
        let (topic, payload) = (format!("{}/{}", self.prefix, qos as u8), number.to_be_bytes());
        let message = Publish { qos, id: Some(id), dup, ..Publish::at_most_once(&topic, &payload) };
        self.send(&Packet::Publish(message));
    }

    /// Whether it has a connection.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// The number of the last message that it sent.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        let on_their_way = self.sent.values().map(|(number, ..)| *number);
        let confirmed = self.confirmed.iter().flatten().copied();
        on_their_way.chain(confirmed).max().unwrap_or_default()
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
        self.note(format_args!("S {id} {number} {}", qos as u8));
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
            Ok(_) => {
                self.stream = None;
                return false;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => {
                self.stream = None;
                return false;
            }
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
                    self.note(format_args!("G {number}"));
                    self.received[1].push(number);
                    return self.send(&Packet::PubAck(Ack::success(id)));
                }
                if self.held.insert(id) {
                    self.note(format_args!("H {id} {number}"));
                    self.received[2].push(number);
                }
                self.send(&Packet::PubRec(Ack::success(id)));
            }
            Packet::PubRel(ack) => {
                self.note(format_args!("U {}", ack.id));
                self.held.remove(&ack.id);
                self.send(&Packet::PubComp(Ack::success(ack.id)));
            }
            Packet::PubRec(ack) => {
                self.note(format_args!("R {}", ack.id));
                if let Some((_, _, is_released)) = self.sent.get_mut(&ack.id) {
                    *is_released = true;
                }
                self.send(&Packet::PubRel(Ack::success(ack.id)));
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.note(format_args!("C {}", ack.id));
                if let Some((number, qos, _)) = self.sent.remove(&ack.id) {
                    self.confirmed[qos as usize].push(number);
                }
            }
            Packet::SubAck(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// The connection is gone without a word.
    pub fn vanish(&mut self) {
        self.stream = None;
    }
}
