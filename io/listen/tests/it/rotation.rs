//! Authorities come and go while a port is open.

use std::sync::Arc;

use hedgerow_listen::{
    Anchors, Identity,
    client::{self, Trust},
    server::{self, ClientCertificates, Door, Handshakes, Slot},
};
use tokio::{
    io::{copy, split},
    task::{JoinHandle, spawn_blocking},
};

use super::*;

/// A port that echoes, as long as its client's certificate gets through.
async fn echoing(house: &House, anchors: &Arc<Anchors>) -> (SocketAddr, JoinHandle<()>) {
    let clients = ClientCertificates::Required(Arc::clone(anchors));
    let slot = Slot::new(&server_identity(house));
    let handshakes = Handshakes::new(server::config(slot, clients, &[]).unwrap());
    let door = Door::open("127.0.0.1:0".parse().unwrap(), 16).await.unwrap();
    let address = door.address().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (arrival, handshakes) = (door.next().await, handshakes.clone());
            tokio::spawn(async move {
                let Ok(tls) = handshakes.shake(arrival.stream).await else { return };
                let (mut from, mut back) = split(tls);
                let _ = copy(&mut from, &mut back).await;
            });
        }
    });
    (address, serving)
}

/// Connects and says one thing: the open connection, or what the port said instead.
async fn heard(to: SocketAddr, root: &[u8], who: &Identity) -> Result<client::Stream, String> {
    let (trust, who) = (Trust::Root(root.to_vec()), who.clone());
    spawn_blocking(move || {
        let config = client::config(trust, Some(&who)).unwrap();
        let mut stream = client::connect("localhost", to.port(), &config).unwrap();
        said(&mut stream).map(|()| stream)
    })
    .await
    .unwrap()
}

fn said(stream: &mut client::Stream) -> Result<(), String> {
    let mut answer = [0];
    let done = stream.write_all(b"x").and_then(|()| stream.flush());
    done.and_then(|()| stream.read_exact(&mut answer)).map_err(|error| error.to_string())
}

#[tokio::test]
async fn devices_of_two_authorities_connect_until_one_is_not_trusted_any_more() {
    let (first, second) = (house(), house());
    let anchors = anchors(&first);
    let (to, serving) = echoing(&first, &anchors).await;
    let device = |house, n| device_identity(house, DeviceId::from_bytes([n; 16]));
    let (old, new) = (device(&first, 1), device(&second, 2));
    let mut open = heard(to, &first.root, &old).await.unwrap();
    let refused = heard(to, &first.root, &new).await.unwrap_err();
    assert!(!refused.contains("CertificateRevoked"), "it never was one of ours: {refused}");

    anchors.replace(&[second.root.clone(), first.root.clone()], &[]).unwrap();
    heard(to, &first.root, &old).await.unwrap();
    heard(to, &first.root, &new).await.unwrap();

    let (second_root, first_root) = (second.root.clone(), first.root.clone());
    anchors.replace(&[second_root], &[first_root]).unwrap();
    let refused = heard(to, &first.root, &old).await.unwrap_err();
    assert!(refused.contains("CertificateRevoked"), "{refused}");
    heard(to, &first.root, &new).await.unwrap();
    let stranger = device(&house(), 3);
    let refused = heard(to, &first.root, &stranger).await.unwrap_err();
    assert!(!refused.contains("CertificateRevoked"), "it never was one of ours: {refused}");
    spawn_blocking(move || said(&mut open).unwrap()).await.unwrap();
    serving.abort();
}

/// An issuing CA that a root signed, and a device of it that sends its certificate along.
fn below(root: &House) -> (Vec<u8>, Identity) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, "issuing");
    let issuing = params.signed_by(&key, &root.issuer).unwrap().der().to_vec();
    let house = House { root: issuing.clone(), issuer: Issuer::new(params, key) };
    (issuing, device_identity(&house, DeviceId::from_bytes([4; 16])))
}

#[tokio::test]
async fn a_ca_that_is_not_trusted_does_not_come_back_by_sending_it_along() {
    let root = house();
    let ((issuing, device), (later, other)) = (below(&root), below(&root));
    let anchors = Anchors::new(std::slice::from_ref(&issuing), &[]).unwrap();
    let (to, serving) = echoing(&root, &anchors).await;
    heard(to, &root.root, &device).await.unwrap();
    anchors.replace(&[later], &[issuing]).unwrap();
    let refused = heard(to, &root.root, &device).await.unwrap_err();
    assert!(refused.contains("CertificateRevoked"), "{refused}");
    heard(to, &root.root, &other).await.unwrap();
    serving.abort();
}

#[tokio::test]
async fn anchors_that_can_not_be_read_change_nothing() {
    let house = house();
    let anchors = anchors(&house);
    assert!(anchors.replace(&[], &[]).is_err(), "none would be trusted");
    assert!(anchors.replace(&[vec![0; 8]], &[]).is_err());
    assert!(anchors.replace(std::slice::from_ref(&house.root), &[vec![0; 8]]).is_err());
    let (to, serving) = echoing(&house, &anchors).await;
    let device = device_identity(&house, DeviceId::from_bytes([1; 16]));
    heard(to, &house.root, &device).await.unwrap();
    serving.abort();
}
