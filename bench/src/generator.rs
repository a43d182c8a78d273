//! The load: publishers and subscribers, a closed loop with a bounded window.
//!
//! Packets are encoded before the clock starts; only the sequence number in the payload changes. A
//! publisher may have so many messages on their way that its subscribers have not seen, so nothing wins by
//! dropping: what is lost is never made good for, and counted.

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use hedgerow_listen::client::Stream as TlsStream;
use hedgerow_mqtt::{
    Filters, Packet, PacketId, Properties, Publish, QoS, Split, Subscribe, SubscriptionOptions,
    Version, split,
};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};

use crate::tls::{Clients, greet};

/// Bytes of the largest packet.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// What to send, and who takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections that publish.
    pub(crate) publishers: usize,
    /// Topics that they share; the n-th publisher has the n-th, and around.
    pub(crate) topics: usize,
    pub(crate) subscribers: usize,
    pub(crate) takes: Takes,
    pub(crate) qos: QoS,
    /// Messages in one write.
    pub(crate) batch: usize,
    /// Messages of a publisher on their way.
    pub(crate) window: usize,
    /// Whether the subscribers' sessions outlive their connection, so that what is acknowledged for them is
    /// on disk.
    pub(crate) is_lasting: bool,
    /// Bytes of a message's payload: publisher, sequence number, filling.
    pub(crate) payload_bytes: usize,
}

/// What a subscriber takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Every topic.
    All,
    /// The topic of its number.
    Own,
}

impl Load {
    /// Subscribers that a message has.
    fn copies(&self) -> u64 {
        match self.takes {
            Takes::All => self.subscribers as u64,
            Takes::Own => 1,
        }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
}

/// A client's connection. It does not block once it is open.
enum Stream {
    Plain(std::net::TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    fn open(
        address: SocketAddr,
        number: u32,
        tls: Option<&Clients>,
        is_lasting: bool,
    ) -> Result<Self, Box<dyn Error>> {
        if let Some(clients) = tls {
            return Ok(Self::Tls(Box::new(clients.open(address, number)?)));
        }
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        greet(&mut stream, number, is_lasting)?;
        Ok(Self::Plain(stream))
    }

    const fn tcp(&self) -> &std::net::TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Writes all of it. A full socket is waited for: the server is what is slow then.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(tcp) => insist(tcp, bytes),
            Self::Tls(tls) => {
                tls.conn.writer().write_all(bytes)?;
                while tls.conn.wants_write() {
                    match tls.conn.write_tls(&mut tls.sock) {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            std::thread::yield_now();
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }
}

fn insist(tcp: &mut std::net::TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match tcp.write(bytes) {
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Publisher {
    stream: Stream,
    /// One write: `batch` packets.
    packets: Vec<u8>,
    /// Where the sequence number stands in each packet, and where the packet identifier.
    fields: Vec<(usize, usize)>,
    sent: u64,
    /// Deliveries that were seen, of all subscribers together.
    seen: u64,
}

impl Publisher {
    fn open(
        address: SocketAddr,
        number: u32,
        load: Load,
        tls: Option<&Clients>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut packets = Vec::new();
        let mut payload = vec![0x2e; load.payload_bytes];
        if let Some(head) = payload.first_chunk_mut() {
            *head = number.to_be_bytes();
        }
        let topic = format!("bench/{}", number as usize % load.topics);
        let id = (load.qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        let mut fields = Vec::new();
        for _ in 0..load.batch {
            let message = Publish { qos: load.qos, id, ..Publish::at_most_once(&topic, &payload) };
            message.encode(Version::V311, &mut packets)?;
            let end = packets.len() - load.payload_bytes;
            fields.push((end + 4, end - 2));
        }
        let stream = Stream::open(address, number, tls, false)?;
        Ok(Self { stream, packets, fields, sent: 0, seen: 0 })
    }

    fn send(&mut self, qos: QoS) -> Result<(), Box<dyn Error>> {
        for (sequence_at, id_at) in &self.fields {
            let field =
                self.packets.get_mut(*sequence_at..).and_then(|rest| rest.first_chunk_mut());
            *field.ok_or("packet too short")? = self.sent.to_be_bytes();
            if qos != QoS::AtMostOnce {
                let id = u16::try_from(self.sent % 65_535 + 1)?;
                let field = self.packets.get_mut(*id_at..).and_then(|rest| rest.first_chunk_mut());
                *field.ok_or("packet too short")? = id.to_be_bytes();
            }
            self.sent += 1;
        }
        Ok(self.stream.write(&self.packets)?)
    }
}

struct Subscriber {
    stream: Stream,
    buffer: Vec<u8>,
    filled: usize,
    /// The next sequence number of each publisher.
    next: Vec<u64>,
    payload_bytes: usize,
}

/// Subscriptions of one client that is not measured.
const SUBSCRIPTIONS_EACH: u32 = 125;

/// Clients with so many subscriptions together, of all shapes, that match nothing that is published.
pub(crate) fn others(
    address: SocketAddr,
    subscriptions: u32,
) -> Result<Vec<impl Sized>, Box<dyn Error>> {
    (0..subscriptions.div_ceil(SUBSCRIPTIONS_EACH))
        .map(|number| {
            let mut stream = Stream::open(address, 1_000_000 + number, None, false)?;
            let names: Vec<String> = (0..SUBSCRIPTIONS_EACH)
                .map(|own| match own % 4 {
                    0 => format!("site/{number}/line/{own}/temperature"),
                    1 => format!("site/+/line/{number}-{own}/+"),
                    2 => format!("bench/{number}/{own}/#"),
                    _ => format!("+/{number}/of/{own}"),
                })
                .collect();
            let filters: Vec<_> = names
                .iter()
                .map(|name| (name.as_str(), SubscriptionOptions::of(QoS::AtMostOnce)))
                .collect();
            let (id, properties) = (PacketId::MIN, Properties::NONE);
            let mut bytes = Vec::new();
            Packet::Subscribe(Subscribe { id, properties, filters: Filters::list(&filters) })
                .encode(Version::V311, &mut bytes)?;
            stream.write(&bytes)?;
            let mut left = 4 + filters.len();
            while left > 0 {
                left -= stream.read(&mut [0; 512])?.min(left);
            }
            Ok(stream)
        })
        .collect()
}

pub(crate) struct Generator {
    load: Load,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    answers: Vec<u8>,
    seen: Seen,
}

impl Generator {
    pub(crate) fn open(
        address: SocketAddr,
        load: Load,
        tls: Option<&Clients>,
    ) -> Result<Self, Box<dyn Error>> {
        let first = u32::try_from(load.publishers)?;
        let publishers = (0..first)
            .map(|number| Publisher::open(address, number, load, tls))
            .collect::<Result<Vec<_>, _>>()?;
        let subscribers = (0..u32::try_from(load.subscribers)?)
            .map(|number| subscriber(address, first, number, load, tls))
            .collect::<Result<Vec<_>, _>>()?;
        let poll = Poll::new()?;
        let all = subscribers.iter().map(|one| &one.stream);
        // Publishers of QoS 0 hear nothing.
        let acknowledged = if load.qos == QoS::AtMostOnce { 0 } else { publishers.len() };
        let all = all.chain(publishers.iter().take(acknowledged).map(|one| &one.stream));
        for (number, stream) in all.enumerate() {
            stream.tcp().set_nonblocking(true)?;
            let fd = stream.tcp().as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), Token(number), Interest::READABLE)?;
        }
        for publisher in &publishers {
            publisher.stream.tcp().set_nonblocking(true)?;
        }
        Ok(Self {
            load,
            publishers,
            subscribers,
            poll,
            events: Events::with_capacity(2048),
            scratch: vec![0; 1 << 16],
            answers: Vec::new(),
            seen: Seen::default(),
        })
    }

    /// Runs the loop for `duration`; gives what was seen in it.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<Seen, Box<dyn Error>> {
        self.seen = Seen::default();
        let (begun, copies) = (Instant::now(), self.load.copies());
        while begun.elapsed() < duration {
            let mut has_sent = false;
            for (number, publisher) in self.publishers.iter_mut().enumerate() {
                // The slowest subscriber counts, where there are few; else their mean.
                let seen = match self.load.takes {
                    Takes::All if copies <= 16 => {
                        let nexts = self.subscribers.iter().map(|one| one.next.get(number));
                        nexts.flatten().min().copied().unwrap_or_default()
                    }
                    Takes::All | Takes::Own => publisher.seen / copies,
                };
                let on_their_way = publisher.sent.saturating_sub(seen);
                if on_their_way + self.load.batch as u64 <= self.load.window as u64 {
                    publisher.send(self.load.qos)?;
                    has_sent = true;
                }
            }
            self.receive(if has_sent { Duration::ZERO } else { Duration::from_secs(2) })?;
        }
        Ok(self.seen)
    }

    /// Reads what there is, once something is or the patience ends.
    fn receive(&mut self, patience: Duration) -> Result<(), Box<dyn Error>> {
        self.poll.poll(&mut self.events, Some(patience))?;
        if self.events.is_empty() && patience > Duration::ZERO {
            // Everything on its way is lost: begin anew.
            let copies = self.load.copies();
            for publisher in &mut self.publishers {
                self.seen.lost += publisher.sent * copies - publisher.seen;
                publisher.seen = publisher.sent * copies;
            }
            for subscriber in &mut self.subscribers {
                for (next, publisher) in subscriber.next.iter_mut().zip(&self.publishers) {
                    *next = publisher.sent;
                }
            }
        }
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for number in ready {
            match number.checked_sub(self.subscribers.len()) {
                None => self.hear(number)?,
                Some(number) => self.drain(number)?,
            }
        }
        Ok(())
    }

    /// Acknowledgements; the window does not depend on them.
    fn drain(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        let publisher = self.publishers.get_mut(number).ok_or("no such publisher")?;
        loop {
            match publisher.stream.read(&mut self.scratch) {
                Ok(0) => return Err("the server closed a publisher's connection".into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Messages, until there is none.
    fn hear(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        let Self { publishers, subscribers, answers, seen, .. } = self;
        let subscriber = subscribers.get_mut(number).ok_or("no such subscriber")?;
        answers.clear();
        loop {
            let room = subscriber.buffer.get_mut(subscriber.filled..).ok_or("no room")?;
            match subscriber.stream.read(room) {
                Ok(0) => return Err("the server closed a subscriber's connection".into()),
                Ok(len) => subscriber.filled += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
            subscriber.count(publishers, answers, seen)?;
        }
        if !answers.is_empty() {
            subscriber.stream.write(answers)?;
        }
        Ok(())
    }
}

fn subscriber(
    address: SocketAddr,
    first: u32,
    number: u32,
    load: Load,
    tls: Option<&Clients>,
) -> Result<Subscriber, Box<dyn Error>> {
    let mut stream = Stream::open(address, first + number, tls, load.is_lasting)?;
    let filter = match load.takes {
        Takes::All => "bench/#".to_owned(),
        Takes::Own => format!("bench/{number}"),
    };
    let filters = [(filter.as_str(), SubscriptionOptions::of(load.qos))];
    let (id, properties) = (PacketId::MIN, Properties::NONE);
    let mut bytes = Vec::new();
    Packet::Subscribe(Subscribe { id, properties, filters: Filters::list(&filters) })
        .encode(Version::V311, &mut bytes)?;
    stream.write(&bytes)?;
    let mut heard = 0;
    while heard < 5 {
        heard += stream.read(&mut [0; 5])?;
    }
    let next = vec![0; load.publishers];
    let room = if load.subscribers > 100 { 1 << 14 } else { 1 << 18 };
    let buffer = vec![0; room.max(2 * load.payload_bytes)];
    Ok(Subscriber { stream, buffer, filled: 0, next, payload_bytes: load.payload_bytes })
}

impl Subscriber {
    /// Looks at the whole packets in the buffer.
    fn count(
        &mut self,
        publishers: &mut [Publisher],
        answers: &mut Vec<u8>,
        seen: &mut Seen,
    ) -> Result<(), Box<dyn Error>> {
        let mut rest = self.buffer.get(..self.filled).unwrap_or_default();
        while let Split::Whole(frame, more) = split(rest, PACKET_BYTES_MAX)? {
            rest = more;
            let head =
                frame.bytes.len().checked_sub(self.payload_bytes).ok_or("a foreign packet")?;
            let payload = frame.bytes.get(head..).unwrap_or_default();
            if frame.first & 6 != 0 {
                let id = frame.bytes.get(head - 2..head).unwrap_or_default();
                answers.extend_from_slice(&[0x40, 2]);
                answers.extend_from_slice(id);
            }
            let number = payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
            let sequence = payload.get(4..).and_then(|rest| rest.first_chunk());
            let (Some(number), Some(sequence)) = (number, sequence) else {
                return Err("a foreign message".into());
            };
            let publisher = publishers.get_mut(number).ok_or("a foreign publisher")?;
            let next = self.next.get_mut(number).ok_or("a foreign publisher")?;
            let sequence = u64::from_be_bytes(*sequence);
            if sequence < *next {
                seen.duplicated += 1;
                continue;
            }
            seen.lost += sequence - *next;
            publisher.seen += sequence - *next + 1;
            *next = sequence + 1;
            seen.delivered += 1;
        }
        let left = rest.len();
        let start = self.filled - left;
        self.buffer.copy_within(start..self.filled, 0);
        self.filled = left;
        Ok(())
    }
}
