//! The broker: who may look at its sessions, and ending one by hand.

use hedgerow_base::TenantId;
use hedgerow_plane::{Identity, SessionName};

use crate::{
    Control, Ctx, Failure,
    enrol::tell,
    gate::{Effects, action},
};

action!(
    /// A person or a program looks at connections, sessions and what goes through.
    ReadBroker = "broker.read", role Viewer, scope READ
);
action!(
    /// A person ends a session of MQTT.
    EndSession = "session.end", role Owner, scope ADMIN
);

impl Control {
    /// Whose sessions somebody may look at.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn look_at_broker(&self, ctx: &Ctx) -> Result<TenantId, Failure> {
        Ok(self.permit::<ReadBroker>(ctx).await?.tenant())
    }

    /// Ends a session: its connection, its subscriptions, and what waits in it. Its client may come back, and begins
    /// with an empty one.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn end_session(&self, ctx: &Ctx, name: SessionName) -> Result<(), Failure> {
        let permit = self.permit::<EndSession>(ctx).await?;
        let absent = || Failure::absent("session");
        if !name.is_of(permit.tenant()) || !self.voice.has_session(name.clone()).await? {
            return Err(absent());
        }
        let mut changes = Vec::new();
        if let Identity::Device(tenant, id) = name.identity
            && let Some(device) = self.store.device(tenant, id).await?
        {
            let sentence = "Somebody ended its session by hand. It may connect again.";
            changes.push(tell(device.key, ctx.now, "session-ended", sentence));
        }
        let effects = Effects::on(format!("session:{name}"), changes);
        self.commit(ctx, permit, effects).await?;
        // Gone by itself in the meantime is as good.
        self.voice.end_session(name).await?;
        Ok(())
    }
}
