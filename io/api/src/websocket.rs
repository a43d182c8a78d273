//! MQTT over WebSocket (MQTT 5.0, section 6): `/mqtt` at the doors for people, so that browsers can speak it.
//!
//! What goes through is bytes; a packet may begin in one frame and end in another. Who is there is said in
//! CONNECT, with the secret of a token: a cookie proves nothing here, for a page from elsewhere could send it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    Extension,
    body::Bytes,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    Caller, People,
    limits::{WEBSOCKET_FRAME_BYTES, WEBSOCKET_FRAME_BYTES_MAX},
};

/// Takes a stream of MQTT from a client at this address.
pub type TakeMqtt = dyn Fn(WebSocketStream, IpAddr) + Send + Sync;

/// The protocol's name in the handshake.
const PROTOCOL: &str = "mqtt";

/// Upgrades to a WebSocket that speaks MQTT.
pub(crate) async fn upgrade(
    State(people): State<Arc<People>>,
    caller: Option<Extension<Caller>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    // The loopback door has no caller: whoever is there is on this machine.
    let from = caller.map_or(Ipv4Addr::LOCALHOST.into(), |caller| caller.from.ip());
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_frame_size(WEBSOCKET_FRAME_BYTES_MAX)
        .max_message_size(WEBSOCKET_FRAME_BYTES_MAX);
    if upgrade.selected_protocol().is_none() {
        let reason = "ask for the WebSocket subprotocol mqtt\n";
        return (StatusCode::BAD_REQUEST, reason).into_response();
    }
    upgrade.on_upgrade(move |socket| async move {
        (people.take_mqtt)(WebSocketStream::new(socket), from);
    })
}

/// A WebSocket as a stream of bytes.
#[derive(Debug)]
pub struct WebSocketStream {
    socket: WebSocket,
    /// Of the last frame, what the reader had no room for.
    left: Bytes,
}

impl WebSocketStream {
    const fn new(socket: WebSocket) -> Self {
        Self { socket, left: Bytes::new() }
    }
}

fn broken(error: axum::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for WebSocketStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.left.is_empty() {
            match ready!(Pin::new(&mut this.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => this.left = bytes,
                // Answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                // MQTT-6.0.0-1: binary frames only.
                Some(Ok(Message::Text(_))) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, "a text frame");
                    return Poll::Ready(Err(error));
                }
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let now = this.left.split_to(this.left.len().min(into.remaining()));
        into.put_slice(&now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocketStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut self.get_mut().socket;
        ready!(Pin::new(&mut *socket).poll_ready(context)).map_err(broken)?;
        let bytes = bytes.get(..WEBSOCKET_FRAME_BYTES).unwrap_or(bytes);
        let frame = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(socket).start_send(frame).map_err(broken)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context).map_err(broken)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_close(context).map_err(broken)
    }
}
