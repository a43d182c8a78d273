//! Both halves over loopback: who gets in, who is told what.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::Arc,
};

use hedgerow_base::{DeviceId, TenantId};
use hedgerow_listen::{
    Anchors, HandshakeKey, Identity, certificate_key,
    client::{self, ConnectError, Trust},
    limits::{HANDSHAKE_TIME_MAX, HANDSHAKES_MAX},
    server::{self, ClientCertificates, Door, Handshakes, Slot},
};
use hedgerow_onboarding::{ClaimCode, name};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SigningKey,
};
use tokio::{
    io::{AsyncWriteExt, copy, split},
    task::spawn_blocking,
    time::timeout,
};

mod lapsed;
mod lean;
mod rotation;

struct House {
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn house() -> House {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&key).unwrap().der().to_vec();
    House { root, issuer: Issuer::new(params, key) }
}

fn identity(house: &House, params: CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &house.issuer).unwrap().der().to_vec();
    let spki = key.subject_public_key_info();
    let key = HandshakeKey::new(spki, move |m| key.sign(m).map_err(|e| e.to_string()));
    Identity { chain: vec![leaf, house.root.clone()], key }
}

fn server_identity(house: &House) -> Identity {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    identity(house, params)
}

fn device_identity(house: &House, id: DeviceId) -> Identity {
    let mut params = CertificateParams::default();
    let uri = name::device_uri(id);
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    identity(house, params)
}

fn anchors(house: &House) -> Arc<Anchors> {
    Anchors::new(std::slice::from_ref(&house.root), &[]).unwrap()
}

/// Takes one connection and tells the client who it is taken for.
async fn serve(house: &House, clients: ClientCertificates) -> SocketAddr {
    let slot = Slot::new(&server_identity(house));
    let handshakes = Handshakes::new(server::config(slot, clients, &[]).unwrap());
    let door = Door::open("127.0.0.1:0".parse().unwrap(), 8).await.unwrap();
    let address = door.address().unwrap();
    tokio::spawn(async move {
        let arrival = door.next().await;
        let Ok(mut tls) = handshakes.shake(arrival.stream).await else { return };
        let connection = tls.get_ref().1;
        let device = server::peer(connection, TenantId::FIRST, server::now());
        let device = device.and_then(|peer| peer.device().map(|d| d.device.to_string()));
        let lapsed = server::lapsed(connection, TenantId::FIRST, server::now());
        let lapsed = lapsed.map(|lapsed| format!("lapsed:{}", lapsed.device()));
        let device = device.or(lapsed);
        let binding = server::channel_binding(connection).unwrap();
        let text = format!("{} {binding}", device.unwrap_or_else(|| "nobody".into()));
        let _ = tls.write_all(text.as_bytes()).await;
        let _ = tls.shutdown().await;
    });
    address
}

async fn visit(
    to: SocketAddr,
    trust: Trust,
    who: Option<Identity>,
) -> Result<String, ConnectError> {
    spawn_blocking(move || {
        let config = client::config(trust, who.as_ref())?;
        let mut stream = client::connect("localhost", to.port(), &config)?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map_err(|e| ConnectError::Network("read".into(), e))?;
        let binding = client::channel_binding(&stream.conn)?;
        assert!(text.ends_with(&binding), "both ends see the same channel");
        Ok(text)
    })
    .await
    .unwrap()
}

fn fingerprint(house: &House) -> Trust {
    Trust::Fingerprint(ClaimCode::hub_fingerprint(certificate_key(&house.root).unwrap()))
}

#[tokio::test]
async fn a_device_is_taken_for_the_one_in_its_certificate() {
    let house = house();
    let anchors = anchors(&house);
    let to = serve(&house, ClientCertificates::Required(anchors)).await;
    let id = DeviceId::from_bytes([7; 16]);
    let device = device_identity(&house, id);
    let heard = visit(to, Trust::Root(house.root.clone()), Some(device)).await.unwrap();
    assert!(heard.starts_with(&id.to_string()));
}

#[tokio::test]
async fn a_hub_is_known_by_the_fingerprint_in_a_claim_code() {
    let house = house();
    let to = serve(&house, ClientCertificates::Never).await;
    let heard = visit(to, fingerprint(&house), None).await.unwrap();
    assert!(heard.starts_with("nobody"));
}

#[tokio::test]
async fn a_hub_that_is_not_the_one_in_the_claim_code_is_refused_by_the_device() {
    let (mine, impostor) = (house(), house());
    for trust in [fingerprint(&mine), Trust::Root(mine.root.clone())] {
        let to = serve(&impostor, ClientCertificates::Never).await;
        let refused = visit(to, trust, None).await.unwrap_err();
        assert!(refused.to_string().contains("is not the hub that this device knows"), "{refused}");
    }
}

#[tokio::test]
async fn foreign_certificates_and_none_end_in_tls_where_one_is_required() {
    let (mine, foreign) = (house(), house());
    let id = DeviceId::from_bytes([7; 16]);
    for who in [None, Some(device_identity(&foreign, id))] {
        let anchors = anchors(&mine);
        let to = serve(&mine, ClientCertificates::Required(anchors)).await;
        assert!(visit(to, Trust::Root(mine.root.clone()), who).await.is_err());
    }
}

#[tokio::test]
async fn a_key_that_can_not_sign_is_told_apart_from_a_hub_that_refuses() {
    let house = house();
    let to = serve(&house, ClientCertificates::Required(anchors(&house))).await;
    let device = device_identity(&house, DeviceId::from_bytes([7; 16]));
    let spki = certificate_key(&device.chain[0]).unwrap().to_vec();
    let key = HandshakeKey::new(spki, |_| Err("the TPM is gone".into()));
    let refused = visit(to, Trust::Root(house.root), Some(Identity { key, ..device })).await;
    let Err(ConnectError::Key(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "the TPM is gone");
}

#[tokio::test]
async fn where_a_certificate_is_welcome_one_may_come_without() {
    let house = house();
    let anchors = anchors(&house);
    let to = serve(&house, ClientCertificates::Welcome(anchors)).await;
    let heard = visit(to, Trust::Root(house.root.clone()), None).await.unwrap();
    assert!(heard.starts_with("nobody"));
}

#[tokio::test]
async fn one_connection_too_many_waits_until_a_place_is_free() {
    let door = Arc::new(Door::open("127.0.0.1:0".parse().unwrap(), 1).await.unwrap());
    let to = door.address().unwrap();
    let _one = tokio::net::TcpStream::connect(to).await.unwrap();
    let _two = tokio::net::TcpStream::connect(to).await.unwrap();
    let occupancy = door.occupancy();
    assert_eq!(occupancy.taken(), 0);
    let first = door.next().await;
    assert_eq!(occupancy.taken(), 1);
    let waiting = tokio::spawn({
        let door = Arc::clone(&door);
        async move { door.next().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(first);
    let second = waiting.await.unwrap();
    assert_eq!(occupancy.taken(), 1);
    drop(second);
    assert_eq!(occupancy.taken(), 0);
}

/// Connects, and says one thing that is echoed; the connection, and the leaf that the server showed.
fn heard(to: SocketAddr, root: Vec<u8>) -> (client::Stream, Vec<u8>) {
    let config = client::config(Trust::Root(root), None).unwrap();
    let mut stream = client::connect("localhost", to.port(), &config).unwrap();
    echo(&mut stream);
    let leaf = stream.conn.peer_certificates().unwrap()[0].to_vec();
    (stream, leaf)
}

fn echo(stream: &mut client::Stream) {
    stream.write_all(b"x").unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"x");
}

#[tokio::test]
async fn a_new_server_certificate_is_shown_and_open_connections_go_on() {
    let house = house();
    let slot = Slot::new(&server_identity(&house));
    let tls = server::config(Arc::clone(&slot), ClientCertificates::Never, &[]).unwrap();
    let handshakes = Handshakes::new(tls);
    let door = Door::open("127.0.0.1:0".parse().unwrap(), 8).await.unwrap();
    let to = door.address().unwrap();
    tokio::spawn(async move {
        loop {
            let arrival = door.next().await;
            let handshakes = handshakes.clone();
            tokio::spawn(async move {
                let Ok(tls) = handshakes.shake(arrival.stream).await else { return };
                let (mut from, mut back) = split(tls);
                let _ = copy(&mut from, &mut back).await;
            });
        }
    });
    let (first, root) = (slot.certificate(), house.root.clone());
    let (mut open, shown) = spawn_blocking(move || heard(to, root)).await.unwrap();
    assert_eq!(shown, first);
    slot.replace(&server_identity(&house));
    assert_ne!(slot.certificate(), first);
    let root = house.root.clone();
    let shown = spawn_blocking(move || {
        echo(&mut open);
        heard(to, root).1
    });
    assert_eq!(shown.await.unwrap(), slot.certificate());
}

#[tokio::test]
async fn connections_that_say_nothing_take_no_place_from_a_handshake() {
    let house = house();
    let slot = Slot::new(&server_identity(&house));
    let config = server::config(slot, ClientCertificates::Never, &[]).unwrap();
    let handshakes = Handshakes::new(config);
    let address = "127.0.0.1:0".parse().unwrap();
    let door = Door::open(address, HANDSHAKES_MAX + 2).await.unwrap();
    let to = door.address().unwrap();
    tokio::spawn(async move {
        loop {
            let (arrival, handshakes) = (door.next().await, handshakes.clone());
            tokio::spawn(async move {
                let _place = arrival.place;
                let Ok(mut tls) = handshakes.shake(arrival.stream).await else { return };
                let binding = server::channel_binding(tls.get_ref().1).unwrap();
                let _ = tls.write_all(binding.as_bytes()).await;
                let _ = tls.shutdown().await;
            });
        }
    });
    let mut silent = Vec::new();
    for _ in 0..=HANDSHAKES_MAX {
        silent.push(tokio::net::TcpStream::connect(to).await.unwrap());
    }
    let visiting = visit(to, Trust::Root(house.root.clone()), None);
    timeout(HANDSHAKE_TIME_MAX / 2, visiting).await.unwrap().unwrap();
    drop(silent);
}
