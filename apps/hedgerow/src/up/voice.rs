//! The hub's voice: what it asks of connected devices.

use std::sync::OnceLock;

use hedgerow_base::{DeviceKey, Fault};
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

    fn ready(&self) -> Result<&(Plane, hedgerow_wire::Voice<Plane>), Failure> {
        let starting = || Failure::new(Fault::Unavailable, "the hub is still starting");
        self.0.get().ok_or_else(starting)
    }
}

impl ports::Voice for Voice {
    fn can_hear(&self, device: DeviceKey, action: &str) -> Result<(), Failure> {
        let (plane, _) = self.ready()?;
        let refused = |refusal: Refusal| Failure::new(refusal.fault, refusal.reason);
        plane.may_ask(device, action).map_err(refused)
    }

    fn say(&self, device: DeviceKey, action: &str, input: &[u8]) -> Result<(), Failure> {
        let (_, wire) = self.ready()?;
        wire.say(&format!("things/{}/actions/{action}", device.id), input);
        Ok(())
    }
}
