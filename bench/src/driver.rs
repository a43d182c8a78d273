//! The hub's MQTT driver behind a gate that lets everybody do everything, in a process of its own.

use std::{error::Error, fs, path::Path, task::Waker, thread, time::Duration};

use hedgerow_base::{TenantId, Timestamp};
use hedgerow_listen::{
    Anchors, HandshakeKey, Identity,
    server::{ClientCertificates, Handshakes, Slot, config},
};
use hedgerow_policy::{Peer, Witness};
use hedgerow_wire::{
    Durability, Gate, Message, Outcome, Published, Refusal, Settings, Ticket, TlsDoor, Verdict,
    Wire,
};
use rcgen::{KeyPair, PublicKeyData, SigningKey};

#[derive(Clone)]
struct Open;

impl Gate for Open {
    type Admitted = ();

    fn admit(&self, _: Peer, _: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }
    fn revision(&self) -> u64 {
        0
    }
    fn rejudge(&self, (): &mut (), _: Timestamp) -> Verdict {
        Verdict::Unchanged
    }
    fn publish(&self, (): &(), _: Message<'_>, _: Timestamp) -> Published {
        Published { route: true, outcome: Outcome::Done }
    }
    fn subscribe(&self, (): &(), _: &str) -> Result<(), Refusal> {
        Ok(())
    }
    fn may_receive(&self, (): &(), _: &str) -> bool {
        true
    }
    fn connected(&self, (): &(), _: &str, _: Timestamp) {}
    fn disconnected(&self, (): &(), _: &str, _: &'static str, _: Timestamp) {}
    fn durability(&self, _: Ticket) -> Durability {
        Durability::Stored
    }
    fn wake_on_next(&self, _: &Waker) {}
}

/// The server's key and certificate that the harness has written to a directory.
fn tls_door(directory: &Path) -> Result<TlsDoor, Box<dyn Error>> {
    let read = |name: &str| fs::read(directory.join(name));
    let key = KeyPair::try_from(read("server.key.der")?)?;
    let spki = key.subject_public_key_info();
    let sign = move |message: &[u8]| key.sign(message).map_err(|error| error.to_string());
    let chain = vec![read("server.der")?];
    let slot = Slot::new(&Identity { chain, key: HandshakeKey::new(spki, sign) });
    let clients = ClientCertificates::Required(Anchors::new(&[read("root.der")?], &[])?);
    let handshakes = Handshakes::new(config(slot, clients, &[])?);
    Ok(TlsDoor::new(handshakes, TenantId::FIRST))
}

/// Serves at `address` until it is killed; with a directory over TLS.
pub(crate) fn serve(address: &str, directory: Option<&str>) -> Result<(), Box<dyn Error>> {
    let address = address.parse()?;
    let wire = Wire::start(Open, Settings::default())?;
    match directory {
        Some(directory) => wire.listen(address, tls_door(Path::new(directory))?)?,
        None => wire.listen_insecure(address, Witness::of_a_proof().loopback_tester())?,
    };
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
