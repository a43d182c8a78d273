use std::sync::Arc;

use hedgerow_mqtt::{Kept, Publish, QoS};

use crate::{
    clock::wall_now,
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
        let kept_at = wall_now();
        // Without room for it only those hear it who are there.
        let _ = self.0.retained.keep(&message, kept_at);
        self.post(&Kept::new(&message, kept_at), QoS::AtMostOnce, true);
    }

    /// Hands a message to the subscribers of `topic`, at QoS 1 to those who asked for it.
    pub fn say(&self, topic: &str, payload: &[u8]) {
        // What waits too long in a queue goes, so it matters when it was said.
        let message = Kept::new(&Publish::at_most_once(topic, payload), wall_now());
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
