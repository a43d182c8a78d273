//! How busy the broker is: what its counters gain.

use std::{sync::Arc, time::Duration};

use hedgerow_listen::server::now;
use hedgerow_plane::{Flow, Flows, Plane, Totals};
use hedgerow_store::ReadingsStore;
use hedgerow_wire::{Counters, Meter};
use tokio::time::interval;

/// How often it is looked how much went through.
const FLOW_EVERY: Duration = Duration::from_secs(5);
/// So many of these make a minute.
const MINUTE: u64 = 12;

/// Notes every few seconds how much went through, and once a minute how busy the hub was, until it stops.
pub(super) async fn feel_the_pulse(
    plane: Plane,
    readings: ReadingsStore,
    meter: Meter,
    flows: Arc<Flows>,
) {
    let mut clock = interval(FLOW_EVERY);
    for turn in 0u64.. {
        clock.tick().await;
        let flow = flow(&meter.read());
        flows.beat(now(), flow);
        if turn % MINUTE == 0 {
            let connected = u64::try_from(plane.directory().connected()).unwrap_or(u64::MAX);
            let refusals = plane.denials().map(|(_, count)| count).sum();
            let readings = readings.stored();
            plane.pulse().beat(now(), Totals { connected, readings, refusals, flow });
        }
    }
}

fn flow(counters: &Counters) -> Flow {
    Flow {
        messages_in: counters.messages_in,
        messages_out: counters.messages_out,
        bytes_in: counters.bytes_in,
        bytes_out: counters.bytes_out,
        refused: counters.messages_refused,
        dropped: counters.dropped(),
    }
}
