use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use hedgerow_listen::client::{self, Stream, Trust};
use hedgerow_mqtt::{
    Connect, Filters, Packet, PacketId, Properties, Publish, QoS, Split, Subscribe,
    SubscriptionOptions, Version, split,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::RunningHub;

/// How long it waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of 3.1.1 that says what it is told to, one packet at a time, and acknowledges nothing by itself.
pub struct Tester<S = TcpStream> {
    stream: S,
    bytes: Vec<u8>,
}

/// CONNECT of a client of 3.1.1.
#[must_use]
pub const fn connect_311(client_id: &str, clean_start: bool) -> Connect<'_> {
    Connect {
        version: Version::V311,
        clean_start,
        keep_alive_s: 60,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: Properties::NONE,
    }
}

/// SUBSCRIBE to one filter.
#[must_use]
pub fn subscribe_bytes(filter: &str, qos: QoS) -> Vec<u8> {
    let filters = [(filter, SubscriptionOptions::of(qos))];
    let (id, properties, filters) = (PacketId::MIN, Properties::NONE, Filters::list(&filters));
    packet_bytes(&Packet::Subscribe(Subscribe { id, properties, filters }))
}

/// A packet of 3.1.1.
#[must_use]
pub fn packet_bytes(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(Version::V311, &mut bytes).unwrap();
    bytes
}

impl Tester {
    /// A client on the insecure listener.
    #[must_use]
    pub fn connect(hub: &RunningHub, client_id: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", hub.insecure_port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Tester::enter(stream, &connect_311(client_id, true))
    }
}

impl Tester<Stream> {
    /// A program with a token, over TLS.
    #[must_use]
    pub fn program(hub: &RunningHub, client_id: &str, secret: &str, clean_start: bool) -> Self {
        let (code, pem) = hub.command(&["ca", "show", "--pem"]);
        assert_eq!(code, 0);
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
        let config = client::config(Trust::Root(root), None).unwrap();
        let stream = client::connect("localhost", hub.mqtts_port(), &config).unwrap();
        let (username, password) = (Some("token"), Some(secret.as_bytes()));
        let connect = Connect { username, password, ..connect_311(client_id, clean_start) };
        Tester::enter(stream, &connect)
    }
}

impl<S: Read + Write> Tester<S> {
    fn enter(stream: S, connect: &Connect<'_>) -> Self {
        let mut tester = Self { stream, bytes: Vec::new() };
        tester.send(&Packet::Connect(*connect));
        tester.hear(|packet| match packet {
            Packet::ConnAck(answer) => assert!(!answer.reason.is_failure(), "{answer:?}"),
            other => panic!("{other:?}"),
        });
        tester
    }

    /// Sends a packet.
    pub fn send(&mut self, packet: &Packet<'_>) {
        self.stream.write_all(&packet_bytes(packet)).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next packet.
    pub fn hear<T>(&mut self, look: impl FnOnce(Packet<'_>) -> T) -> T {
        loop {
            if let Split::Whole(frame, rest) = split(&self.bytes, usize::MAX).unwrap() {
                let seen = look(Packet::decode(frame, Version::V311).unwrap());
                let taken = self.bytes.len() - rest.len();
                self.bytes.drain(..taken);
                return seen;
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the hub closed the connection"),
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next packet must be a message: its topic, payload and identifier.
    pub fn message(&mut self) -> (String, Vec<u8>, Option<PacketId>) {
        self.hear(|packet| match packet {
            Packet::Publish(message) => {
                (message.topic.to_owned(), message.payload.to_vec(), message.id)
            }
            other => panic!("{other:?}"),
        })
    }

    /// Subscribes, and waits until that is granted.
    pub fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.stream.write_all(&subscribe_bytes(filter, qos)).unwrap();
        self.hear(|packet| match packet {
            Packet::SubAck(answer) => assert_eq!(answer.codes, [qos as u8], "granted"),
            other => panic!("{other:?}"),
        });
    }

    /// Sends a message, of QoS 1 if it is given an identifier.
    pub fn say(&mut self, topic: &str, payload: &[u8], id: Option<PacketId>, retain: bool) {
        let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        let message = Publish { qos, id, retain, ..Publish::at_most_once(topic, payload) };
        self.send(&Packet::Publish(message));
    }

    /// The next packet must be a PUBACK.
    pub fn puback(&mut self) -> PacketId {
        self.hear(|packet| match packet {
            Packet::PubAck(ack) => ack.id,
            other => panic!("{other:?}"),
        })
    }

    /// Publishes, and waits until the hub has it.
    pub fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) {
        self.say(topic, payload, Some(PacketId::MIN), retain);
        self.puback();
    }
}
