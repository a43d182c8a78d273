//! Finding and naming devices.

use std::collections::BTreeMap;

use hedgerow_base::{DeviceId, Fault, Timestamp};
use hedgerow_policy::{
    CertificateId, Fact,
    audit::{Effect, Entry},
};
use hedgerow_registry::{
    Device, DeviceKey, Filter, KeyStorage, Label, NameProblem, Page, State, Step, check_name,
    limits::LABELS_MAX,
};

use crate::{
    CertificateRecord, Change, Commit, Control, Ctx, Failure, TimelineEntry,
    enrol::tell,
    gate::{Effects, action},
    limits::{PAGE_MAX, TELL_MAX},
    ports::{Counts, Keys},
};

action!(
    /// A person looks at devices.
    ReadDevices = "device.read", role Viewer, scope READ
);
action!(
    /// A person names and sorts devices.
    EditDevice = "device.edit", role Operator, scope DEVICES
);

/// A stretch of the list of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePage {
    /// In the order of ids.
    pub items: Vec<Device>,
    /// Where the next page begins; none when this is the last.
    pub next: Option<DeviceId>,
}

/// What a person changes on a device. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The revision that the person saw (the ETag).
    pub revision: i64,
    /// A new name.
    pub name: Option<String>,
    /// A new group; `Some(None)` takes it out of its group.
    pub group: Option<Option<String>>,
    /// All labels anew.
    pub labels: Option<Vec<(String, String)>>,
}

/// That a device has a session, or has none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Which device.
    pub device: DeviceKey,
    /// The certificate that it showed, when it may be the first time.
    pub certificate: Option<CertificateId>,
    /// When.
    pub at: Timestamp,
    /// Whether it has one.
    pub is_connected: bool,
    /// Whether it was not seen connected before since the hub started.
    pub may_be_first: bool,
    /// A sentence for its timeline.
    pub how: String,
}

impl Control {
    /// Devices that fit a filter.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn devices(
        &self,
        ctx: &Ctx,
        filter: &Filter,
        page: Page,
    ) -> Result<DevicePage, Failure> {
        let permit = self.permit::<ReadDevices>(ctx).await?;
        let one_more = Page { size: page.size.saturating_add(1), ..page };
        let mut items = self.store.devices(permit.tenant(), filter, one_more).await?;
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let is_cut = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| is_cut).map(|device| device.key.id);
        Ok(DevicePage { items, next })
    }

    /// One device.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn device(&self, ctx: &Ctx, id: DeviceId) -> Result<Device, Failure> {
        let permit = self.permit::<ReadDevices>(ctx).await?;
        self.existing(permit.tenant(), id).await
    }

    /// How many devices are where.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn counts(&self, ctx: &Ctx) -> Result<Counts, Failure> {
        let permit = self.permit::<ReadDevices>(ctx).await?;
        self.store.counts(permit.tenant(), ctx.now).await
    }

    /// How the keys and certificates of all devices are.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn keys(&self, ctx: &Ctx) -> Result<Keys, Failure> {
        let permit = self.permit::<ReadDevices>(ctx).await?;
        self.store.keys(permit.tenant(), ctx.now).await
    }

    /// What happened to a device, newest first, with the number from which the next page goes on.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn timeline(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, TimelineEntry)>, Failure> {
        let device = self.device(ctx, id).await?;
        self.store.timeline(device.key, before, limit.clamp(1, PAGE_MAX)).await
    }

    /// Certificates of a device, newest first.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn certificates(
        &self,
        ctx: &Ctx,
        id: DeviceId,
    ) -> Result<Vec<CertificateRecord>, Failure> {
        let device = self.device(ctx, id).await?;
        self.store.certificates(device.key).await
    }

    /// Facts that hold of a device now.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn facts(&self, ctx: &Ctx, id: DeviceId) -> Result<Vec<Fact>, Failure> {
        let device = self.device(ctx, id).await?;
        self.store.facts(device.key).await
    }

    /// Whether the actor may name and sort devices: asked before anything is said about how.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn may_edit_devices(&self, ctx: &Ctx) -> Result<(), Failure> {
        self.permit::<EditDevice>(ctx).await.map(drop)
    }

    /// Names and sorts a device.
    ///
    /// # Errors
    /// Not allowed, absent, a bad name, or somebody else was faster.
    pub async fn edit_device(
        &self,
        ctx: &Ctx,
        id: DeviceId,
        edit: Edit,
    ) -> Result<Device, Failure> {
        let permit = self.permit::<EditDevice>(ctx).await?;
        let tenant = permit.tenant();
        let device = self.existing(tenant, id).await?;
        let name = match &edit.name {
            Some(name) => check_name(name)?.to_owned(),
            None => device.name,
        };
        let group = match &edit.group {
            Some(Some(group)) => Some(check_name(group)?.to_owned()),
            Some(None) => None,
            None => device.group,
        };
        let labels = match &edit.labels {
            Some(pairs) => check_labels(pairs)?,
            None => device.labels,
        };
        let (device, revision) = (device.key, edit.revision);
        let change = Change::EditDevice { device, revision, name, group, labels };
        let changes =
            vec![change, tell(device, ctx.now, "edited", "Its name, group or labels changed.")];
        self.commit(ctx, permit, Effects::on(format!("device:{id}"), changes)).await?;
        self.existing(tenant, id).await
    }

    /// The plane says which devices have a session, or have none any more: in one commit, since many come
    /// at once. Not recorded in the audit log: it is what devices do, not what somebody did to them.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn seen(&self, sightings: &[Sighting]) -> Result<(), Failure> {
        let Some(last) = sightings.last() else { return Ok(()) };
        let changes = self.sighted(sightings).await?;
        let commit = Commit { now: last.at, changes, audit: Vec::new(), events: Vec::new() };
        match self.store.commit(commit).await {
            // One of them was changed at the same time: the others must not wait for it.
            Err(failure) if failure.fault == Fault::Conflict && sightings.len() > 1 => {
                for sighting in sightings.chunks(1) {
                    let changes = self.sighted(sighting).await?;
                    let alone = Commit { now: last.at, changes, audit: vec![], events: vec![] };
                    let _ = self.store.commit(alone).await;
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn sighted(&self, sightings: &[Sighting]) -> Result<Vec<Change>, Failure> {
        let (mut changes, mut seen) = (Vec::new(), BTreeMap::new());
        let mut told = Vec::with_capacity(sightings.len());
        for Sighting { device, certificate, at, is_connected, may_be_first, how } in sightings {
            // Of several, the last says how it is now.
            seen.insert(*device, (*at, *is_connected));
            changes.extend(certificate.map(|id| Change::UseCertificate(id, *at)));
            if *may_be_first {
                let known = self.store.device(device.tenant, device.id).await?;
                let from = known.filter(|known| known.key == *device).map(|known| known.state);
                if let Some(from @ State::Enrolled) = from {
                    let to = from.after(Step::Connect)?;
                    changes.push(Change::MoveDevice { device: *device, from, to });
                }
            }
            let kind = if *is_connected { "connected" } else { "disconnected" };
            told.push((*device, TimelineEntry { at: *at, kind: kind.into(), detail: how.clone() }));
        }
        changes.extend(seen.into_iter().map(|(device, (at, is_connected))| Change::Seen {
            device,
            at,
            is_connected,
        }));
        changes.extend(told.chunks(TELL_MAX).map(|some| Change::TellAll(some.to_vec())));
        Ok(changes)
    }

    /// The plane denied a device something for the first time: recorded, and told in its timeline.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn denied(
        &self,
        key: DeviceKey,
        at: Timestamp,
        word: &'static str,
        topic: &str,
    ) -> Result<(), Failure> {
        let subject = format!("device:{}", key.id);
        let entry = Entry {
            at,
            tenant: key.tenant,
            actor: subject.clone(),
            action: "device.publish",
            subject,
            effect: Effect::Denied,
            detail: vec![("why", word.to_owned()), ("topic", topic.to_owned())],
        };
        let sentence = if topic.is_empty() {
            format!("The hub refused it: {word}.")
        } else {
            format!("The hub refused what it sent on {topic}: {word}.")
        };
        let changes = vec![tell(key, at, "denied", &sentence)];
        self.store.commit(Commit { now: at, changes, audit: vec![entry], events: Vec::new() }).await
    }

    /// A device said where its key is.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn note_key_storage(
        &self,
        key: DeviceKey,
        at: Timestamp,
        storage: KeyStorage,
    ) -> Result<(), Failure> {
        let known = self.store.device(key.tenant, key.id).await?;
        if known.is_none_or(|device| device.key != key || device.key_storage == storage) {
            return Ok(());
        }
        let changes = vec![Change::NoteKeyStorage(key, storage)];
        self.store.commit(Commit { now: at, changes, audit: Vec::new(), events: Vec::new() }).await
    }
}

fn check_labels(pairs: &[(String, String)]) -> Result<Vec<Label>, Failure> {
    if pairs.len() > LABELS_MAX {
        let reason = format!("a device has up to {LABELS_MAX} labels");
        return Err(Failure::new(Fault::TooMuch, reason));
    }
    let labels: Result<Vec<Label>, NameProblem> =
        pairs.iter().map(|(key, value)| Label::new(key, value)).collect();
    let mut labels = labels?;
    labels.sort();
    if labels.windows(2).any(|pair| pair.first().map(Label::key) == pair.last().map(Label::key)) {
        return Err(Failure::new(Fault::Conflict, "a label's key stands twice; give each once"));
    }
    Ok(labels)
}
