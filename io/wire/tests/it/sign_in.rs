//! Clients that the connection does not prove, and what they must show in CONNECT.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use hedgerow_base::TenantId;
use hedgerow_listen::{Caller, Proved, Shown, SignIn, limits::FAILED_SIGN_INS_FREE, server::now};
use hedgerow_mqtt::{Connect, Packet, QoS, Version};
use hedgerow_policy::{Application, Scopes};
use hedgerow_wire::{Settings, Verdict};

use crate::peer::{Hub, TestPeer, connect};

/// A door that proves nobody; programs sign in. The secret `right` has the first letter of its hash here.
struct Welcome(Arc<SignIn>);

impl hedgerow_wire::Door for Welcome {
    type Stream = tokio::net::TcpStream;

    async fn open(
        &self,
        tcp: tokio::net::TcpStream,
        from: std::net::IpAddr,
    ) -> Result<(Self::Stream, Caller), &'static str> {
        Ok((tcp, Caller::Unproven(self.0.caller(from))))
    }
}

/// SHA-256 over `right` (`printf right | sha256sum`).
const RIGHT: [u8; 4] = [0x27, 0x04, 0x2f, 0x4e];

fn hub() -> (Hub, SocketAddr) {
    let (hub, address, _) = hub_and_desk();
    (hub, address)
}

fn hub_and_desk() -> (Hub, SocketAddr, Arc<SignIn>) {
    let hub = Hub::new(Settings::default());
    let program = Application { tenant: TenantId::FIRST, token: 1, scopes: Scopes::READ };
    let sign_in = SignIn::new(move |shown, _| {
        let Shown::Secret { hash, .. } = shown else { return None };
        hash.starts_with(&RIGHT).then_some(Proved::Application(program))
    });
    let door = Welcome(Arc::clone(&sign_in));
    let address = hub.wire.listen(([127, 0, 0, 1], 0).into(), door).unwrap();
    (hub, address, sign_in)
}

fn raw(address: SocketAddr, version: Version) -> TestPeer {
    let mut peer = TestPeer::to(address);
    peer.version = version;
    peer
}

fn with(version: Version, password: Option<&[u8]>) -> Connect<'_> {
    let username = password.is_some().then_some("token");
    Connect { username, password, ..connect(version, "c") }
}

/// All that the hub says to this CONNECT until it closes.
fn refused(address: SocketAddr, connect: &Connect<'_>) -> Vec<u8> {
    let mut peer = raw(address, connect.version);
    peer.send(&Packet::Connect(*connect));
    peer.until_end()
}

#[test]
fn a_program_with_the_right_secret_is_let_in() {
    let (hub, address) = hub();
    for version in [Version::V311, Version::V5] {
        let mut peer = raw(address, version);
        peer.send(&Packet::Connect(with(version, Some(b"right"))));
        let reason = peer.expect(|packet| match packet {
            Packet::ConnAck(answer) => answer.reason.0,
            other => panic!("{other:?}"),
        });
        assert_eq!(reason, 0);
        peer.publish("t", b"x", 1);
        assert_eq!(peer.puback(), (1, 0));
    }
    assert!(hub.gate.log().contains(&"+c".to_owned()));
}

#[test]
fn without_a_secret_or_with_a_wrong_one_nobody_comes_in() {
    let (hub, address) = hub();
    let end = |version, password| refused(address, &with(version, password))[..4].to_vec();
    assert_eq!(end(Version::V311, None), [0x20, 2, 0, 5]);
    assert_eq!(end(Version::V311, Some(b"wrong")), [0x20, 2, 0, 4]);
    assert_eq!(end(Version::V5, None)[2..], [0, 0x87]);
    assert_eq!(end(Version::V5, Some(b""))[2..], [0, 0x86]);
    let told = refused(address, &with(Version::V5, Some(b"Right")));
    assert!(String::from_utf8_lossy(&told).contains("no token of this hub"));
    hub.wait_for_end("no-sign-in", 2);
    hub.wait_for_end("wrong-token", 3);
    assert!(hub.gate.log().is_empty(), "the gate was never asked");
}

#[test]
fn nothing_is_taken_before_the_sign_in() {
    let (hub, address) = hub();
    let mut peer = raw(address, Version::V311);
    peer.send(&Packet::PingReq);
    assert_eq!(peer.until_end(), b"", "not even an answer to a ping");
    let mut peer = raw(address, Version::V311);
    let mut bytes = Vec::new();
    Packet::Connect(with(Version::V311, Some(b"wrong"))).encode(Version::V311, &mut bytes).unwrap();
    // A QoS 0 message to `t` right behind it.
    bytes.extend_from_slice(b"\x30\x04\0\x01tx");
    std::io::Write::write_all(&mut peer.stream, &bytes).unwrap();
    assert_eq!(peer.until_end(), [0x20, 2, 0, 4]);
    hub.wait_for_end("wrong-token", 1);
    assert_eq!(hub.wire.counters().messages_in, 0);
}

#[test]
fn what_a_program_left_behind_ends_with_its_token_and_nobody_elses_does() {
    let (hub, address) = hub();
    let lasting = Connect { clean_start: false, ..with(Version::V311, Some(b"right")) };
    let come = || {
        let mut peer = raw(address, Version::V311);
        peer.send(&Packet::Connect(lasting));
        let present = peer.expect(|packet| match packet {
            Packet::ConnAck(answer) => answer.session_present,
            other => panic!("{other:?}"),
        });
        (peer, present)
    };
    drop(come());
    hub.wait_for_end("peer-closed", 1);
    hub.gate.judge_again(Verdict::Unchanged);
    let (again, present) = come();
    assert!(present, "a change of something else leaves it alone");
    drop((again, hub.connect(&crate::peer::lasting("tester"))));
    hub.wait_for_end("peer-closed", 3);
    hub.gate.forget_programs();
    hub.wait_for_end("session-expired", 1);
    assert!(!come().1);
    assert!(hub.connect_to_session(&crate::peer::lasting("tester")).1);
}

#[test]
fn wrong_secrets_are_answered_later_and_later_while_the_right_one_is_not() {
    let (hub, address, sign_in) = hub_and_desk();
    let fail = |times| {
        let here = sign_in.caller([127, 0, 0, 1].into());
        (0..times).for_each(|_| assert!(here.sign_in("token", b"wrong", now()).is_err()));
    };
    let wrong = with(Version::V311, Some(b"wrong"));
    fail(FAILED_SIGN_INS_FREE);
    for least in [250, 500] {
        let begun = Instant::now();
        assert_eq!(refused(address, &wrong), [0x20, 2, 0, 4]);
        // The hub counts whole milliseconds.
        assert!(begun.elapsed().as_millis() + 2 >= least, "{least}: {:?}", begun.elapsed());
    }
    fail(20);
    let mut waiting = raw(address, Version::V311);
    waiting.send(&Packet::Connect(wrong));
    let mut right = raw(address, Version::V5);
    right.send(&Packet::Connect(with(Version::V5, Some(b"right"))));
    right.expect(|packet| assert!(matches!(packet, Packet::ConnAck(_))));
    right.subscribe("t", QoS::AtMostOnce);
    waiting.stream.set_nonblocking(true).unwrap();
    let unanswered = std::io::Read::read(&mut waiting.stream, &mut [0]).unwrap_err();
    assert_eq!(unanswered.kind(), std::io::ErrorKind::WouldBlock, "it still waits");
    hub.wait_for_end("wrong-token", 2);
}
