//! The hub's end of a TLS connection that keeps no buffer while it is idle.
//!
//! rustls keeps the session; the bytes pass through a buffer that all connections of a thread share. Only
//! what can't go on yet stays with the connection: the beginning of a record, plaintext that the reader
//! had no room for, records that the socket did not take.

use std::{
    cell::RefCell,
    fmt, io, net,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    CommonState, Error, ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::limits::{PLAIN_BYTES_A_WRITE, SHARED_BYTES};

type Traffic<'c> = WriteTraffic<'c, ServerConnectionData>;

thread_local! {
    /// What every connection of this thread reads into and encrypts into, one after the other.
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; SHARED_BYTES].into_boxed_slice());
}

/// TLS over TCP, server side.
pub struct TlsStream<T = TcpStream> {
    tcp: T,
    tls: Box<UnbufferedServerConnection>,
    incoming: Vec<u8>,
    plain: Vec<u8>,
    outgoing: Vec<u8>,
    heard: Heard,
    has_said_goodbye: bool,
}

/// A [`TlsStream`] on its way to another thread's reactor.
pub type TlsParcel = TlsStream<net::TcpStream>;

/// What may still come from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// More.
    Open,
    /// Nothing: it said goodbye.
    Goodbye,
    /// Nothing that could be believed.
    Nonsense,
}

impl<T: fmt::Debug> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl TlsStream {
    /// Shakes hands on a connection that just came.
    ///
    /// # Errors
    /// When the client does not show what is asked for, or goes away.
    pub async fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = Self {
            tcp,
            tls: Box::new(tls),
            incoming: Vec::new(),
            plain: Vec::new(),
            outgoing: Vec::new(),
            heard: Heard::Open,
            has_said_goodbye: false,
        };
        std::future::poll_fn(|context| stream.poll_handshake(context)).await?;
        Ok(stream)
    }

    /// Leaves this thread's reactor.
    ///
    /// # Errors
    /// When the system does not let go of the socket.
    pub fn leave(self) -> io::Result<TlsParcel> {
        self.with(TcpStream::into_std)
    }

    /// Goes on in this thread's reactor.
    ///
    /// # Errors
    /// When the system does not take the socket.
    pub fn arrive(parcel: TlsParcel) -> io::Result<Self> {
        parcel.with(TcpStream::from_std)
    }

    /// What the handshake agreed on: the client's certificates, the exporter.
    #[must_use]
    pub fn state(&self) -> &CommonState {
        &self.tls
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.is_handshaking() {
            // What the client waits for leaves first.
            ready!(self.poll_out(context))?;
            let mut nowhere = ReadBuf::new(&mut []);
            let count = ready!(self.poll_records(context, &mut nowhere))?;
            if count == 0 || self.heard != Heard::Open {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.poll_out(context)
    }

    /// Reads once from the socket and takes the records that are whole; gives the bytes read.
    fn poll_records(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        SHARED.with_borrow_mut(|shared| {
            let held = self.incoming.len();
            let (head, room) = shared.split_at_mut_checked(held).ok_or_else(too_large)?;
            let mut read = ReadBuf::new(room);
            ready!(Pin::new(&mut self.tcp).poll_read(context, &mut read))?;
            let count = read.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            head.copy_from_slice(&self.incoming);
            let bytes = shared.get_mut(..held + count).unwrap_or_default();
            let used = match self.process(bytes, into) {
                Ok(used) => used,
                Err(error) => {
                    self.give_up(context);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
            };
            let left = bytes.get(used..).unwrap_or_default();
            if left.is_empty() {
                self.incoming = Vec::new();
            } else {
                self.incoming.clear();
                self.incoming.extend_from_slice(left);
            }
            Poll::Ready(Ok(count))
        })
    }

    /// Takes the whole records at the front of `bytes`; gives how many bytes they were.
    fn process(&mut self, bytes: &mut [u8], into: &mut ReadBuf<'_>) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            let rest = bytes.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(rest);
            used += discard;
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        used += record.discard;
                        let now = record.payload.len().min(into.remaining());
                        let (now, later) = record.payload.split_at(now);
                        into.put_slice(now);
                        self.plain.extend_from_slice(later);
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, &mut self.outgoing)?,
                // It waits in `outgoing`.
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.heard = Heard::Goodbye,
                ConnectionState::BlockedHandshake
                | ConnectionState::WriteTraffic(_)
                | ConnectionState::Closed => return Ok(used),
                // Early data, which a server without tickets never offers.
                _ => return Err(Error::General("TLS came to a strange state".into())),
            }
        }
    }

    /// Nothing more is believed. The alert that says why leaves, if the socket takes it.
    fn give_up(&mut self, context: &mut Context<'_>) {
        self.heard = Heard::Nonsense;
        // While it has something to send, rustls looks at no input.
        while self.tls.wants_write() {
            match self.tls.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    if encode(data, &mut self.outgoing).is_err() {
                        break;
                    }
                }
                Ok(_) | Err(_) => break,
            }
        }
        let _ = self.poll_out(context);
    }

    /// Writes the records that wait.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = 0;
        let result = loop {
            let bytes = self.outgoing.get(written..).unwrap_or_default();
            if bytes.is_empty() {
                self.outgoing = Vec::new();
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.tcp).poll_write(context, bytes) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(taken)) => written += taken,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.outgoing.drain(..written);
        result
    }

    /// Encrypts and writes at once; what the socket does not take waits in `outgoing`.
    fn seal(
        &mut self,
        context: &mut Context<'_>,
        encrypt: impl FnOnce(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        if self.heard == Heard::Nonsense {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        SHARED.with_borrow_mut(|shared| {
            // The beginning of a record goes along: rustls remembers how far it has looked.
            let UnbufferedStatus { discard, state } =
                self.tls.process_tls_records(&mut self.incoming);
            let count = match state.map_err(io::Error::other)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    encrypt(&mut traffic, shared).map_err(io::Error::other)?
                }
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            self.incoming.drain(..discard);
            let mut bytes = shared.get(..count).unwrap_or_default();
            while !bytes.is_empty() {
                match Pin::new(&mut self.tcp).poll_write(context, bytes) {
                    Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(taken)) => bytes = bytes.get(taken..).unwrap_or_default(),
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => {
                        self.outgoing.extend_from_slice(bytes);
                        break;
                    }
                }
            }
            Ok(())
        })
    }
}

impl<T> TlsStream<T> {
    /// The same, over another kind of socket.
    fn with<U>(self, change: impl FnOnce(T) -> io::Result<U>) -> io::Result<TlsStream<U>> {
        let Self { tcp, tls, incoming, plain, outgoing, heard, has_said_goodbye } = self;
        let tcp = change(tcp)?;
        Ok(TlsStream { tcp, tls, incoming, plain, outgoing, heard, has_said_goodbye })
    }
}

/// Appends a record that rustls has ready.
fn encode(
    mut data: EncodeTlsData<'_, ServerConnectionData>,
    into: &mut Vec<u8>,
) -> Result<(), Error> {
    let begin = into.len();
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Ok(_) | Err(EncodeError::AlreadyEncoded) => 0,
    };
    into.resize(begin + needed, 0);
    let room = into.get_mut(begin..).unwrap_or_default();
    data.encode(room).map_err(|error| Error::General(error.to_string()))?;
    Ok(())
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a TLS record is too large")
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.plain.is_empty() {
            let now = this.plain.len().min(into.remaining());
            into.put_slice(this.plain.get(..now).unwrap_or_default());
            this.plain.drain(..now);
            if this.plain.is_empty() {
                this.plain = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        while this.heard != Heard::Goodbye {
            if this.heard == Heard::Nonsense {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            // Without the client's goodbye nobody knows whether that was all.
            if ready!(this.poll_records(context, into))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            if into.filled().len() > before {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_out(context))?;
        let bytes = bytes.get(..PLAIN_BYTES_A_WRITE).unwrap_or(bytes);
        this.seal(context, |traffic, room| traffic.encrypt(bytes, room))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_out(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_out(context))?;
        if !std::mem::replace(&mut this.has_said_goodbye, true) {
            this.seal(context, |traffic, room| traffic.queue_close_notify(room))?;
            ready!(this.poll_out(context))?;
        }
        Pin::new(&mut this.tcp).poll_shutdown(context)
    }
}
