use std::sync::Arc;

use hedgerow_listen::server::now;
use hedgerow_mqtt::{Kept, Publish, QoS};

use crate::{
    gate::Gate,
    mail::{Forward, Letter},
    shard::Common,
};

/// Speaks to clients from outside of any connection.
pub struct Voice<G: Gate>(pub(crate) Arc<Common<G>>);

impl<G: Gate> Voice<G> {
    /// Hands a message to the subscribers of `topic` at QoS 0, and retains it while the hub runs.
    pub fn tell(&self, topic: &str, payload: &[u8]) {
        let message = Publish { retain: true, ..Publish::at_most_once(topic, payload) };
        let now = now();
        // Without room for it only those hear it who are there.
        let _ = self.0.retained.keep(&message, now);
        self.post(&Kept::new(&message, now), QoS::AtMostOnce, true);
    }

    /// Hands a message to the subscribers of `topic`, at QoS 1 to those who asked for it.
    pub fn say(&self, topic: &str, payload: &[u8]) {
        let message = Kept::new(&Publish::at_most_once(topic, payload), now());
        self.post(&message, QoS::AtLeastOnce, false);
    }

    fn post(&self, message: &Kept, qos: QoS, retain: bool) {
        for mailbox in &self.0.mailboxes {
            let message = message.clone();
            let forward = Forward { message, qos, retain, only: None, receipt: None };
            mailbox.post(Letter::Publish(vec![forward]));
        }
    }
}
