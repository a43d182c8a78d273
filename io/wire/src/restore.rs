//! What outlived an earlier hub, put back before the first client comes.

use std::sync::atomic::Ordering;

use hedgerow_mqtt::{DeliveryOptions, Kept, PacketId, QoS, Session, SubscriptionOptions};

use crate::{
    directory::SessionKey,
    gate::{Gate, StoredSession, StoredSessions},
    mail::{LeftWill, Letter, Outlived},
    shard::Common,
};

/// Hands sessions to the shards, one after the other, and retained messages to all. What is damaged is left
/// out and counted.
pub(crate) fn all<G: Gate>(common: &Common<G>, stored: StoredSessions) {
    let mut shards = (0..common.mailboxes.len()).cycle();
    for session in stored.sessions {
        common.last_session.fetch_max(session.session, Ordering::Relaxed);
        let key = SessionKey::restored(&session.owner, &session.client_id);
        let (Some(key), Some(shard)) = (key, shards.next()) else {
            common.ledger.end("session-damaged");
            continue;
        };
        let shard = common.directory.claim(&key, shard);
        let (until, seconds) = (session.until, session.expiry_s);
        let will = session.will.as_ref().and_then(|bytes| {
            LeftWill::from_bytes(bytes).or_else(|| {
                common.ledger.end("will-damaged");
                None
            })
        });
        let session = session_of(common, &session);
        if let Some(mailbox) = common.mailboxes.get(shard) {
            let outlived = Outlived { key, session, until, seconds, will };
            mailbox.post(Letter::Restore(outlived.into()));
        }
    }
    for (_, bytes) in &stored.retained {
        if retain(common, bytes).is_none() {
            common.ledger.end("retained-damaged");
        }
    }
}

fn session_of<G: Gate>(common: &Common<G>, stored: &StoredSession) -> Session {
    let mut session = Session::new();
    session.keep_as(Some(stored.session));
    let damaged = || common.ledger.end("message-damaged");
    for (filter, options) in &stored.subscriptions {
        match SubscriptionOptions::from_bytes(options) {
            Some(options) => session.subscribe(filter, options),
            None => damaged(),
        }
    }
    for waiting in &stored.queue {
        let message = waiting.message.as_ref().map(|bytes| Kept::from_bytes(bytes));
        match (message, DeliveryOptions::from_bytes(&waiting.options)) {
            (None, Some(options)) => session.restore(waiting.order, None, options),
            (Some(Some(message)), Some(options)) => {
                session.restore(waiting.order, Some(message), options);
            }
            (Some(None), _) | (_, None) => damaged(),
        }
    }
    stored
        .taken
        .iter()
        .filter_map(|id| PacketId::new(*id))
        .for_each(|id| session.restore_taken(id));
    session
}

fn retain<G: Gate>(common: &Common<G>, bytes: &[u8]) -> Option<()> {
    let (qos, rest) = bytes.split_first()?;
    let qos = match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        2 => QoS::ExactlyOnce,
        _ => return None,
    };
    common.retained.put_back(Kept::from_bytes(rest)?, qos);
    Some(())
}
