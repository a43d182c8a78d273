//! The hub's MQTT driver behind a gate that lets everybody do everything, for measurements on loopback:
//! `mqtt-hub ADDRESS [SHARDS]`.

use std::{env, error::Error, task::Waker, thread, time::Duration};

use hedgerow_base::Timestamp;
use hedgerow_policy::{Peer, Witness};
use hedgerow_wire::{
    Durability, Gate, Message, Outcome, Published, Refusal, Settings, Ticket, Verdict, Wire,
};

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

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().ok_or("usage: mqtt-hub ADDRESS [SHARDS]")?.parse()?;
    let shards = arguments.next().map_or(Ok(1), |shards| shards.parse())?;
    let wire = Wire::start(Open, Settings { shards, ..Settings::default() })?;
    let address = wire.listen_insecure(address, Witness::of_a_proof().loopback_tester())?;
    println!("listening at {address}");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
