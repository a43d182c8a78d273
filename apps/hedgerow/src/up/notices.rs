//! What the data plane notices, carried to the control plane without making a message wait.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hedgerow_base::{DeviceKey, TenantId, Timestamp};
use hedgerow_control::{Control, Sighting};
use hedgerow_listen::server::now;
use hedgerow_plane::{FirstDenial, Identity, Notices};
use hedgerow_policy::CertificateId;
use hedgerow_registry::KeyStorage;
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};

/// Notices written in one commit.
const BATCH_MAX: usize = 512;
/// How long notices gather before they are written.
const GATHER: Duration = Duration::from_millis(50);
/// Devices remembered, each with its certificate, as having connected since the start; of others the store is asked.
const MET_MAX: usize = 100_000;
/// Notices that wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 4096;

enum Notice {
    Connected(DeviceKey, Option<CertificateId>, Timestamp),
    Disconnected(DeviceKey, &'static str, Timestamp),
    Denied(DeviceKey, &'static str, String, Timestamp),
    ProgramDenied((TenantId, i64), &'static str, String, Timestamp),
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
    /// Notices that were left out because too many waited.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn put(&self, notice: Notice) {
        if self.sender.try_send(notice).is_err()
            && self.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("more happens than can be written down; some of it is left out");
        }
    }
}

impl Notices for Queue {
    fn connected(
        &self,
        device: DeviceKey,
        _: &str,
        certificate: Option<CertificateId>,
        at: Timestamp,
    ) {
        self.put(Notice::Connected(device, certificate, at));
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
        let FirstDenial { device, identity, word, topic } = denial;
        match (device, identity) {
            (Some(device), _) => self.put(Notice::Denied(device, word, topic.into(), now())),
            (None, Identity::Token(tenant, token)) => {
                self.put(Notice::ProgramDenied((tenant, token), word, topic.into(), now()));
            }
            // There is no log that a stranger's refusal belongs into.
            (None, Identity::Device(..) | Identity::Person(..) | Identity::LoopbackTester) => {}
        }
    }
}

impl Waiting {
    /// Writes notices down until the data plane is gone: those of a moment together, in one commit.
    pub(super) async fn carry(mut self, control: Arc<Control>) {
        let mut met = BTreeSet::new();
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.0.recv_many(&mut batch, BATCH_MAX).await > 0 {
            sleep(GATHER).await;
            while batch.len() < BATCH_MAX
                && let Ok(more) = self.0.try_recv()
            {
                batch.push(more);
            }
            let mut sightings = Vec::with_capacity(batch.len());
            let mut written = Ok(());
            for notice in batch.drain(..) {
                written = written.and(match notice {
                    Notice::Connected(device, certificate, at) => {
                        let this = (device, certificate);
                        let may_be_first = met.len() < MET_MAX && met.insert(this);
                        let may_be_first = may_be_first || !met.contains(&this);
                        let how = "It connected over MQTT.".into();
                        let certificate = certificate.filter(|_| may_be_first);
                        let is_connected = true;
                        sightings.push(Sighting {
                            device,
                            certificate,
                            at,
                            is_connected,
                            may_be_first,
                            how,
                        });
                        Ok(())
                    }
                    Notice::Disconnected(device, why, at) => {
                        let how = format!("Its connection ended: {why}.");
                        let (is_connected, may_be_first) = (false, false);
                        sightings.push(Sighting {
                            device,
                            certificate: None,
                            at,
                            is_connected,
                            may_be_first,
                            how,
                        });
                        Ok(())
                    }
                    Notice::Denied(device, word, topic, at) => {
                        control.denied(device, at, word, &topic).await
                    }
                    Notice::ProgramDenied(program, word, topic, at) => {
                        control.program_denied(program, at, word, &topic).await
                    }
                    Notice::KeyStorage(device, storage, at) => {
                        control.note_key_storage(device, at, storage).await
                    }
                });
            }
            if let Err(failure) = written.and(control.seen(&sightings).await) {
                tracing::warn!(%failure, "what a device did could not be written down");
            }
        }
    }
}
