//! The hub's own certificates: made at the first start, the server's renewed while the hub runs.

use std::{sync::Arc, time::Duration};

use hedgerow_base::{TenantId, Timestamp};
use hedgerow_control::{Authority, Control, Ctx, Failure};
use hedgerow_identity::{Name, authority};
use hedgerow_listen::server::{Slot, now};
use hedgerow_policy::Actor;

use super::names::Names;

/// How often the server certificate is looked at: it is due a month before it ends.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// What is needed to certify the hub itself.
pub(super) struct Renewal {
    pub(super) control: Arc<Control>,
    pub(super) names: Names,
}

impl Renewal {
    /// The hub's certificates at `now`; those that are missing are made, and the server's when two thirds
    /// of its life are over or the hub got another name.
    pub(super) async fn authority(&self, now: Timestamp) -> Result<Authority, Failure> {
        let ctx = Ctx::new(Actor::Hub(TenantId::FIRST, "certify"), now);
        let Names { hosts, addresses } = &self.names;
        let dns = hosts.iter().cloned().map(Name::Dns);
        let wanted: Vec<Name> = dns.chain(addresses.iter().copied().map(Name::Ip)).collect();
        let is_stale = |der: &[u8]| match authority::read(der) {
            Some((life, has)) => authority::server_is_stale(life, &has, &wanted, now),
            None => true,
        };
        self.control.authority(&ctx, authority::HUB_NAME, (hosts, addresses), is_stale).await
    }

    /// Looks once, at `now`: a new certificate is shown to connections from here on, those that are open
    /// go on. Gives whether there is a new one.
    async fn look(&self, slot: &Slot, now: Timestamp) -> Result<bool, Failure> {
        let before = slot.certificate();
        self.authority(now).await?;
        Ok(slot.certificate() != before)
    }

    /// Looks now and then, for as long as the hub runs.
    pub(super) async fn keep(self: Arc<Self>, slot: Arc<Slot>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.look(&slot, now()).await {
                Ok(true) => tracing::info!("the hub renewed its server certificate"),
                Ok(false) => {}
                Err(problem) => {
                    tracing::warn!(%problem, "the server certificate could not be renewed yet");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_onboarding::renewal;

    use super::*;
    use crate::up::hub::tests::hub;

    #[tokio::test]
    async fn the_server_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
        let (_folder, hub) = hub().await;
        let renewal = &hub.renewal;
        let first = hub.trust.slot.certificate();
        let ((from, until), names) = authority::read(&first).unwrap();
        let due = renewal::due(from, until);

        assert!(!renewal.look(&hub.trust.slot, due.plus_ms(-1)).await.unwrap(), "not yet");
        assert_eq!(hub.trust.slot.certificate(), first);
        assert!(renewal.look(&hub.trust.slot, due).await.unwrap());
        let second = hub.trust.slot.certificate();
        let ((from, later), same) = authority::read(&second).unwrap();
        assert!(from <= due && later.since_ms(until) > 0, "it lives longer");
        assert_eq!(same, names);
        assert!(!renewal.look(&hub.trust.slot, due).await.unwrap(), "once is enough");
        let stored = renewal.authority(due).await.unwrap().server;
        assert_eq!(stored, second, "the next start shows the same");
    }
}
