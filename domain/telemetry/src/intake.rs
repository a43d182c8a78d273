use std::fmt;

use hedgerow_base::{DeviceId, Timestamp};
use hedgerow_model::{
    Misfit, Profile, Property, ValueRef,
    senml::{Measured, Pack, Record},
    single::{Single, any_json},
};
use hedgerow_policy::{Channel, GrantDenial, Grants};

use crate::{
    Batch, Reading, SeriesId, TelemetryError,
    limits::{DOCUMENT_BYTES_MAX, FULL_NAME_BYTES_MAX, FUTURE_MS_MAX},
    series::slot,
};

/// Why one reading is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The profile declares no property of that name.
    Undeclared,
    /// The owner withholds the property.
    Withheld,
    /// The standing of the device does not allow the property.
    Standing,
    /// Another type than declared, or a sum or data, which no property can be.
    WrongType,
    /// NaN or infinite.
    NotFinite,
    /// Outside what the profile allows.
    OutOfRange,
    /// Another unit than declared.
    WrongUnit,
    /// Further ahead of the hub's clock than [`FUTURE_MS_MAX`].
    TooFarAhead,
    /// Older than its retention.
    TooOld,
    /// A Sparkplug metric by its alias, before the birth certificate that explains it.
    Unborn,
}

impl Reason {
    /// All of them, in the order of [`Refusals`].
    pub const ALL: [Self; 10] = [
        Self::Undeclared,
        Self::Withheld,
        Self::Standing,
        Self::WrongType,
        Self::NotFinite,
        Self::OutOfRange,
        Self::WrongUnit,
        Self::TooFarAhead,
        Self::TooOld,
        Self::Unborn,
    ];

    /// The word in counters and audit records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Undeclared => "undeclared",
            Self::Withheld => "withheld",
            Self::Standing => "standing",
            Self::WrongType => "wrong-type",
            Self::NotFinite => "not-finite",
            Self::OutOfRange => "out-of-range",
            Self::WrongUnit => "wrong-unit",
            Self::TooFarAhead => "too-far-ahead",
            Self::TooOld => "too-old",
            Self::Unborn => "unborn",
        }
    }

    /// What is told to the device, and what to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Undeclared => "the device profile declares no such property; have it added there",
            Self::Withheld => "the owner withholds this property; ask the owner",
            Self::Standing => "the standing of the device does not allow this property now",
            Self::WrongType => "the value has another type than the profile declares",
            Self::NotFinite => "the value is not a finite number",
            Self::OutOfRange => "the value is outside the range that the profile declares",
            Self::WrongUnit => "the unit is not the one that the profile declares",
            Self::TooFarAhead => "the time is more than five minutes ahead; set the device's clock",
            Self::TooOld => "the time is older than readings of this property are kept",
            Self::Unborn => "the metric has an alias that no birth certificate explained; send one",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.advice())
    }
}

impl From<Misfit> for Reason {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::WrongType => Self::WrongType,
            Misfit::NotFinite => Self::NotFinite,
            Misfit::OutOfRange => Self::OutOfRange,
        }
    }
}

impl From<GrantDenial> for Reason {
    fn from(denial: GrantDenial) -> Self {
        match denial {
            GrantDenial::NotYours | GrantDenial::Undeclared => Self::Undeclared,
            GrantDenial::Withheld => Self::Withheld,
            GrantDenial::Standing(_) | GrantDenial::Weak => Self::Standing,
        }
    }
}

/// How many readings of a message were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals([u32; Reason::ALL.len()]);

impl Refusals {
    pub(crate) fn count(&mut self, reason: Reason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u32)> + '_ {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Whether nothing was refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }
}

/// Takes what one device says, as its profile and grants allow.
#[derive(Clone, Copy, Debug)]
pub struct Intake<'a> {
    /// Whose message it is.
    pub device: DeviceId,
    /// What it declares.
    pub profile: &'a Profile,
    /// What of that it may, now.
    pub grants: &'a Grants,
    /// Its series, in the order of [`crate::layout`].
    pub series: &'a [SeriesId],
    /// Days until readings are deleted, whatever the profile says.
    pub retention_days_max: Option<u32>,
    /// The hub's clock.
    pub now: Timestamp,
}

impl Intake<'_> {
    /// Takes the payload of a message on `channel` into `batch`, which is cleared first. Of a pack the
    /// good readings are taken and the others counted.
    ///
    /// # Errors
    /// When nothing is taken: the payload can't be read, or every reading was refused. `batch` is empty
    /// then.
    pub fn take(
        &self,
        channel: Channel,
        payload: &[u8],
        batch: &mut Batch,
    ) -> Result<Refusals, TelemetryError> {
        batch.clear();
        let taken = match channel {
            Channel::Telemetry => self.pack(payload, batch),
            Channel::Property(index) => self.single(usize::from(index), payload, batch),
            Channel::Event(_)
            | Channel::Reported
            | Channel::ActionResult(_)
            | Channel::RemediationResult(_) => self.document(channel, payload, batch),
            Channel::Foreign(_) => Err(TelemetryError::Refused(Reason::Undeclared)),
        };
        if taken.is_err() {
            batch.clear();
        }
        taken
    }

    fn pack(&self, payload: &[u8], batch: &mut Batch) -> Result<Refusals, TelemetryError> {
        let mut pack = Pack::open(payload, self.now).map_err(TelemetryError::Pack)?;
        let mut refusals = Refusals::default();
        while let Some(record) = pack.next_record().map_err(TelemetryError::Pack)? {
            if let Err(reason) = self.record(&record, batch) {
                refusals.count(reason);
            }
        }
        match refusals.iter().next() {
            Some((reason, _)) if batch.is_empty() => Err(TelemetryError::Refused(reason)),
            _ => Ok(refusals),
        }
    }

    #[inline]
    fn record(&self, record: &Record<'_>, batch: &mut Batch) -> Result<(), Reason> {
        let index = self.property_of(record).ok_or(Reason::Undeclared)?;
        self.grants.may_publish_property(index)?;
        let property = self.profile.properties().get(index).ok_or(Reason::Undeclared)?;
        if record.unit.is_some_and(|unit| *unit != *property.unit) {
            return Err(Reason::WrongUnit);
        }
        match record.measured {
            Measured::Value(value) => self.reading(index, property, record.time, value, batch),
            Measured::Data(_) | Measured::Nothing => Err(Reason::WrongType),
        }
    }

    fn single(
        &self,
        index: usize,
        payload: &[u8],
        batch: &mut Batch,
    ) -> Result<Refusals, TelemetryError> {
        let undeclared = TelemetryError::Refused(Reason::Undeclared);
        let property = self.profile.properties().get(index).ok_or(undeclared)?;
        let value = Single::parse(payload).map_err(TelemetryError::Json)?;
        self.reading(index, property, self.now, value.borrow(), batch)
            .map_err(TelemetryError::Refused)?;
        Ok(Refusals::default())
    }

    /// Events, states and results are kept as they are: one JSON value, as text.
    fn document(
        &self,
        channel: Channel,
        payload: &[u8],
        batch: &mut Batch,
    ) -> Result<Refusals, TelemetryError> {
        if payload.len() > DOCUMENT_BYTES_MAX {
            return Err(TelemetryError::TooLarge(DOCUMENT_BYTES_MAX));
        }
        let text = any_json(payload).map_err(TelemetryError::Json)?;
        let series = slot(channel, self.profile).and_then(|at| self.series.get(at));
        let series = *series.ok_or(TelemetryError::Refused(Reason::Undeclared))?;
        batch.push(Reading { series, at: self.now, value: ValueRef::Text(text) });
        Ok(Refusals::default())
    }

    #[inline]
    pub(crate) fn reading(
        &self,
        index: usize,
        property: &Property,
        time: Timestamp,
        value: ValueRef<'_>,
        batch: &mut Batch,
    ) -> Result<(), Reason> {
        let value = property.fit(value)?;
        self.in_time(time, property.collection.retention_days)?;
        let series = *self.series.get(index).ok_or(Reason::Undeclared)?;
        batch.push(Reading { series, at: round(time, property.resolution_ms), value });
        Ok(())
    }

    /// Whether what was measured at `time` and is kept for so many days can be taken now.
    #[inline]
    pub(crate) fn in_time(&self, time: Timestamp, retention_days: u32) -> Result<(), Reason> {
        if time.since_ms(self.now) > FUTURE_MS_MAX {
            return Err(Reason::TooFarAhead);
        }
        let days = self.retention_days_max.map_or(retention_days, |most| retention_days.min(most));
        if time < crate::expires_before(self.now, days) { Err(Reason::TooOld) } else { Ok(()) }
    }

    /// The property that a record names: by its name alone, or after `urn:hedgerow:device:{id}` and a
    /// colon or slash. Another device's name is nobody's here.
    #[inline]
    fn property_of(&self, record: &Record<'_>) -> Option<usize> {
        if record.base_name.is_empty() {
            return self.property_named(record.name);
        }
        let (base, name) = (record.base_name.as_bytes(), record.name.as_bytes());
        let mut whole = [0u8; FULL_NAME_BYTES_MAX];
        whole.get_mut(..base.len())?.copy_from_slice(base);
        whole.get_mut(base.len()..base.len() + name.len())?.copy_from_slice(name);
        let whole = whole.get(..base.len() + name.len())?;
        self.property_named(core::str::from_utf8(whole).ok()?)
    }

    #[inline]
    fn property_named(&self, name: &str) -> Option<usize> {
        let Some(rest) = name.strip_prefix("urn:hedgerow:device:") else {
            return self.profile.property_index(name);
        };
        let id = self.device.text();
        let (stated, rest) = rest.split_at_checked(id.len())?;
        let property = rest.strip_prefix([':', '/'])?;
        if stated.as_bytes() == id { self.profile.property_index(property) } else { None }
    }
}

/// The multiple of `resolution_ms` nearest to `time`.
#[inline]
fn round(time: Timestamp, resolution_ms: i64) -> Timestamp {
    let resolution = resolution_ms.max(1);
    let middle = time.as_ms().saturating_add(resolution / 2);
    Timestamp::from_ms(middle - middle.rem_euclid(resolution))
}

#[cfg(test)]
mod tests;
