//! The load: many publishers, one subscriber, a closed loop with a bounded window.
//!
//! Packets are encoded before the clock starts; only the sequence number in the payload changes. A
//! publisher may have so many messages on their way that the subscriber has not seen, so nothing wins
//! by dropping: what is lost is never made good for, and counted.

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use hedgerow_mqtt::{
    Connect, Filters, Packet, PacketId, Properties, Publish, QoS, Split, Subscribe,
    SubscriptionOptions, Version, split,
};
use mio::{Events, Interest, Poll, Token};

/// Bytes of a message's payload: publisher, sequence number, filling.
const PAYLOAD_BYTES: usize = 64;

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections that publish, each on its own topic.
    pub(crate) publishers: usize,
    /// Messages in one write.
    pub(crate) batch: usize,
    /// Messages of a publisher on their way.
    pub(crate) window: usize,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
}

struct Publisher {
    stream: TcpStream,
    /// One write: `batch` packets.
    packets: Vec<u8>,
    /// Where the sequence number stands in each packet.
    sequence_at: Vec<usize>,
    sent: u64,
    seen: u64,
}

pub(crate) struct Generator {
    load: Load,
    publishers: Vec<Publisher>,
    /// Does not block: while anything may be sent, the generator sends.
    subscriber: mio::net::TcpStream,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    filled: usize,
    seen: Seen,
}

fn open(address: SocketAddr, client_id: &str) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut bytes = Vec::new();
    Packet::Connect(Connect {
        version: Version::V311,
        clean_start: true,
        keep_alive_s: 600,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: Properties::NONE,
    })
    .encode(Version::V311, &mut bytes)?;
    stream.write_all(&bytes)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if answer == [0x20, 2, 0, 0] { Ok(stream) } else { Err(format!("refused: {answer:?}").into()) }
}

impl Publisher {
    fn open(address: SocketAddr, number: u32, batch: usize) -> Result<Self, Box<dyn Error>> {
        let mut packets = Vec::new();
        let mut payload = [0x2e; PAYLOAD_BYTES];
        if let Some(head) = payload.first_chunk_mut() {
            *head = number.to_be_bytes();
        }
        let mut sequence_at = Vec::new();
        for _ in 0..batch {
            Publish::at_most_once(&format!("bench/{number}"), &payload)
                .encode(Version::V311, &mut packets)?;
            sequence_at.push(packets.len() - PAYLOAD_BYTES + 4);
        }
        let stream = open(address, &format!("publisher-{number}"))?;
        Ok(Self { stream, packets, sequence_at, sent: 0, seen: 0 })
    }

    fn send(&mut self) -> Result<(), Box<dyn Error>> {
        for at in &self.sequence_at {
            let field = self.packets.get_mut(*at..).and_then(|rest| rest.first_chunk_mut());
            *field.ok_or("packet too short")? = self.sent.to_be_bytes();
            self.sent += 1;
        }
        self.stream.write_all(&self.packets)?;
        Ok(())
    }
}

impl Generator {
    pub(crate) fn open(address: SocketAddr, load: Load) -> Result<Self, Box<dyn Error>> {
        let mut subscriber = open(address, "subscriber")?;
        let filters = [("bench/#", SubscriptionOptions::of(QoS::AtMostOnce))];
        let (id, properties) = (PacketId::MIN, Properties::NONE);
        let mut bytes = Vec::new();
        Packet::Subscribe(Subscribe { id, properties, filters: Filters::list(&filters) })
            .encode(Version::V311, &mut bytes)?;
        subscriber.write_all(&bytes)?;
        subscriber.read_exact(&mut [0; 5])?;
        let publishers = (0..u32::try_from(load.publishers)?)
            .map(|number| Publisher::open(address, number, load.batch))
            .collect::<Result<_, _>>()?;
        subscriber.set_nonblocking(true)?;
        let mut subscriber = mio::net::TcpStream::from_std(subscriber);
        let poll = Poll::new()?;
        poll.registry().register(&mut subscriber, Token(0), Interest::READABLE)?;
        Ok(Self {
            load,
            publishers,
            subscriber,
            poll,
            events: Events::with_capacity(8),
            buffer: vec![0; 1 << 18],
            filled: 0,
            seen: Seen::default(),
        })
    }

    /// Runs the loop for `duration`; gives what was seen in it.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<Seen, Box<dyn Error>> {
        self.seen = Seen::default();
        let begun = Instant::now();
        while begun.elapsed() < duration {
            let mut has_sent = false;
            for publisher in &mut self.publishers {
                let on_their_way = publisher.sent - publisher.seen;
                if on_their_way + self.load.batch as u64 <= self.load.window as u64 {
                    publisher.send()?;
                    has_sent = true;
                }
            }
            if !self.receive()? && !has_sent {
                self.wait()?;
            }
        }
        Ok(self.seen)
    }

    /// All windows are full: nothing to do until the subscriber hears something.
    fn wait(&mut self) -> Result<(), Box<dyn Error>> {
        self.poll.poll(&mut self.events, Some(Duration::from_secs(2)))?;
        if self.events.is_empty() {
            // Everything on its way is lost: begin anew.
            for publisher in &mut self.publishers {
                self.seen.lost += publisher.sent - publisher.seen;
                publisher.seen = publisher.sent;
            }
        }
        Ok(())
    }

    /// Reads what there is; says whether there was something.
    fn receive(&mut self) -> Result<bool, Box<dyn Error>> {
        let room = self.buffer.get_mut(self.filled..).ok_or("no room")?;
        match self.subscriber.read(room) {
            Ok(0) => return Err("the server closed the subscriber's connection".into()),
            Ok(len) => self.filled += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let filled = self.buffer.get(..self.filled).unwrap_or_default();
        let mut rest = filled;
        while let Split::Whole(frame, more) = split(rest, 1 << 16)? {
            rest = more;
            let head = frame.bytes.len().checked_sub(PAYLOAD_BYTES).ok_or("a foreign packet")?;
            let payload = frame.bytes.get(head..).unwrap_or_default();
            let number = payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
            let sequence = payload.get(4..).and_then(|rest| rest.first_chunk());
            let publisher = number.and_then(|number| self.publishers.get_mut(number as usize));
            let (Some(publisher), Some(sequence)) = (publisher, sequence) else {
                return Err("a foreign message".into());
            };
            let sequence = u64::from_be_bytes(*sequence);
            if sequence < publisher.seen {
                self.seen.duplicated += 1;
                continue;
            }
            self.seen.lost += sequence - publisher.seen;
            publisher.seen = sequence + 1;
            self.seen.delivered += 1;
        }
        let left = rest.len();
        let start = self.filled - left;
        self.buffer.copy_within(start..self.filled, 0);
        self.filled = left;
        Ok(true)
    }
}
