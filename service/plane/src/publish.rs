//! One PUBLISH: from a topic and bytes to readings in the journal.
//!
//! 1. The topic is looked up in the grants that the session was compiled, then among those of the devices
//!    that it carries.
//! 2. Intake reads the payload into a batch, as profile and grants allow; on a foreign topic as its
//!    mapping says.
//! 3. The batch is offered to the journal; its ticket is what the acknowledgement waits for.
//! 4. Those who look on at the device get its values.
//!
//! Nothing is allocated for a message but for those who look on.

use std::{
    cell::RefCell,
    sync::{Arc, atomic::Ordering},
};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_policy::{Channel, GrantDenial, Standing};
use hedgerow_telemetry::{Batch, Intake, name_at};

use crate::{
    Admitted, Identity, LiveValue, Plane, Refusal, Ticket, commits::lock, connect::Who,
    denials::Known, directory::Entry, onlooker::Onlooker,
};

/// A message as it came from the wire.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where it goes to: a topic name without wildcards.
    pub topic: &'a str,
    /// What it says.
    pub payload: &'a [u8],
    /// Whether the sender waits for an acknowledgement.
    pub needs_ack: bool,
    /// Whether the sender wants it kept for later subscribers. Under `things/` the hub keeps the last
    /// values itself, so it changes nothing there.
    pub retain: bool,
}

/// What was decided about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whether it is to be handed to subscribers.
    pub route: bool,
    /// What to tell the sender, and when.
    pub outcome: Outcome,
}

/// What to tell the sender of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to wait for.
    Done,
    /// To be acknowledged when this ticket is stored.
    Pending(Ticket),
    /// It was not taken.
    Refused(Refusal),
}

thread_local! {
    /// Used again for every message of a shard.
    static SCRATCH: RefCell<Batch> = RefCell::default();
}

const OUTSIDE: Refusal = Refusal::new(
    Fault::Denied,
    "outside",
    "this listener carries topics that belong to no device only",
);
const SYSTEM: Refusal =
    Refusal::new(Fault::Denied, "system", "only the hub itself publishes under $SYS/");
const EXPIRED: Refusal =
    Refusal::new(Fault::Denied, "certificate", "the certificate has expired; enrol again");

impl Plane {
    /// Decides one PUBLISH of a session.
    pub fn publish(&self, session: &Admitted, message: Message<'_>, now: Timestamp) -> Published {
        let outcome = match &session.0 {
            Who::Device { proof, .. } if proof.is_over(now) => Err(EXPIRED),
            Who::Device { entry, .. } => self.publish_device(entry, message, now),
            Who::Application(program) => self
                .publish_application(&program.token, message.topic, now)
                .map(|outcome| Published { route: true, outcome }),
            Who::Onlooker(_) => Err(Onlooker::SILENT),
            Who::LoopbackTester if !self.is_for_testers(message.topic) => Err(OUTSIDE),
            Who::LoopbackTester if message.topic.starts_with("$SYS/") => Err(SYSTEM),
            Who::LoopbackTester => Ok(Published { route: true, outcome: Outcome::Done }),
        };
        match outcome {
            Ok(published) => published,
            Err(refusal) => {
                self.denied(session, refusal.word, message.topic);
                Published { route: false, outcome: Outcome::Refused(refusal) }
            }
        }
    }

    fn publish_device(
        &self,
        entry: &Arc<Entry>,
        message: Message<'_>,
        now: Timestamp,
    ) -> Result<Published, Refusal> {
        let compiled = entry.compiled(self.readings());
        let channel = match compiled.grants.publish(message.topic) {
            Ok(channel) => channel,
            Err(GrantDenial::NotYours) => return self.publish_carried(entry, message, now),
            Err(denial) => return Err(denial.into()),
        };
        entry.vitals.last_seen_ms.fetch_max(now.as_ms(), Ordering::Relaxed);
        let admission = &entry.admission;
        let intake = Intake {
            device: admission.device,
            profile: &admission.profile,
            grants: &compiled.grants,
            series: &compiled.series,
            retention_days_max: admission.overlay.retention_days_max,
            now,
        };
        let route = match channel {
            Channel::Foreign(route) => compiled.grants.hands_on(route),
            _ => true,
        };
        SCRATCH.with_borrow_mut(|batch| {
            let refusals = match (channel, compiled.grants.mapping()) {
                (Channel::Foreign(route), Some(mapping)) => {
                    let births = &mut lock(&entry.vitals.births);
                    intake.take_foreign(mapping, route, message.payload, births, batch)?
                }
                _ => intake.take(channel, message.payload, batch)?,
            };
            let identity = Identity::Device(admission.tenant, admission.device);
            for (reason, count) in refusals.iter() {
                let word = reason.word();
                let known = Known::Device(entry);
                self.denials.note_many(identity, known, word, count, message.topic);
            }
            if batch.is_empty() {
                return Ok(Published { route, outcome: Outcome::Done });
            }
            let ticket = self.readings().offer(batch)?;
            if channel == Channel::Reported {
                self.notices().reported(admission.key(), message.payload, now);
            }
            if self.bus().is_watched(&admission.key()) {
                let is_alone = !matches!(channel, Channel::Telemetry | Channel::Foreign(_));
                self.carry(entry, batch, is_alone);
            }
            let is_awaited = message.needs_ack;
            let outcome = if is_awaited { Outcome::Pending(ticket) } else { Outcome::Done };
            Ok(Published { route, outcome })
        })
    }

    /// A message that is of a device which this one carries, if it does and both are trusted.
    fn publish_carried(
        &self,
        carrier: &Arc<Entry>,
        message: Message<'_>,
        now: Timestamp,
    ) -> Result<Published, Refusal> {
        let carried = self.directory().carried(carrier, message.topic);
        let carried = carried.ok_or(GrantDenial::NotYours)?;
        may_carry(carrier)?;
        self.publish_device(&carried, message, now)
    }

    #[cold]
    fn carry(&self, entry: &Entry, batch: &Batch, is_alone: bool) {
        let admission = &entry.admission;
        let series = &entry.compiled(self.readings()).series;
        for reading in batch.readings().flatten() {
            let place = series.iter().position(|known| *known == reading.series);
            let name = place.and_then(|place| name_at(place, &admission.profile));
            if let Some(name) = name {
                let (device, value) = (admission.key(), reading.value.to_value());
                self.bus().carry(LiveValue { device, name, at: reading.at, value, is_alone });
            }
        }
    }

    /// What belongs to devices is not for testers, who are nobody.
    pub(crate) fn is_for_testers(&self, topic: &str) -> bool {
        !is_under_things(topic) && self.directory().foreign.holder(topic).is_none()
    }

    pub(crate) fn denied(&self, session: &Admitted, word: &'static str, topic: &str) {
        let known = match &session.0 {
            Who::Device { entry, .. } => Known::Device(entry),
            Who::Application(program) => Known::Program(program),
            Who::Onlooker(_) | Who::LoopbackTester => Known::Nobody,
        };
        self.denials.note(session.identity(), known, word, topic);
    }
}

/// A device carries others while it is trusted in full itself.
pub(crate) fn may_carry(carrier: &Entry) -> Result<(), GrantDenial> {
    match carrier.admission.standing {
        Standing::Full => Ok(()),
        narrower => Err(GrantDenial::Standing(narrower)),
    }
}

/// Whether a topic or filter can touch `things/`.
pub(crate) fn is_under_things(topic: &str) -> bool {
    let first = topic.split('/').next().unwrap_or_default();
    matches!(first, "things" | "+" | "#")
}
