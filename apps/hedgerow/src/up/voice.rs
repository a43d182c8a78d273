//! The hub's voice: what it asks of connected devices, and how it ends sessions.

use std::sync::OnceLock;

use hedgerow_base::{DeviceKey, Fault};
use hedgerow_control::{
    Failure,
    ports::{self, Pending},
};
use hedgerow_plane::{Broker, Plane, Refusal, SessionName};
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

    fn ready(&self) -> Result<&Ready, Failure> {
        let starting = || Failure::new(Fault::Unavailable, "the hub is still starting");
        self.0.get().ok_or_else(starting)
    }
}

impl ports::Voice for Voice {
    fn can_hear(&self, device: DeviceKey, action: &str) -> Result<(), Failure> {
        let refused = |refusal: Refusal| Failure::new(refusal.fault, refusal.reason);
        self.ready()?.plane.may_ask(device, action).map_err(refused)
    }

    fn say(&self, device: DeviceKey, action: &str, input: &[u8]) -> Result<(), Failure> {
        self.ready()?.wire.say(&format!("things/{}/actions/{action}", device.id), input);
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
