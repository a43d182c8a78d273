//! Intake of a message on a foreign topic.

use std::fmt::Write;

use hedgerow_base::Timestamp;
use hedgerow_model::{
    ValueRef,
    mapping::{Births, Found, Mapping, Place, Taken},
};
use hedgerow_policy::Channel;

use crate::{
    Batch, Intake, Reading, Reason, Refusals, TelemetryError, limits::DOCUMENT_BYTES_MAX,
    series::slot,
};

impl Intake<'_> {
    /// Takes a message on the topic of `route` into `batch`, which is cleared first: what its payload says
    /// of properties and events is held to the same as if the device had sent each to its own topic. The
    /// good parts are taken, and the others counted. `births` is what the device keeps between messages.
    ///
    /// # Errors
    /// When nothing is taken: the payload can't be read, or every part was refused. `batch` is empty
    /// then.
    pub fn take_foreign(
        &self,
        mapping: &Mapping,
        route: u16,
        payload: &[u8],
        births: &mut Births,
        batch: &mut Batch,
    ) -> Result<Refusals, TelemetryError> {
        batch.clear();
        let mut refusals = Refusals::default();
        let read = mapping.plan().read(route, payload, births, &mut |taken| {
            if let Err(reason) = self.part(&taken, batch) {
                refusals.count(reason);
            }
        });
        if let Err(unreadable) = read {
            batch.clear();
            return Err(TelemetryError::Foreign(unreadable));
        }
        match refusals.iter().next() {
            Some((reason, _)) if batch.is_empty() => Err(TelemetryError::Refused(reason)),
            _ => Ok(refusals),
        }
    }

    fn part(&self, taken: &Taken<'_>, batch: &mut Batch) -> Result<(), Reason> {
        let time = taken.time.unwrap_or(self.now);
        let value = match taken.found {
            Found::Wrong => return Err(Reason::WrongType),
            Found::Unlisted => return Err(Reason::OutOfRange),
            Found::Unborn => return Err(Reason::Unborn),
            Found::Value(value) => value,
            Found::Json(text) | Found::Text(text) => ValueRef::Text(text),
        };
        match (taken.place, taken.found) {
            (Place::Property(index), _) => {
                let index = usize::from(index);
                self.grants.may_publish_property(index)?;
                let property = self.profile.properties().get(index).ok_or(Reason::Undeclared)?;
                self.reading(index, property, time, value, batch)
            }
            (Place::Event(index), Found::Json(text)) => self.event(index, time, text, batch),
            (Place::Event(index), _) => {
                // Events are kept as JSON, which this was not.
                let mut text = String::new();
                let _ = write!(text, "{value}");
                self.event(index, time, &text, batch)
            }
        }
    }

    fn event(
        &self,
        index: u16,
        time: Timestamp,
        text: &str,
        batch: &mut Batch,
    ) -> Result<(), Reason> {
        self.grants.may_publish_event(usize::from(index))?;
        let event = self.profile.events().get(usize::from(index)).ok_or(Reason::Undeclared)?;
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(Reason::OutOfRange);
        }
        self.in_time(time, event.collection.retention_days)?;
        let series = slot(Channel::Event(index), self.profile).and_then(|at| self.series.get(at));
        let series = *series.ok_or(Reason::Undeclared)?;
        batch.push(Reading { series, at: time, value: ValueRef::Text(text) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hedgerow_base::DeviceId;
    use hedgerow_model::{Profile, SHELLY_PLUS_1PM, TASMOTA_PLUG, Value, mapping::Names};
    use hedgerow_policy::{Grants, Overlay, Standing};

    use super::*;
    use crate::{SeriesId, layout, limits::FUTURE_MS_MAX, name_at};

    const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);
    const NOW: Timestamp = Timestamp::from_secs(1_736_603_900);

    type Readings = Vec<(String, i64, Value)>;

    fn take(
        document: &str,
        overlay: &Overlay,
        topic: &str,
        payload: &str,
    ) -> Result<(Readings, Vec<(Reason, u32)>), TelemetryError> {
        let profile = Profile::parse(document.as_bytes()).unwrap();
        let names = Names::new([(&*profile.plan().variables()[0].name, "d")]).unwrap();
        let mapping = Arc::new(Mapping::compile(profile.plan(), &names, "id").unwrap());
        let grants = Grants::compile(DEVICE, &profile, overlay, Standing::Full)
            .with_mapping(Arc::clone(&mapping));
        let count = layout(&profile, overlay).len() as u64;
        let series: Vec<_> = (0..count).map(SeriesId).collect();
        let intake = Intake {
            device: DEVICE,
            profile: &profile,
            grants: &grants,
            series: &series,
            retention_days_max: None,
            now: NOW,
        };
        let mut batch = Batch::default();
        let route = mapping.route_of(topic).unwrap();
        let mut births = Births::default();
        let payload = payload.as_bytes();
        let refusals = intake.take_foreign(&mapping, route, payload, &mut births, &mut batch)?;
        let reading = |reading: Reading<'_>| {
            let place = usize::try_from(reading.series.0).unwrap();
            let name = name_at(place, &profile).unwrap().into();
            (name, reading.at.since_ms(NOW), reading.value.to_value())
        };
        let readings = batch.readings().flatten().map(reading).collect();
        Ok((readings, refusals.iter().collect()))
    }

    fn shelly(payload: &str) -> Result<(Readings, Vec<(Reason, u32)>), TelemetryError> {
        take(SHELLY_PLUS_1PM, &Overlay::default(), "d/events/rpc", payload)
    }

    #[test]
    fn the_good_parts_are_taken_and_the_others_counted() {
        let payload = r#"{"ENERGY":{"Power":5,"Voltage":900,"Current":"much","Factor":0.5}}"#;
        let (readings, refusals) =
            take(TASMOTA_PLUG, &Overlay::default(), "tele/d/SENSOR", payload).unwrap();
        let names: Vec<_> = readings.iter().map(|(name, ..)| &**name).collect();
        assert_eq!(names, ["power", "powerFactor"]);
        assert_eq!(refusals, [(Reason::WrongType, 1), (Reason::OutOfRange, 1)]);
        let withheld = Overlay { withheld: ["power"].map(Into::into).into(), ..Overlay::default() };
        let (readings, refusals) = take(TASMOTA_PLUG, &withheld, "tele/d/SENSOR", payload).unwrap();
        assert_eq!((readings.len(), refusals[0]), (1, (Reason::Withheld, 1)));
    }

    #[test]
    fn a_message_of_which_nothing_can_be_taken_is_refused_for_its_first_reason() {
        let lwt = |payload| take(TASMOTA_PLUG, &Overlay::default(), "tele/d/LWT", payload);
        assert_eq!(lwt("perhaps"), Err(TelemetryError::Refused(Reason::OutOfRange)));
        assert!(matches!(shelly("{"), Err(TelemetryError::Foreign(_))));
        assert_eq!(shelly("{}"), Ok((vec![], vec![])), "it says nothing of what is mapped");
    }

    #[test]
    fn times_of_the_payload_are_held_to_the_clock() {
        let at = |seconds: f64| {
            shelly(&format!(r#"{{"params":{{"ts":{seconds},"switch:0":{{"output":true}}}}}}"#))
        };
        let now = 1_736_603_900.0;
        let limit = FUTURE_MS_MAX as f64 / 1000.0;
        let (readings, _) = at(now - 10.0).unwrap();
        assert_eq!(readings, [("on".into(), -10_000, Value::Boolean(true))]);
        assert!(at(now + limit).is_ok());
        let refused = |result: Result<_, _>| result.map(|_: (Readings, _)| ()).unwrap_err();
        let ahead = refused(at(now + limit + 0.001));
        assert_eq!(ahead, TelemetryError::Refused(Reason::TooFarAhead));
        assert_eq!(refused(at(1.0)), TelemetryError::Refused(Reason::TooOld));
    }

    #[test]
    fn events_are_kept_as_json_up_to_their_limit() {
        let event = |length: usize| {
            let text = "x".repeat(length - 2);
            shelly(&format!(r#"{{"params":{{"events":"{text}"}}}}"#))
        };
        let (readings, _) = event(DOCUMENT_BYTES_MAX).unwrap();
        assert_eq!(readings[0].0, "event/noticed");
        let Value::Text(text) = &readings[0].2 else { panic!("no text") };
        assert_eq!(text.len(), DOCUMENT_BYTES_MAX);
        let refused = event(DOCUMENT_BYTES_MAX + 1);
        assert_eq!(refused, Err(TelemetryError::Refused(Reason::OutOfRange)));
    }
}
