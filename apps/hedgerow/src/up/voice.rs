//! The hub's voice: what it asks of connected devices.

use std::sync::OnceLock;

use hedgerow_base::{DeviceKey, Fault, Timestamp};
use hedgerow_control::{Failure, ports};
use hedgerow_plane::{Plane, Refusal};

/// Speaks through the wire once it is there; the control plane is made before it.
#[derive(Default)]
pub(super) struct Voice(OnceLock<(Plane, hedgerow_wire::Voice<Plane>)>);

impl Voice {
    /// From here on there is somebody to speak through.
    pub(super) fn through(&self, plane: Plane, wire: hedgerow_wire::Voice<Plane>) {
        let _ = self.0.set((plane, wire));
    }

    /// What speaks to clients, once it is there.
    pub(super) fn wire(&self) -> Option<&hedgerow_wire::Voice<Plane>> {
        self.0.get().map(|(_, wire)| wire)
    }

    fn ready(&self) -> Result<&(Plane, hedgerow_wire::Voice<Plane>), Failure> {
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
        action: &str,
        input: &[u8],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (plane, _) = self.ready()?;
        plane.ask(device, action, input, now).map(drop).map_err(refused)
    }

    fn say(
        &self,
        device: DeviceKey,
        action: &str,
        input: &[u8],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (plane, wire) = self.ready()?;
        let asked = plane.ask(device, action, input, now).map_err(refused)?;
        wire.say(&asked.topic, &asked.payload);
        Ok(())
    }
}
