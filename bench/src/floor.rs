//! The floor: the least that any broker must do. It reads what publishers send and writes it to whoever
//! subscribed, without looking into more than it needs for that, and answers messages of QoS 1. It is no broker:
//! the first packet of a connection is taken for a CONNECT, who subscribes publishes nothing, a publisher stays
//! with the topic of its first message, and identifiers pass as they came.

use std::{
    error::Error,
    io::{self, ErrorKind, Read, Write},
    thread,
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

#[derive(Default)]
struct Floor {
    connections: Vec<Option<Connection>>,
    /// Everybody's messages, or those of one topic.
    groups: Vec<Group>,
}

struct Connection {
    stream: TcpStream,
    is: Is,
    /// What could not be written yet.
    late: Vec<u8>,
}

enum Is {
    New,
    Connected,
    Subscriber,
    /// At QoS 0, with the number of its group.
    Plain(usize),
    /// At QoS 1, with the beginning of a packet.
    Acknowledged(usize, Vec<u8>),
}

/// The messages of one filter since the last write, and who gets them.
struct Group {
    filter: Vec<u8>,
    out: Vec<u8>,
    subscribers: Vec<usize>,
}

/// Serves at `address` until it is killed. With `gathers_us` it lets so many microseconds pass before each look,
/// so that more messages share a write.
pub(crate) fn serve(address: &str, gathers_us: u64) -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(2048);
    let mut listener = TcpListener::bind(address.parse()?)?;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    let mut floor = Floor { connections: vec![None], groups: Vec::new() };
    let mut buffer = vec![0; 65536];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                Token(0) => floor.accept(&listener, &poll)?,
                Token(at) => floor.turn(at, &mut buffer),
            }
        }
        floor.write();
        if gathers_us > 0 {
            thread::sleep(Duration::from_micros(gathers_us));
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(self.connections.len()), interest)?;
            self.connections.push(Some(Connection { stream, is: Is::New, late: Vec::new() }));
        }
        Ok(())
    }

    fn turn(&mut self, at: usize, buffer: &mut [u8]) {
        let Some(slot) = self.connections.get_mut(at) else { return };
        let Some(connection) = slot else { return };
        if connection.turn(at, buffer, &mut self.groups).is_err() {
            *slot = None;
            self.groups.iter_mut().for_each(|group| group.subscribers.retain(|one| *one != at));
        }
    }

    fn write(&mut self) {
        for Group { out, subscribers, .. } in &mut self.groups {
            if out.is_empty() {
                continue;
            }
            for at in &*subscribers {
                if let Some(Some(connection)) = self.connections.get_mut(*at) {
                    connection.write(out);
                }
            }
            out.clear();
        }
    }
}

impl Connection {
    fn write(&mut self, bytes: &[u8]) {
        let written = if self.late.is_empty() { self.stream.write(bytes).unwrap_or(0) } else { 0 };
        self.late.extend_from_slice(bytes.get(written..).unwrap_or_default());
    }

    /// Reads until there is nothing.
    fn turn(
        &mut self,
        at: usize,
        buffer: &mut [u8],
        groups: &mut Vec<Group>,
    ) -> Result<(), Box<dyn Error>> {
        if !self.late.is_empty() {
            let late = std::mem::take(&mut self.late);
            self.write(&late);
        }
        loop {
            let len = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.take(at, buffer.get(..len).unwrap_or_default(), groups)?;
            if len < buffer.len() {
                return Ok(());
            }
        }
    }

    fn take(
        &mut self,
        at: usize,
        bytes: &[u8],
        groups: &mut Vec<Group>,
    ) -> Result<(), Box<dyn Error>> {
        match &mut self.is {
            Is::New => {
                self.is = Is::Connected;
                self.write(&[0x20, 2, 0, 0]);
            }
            Is::Connected if bytes.first() == Some(&0x82) => {
                // Type, length, identifier, then the filter and its quality.
                let filter = text(bytes, 4).ok_or("no filter")?;
                let quality = bytes.get(6 + filter.len()).copied().unwrap_or_default();
                match groups.iter_mut().find(|group| group.filter == filter) {
                    Some(group) => group.subscribers.push(at),
                    None => {
                        let (filter, out) = (filter.to_vec(), Vec::new());
                        groups.push(Group { filter, out, subscribers: vec![at] });
                    }
                }
                let answer = [&[0x90, 3], bytes.get(2..4).unwrap_or_default(), &[quality]].concat();
                self.is = Is::Subscriber;
                self.write(&answer);
            }
            Is::Connected => {
                let topic = text(bytes, 2).ok_or("no topic")?;
                let own = |group: &Group| group.filter == topic || group.filter.ends_with(b"#");
                let group = groups.iter().position(own).ok_or("nobody subscribed")?;
                self.is = match bytes.first() {
                    Some(0x30) => Is::Plain(group),
                    _ => Is::Acknowledged(group, Vec::new()),
                };
                return self.take(at, bytes, groups);
            }
            Is::Subscriber => {}
            Is::Plain(group) => {
                groups.get_mut(*group).ok_or("no such group")?.out.extend_from_slice(bytes);
            }
            Is::Acknowledged(group, held) => {
                let group = groups.get_mut(*group).ok_or("no such group")?;
                let answers = acknowledge(held, bytes, &mut group.out);
                self.write(&answers);
            }
        }
        Ok(())
    }
}

/// A text with its length before it.
fn text(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = bytes.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))?;
    bytes.get(at + 2..at + 2 + usize::from(length))
}

/// Passes whole packets of QoS 1 on, and gives the answers to them.
fn acknowledge(held: &mut Vec<u8>, bytes: &[u8], out: &mut Vec<u8>) -> Vec<u8> {
    held.extend_from_slice(bytes);
    let (mut at, mut answers) = (0, Vec::new());
    while let Some(packet) =
        held.get(at + 1).and_then(|length| held.get(at..at + 2 + usize::from(*length)))
    {
        let topic = text(packet, 2).map_or(0, <[u8]>::len);
        answers.extend_from_slice(&[0x40, 2]);
        answers.extend_from_slice(packet.get(4 + topic..6 + topic).unwrap_or_default());
        out.extend_from_slice(packet);
        at += packet.len();
    }
    held.drain(..at);
    answers
}
