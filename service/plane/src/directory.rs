//! The devices and tokens that the data plane knows: a snapshot in memory, kept true by the control plane.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
};

use hedgerow_base::{DeviceId, Incarnation, TenantId, Timestamp};
use hedgerow_model::{
    Profile,
    mapping::{Births, Mapping, Names},
};
use hedgerow_policy::{CertificateId, Grants, Overlay, PasswordId, Standing, WeakDevice};
use hedgerow_telemetry::{DeviceKey, SeriesId, layout};

use crate::{
    Readings,
    commits::{Wakers, lock},
    foreign::{ForeignTopics, Holder},
    tokens::Tokens,
};

/// A certificate that a device may show: issued by us, not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidCertificate {
    /// Which.
    pub id: CertificateId,
    /// When it stops being one.
    pub expires: Timestamp,
}

/// Everything that decides what a device may do on the data plane, as the control plane committed it.
#[derive(Clone, Debug)]
pub struct DeviceAdmission {
    /// Whose device.
    pub tenant: TenantId,
    /// Which device.
    pub device: DeviceId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// How far it is trusted.
    pub standing: Standing,
    /// The certificates that it may show now; a renewal has two for a while.
    pub certificates: Vec<ValidCertificate>,
    /// The password that it may show instead, if its owner says so.
    pub password: Option<PasswordId>,
    /// The name of its profile.
    pub profile_name: Arc<str>,
    /// What it declares.
    pub profile: Arc<Profile>,
    /// What its owner takes away from that.
    pub overlay: Arc<Overlay>,
    /// What the variables of its foreign topics are.
    pub names: Names,
    /// The device whose connection carries it; none when it has its own.
    pub carrier: Option<DeviceId>,
}

impl DeviceAdmission {
    /// What its records are keyed by.
    #[must_use]
    pub const fn key(&self) -> DeviceKey {
        DeviceKey { tenant: self.tenant, id: self.device, incarnation: self.incarnation }
    }
}

/// The devices and tokens in memory. Cheap to read; each change grows the revision after it can be seen.
#[derive(Debug, Default)]
pub struct Directory {
    devices: RwLock<HashMap<(TenantId, DeviceId), Arc<Entry>>>,
    pub(crate) tokens: Tokens,
    pub(crate) foreign: ForeignTopics,
    revision: AtomicU64,
    wakers: Mutex<Wakers>,
}

/// One device, as it was at one revision.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) admission: DeviceAdmission,
    pub(crate) vitals: Arc<Vitals>,
    mapping: Option<Arc<Mapping>>,
    compiled: OnceLock<Compiled>,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) grants: Grants,
    pub(crate) series: Arc<[SeriesId]>,
}

/// What is counted for a device across its revisions.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    pub(crate) sessions: AtomicU32,
    pub(crate) last_seen_ms: AtomicI64,
    /// One bit for each kind of denial that was noticed.
    pub(crate) denied: AtomicU64,
    /// What a Sparkplug node said of its metrics.
    pub(crate) births: Mutex<Births>,
}

/// Whether a device is connected, and when it was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Open sessions.
    pub sessions: u32,
    /// When it connected or published last, since the hub started.
    pub last_seen: Option<Timestamp>,
}

impl Directory {
    /// Puts a device in, or in place of what was known of it. To be called after each commit that can
    /// alter its standing, certificates, profile or overlay.
    pub fn apply(&self, admission: DeviceAdmission) {
        self.apply_all([admission]);
    }

    /// The same for many devices at once, as at the start: one revision for all.
    pub fn apply_all(&self, admissions: impl IntoIterator<Item = DeviceAdmission>) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        for admission in admissions {
            let place = (admission.tenant, admission.device);
            let life = admission.incarnation;
            let known = devices.get(&place);
            let vitals = known
                .filter(|entry| entry.admission.incarnation == life)
                .map(|entry| Arc::clone(&entry.vitals))
                .unwrap_or_default();
            let before = known.and_then(|entry| entry.mapping.as_deref());
            let carriers = [known.and_then(|entry| entry.admission.carrier), admission.carrier];
            let entry = self.entry(before, admission, vitals);
            devices.insert(place, Arc::new(entry));
            for carrier in carriers.into_iter().flatten() {
                renew(&mut devices, (place.0, carrier));
            }
        }
        drop(devices);
        self.changed();
    }

    /// These certificates, of whichever device, are not valid any more: one revision for all.
    pub fn end_certificates(&self, ended: &HashSet<CertificateId>) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        let has_one = |entry: &Entry| {
            entry.admission.certificates.iter().any(|known| ended.contains(&known.id))
        };
        for entry in devices.values_mut().filter(|entry| has_one(entry)) {
            let mut admission = entry.admission.clone();
            admission.certificates.retain(|known| !ended.contains(&known.id));
            let (vitals, mapping) = (Arc::clone(&entry.vitals), entry.mapping.clone());
            *entry = Arc::new(Entry { admission, vitals, mapping, compiled: OnceLock::new() });
        }
        drop(devices);
        self.changed();
    }

    /// Every device of the tenant that is held to the profile `name` is held to this from now on: one
    /// revision for all.
    pub fn apply_profile(
        &self,
        tenant: TenantId,
        name: &str,
        profile: &Arc<Profile>,
        overlay: &Arc<Overlay>,
    ) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        for entry in devices.values_mut() {
            let known = &entry.admission;
            if known.tenant == tenant && *known.profile_name == *name {
                let (profile, overlay) = (Arc::clone(profile), Arc::clone(overlay));
                let admission = DeviceAdmission { profile, overlay, ..known.clone() };
                let vitals = Arc::clone(&entry.vitals);
                let next = self.entry(entry.mapping.as_deref(), admission, vitals);
                *entry = Arc::new(next);
            }
        }
        drop(devices);
        self.changed();
    }

    /// Takes a device out; its sessions end at their next judgement.
    pub fn remove(&self, tenant: TenantId, device: DeviceId) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        let gone = devices.remove(&(tenant, device));
        if let Some(carrier) = gone.as_ref().and_then(|entry| entry.admission.carrier) {
            renew(&mut devices, (tenant, carrier));
        }
        drop(devices);
        if let Some(mapping) = gone.as_ref().and_then(|entry| entry.mapping.as_deref()) {
            self.foreign.take_back(mapping, Holder { tenant, device });
        }
        self.changed();
    }

    /// Time has passed: every open session is judged again, so that one whose certificate has expired
    /// ends. To be called now and then.
    pub fn time_passed(&self) {
        self.changed();
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Has `waker` woken at the next change. To be asked before [`Directory::revision`] is looked at.
    pub fn wake_on_change(&self, waker: &Waker) {
        lock(&self.wakers).add(waker);
    }

    /// Whether a device is connected; `None` when it is not known.
    #[must_use]
    pub fn presence(&self, tenant: TenantId, device: DeviceId) -> Option<Presence> {
        let entry = self.find(tenant, device)?;
        let connected = self.connected_as(&entry);
        let last = entry.vitals.last_seen_ms.load(Ordering::Relaxed);
        Some(Presence {
            sessions: connected.vitals.sessions.load(Ordering::Relaxed),
            last_seen: (last != 0).then(|| Timestamp::from_ms(last)),
        })
    }

    /// How many devices have an open session. Looks at each: not for every message.
    #[must_use]
    pub fn connected(&self) -> usize {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        let is_open = |entry: &&Arc<Entry>| entry.vitals.sessions.load(Ordering::Relaxed) > 0;
        devices.values().filter(is_open).count()
    }

    /// How many devices are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no device is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device whose sessions a device speaks over: its carrier's, or its own.
    pub(crate) fn connected_as(&self, entry: &Arc<Entry>) -> Arc<Entry> {
        let carrier = entry.admission.carrier;
        let found = carrier.and_then(|carrier| self.find(entry.admission.tenant, carrier));
        found.unwrap_or_else(|| Arc::clone(entry))
    }

    /// The device that `carrier` carries and whose foreign topic this is.
    pub(crate) fn carried(&self, carrier: &Entry, topic: &str) -> Option<Arc<Entry>> {
        let carrier = &carrier.admission;
        let holder = self.foreign.holder(topic)?;
        let found = self.find(holder.tenant, holder.device)?;
        let is_carried = found.admission.carrier == Some(carrier.device);
        let is_strong = carrier.password.is_none();
        (is_carried && is_strong && holder.tenant == carrier.tenant).then_some(found)
    }

    fn entry(
        &self,
        before: Option<&Mapping>,
        admission: DeviceAdmission,
        vitals: Arc<Vitals>,
    ) -> Entry {
        let mapping = self.foreign.give(before, &admission);
        Entry { admission, vitals, mapping, compiled: OnceLock::new() }
    }

    /// The device of this id, if this is its password.
    #[must_use]
    pub fn weak_device(
        &self,
        tenant: TenantId,
        device: DeviceId,
        password: PasswordId,
    ) -> Option<WeakDevice> {
        let known = self.find(tenant, device)?.admission.password;
        (known == Some(password)).then_some(WeakDevice { tenant, device, password })
    }

    pub(crate) fn find(&self, tenant: TenantId, device: DeviceId) -> Option<Arc<Entry>> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        devices.get(&(tenant, device)).map(Arc::clone)
    }

    pub(crate) fn knows(&self, tenant: TenantId, device: DeviceId) -> bool {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        devices.contains_key(&(tenant, device))
    }

    pub(crate) fn changed(&self) {
        self.revision.fetch_add(1, Ordering::AcqRel);
        Wakers::wake(&self.wakers);
    }
}

/// Puts a device in place of itself, so that its sessions are judged again.
fn renew(devices: &mut HashMap<(TenantId, DeviceId), Arc<Entry>>, place: (TenantId, DeviceId)) {
    if let Some(entry) = devices.get_mut(&place) {
        let (admission, vitals) = (entry.admission.clone(), Arc::clone(&entry.vitals));
        let mapping = entry.mapping.clone();
        *entry = Arc::new(Entry { admission, vitals, mapping, compiled: OnceLock::new() });
    }
}

impl Entry {
    /// Its foreign topics, if it was given any.
    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_deref()
    }

    /// Grants and series, made at the first use: most devices of a large fleet are not connected.
    pub(crate) fn compiled(&self, readings: &dyn Readings) -> &Compiled {
        self.compiled.get_or_init(|| {
            let DeviceAdmission { device, profile, overlay, standing, password, .. } =
                &self.admission;
            let grants = Grants::compile(*device, profile, overlay, *standing);
            let grants = if password.is_some() { grants.weak() } else { grants };
            Compiled {
                grants: match &self.mapping {
                    Some(mapping) => grants.with_mapping(Arc::clone(mapping)),
                    None => grants,
                },
                series: readings.series(self.admission.key(), &layout(profile, overlay)),
            }
        })
    }

    /// When the certificate stops being valid; `None` when it is not valid now.
    pub(crate) fn certificate_expires(
        &self,
        shown: CertificateId,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut known = self.admission.certificates.iter();
        known.find(|known| known.id == shown && now < known.expires).map(|known| known.expires)
    }
}
