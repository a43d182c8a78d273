//! The load: one connection a device over mutual TLS, QoS 1, MQTT 5.0, a closed loop with a bounded window.
//! A pack counts when its PUBACK is there and says success; any other answer ends the run.

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use hedgerow_listen::{
    Identity,
    client::{Trust, config, connect},
};
use hedgerow_mqtt::{Connect, Packet, PacketId, Properties, Publish, QoS, Split, Version, split};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use rustls::ClientConnection;

/// Packs of a connection that wait for their acknowledgement.
pub(crate) const WINDOW: usize = 4;

/// How long nothing may be acknowledged.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the clock is looked at when nothing else happens.
const PACE: Duration = Duration::from_millis(1);

/// The first byte of a PUBACK.
const PUBACK: u8 = 0x40;

/// Who publishes under which topic.
pub(crate) struct Publisher<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) root: &'a [u8],
    pub(crate) topic: String,
}

struct Link {
    tls: ClientConnection,
    socket: TcpStream,
    topic: String,
    /// Packs that were sent, and acknowledged.
    sent: usize,
    stored: usize,
    inbox: Vec<u8>,
}

/// Connected publishers.
pub(crate) struct Fleet {
    links: Vec<Link>,
    poll: Poll,
}

impl Fleet {
    pub(crate) fn connect(
        address: SocketAddr,
        publishers: &[Publisher<'_>],
    ) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let mut links = Vec::with_capacity(publishers.len());
        for (number, publisher) in publishers.iter().enumerate() {
            let mut link = Link::open(address, number, publisher)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut link.socket, Token(number), interest)?;
            links.push(link);
        }
        Ok(Self { links, poll })
    }

    /// Sends all packs, each device its own, at most `rate` a second in all; the seconds until the last
    /// acknowledgement.
    pub(crate) fn publish(
        &mut self,
        packs: &[Vec<u8>],
        rate: Option<f64>,
    ) -> Result<f64, Box<dyn Error>> {
        let devices = self.links.len();
        let (begun, mut last) = (Instant::now(), Instant::now());
        let (mut stored, mut turned) = (0, 0);
        let mut events = Events::with_capacity(devices);
        while stored < packs.len() {
            let due = due(packs, rate, begun.elapsed());
            let before = stored;
            if due.len() > turned {
                turned = due.len();
                for (number, link) in self.links.iter_mut().enumerate() {
                    stored += link.turn(due, number, devices)?;
                }
            }
            self.poll.poll(&mut events, Some(PACE))?;
            for event in &events {
                let Token(number) = event.token();
                if let Some(link) = self.links.get_mut(number) {
                    stored += link.turn(due, number, devices)?;
                }
            }
            if stored > before {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                return Err(format!("only {stored} of {} packs were stored", packs.len()).into());
            }
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}

/// The packs that may have been sent by now.
fn due(packs: &[Vec<u8>], rate: Option<f64>, elapsed: Duration) -> &[Vec<u8>] {
    let Some(rate) = rate else { return packs };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count that is cut off at the packs there are"
    )]
    let count = (elapsed.as_secs_f64() * rate) as usize;
    packs.get(..count).unwrap_or(packs)
}

impl Link {
    fn open(
        address: SocketAddr,
        number: usize,
        publisher: &Publisher<'_>,
    ) -> Result<Self, Box<dyn Error>> {
        let config = config(Trust::Root(publisher.root.to_vec()), Some(publisher.identity))?;
        let mut stream = connect("127.0.0.1", address.port(), &config)?;
        let mut bytes = Vec::new();
        Packet::Connect(Connect {
            version: Version::V5,
            clean_start: true,
            keep_alive_s: 600,
            client_id: &format!("device-{number}"),
            will: None,
            username: None,
            password: None,
            properties: Properties::NONE,
        })
        .encode(Version::V5, &mut bytes)?;
        stream.write_all(&bytes)?;
        let mut inbox = Vec::new();
        loop {
            let mut room = [0; 512];
            let len = stream.read(&mut room)?;
            inbox.extend_from_slice(room.get(..len).filter(|r| !r.is_empty()).ok_or("closed")?);
            if let Split::Whole(frame, rest) = split(&inbox, 1 << 16)? {
                if frame.first != 0x20 || frame.body.get(1) != Some(&0) || !rest.is_empty() {
                    return Err(format!("refused: {:?}", frame.bytes).into());
                }
                break;
            }
        }
        let (mut tls, socket) = stream.into_parts();
        tls.set_buffer_limit(None);
        socket.set_nonblocking(true)?;
        let (socket, topic) = (TcpStream::from_std(socket), publisher.topic.clone());
        Ok(Self { tls, socket, topic, sent: 0, stored: 0, inbox: Vec::new() })
    }

    /// Reads and writes until the socket has nothing more to give or take; packs that were stored.
    fn turn(
        &mut self,
        packs: &[Vec<u8>],
        number: usize,
        devices: usize,
    ) -> Result<usize, Box<dyn Error>> {
        let before = self.stored;
        loop {
            while self.sent - self.stored < WINDOW
                && let Some(pack) = packs.get(self.sent * devices + number)
            {
                self.send(pack)?;
            }
            let has_written = self.write()?;
            if !self.read()? && !has_written {
                return Ok(self.stored - before);
            }
        }
    }

    fn send(&mut self, pack: &[u8]) -> Result<(), Box<dyn Error>> {
        let id = u16::try_from(self.sent % usize::from(u16::MAX))?.saturating_add(1);
        let message = Publish {
            qos: QoS::AtLeastOnce,
            id: PacketId::new(id),
            ..Publish::at_most_once(&self.topic, pack)
        };
        let mut packet = Vec::with_capacity(pack.len() + 64);
        message.encode(Version::V5, &mut packet)?;
        self.tls.writer().write_all(&packet)?;
        self.sent += 1;
        Ok(())
    }

    fn write(&mut self) -> Result<bool, Box<dyn Error>> {
        let mut has_written = false;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => has_written = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(has_written)
    }

    fn read(&mut self) -> Result<bool, Box<dyn Error>> {
        match self.tls.read_tls(&mut self.socket) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let news = self.tls.process_new_packets()?.plaintext_bytes_to_read();
        let start = self.inbox.len();
        self.inbox.resize(start + news, 0);
        self.tls.reader().read_exact(self.inbox.get_mut(start..).unwrap_or_default())?;
        let mut rest = self.inbox.as_slice();
        while let Split::Whole(frame, more) = split(rest, 1 << 16)? {
            rest = more;
            // In 5.0 no reason means success.
            let is_success = frame.body.get(2).is_none_or(|reason| *reason == 0);
            if frame.first != PUBACK || !is_success {
                return Err(format!("a pack was refused: {:?}", frame.bytes).into());
            }
            self.stored += 1;
        }
        let taken = self.inbox.len() - rest.len();
        self.inbox.drain(..taken);
        Ok(true)
    }
}
