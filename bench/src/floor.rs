//! The floor: the least that any broker must do. It reads what publishers send and writes it to the one
//! subscriber, without looking into it. It is no broker: the first packet of a connection is taken for a
//! CONNECT, and the only connection that subscribes gets everything.

use std::{
    error::Error,
    io::{self, ErrorKind, Read, Write},
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

struct Connection {
    stream: TcpStream,
    has_connected: bool,
}

/// Serves at `address` until it is killed.
pub(crate) fn serve(address: &str) -> Result<(), Box<dyn Error>> {
    let address = address.parse()?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    let mut connections: Vec<Option<Connection>> = vec![None];
    let (mut subscriber, mut out, mut buffer) = (None, Vec::new(), vec![0; 65536]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == Token(0) {
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let Token(at) = event.token();
            let Some(slot) = connections.get_mut(at) else { continue };
            let Some(connection) = slot else { continue };
            match read(connection, &mut buffer, &mut out) {
                Ok(true) => subscriber = Some(at),
                Ok(false) => {}
                Err(_) => {
                    *slot = None;
                    subscriber = subscriber.filter(|known| *known != at);
                }
            }
        }
        let reader = subscriber.and_then(|at| connections.get_mut(at)).and_then(Option::as_mut);
        if let Some(reader) = reader.filter(|_| !out.is_empty()) {
            let written = reader.stream.write(&out).unwrap_or(0);
            out.drain(..written);
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(connections.len()), interest)?;
        connections.push(Some(Connection { stream, has_connected: false }));
    }
    Ok(())
}

/// Reads once; says whether the connection has subscribed.
fn read(connection: &mut Connection, buffer: &mut [u8], out: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let len = match connection.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..len).unwrap_or_default();
        if !connection.has_connected {
            connection.has_connected = true;
            connection.stream.write_all(&[0x20, 2, 0, 0])?;
        } else if bytes.first() == Some(&0x82) {
            let id = bytes.get(2..4).unwrap_or_default();
            connection.stream.write_all(&[&[0x90, 3], id, &[0]].concat())?;
            return Ok(true);
        } else {
            out.extend_from_slice(bytes);
        }
        if len < buffer.len() {
            return Ok(false);
        }
    }
}
