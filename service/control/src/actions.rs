//! Asking a device to do something.

use hedgerow_base::{DeviceId, Fault};

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
        let device = self.existing(permit.tenant(), id).await?;
        if input.len() > ACTION_BYTES_MAX {
            let reason = format!("the input of an action has up to {ACTION_BYTES_MAX} bytes");
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        self.voice.can_hear(device.key, action, input, ctx.now)?;
        let sentence = format!("It was asked to do {action}.");
        let changes = vec![tell(device.key, ctx.now, "asked", &sentence)];
        let effects = Effects::on(format!("device:{id}"), changes).saying("action", action);
        self.commit(ctx, permit, effects).await?;
        self.voice.say(device.key, action, input, ctx.now)
    }
}
