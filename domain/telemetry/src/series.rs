use hedgerow_model::{Kind, Profile};
use hedgerow_policy::{Channel, Overlay, REMEDIATION_ACTIONS};

/// The number of a series at this hub: one (device, name, type). Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u64);

/// A series that a device of a profile can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesSpec {
    /// The property's name, or `event/{name}`, `result/{action}`, `reported`; a property's name has no
    /// slash, so none can be taken for another.
    pub name: Box<str>,
    /// The type of its values; documents are text in JSON.
    pub kind: Kind,
    /// Days until its readings are deleted.
    pub retention_days: u32,
}

/// How long states and results of actions are kept, in days.
const DOCUMENT_RETENTION_DAYS: u32 = 365;

/// The series of `profile` in a fixed order: properties, events, results of its actions and of the
/// platform's, the reported state. [`slot`] finds a channel's place in it.
#[must_use]
pub fn layout(profile: &Profile, overlay: &Overlay) -> Vec<SeriesSpec> {
    let kept = |days: u32| overlay.retention_days_max.map_or(days, |most| days.min(most));
    let document = |name: String, days: u32| SeriesSpec {
        name: name.into(),
        kind: Kind::Text,
        retention_days: kept(days),
    };
    let properties = profile.properties().iter().map(|property| SeriesSpec {
        name: property.name.clone(),
        kind: property.shape.kind(),
        retention_days: kept(property.collection.retention_days),
    });
    let events = profile
        .events()
        .iter()
        .map(|event| document(format!("event/{}", event.name), event.collection.retention_days));
    let actions = profile.actions().iter().map(|action| &*action.name);
    let results = actions
        .chain(REMEDIATION_ACTIONS)
        .map(|name| document(format!("result/{name}"), DOCUMENT_RETENTION_DAYS));
    let reported = document("reported".into(), DOCUMENT_RETENTION_DAYS);
    properties.chain(events).chain(results).chain([reported]).collect()
}

/// The name of the series at `place` of the [`layout`] of `profile`.
#[must_use]
pub fn name_at(place: usize, profile: &Profile) -> Option<Box<str>> {
    let (properties, events) = (profile.properties(), profile.events());
    if let Some(property) = properties.get(place) {
        return Some(property.name.clone());
    }
    let place = place - properties.len();
    if let Some(event) = events.get(place) {
        return Some(format!("event/{}", event.name).into());
    }
    let place = place - events.len();
    let actions = profile.actions().iter().map(|action| &*action.name);
    let mut results = actions.chain(REMEDIATION_ACTIONS);
    let count = profile.actions().len() + REMEDIATION_ACTIONS.len();
    match results.nth(place) {
        Some(name) => Some(format!("result/{name}").into()),
        None => (place == count).then(|| "reported".into()),
    }
}

/// The place of `channel` in the [`layout`] of `profile`; a pack has none of its own, nor has a
/// foreign topic.
#[must_use]
pub fn slot(channel: Channel, profile: &Profile) -> Option<usize> {
    let events = profile.properties().len();
    let results = events + profile.events().len();
    let remediation = results + profile.actions().len();
    Some(match channel {
        Channel::Property(index) => usize::from(index),
        Channel::Event(index) => events + usize::from(index),
        Channel::ActionResult(index) => results + usize::from(index),
        Channel::RemediationResult(index) => remediation + usize::from(index),
        Channel::Reported => remediation + REMEDIATION_ACTIONS.len(),
        Channel::Telemetry | Channel::Foreign(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_the_series_of_its_name() {
        let profile = Profile::parse(hedgerow_model::LINUX_HOST.as_bytes()).unwrap();
        let layout = layout(&profile, &Overlay::default());
        let name = |channel| slot(channel, &profile).map(|at| &*layout[at].name);
        assert_eq!(name(Channel::Property(0)), Some(&*profile.properties()[0].name));
        assert_eq!(name(Channel::Event(1)), Some("event/identified"));
        assert_eq!(name(Channel::ActionResult(0)), Some("result/identify"));
        assert_eq!(name(Channel::RemediationResult(2)), Some("result/wipe"));
        assert_eq!(name(Channel::Reported), Some("reported"));
        assert_eq!(name(Channel::Telemetry), None);
        assert_eq!(layout.last().map(|spec| &*spec.name), Some("reported"));
        for (place, spec) in layout.iter().enumerate() {
            assert_eq!(name_at(place, &profile).as_deref(), Some(&*spec.name));
        }
        assert_eq!(name_at(layout.len(), &profile), None);
    }

    #[test]
    fn the_owner_can_shorten_retention_and_not_lengthen_it() {
        let profile = Profile::parse(hedgerow_model::LINUX_HOST.as_bytes()).unwrap();
        let most = |days| {
            let overlay = Overlay { retention_days_max: Some(days), ..Overlay::default() };
            layout(&profile, &overlay).iter().map(|spec| spec.retention_days).max()
        };
        assert_eq!(most(30), Some(30));
        assert_eq!(most(9999), Some(365));
    }
}
