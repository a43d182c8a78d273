use std::{
    io, net,
    pin::Pin,
    task::{Context, Poll},
};

use hedgerow_listen::{TlsParcel, TlsStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What MQTT is spoken over: bytes both ways, from one thread's reactor to another's.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The stream without a reactor.
    type Parcel: Send + 'static;

    /// Leaves this thread's reactor.
    ///
    /// # Errors
    /// When the system does not let go of it; the connection is of no use then.
    fn leave(self) -> io::Result<Self::Parcel>;

    /// Goes on in this thread's reactor.
    ///
    /// # Errors
    /// When the system does not take it; the connection is of no use then.
    fn arrive(parcel: Self::Parcel) -> io::Result<Self>
    where
        Self: Sized;
}

/// A stream that any thread can use: another one keeps its reactor.
pub(crate) struct Foreign<S>(pub(crate) S);

impl<S: AsyncRead + Unpin> AsyncRead for Foreign<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Foreign<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for Foreign<S> {
    type Parcel = S;

    fn leave(self) -> io::Result<S> {
        Ok(self.0)
    }

    fn arrive(parcel: S) -> io::Result<Self> {
        Ok(Self(parcel))
    }
}

impl Stream for TcpStream {
    type Parcel = net::TcpStream;

    fn leave(self) -> io::Result<net::TcpStream> {
        self.into_std()
    }

    fn arrive(parcel: net::TcpStream) -> io::Result<Self> {
        Self::from_std(parcel)
    }
}

impl Stream for TlsStream {
    type Parcel = TlsParcel;

    fn leave(self) -> io::Result<TlsParcel> {
        Self::leave(self)
    }

    fn arrive(parcel: TlsParcel) -> io::Result<Self> {
        Self::arrive(parcel)
    }
}
