//! What the data plane needs from outside.

use std::sync::Arc;

use hedgerow_base::Timestamp;
use hedgerow_model::Value;
use hedgerow_policy::CertificateId;
use hedgerow_telemetry::{Batch, DeviceKey, SeriesId, SeriesSpec};

use crate::{Commits, Refusal, Ticket};

/// Where readings become durable. Everything here returns at once; nothing waits for a disk.
pub trait Readings: Send + Sync {
    /// The numbers of a device's series, in the order of `specs`; new series are made, known ones take
    /// over the retention.
    fn series(&self, device: DeviceKey, specs: &[SeriesSpec]) -> Arc<[SeriesId]>;

    /// Hands readings over to be stored with the next commit.
    ///
    /// # Errors
    /// A [`Refusal`] with the fault Unavailable when more waits than may.
    fn offer(&self, batch: &Batch) -> Result<Ticket, Refusal>;

    /// Which tickets are durable.
    fn commits(&self) -> &Commits;
}

/// A reading that was just taken, for those who look on.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveValue {
    /// Whose reading.
    pub device: DeviceKey,
    /// The name of its series: a property's name, `event/{name}`, `result/{action}`, `reported`.
    pub name: Box<str>,
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured.
    pub value: Value,
    /// Whether the device said it on the topic of that name, and not in a pack or on a foreign topic.
    pub is_alone: bool,
}

/// Carries live values to those who look on. They are not durable yet.
pub trait Bus: Send + Sync {
    /// Whether anybody looks on at this device; asked for each message, so it must be cheap.
    fn is_watched(&self, device: &DeviceKey) -> bool;

    /// Carries one value. It may be dropped where a watcher is slow.
    fn carry(&self, live: LiveValue);
}

/// A denial that is the first of its kind for its device or program since the hub started. Who takes the notice
/// stamps it with the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDenial<'a> {
    /// The device, as far as the hub knows it.
    pub device: Option<DeviceKey>,
    /// Who it is, as it was proven.
    pub identity: crate::Identity,
    /// The kind: a word that never changes.
    pub word: &'static str,
    /// The topic or filter, cut; empty at CONNECT.
    pub topic: &'a str,
}

/// What the control plane wants to know of what happens here. Calls must return at once.
pub trait Notices: Send + Sync {
    /// A session of the device began, by a certificate or a password.
    fn connected(
        &self,
        device: DeviceKey,
        client_id: &str,
        certificate: Option<CertificateId>,
        at: Timestamp,
    );

    /// A session of the device ended, and why.
    fn disconnected(&self, device: DeviceKey, client_id: &str, why: &'static str, at: Timestamp);

    /// Something was denied for the first time; for the audit log.
    fn first_denial(&self, denial: FirstDenial<'_>);

    /// A device said what it is: a JSON document that was taken.
    fn reported(&self, device: DeviceKey, document: &[u8], at: Timestamp);
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNotices;

impl Notices for NoNotices {
    fn connected(&self, _: DeviceKey, _: &str, _: Option<CertificateId>, _: Timestamp) {}
    fn disconnected(&self, _: DeviceKey, _: &str, _: &'static str, _: Timestamp) {}
    fn first_denial(&self, _: FirstDenial<'_>) {}
    fn reported(&self, _: DeviceKey, _: &[u8], _: Timestamp) {}
}
