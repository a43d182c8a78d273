//! The hub's voice: what it asks of connected devices, and how it ends sessions.

use std::sync::OnceLock;

use hedgerow_base::{DeviceKey, Fault, Timestamp};
use hedgerow_control::{
    Failure,
    ports::{self, Pending},
};
use hedgerow_plane::{Broker, Plane, Refusal, SessionName, Wish};
use hedgerow_wire::{Census, Wire};

/// Speaks through the wire once it is there; the control plane is made before it.
#[derive(Default)]
pub(super) struct Voice(OnceLock<Ready>);

struct Ready {
    plane: Plane,
    wire: hedgerow_wire::Voice<Plane>,
    census: Census<Plane>,
}

impl Voice {
    /// From here on there is somebody to speak through.
    pub(super) fn through(&self, plane: Plane, wire: &Wire<Plane>) {
        let _ = self.0.set(Ready { plane, wire: wire.voice(), census: wire.census() });
    }

    /// What speaks to clients, once it is there.
    pub(super) fn wire(&self) -> Option<&hedgerow_wire::Voice<Plane>> {
        self.0.get().map(|ready| &ready.wire)
    }

    fn ready(&self) -> Result<&Ready, Failure> {
        let starting = || Failure::new(Fault::Unavailable, "the hub is still starting");
        self.0.get().ok_or_else(starting)
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::new(refusal.fault, refusal.reason)
}

impl ports::Voice for Voice {
    fn can_hear(
        &self,
        device: DeviceKey,
        wish: Wish<'_>,
        input: &[u8],
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.ready()?.plane.ask(device, wish, input, now).map(drop).map_err(refused)
    }

    fn say(
        &self,
        device: DeviceKey,
        wish: Wish<'_>,
        input: &[u8],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let ready = self.ready()?;
        let asked = ready.plane.ask(device, wish, input, now).map_err(refused)?;
        ready.wire.say(&asked.topic, &asked.payload);
        Ok(())
    }

    fn has_session(&self, name: SessionName) -> Pending<'_, bool> {
        Box::pin(async { Ok(self.ready()?.census.session(name).await.is_some()) })
    }

    fn end_session(&self, name: SessionName) -> Pending<'_, ()> {
        Box::pin(async {
            self.ready()?.census.end(name).await;
            Ok(())
        })
    }
}
