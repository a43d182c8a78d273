//! Asking a device to do something, or to change a property.

use hedgerow_base::{DeviceId, Fault};
use hedgerow_plane::Wish;
use hedgerow_policy::{Action, Permit};

use crate::{
    Control, Ctx, Failure,
    enrol::tell,
    gate::{Effects, action},
    limits::ACTION_BYTES_MAX,
};

action!(
    /// A person or a program asks a device to do something that its profile declares.
    Invoke = "device.invoke", role Operator, scope DEVICES
);
action!(
    /// A person or a program gives a property of a device another value.
    WriteProperty = "device.write", role Operator, scope DEVICES
);

impl Control {
    /// Asks a connected device to do something. What it answers is stored as `result/{action}`.
    ///
    /// # Errors
    /// Not allowed, absent, not declared, not possible with its standing, not connected now, or an input
    /// that the profile does not allow.
    pub async fn invoke(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        action: &str,
        input: &[u8],
    ) -> Result<(), Failure> {
        let permit = self.permit::<Invoke>(ctx).await?;
        self.wish(ctx, permit, id, (Wish::Action(action), input)).await
    }

    /// Tells a connected device to give a property another value, in JSON. What it has then, it says itself.
    ///
    /// # Errors
    /// Not allowed, absent, not declared, a property that the profile does not say how to write, not possible
    /// with its standing, not connected now, or a value that the profile does not allow.
    pub async fn write(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        property: &str,
        value: &[u8],
    ) -> Result<(), Failure> {
        let permit = self.permit::<WriteProperty>(ctx).await?;
        self.wish(ctx, permit, id, (Wish::Property(property), value)).await
    }

    async fn wish<A: Action>(
        &self,
        ctx: &Ctx,
        permit: Permit<A>,
        id: DeviceId,
        (wish, input): (Wish<'_>, &[u8]),
    ) -> Result<(), Failure> {
        let device = self.existing(permit.tenant(), id).await?;
        if input.len() > ACTION_BYTES_MAX {
            let reason = format!("what a device is told has up to {ACTION_BYTES_MAX} bytes");
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        self.voice.can_hear(device.key, wish, input, ctx.now)?;
        let (what, name, sentence) = match wish {
            Wish::Action(action) => ("action", action, format!("It was asked to do {action}.")),
            Wish::Property(name) => ("property", name, format!("It was told to change {name}.")),
        };
        let changes = vec![tell(device.key, ctx.now, "asked", &sentence)];
        let effects = Effects::on(format!("device:{id}"), changes).saying(what, name);
        self.commit(ctx, permit, effects).await?;
        self.voice.say(device.key, wish, input, ctx.now)
    }
}
