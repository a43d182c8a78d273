//! What the data plane notices, carried to the control plane without making a message wait.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use hedgerow_base::{DeviceKey, Timestamp};
use hedgerow_control::Control;
use hedgerow_listen::server::now;
use hedgerow_plane::{FirstDenial, Notices};
use hedgerow_registry::KeyStorage;
use serde_json::Value;
use tokio::sync::mpsc;

/// Notices that wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 4096;

enum Notice {
    Connected(DeviceKey, Timestamp),
    Disconnected(DeviceKey, &'static str, Timestamp),
    Denied(DeviceKey, &'static str, String, Timestamp),
    KeyStorage(DeviceKey, KeyStorage, Timestamp),
}

/// The end that the data plane holds.
pub(super) struct Queue {
    sender: mpsc::Sender<Notice>,
    dropped: AtomicU64,
}

/// The end that is read.
pub(super) struct Waiting(mpsc::Receiver<Notice>);

pub(super) fn queue() -> (Arc<Queue>, Waiting) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Arc::new(Queue { sender, dropped: AtomicU64::new(0) }), Waiting(receiver))
}

impl Queue {
    fn put(&self, notice: Notice) {
        if self.sender.try_send(notice).is_err()
            && self.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("more happens than can be written down; some of it is left out");
        }
    }
}

impl Notices for Queue {
    fn connected(&self, device: DeviceKey, _: &str, at: Timestamp) {
        self.put(Notice::Connected(device, at));
    }

    fn disconnected(&self, device: DeviceKey, _: &str, why: &'static str, at: Timestamp) {
        self.put(Notice::Disconnected(device, why, at));
    }

    fn reported(&self, device: DeviceKey, document: &[u8], at: Timestamp) {
        let said: Option<Value> = serde_json::from_slice(document).ok();
        let word = said.as_ref().and_then(|said| said.get("keyStorage")?.as_str());
        if let Some(word) = word {
            self.put(Notice::KeyStorage(device, KeyStorage::parse(word), at));
        }
    }

    fn first_denial(&self, denial: FirstDenial<'_>) {
        if let Some(device) = denial.device {
            self.put(Notice::Denied(device, denial.word, denial.topic.into(), now()));
        }
    }
}

impl Waiting {
    /// Writes notices down until the data plane is gone.
    pub(super) async fn carry(mut self, control: Arc<Control>) {
        while let Some(notice) = self.0.recv().await {
            let written = match notice {
                Notice::Connected(device, at) => {
                    control.seen(device, at, true, "It connected over MQTT.").await
                }
                Notice::Disconnected(device, why, at) => {
                    control.seen(device, at, false, &format!("Its connection ended: {why}.")).await
                }
                Notice::KeyStorage(device, storage, at) => {
                    control.note_key_storage(device, at, storage).await
                }
                Notice::Denied(device, word, topic, at) => {
                    control.denied(device, at, word, &topic).await
                }
            };
            if let Err(failure) = written {
                tracing::warn!(%failure, "what a device did could not be written down");
            }
        }
    }
}
