//! The lean stream against rustls' own client: whole, in crumbs, and cut.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

use hedgerow_base::{DeviceId, TenantId};
use hedgerow_listen::{
    TlsStream,
    client::{self, ConnectError, Trust},
    server::{self, ClientCertificates, Handshakes, Slot},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::{JoinHandle, spawn_blocking},
};

use crate::{House, device_identity, house, server_identity};

const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);

/// Says who is there, sends back what it hears, reading into `room` bytes, and says goodbye when the
/// client does.
async fn echo(mut tls: TlsStream, room: usize) -> io::Result<()> {
    let peer = server::peer(tls.state(), TenantId::FIRST, server::now());
    assert_eq!(peer.and_then(|peer| peer.device().map(|d| d.device)), Some(DEVICE));
    let mut buffer = vec![0; room];
    loop {
        let count = tls.read(&mut buffer).await?;
        if count == 0 {
            return tls.shutdown().await;
        }
        tls.write_all(&buffer[..count]).await?;
        tls.flush().await?;
    }
}

async fn serve(house: &House, room: usize) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let clients = ClientCertificates::Required(crate::anchors(house));
    let config = server::config(Slot::new(&server_identity(house)), clients, &[]).unwrap();
    let handshakes = Handshakes::new(config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await?;
        echo(handshakes.shake_lean(tcp).await?, room).await
    });
    (address, serving)
}

fn connect(to: SocketAddr, house: &House, of: &House) -> Result<client::Stream, ConnectError> {
    let identity = device_identity(of, DEVICE);
    let config = client::config(Trust::Root(house.root.clone()), Some(&identity))?;
    client::connect("localhost", to.port(), &config)
}

/// Sends so many bytes and expects them back.
fn talk(mut tls: client::Stream, length: usize) {
    let sent: Vec<u8> = (0..=250u8).cycle().take(length).collect();
    let mut heard = vec![0; length];
    for (sent, heard) in sent.chunks(300_000).zip(heard.chunks_mut(300_000)) {
        tls.write_all(sent).unwrap();
        tls.read_exact(heard).unwrap();
    }
    assert!(sent == heard, "what came back is what was sent");
    tls.conn.send_close_notify();
    assert_eq!(tls.read(&mut [0]).unwrap(), 0, "the hub says goodbye too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_comes_back_whatever_the_reader_has_room_for() {
    let house = house();
    // A byte, less than a record, and more than one.
    for (room, length) in [(1, 2_000), (1_000, 300_000), (100_000, 1_000_000)] {
        let (to, serving) = serve(&house, room).await;
        let tls = connect(to, &house, &house).unwrap();
        spawn_blocking(move || talk(tls, length)).await.unwrap();
        serving.await.unwrap().unwrap();
    }
}

/// Passes on what it hears, a byte at a time on the way to the hub.
fn crumble(from: TcpStream, to: TcpStream) {
    let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut back_from, &mut back_to);
    });
    thread::spawn(move || {
        let (mut from, mut to) = (from, to);
        let mut byte = [0];
        while from.read(&mut byte).is_ok_and(|count| count > 0) && to.write_all(&byte).is_ok() {}
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn records_may_come_a_byte_at_a_time() {
    let house = house();
    let (to, serving) = serve(&house, 4_096).await;
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = between.local_addr().unwrap();
    thread::spawn(move || {
        let (from, _) = between.accept().unwrap();
        let onwards = TcpStream::connect(to).unwrap();
        onwards.set_nodelay(true).unwrap();
        crumble(from, onwards);
    });
    spawn_blocking(move || talk(connect(near, &house, &house).unwrap(), 5_000)).await.unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_certificate_is_refused_and_told_so() {
    let (mine, foreign) = (house(), house());
    let (to, serving) = serve(&mine, 100).await;
    let heard = spawn_blocking(move || {
        // In TLS 1.3 the client learns of it when it reads.
        connect(to, &mine, &foreign).map(|mut tls| tls.read(&mut [0]).unwrap_err().to_string())
    });
    let refused = serving.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("invalid peer certificate"), "{refused}");
    let heard = heard.await.unwrap();
    let alert = heard.unwrap_or_else(|error| error.to_string());
    assert!(alert.contains("received fatal alert"), "{alert}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_told_from_one_that_ended() {
    let house = house();
    let (to, serving) = serve(&house, 100).await;
    let tls = spawn_blocking(move || connect(to, &house, &house).unwrap()).await.unwrap();
    tls.sock.shutdown(Shutdown::Both).unwrap();
    let error = serving.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_tls_are_refused() {
    let house = house();
    for nonsense in [&b"CONNECT / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff], &[0x17; 70_000]]
    {
        let (to, serving) = serve(&house, 100).await;
        let mut tcp = TcpStream::connect(to).unwrap();
        let _ = tcp.write_all(nonsense);
        let _ = tcp.shutdown(Shutdown::Write);
        assert!(serving.await.unwrap().is_err());
    }
}

/// A byte of what the client sends is another one, in the handshake or after it. Whatever it is, the hub
/// refuses it and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_anywhere_is_refused() {
    let house = std::sync::Arc::new(house());
    let mut refused = 0;
    for (round, flip) in (0..200usize).zip((1..=255u8).cycle()) {
        let (to, serving) = serve(&house, 50).await;
        let between = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = between.local_addr().unwrap();
        // The client's flights are some 1,500 and some 1,300 bytes.
        let place = round * 14;
        thread::spawn(move || {
            let (from, _) = between.accept().unwrap();
            spoil(from, TcpStream::connect(to).unwrap(), place, flip);
        });
        let house = std::sync::Arc::clone(&house);
        spawn_blocking(move || {
            let Ok(mut tls) = connect(near, &house, &house) else { return };
            tls.sock.set_read_timeout(Some(std::time::Duration::from_millis(250))).unwrap();
            let mut heard = [0; 300];
            let _ = tls.write_all(&heard).and_then(|()| tls.read_exact(&mut heard));
            tls.conn.send_close_notify();
            let _ = tls.flush();
        })
        .await
        .unwrap();
        refused += usize::from(serving.await.unwrap().is_err());
    }
    assert!(refused > 170, "{refused} of 200");
}

/// Passes on what it hears, with one byte changed on the way to the hub.
fn spoil(from: TcpStream, to: TcpStream, place: usize, flip: u8) {
    let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (from, to);
    let (mut seen, mut buffer) = (0, [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if (seen..seen + count).contains(&place) {
            buffer[place - seen] ^= flip;
        }
        seen += count;
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
