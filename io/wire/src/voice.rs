use std::sync::Arc;

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{Kept, Publish, QoS};

use crate::{
    gate::Gate,
    mail::{Forward, Letter},
    shard::Common,
};

/// Speaks to clients from outside of any connection.
pub struct Voice<G: Gate>(pub(crate) Arc<Common<G>>);

impl<G: Gate> Voice<G> {
    /// Hands a message to the subscribers of `topic`, at QoS 1 to those who asked for it.
    pub fn say(&self, topic: &str, payload: &[u8]) {
        // It has no expiry, so when it was kept does not matter.
        let kept_at = Timestamp::from_ms(0);
        let message = Kept::new(&Publish::at_most_once(topic, payload), kept_at);
        for mailbox in &self.0.mailboxes {
            let (message, qos) = (message.clone(), QoS::AtLeastOnce);
            let forward = Forward { message, qos, retain: false, only: None, receipt: None };
            mailbox.post(Letter::Publish(vec![forward]));
        }
    }
}
