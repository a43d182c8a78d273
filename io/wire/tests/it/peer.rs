use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use hedgerow_mqtt::{
    ConnAck, Connect, Filters, Packet, PacketId, PacketKind, Place, Properties, PropertyId,
    PropertyWriter, Publish, QoS, Split, Subscribe, SubscriptionOptions, Value, Version, Will,
    split,
};
use hedgerow_policy::Witness;
use hedgerow_wire::{Counters, Settings, Wire};

use crate::gate::TestGate;

/// How long a test waits for what must come before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Hub {
    pub(crate) gate: TestGate,
    pub(crate) wire: Wire<TestGate>,
    pub(crate) address: SocketAddr,
}

impl Hub {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::with(TestGate::default(), settings)
    }

    /// A hub that begins with what is on the gate's disk.
    pub(crate) fn with(gate: TestGate, settings: Settings) -> Self {
        let wire = Wire::start_with(gate.clone(), settings, gate.disk()).unwrap();
        let tester = Witness::of_a_proof().loopback_tester();
        let address = wire.listen_insecure(([127, 0, 0, 1], 0).into(), tester).unwrap();
        Self { gate, wire, address }
    }

    /// Waits until the counters, or anything else, say so.
    pub(crate) fn wait_for(&self, what: &str, mut holds: impl FnMut(&Self, &Counters) -> bool) {
        let begun = Instant::now();
        while !holds(self, &self.wire.counters()) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.wire.counters());
            std::thread::yield_now();
        }
    }

    pub(crate) fn wait_for_end(&self, why: &str, count: u64) {
        self.wait_for(why, |_, counters| counters.ends.get(why) == Some(&count));
    }

    pub(crate) fn raw(&self) -> TestPeer {
        TestPeer::to(self.address)
    }

    pub(crate) fn connect(&self, connect: &Connect<'_>) -> TestPeer {
        let (peer, present) = self.connect_to_session(connect);
        assert!(!present);
        peer
    }

    pub(crate) fn connect_to_session(&self, connect: &Connect<'_>) -> (TestPeer, bool) {
        let mut peer = self.raw();
        peer.version = connect.version;
        peer.send(&Packet::Connect(*connect));
        let present = peer.expect(|packet| match packet {
            Packet::ConnAck(ConnAck { session_present, reason, .. }) if !reason.is_failure() => {
                session_present
            }
            other => panic!("{other:?}"),
        });
        (peer, present)
    }

    pub(crate) fn client(&self, version: Version, client_id: &str) -> TestPeer {
        self.connect(&connect(version, client_id))
    }
}

pub(crate) fn connect(version: Version, client_id: &str) -> Connect<'_> {
    Connect {
        version,
        clean_start: true,
        keep_alive_s: 60,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: Properties::NONE,
    }
}

/// A client of 3.1.1 whose session outlives the connection.
pub(crate) fn lasting(client_id: &str) -> Connect<'_> {
    Connect { clean_start: false, ..connect(Version::V311, client_id) }
}

pub(crate) fn will(topic: &str) -> Will<'_> {
    Will {
        topic,
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::NONE,
    }
}

pub(crate) fn session_expiry(seconds: u32, buffer: &mut [u8]) -> Properties<'_> {
    let mut writer = PropertyWriter::new(buffer, Place::Packet(PacketKind::Connect));
    writer.push(PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(seconds)).unwrap();
    writer.finish().unwrap()
}

/// A blocking client that says exactly what a test wants.
pub(crate) struct TestPeer {
    pub(crate) stream: TcpStream,
    pub(crate) version: Version,
    bytes: Vec<u8>,
}

impl TestPeer {
    /// Connected and silent.
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, version: Version::V311, bytes: vec![] }
    }

    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = vec![];
        packet.encode(self.version, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], id: u16) {
        let id = PacketId::new(id);
        let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        self.send(&Packet::Publish(Publish { qos, id, ..Publish::at_most_once(topic, payload) }));
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.subscribe_with(filter, SubscriptionOptions::of(qos), &[qos as u8]);
    }

    pub(crate) fn subscribe_with(
        &mut self,
        filter: &str,
        options: SubscriptionOptions,
        codes: &[u8],
    ) {
        let filters = [(filter, options)];
        self.send(&Packet::Subscribe(Subscribe {
            id: PacketId::MIN,
            properties: Properties::NONE,
            filters: Filters::list(&filters),
        }));
        self.expect(|packet| match packet {
            Packet::SubAck(ack) => assert_eq!(ack.codes, codes),
            other => panic!("{other:?}"),
        });
    }

    /// The next packet.
    pub(crate) fn expect<T>(&mut self, look: impl FnOnce(Packet<'_>) -> T) -> T {
        loop {
            if let Ok(Split::Whole(frame, rest)) = split(&self.bytes, usize::MAX) {
                let seen = look(Packet::decode(frame, self.version).unwrap());
                self.bytes = rest.to_vec();
                return seen;
            }
            let mut buffer = [0; 16 * 1024];
            let len = match self.stream.read(&mut buffer) {
                // A signal, of a debugger or a child process, is no answer of the hub's.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            assert!(len > 0, "the hub closed the connection");
            self.bytes.extend_from_slice(&buffer[..len]);
        }
    }

    /// The next packet must be a message: its topic, payload, identifier and dup flag.
    pub(crate) fn message(&mut self) -> (String, Vec<u8>, u16, bool) {
        self.expect(|packet| match packet {
            Packet::Publish(message) => (
                message.topic.to_owned(),
                message.payload.to_vec(),
                message.id.map_or(0, PacketId::get),
                message.dup,
            ),
            other => panic!("{other:?}"),
        })
    }

    /// Whether a packet comes within the time that the stream waits.
    pub(crate) fn has_packet(&mut self) -> bool {
        if matches!(split(&self.bytes, usize::MAX), Ok(Split::Whole(..))) {
            return true;
        }
        let mut buffer = [0; 16 * 1024];
        let Ok(len @ 1..) = self.stream.read(&mut buffer) else { return false };
        self.bytes.extend_from_slice(&buffer[..len]);
        self.has_packet()
    }

    /// The identifier of the next packet, which must be a message.
    pub(crate) fn message_id(&mut self) -> u16 {
        self.message().2
    }

    pub(crate) fn acknowledge(&mut self, id: u16) {
        let id = PacketId::new(id).unwrap();
        self.send(&Packet::PubAck(hedgerow_mqtt::Ack::success(id)));
    }

    /// The next packet must be a PUBACK: its identifier and reason.
    pub(crate) fn puback(&mut self) -> (u16, u8) {
        self.expect(|packet| match packet {
            Packet::PubAck(ack) => (ack.id.get(), ack.reason.0),
            other => panic!("{other:?}"),
        })
    }

    /// The next packet must be a DISCONNECT: its reason.
    pub(crate) fn disconnect(&mut self) -> u8 {
        self.expect(|packet| match packet {
            Packet::Disconnect(end) => end.reason.0,
            other => panic!("{other:?}"),
        })
    }

    /// Everything up to the end of the stream; a reset counts as the end.
    pub(crate) fn until_end(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.bytes);
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return all,
                Ok(len) => all.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
                Err(error) => panic!("the hub keeps the connection open: {error}"),
            }
        }
    }

    /// Nothing else may have come before the answer to this ping.
    pub(crate) fn expect_quiet(&mut self) {
        self.send(&Packet::PingReq);
        self.expect(|packet| assert_eq!(packet, Packet::PingResp));
    }
}
