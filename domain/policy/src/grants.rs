use std::{collections::BTreeSet, fmt, sync::Arc};

use hedgerow_base::{DeviceId, Fault};
use hedgerow_model::{
    Profile,
    mapping::{Mapping, Place, Told},
};

use crate::{Standing, foreign::Foreign};

/// The actions of the platform itself, which every device may be sent in every standing but cut: a sick
/// device must be able to heal, and a retiring one to be wiped.
pub const REMEDIATION_ACTIONS: [&str; 3] = ["attest", "update", "wipe"];

/// What the owner takes away from a profile. It has no way to add anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Names of properties, events and actions that the device may not use at this owner's.
    pub withheld: BTreeSet<Box<str>>,
    /// Properties that a restricted device may still publish.
    pub essential: BTreeSet<Box<str>>,
    /// The longest that readings are kept, in days, whatever the profile says.
    pub retention_days_max: Option<u32>,
}

/// What a topic is, for a device that may publish to it. Indices are those of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// One value of this property.
    Property(u16),
    /// One occurrence of this event.
    Event(u16),
    /// A SenML pack; each property in it is judged by [`Grants::may_publish_property`].
    Telemetry,
    /// The reported state.
    Reported,
    /// The result of this action of the profile.
    ActionResult(u16),
    /// The result of this one of [`REMEDIATION_ACTIONS`].
    RemediationResult(u8),
    /// A foreign topic: the route of the profile's plan that says what its payloads mean.
    Foreign(u16),
}

/// Why a device may not do what it asked on the data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantDenial {
    /// The topic or filter is outside `things/{own id}/`, and no foreign one of the device.
    NotYours,
    /// The profile declares nothing of this name or kind.
    Undeclared,
    /// The profile declares it, the owner withholds it.
    Withheld,
    /// The standing of the device does not allow it now.
    Standing(Standing),
    /// A device that signs in with a password is not trusted so far.
    Weak,
}

impl GrantDenial {
    /// The word in counters and audit records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotYours => "not-yours",
            Self::Undeclared => "undeclared",
            Self::Withheld => "withheld",
            Self::Standing(_) => "standing",
            Self::Weak => "weak",
        }
    }

    /// What is told to the device, and what to do.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotYours => {
                "a device may use things/{its own id}/ and the topics that its profile maps for it"
            }
            Self::Undeclared => "the device profile does not declare this; have it added there",
            Self::Withheld => "the owner withholds this; ask the owner",
            Self::Standing(Standing::Restricted) => {
                "the device is restricted: only essential properties, events and states pass"
            }
            Self::Standing(Standing::Remediate) => {
                "the device is quarantined: only update, attestation and wipe pass"
            }
            Self::Standing(Standing::Full | Standing::Cut) => {
                "the device is cut off; ask the owner"
            }
            Self::Weak => {
                "a device with a password may use its properties, events and actions only; enrol it"
            }
        }
    }

    /// Whose fault it is: always that of who asked.
    #[must_use]
    pub const fn fault(self) -> Fault {
        Fault::Denied
    }
}

impl fmt::Display for GrantDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for GrantDenial {}

/// What one device may publish, subscribe to and be handed, compiled from its profile, its owner's
/// overlay and its standing.
///
/// | standing | publishes | receives |
/// |---|---|---|
/// | full | declared properties, events, results of actions, reported state | declared actions, [`REMEDIATION_ACTIONS`], desired state |
/// | restricted | properties that the overlay marks as essential, events, reported state, results of remediation | [`REMEDIATION_ACTIONS`], desired state |
/// | remediate | reported state, results of remediation | [`REMEDIATION_ACTIONS`], desired state |
/// | cut | nothing | nothing |
///
/// A device that signs in with a password ([`Grants::weak`]) has of these only its declared properties, one
/// at a time, its events and its actions: no packs, no states, no [`REMEDIATION_ACTIONS`], so that who
/// learns the password can neither flood the history in one message nor pose as updated.
///
/// What the owner withholds is taken away in every standing. A check allocates nothing and takes the
/// same time for ten properties as for a thousand.
///
/// Foreign topics are those of [`Grants::with_mapping`] alone: one is open when any part of its payloads
/// is, in the standings full and restricted; a command is received like the action that it carries, and one that writes a
/// property in full standing alone. Of a
/// weak device those of Sparkplug B are closed: they are packs.
#[derive(Clone, Debug)]
pub struct Grants {
    device: [u8; 26],
    standing: Standing,
    is_weak: bool,
    properties: Names,
    events: Names,
    actions: Names,
    foreign: Option<Foreign>,
}

impl Grants {
    /// Compiles what `device` may do.
    #[must_use]
    pub fn compile(
        device: DeviceId,
        profile: &Profile,
        overlay: &Overlay,
        standing: Standing,
    ) -> Self {
        let owned = |name: &str| !overlay.withheld.contains(name);
        let properties = profile.properties().iter().map(|property| {
            let name = &*property.name;
            let in_standing = standing == Standing::Full || overlay.essential.contains(name);
            (name, Rule::of(owned(name), in_standing))
        });
        let events = profile.events().iter().map(|event| {
            (&*event.name, Rule::of(owned(&event.name), standing <= Standing::Restricted))
        });
        let actions = profile.actions().iter().map(|action| {
            (&*action.name, Rule::of(owned(&action.name), standing == Standing::Full))
        });
        Self {
            device: device.text(),
            standing,
            is_weak: false,
            properties: Names::compile(properties),
            events: Names::compile(events),
            actions: Names::compile(actions),
            foreign: None,
        }
    }

    /// Adds the foreign topics of the device.
    #[must_use]
    pub fn with_mapping(self, mapping: Arc<Mapping>) -> Self {
        let judge = |place| match place {
            Place::Property(at) => self.may_publish_property(usize::from(at)),
            Place::Event(at) => self.may_publish_event(usize::from(at)),
        };
        let foreign = Some(Foreign::new(mapping, self.with_telemetry(), self.is_weak, judge));
        Self { foreign, ..self }
    }

    /// The foreign topics of the device, if it has any.
    #[must_use]
    pub fn mapping(&self) -> Option<&Arc<Mapping>> {
        self.foreign.as_ref().map(Foreign::mapping)
    }

    /// Whether a message on the topic of this route goes on to subscribers: not when the owner or the
    /// standing withholds a part of it.
    #[must_use]
    pub fn hands_on(&self, route: u16) -> bool {
        self.foreign.as_ref().is_some_and(|foreign| foreign.hands_on(route))
    }

    /// Whether what the device may subscribe to can be wider than what it may be handed.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.foreign.as_ref().is_some_and(Foreign::is_wide)
    }

    /// The narrower grants of a device that signs in with a password; to be asked for before
    /// [`Grants::with_mapping`].
    #[must_use]
    pub fn weak(self) -> Self {
        Self { is_weak: true, ..self }
    }

    /// The standing that the grants were compiled for.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// What publishing to `topic` means, if the device may.
    ///
    /// # Errors
    /// [`GrantDenial`].
    #[inline]
    pub fn publish(&self, topic: &str) -> Result<Channel, GrantDenial> {
        if let Some(foreign) = self.beside_things(topic) {
            self.not_cut()?;
            return foreign.publish(topic).map(Channel::Foreign);
        }
        let rest = self.own(topic)?;
        self.not_cut()?;
        if let Some(name) = rest.strip_prefix("properties/") {
            self.with_telemetry()?;
            return self.judge(&self.properties, name).map(Channel::Property);
        }
        if let Some(name) = rest.strip_prefix("events/") {
            return self.judge(&self.events, name).map(Channel::Event);
        }
        match rest {
            "telemetry" | "reported" if self.is_weak => Err(GrantDenial::Weak),
            "telemetry" => self.with_telemetry().map(|()| Channel::Telemetry),
            "reported" => Ok(Channel::Reported),
            _ => {
                let action =
                    rest.strip_prefix("actions/").and_then(|rest| rest.strip_suffix("/result"));
                self.action(action.ok_or(GrantDenial::Undeclared)?)
            }
        }
    }

    /// Whether the property at `index` of the profile may be in a pack.
    ///
    /// # Errors
    /// [`GrantDenial`].
    #[inline]
    pub fn may_publish_property(&self, index: usize) -> Result<(), GrantDenial> {
        self.not_cut()?;
        self.properties.rule(index).map_or(Err(GrantDenial::Undeclared), |rule| self.allow(rule))
    }

    /// Whether the event at `index` of the profile may be in a message on a foreign topic.
    ///
    /// # Errors
    /// [`GrantDenial`].
    #[inline]
    pub fn may_publish_event(&self, index: usize) -> Result<(), GrantDenial> {
        self.not_cut()?;
        self.events.rule(index).map_or(Err(GrantDenial::Undeclared), |rule| self.allow(rule))
    }

    /// Whether the device may subscribe to `filter`: `actions/#`, `actions/+`, `actions/{name}` and
    /// `desired` under its own id, and what its mapping declares. What reaches it then is judged by [`Grants::receive`].
    ///
    /// # Errors
    /// [`GrantDenial`].
    pub fn subscribe(&self, filter: &str) -> Result<(), GrantDenial> {
        if let Some(foreign) = self.beside_things(filter) {
            self.not_cut()?;
            return foreign.subscribe(filter, |told| self.allow_told(told));
        }
        let rest = self.own(filter)?;
        self.not_cut()?;
        match rest {
            "desired" if self.is_weak => Err(GrantDenial::Weak),
            "desired" | "actions/#" | "actions/+" => Ok(()),
            _ => {
                let name = rest.strip_prefix("actions/").ok_or(GrantDenial::Undeclared)?;
                match self.action(name) {
                    // The subscription outlasts a narrowing; deliveries do not.
                    Err(GrantDenial::Standing(Standing::Restricted | Standing::Remediate)) => {
                        Ok(())
                    }
                    other => other.map(drop),
                }
            }
        }
    }

    /// Whether a message on `topic` may be handed to the device now.
    ///
    /// # Errors
    /// [`GrantDenial`].
    #[inline]
    pub fn receive(&self, topic: &str) -> Result<(), GrantDenial> {
        if let Some(foreign) = self.beside_things(topic) {
            self.not_cut()?;
            return foreign.receive(topic, |told| self.allow_told(told));
        }
        let rest = self.own(topic)?;
        self.not_cut()?;
        if rest == "desired" {
            return if self.is_weak { Err(GrantDenial::Weak) } else { Ok(()) };
        }
        self.action(rest.strip_prefix("actions/").ok_or(GrantDenial::Undeclared)?).map(drop)
    }

    /// What judges a topic that is not under `things/`, if the device has any of those.
    #[inline]
    fn beside_things(&self, topic: &str) -> Option<&Foreign> {
        self.foreign.as_ref().filter(|_| !topic.starts_with("things/"))
    }

    /// Whether the device may be told this now. It is told to write a property in the standing in which it may
    /// be asked for actions.
    ///
    /// # Errors
    /// [`GrantDenial`].
    pub fn may_be_told(&self, told: Told) -> Result<(), GrantDenial> {
        self.not_cut()?;
        self.allow_told(told)
    }

    fn allow_told(&self, told: Told) -> Result<(), GrantDenial> {
        let rule = match told {
            Told::Action(index) => self.actions.rule(usize::from(index)),
            Told::Property(_) if self.standing != Standing::Full => {
                return Err(GrantDenial::Standing(self.standing));
            }
            Told::Property(index) => self.properties.rule(usize::from(index)),
        };
        rule.map_or(Err(GrantDenial::Undeclared), |rule| self.allow(rule))
    }

    /// What follows `things/{own id}/`.
    #[inline]
    fn own<'t>(&self, topic: &'t str) -> Result<&'t str, GrantDenial> {
        let rest = topic.strip_prefix("things/").ok_or(GrantDenial::NotYours)?;
        let (id, rest) = rest.split_at_checked(self.device.len()).ok_or(GrantDenial::NotYours)?;
        match rest.strip_prefix('/') {
            Some(rest) if id.as_bytes() == self.device => Ok(rest),
            _ => Err(GrantDenial::NotYours),
        }
    }

    #[inline]
    const fn not_cut(&self) -> Result<(), GrantDenial> {
        match self.standing {
            Standing::Full | Standing::Restricted | Standing::Remediate => Ok(()),
            Standing::Cut => Err(GrantDenial::Standing(Standing::Cut)),
        }
    }

    #[inline]
    const fn with_telemetry(&self) -> Result<(), GrantDenial> {
        match self.standing {
            Standing::Full | Standing::Restricted => Ok(()),
            Standing::Remediate | Standing::Cut => Err(GrantDenial::Standing(self.standing)),
        }
    }

    #[inline]
    fn judge(&self, names: &Names, name: &str) -> Result<u16, GrantDenial> {
        let (index, rule) = names.find(name).ok_or(GrantDenial::Undeclared)?;
        self.allow(rule).map(|()| index)
    }

    #[inline]
    const fn allow(&self, rule: Rule) -> Result<(), GrantDenial> {
        match rule {
            Rule::Allowed => Ok(()),
            Rule::Withheld => Err(GrantDenial::Withheld),
            Rule::BeyondStanding => Err(GrantDenial::Standing(self.standing)),
        }
    }

    /// The platform's own actions come first: no profile can redefine them and no owner withhold them.
    fn action(&self, name: &str) -> Result<Channel, GrantDenial> {
        if let Some(at) = REMEDIATION_ACTIONS.iter().position(|known| *known == name) {
            if self.is_weak {
                return Err(GrantDenial::Weak);
            }
            return Ok(Channel::RemediationResult(u8::try_from(at).unwrap_or(u8::MAX)));
        }
        self.judge(&self.actions, name).map(Channel::ActionResult)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Allowed,
    Withheld,
    BeyondStanding,
}

impl Rule {
    const fn of(is_owned: bool, is_in_standing: bool) -> Self {
        match (is_owned, is_in_standing) {
            (false, _) => Self::Withheld,
            (true, true) => Self::Allowed,
            (true, false) => Self::BeyondStanding,
        }
    }
}

/// Names with their rules, found by hash.
#[derive(Clone, Debug, Default)]
struct Names {
    entries: Box<[(Box<str>, Rule)]>,
    // INVARIANT: a power of two, at least twice the entries; 0 is empty, else an index of `entries` + 1.
    slots: Box<[u16]>,
}

impl Names {
    fn compile<'a>(names: impl Iterator<Item = (&'a str, Rule)>) -> Self {
        let entries: Box<[(Box<str>, Rule)]> =
            names.map(|(name, rule)| (name.into(), rule)).collect();
        let mut slots = vec![0u16; (entries.len() * 2).next_power_of_two()];
        for (index, (name, _)) in entries.iter().enumerate() {
            let free = Self::walk(name, slots.len())
                .find(|slot| slots.get(*slot) == Some(&0))
                .and_then(|slot| slots.get_mut(slot));
            if let (Some(slot), Ok(number)) = (free, u16::try_from(index + 1)) {
                *slot = number;
            }
        }
        Self { entries, slots: slots.into() }
    }

    #[inline]
    fn find(&self, name: &str) -> Option<(u16, Rule)> {
        for slot in Self::walk(name, self.slots.len()) {
            let index = self.slots.get(slot)?.checked_sub(1)?;
            match self.entries.get(usize::from(index)) {
                Some((known, rule)) if **known == *name => return Some((index, *rule)),
                _ => {}
            }
        }
        None
    }

    fn rule(&self, index: usize) -> Option<Rule> {
        self.entries.get(index).map(|(_, rule)| *rule)
    }

    /// The slots to look at for `name`, each once.
    #[inline]
    fn walk(name: &str, slots: usize) -> impl Iterator<Item = usize> {
        // FNV-1a; the names are bounded and come from a checked profile.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        #[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
        let first = (hash ^ (hash >> 32)) as usize;
        (0..slots).map(move |step| first.wrapping_add(step) & (slots - 1))
    }
}

#[cfg(test)]
#[path = "grants/foreign_tests.rs"]
mod foreign_tests;

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);

    fn grants_with(overlay: &Overlay, standing: Standing) -> Grants {
        let profile = Profile::parse(hedgerow_model::LINUX_HOST.as_bytes()).unwrap();
        Grants::compile(DEVICE, &profile, overlay, standing)
    }

    fn grants(standing: Standing) -> Grants {
        grants_with(&Overlay::default(), standing)
    }

    fn own(rest: &str) -> String {
        format!("things/{DEVICE}/{rest}")
    }

    #[test]
    fn declared_names_are_found_at_their_index_of_the_profile() {
        let profile = Profile::parse(hedgerow_model::LINUX_HOST.as_bytes()).unwrap();
        let grants = grants(Standing::Full);
        for (index, property) in profile.properties().iter().enumerate() {
            let channel = Channel::Property(u16::try_from(index).unwrap());
            assert_eq!(grants.publish(&own(&format!("properties/{}", property.name))), Ok(channel));
        }
        assert_eq!(grants.publish(&own("telemetry")), Ok(Channel::Telemetry));
        assert_eq!(grants.publish(&own("reported")), Ok(Channel::Reported));
        assert_eq!(grants.publish(&own("events/identified")), Ok(Channel::Event(1)));
        assert_eq!(grants.publish(&own("actions/identify/result")), Ok(Channel::ActionResult(0)));
    }

    #[test]
    fn a_device_with_a_password_has_its_declared_names_and_nothing_of_the_platform() {
        let grants = grants(Standing::Full).weak();
        for rest in ["properties/cpuPercent", "events/identified", "actions/identify/result"] {
            assert!(grants.publish(&own(rest)).is_ok(), "{rest}");
        }
        assert!(grants.subscribe(&own("actions/#")).is_ok());
        assert!(grants.receive(&own("actions/identify")).is_ok());
        for rest in ["telemetry", "reported", "actions/update/result", "actions/wipe/result"] {
            assert_eq!(grants.publish(&own(rest)), Err(GrantDenial::Weak), "{rest}");
        }
        for rest in ["desired", "actions/update", "actions/attest", "actions/wipe"] {
            assert_eq!(grants.receive(&own(rest)), Err(GrantDenial::Weak), "{rest}");
            assert_eq!(grants.subscribe(&own(rest)), Err(GrantDenial::Weak), "{rest}");
        }
        let quarantined = super::tests::grants(Standing::Remediate).weak();
        assert!(quarantined.publish(&own("properties/cpuPercent")).is_err());
        assert_eq!(quarantined.publish(&own("reported")), Err(GrantDenial::Weak));
    }

    #[test]
    fn another_devices_topic_is_refused() {
        let other = DeviceId::from_bytes([8; 16]);
        let grants = grants(Standing::Full);
        for topic in [
            format!("things/{other}/properties/cpuPercent"),
            format!("things/{DEVICE}x/properties/cpuPercent"),
            format!("Things/{DEVICE}/properties/cpuPercent"),
            format!("/things/{DEVICE}/telemetry"),
            format!("things/{DEVICE}"),
            "things/".into(),
            "things/ä".into(),
            "".into(),
            "$SYS/x".into(),
            format!("$share/g/things/{DEVICE}/desired"),
        ] {
            assert_eq!(grants.publish(&topic), Err(GrantDenial::NotYours), "{topic}");
            assert_eq!(grants.subscribe(&topic), Err(GrantDenial::NotYours), "{topic}");
            assert_eq!(grants.receive(&topic), Err(GrantDenial::NotYours), "{topic}");
        }
    }

    #[test]
    fn what_is_not_declared_is_refused() {
        let grants = grants(Standing::Full);
        for rest in [
            "properties/other",
            "properties/",
            "properties/cpuPercent/x",
            "properties/cpuPercent ",
            "events/cpuPercent",
            "telemetry/x",
            "actions/identify",
            "actions/other/result",
            "desired",
            "",
        ] {
            assert_eq!(grants.publish(&own(rest)), Err(GrantDenial::Undeclared), "{rest}");
        }
    }

    #[test]
    fn only_the_own_actions_and_desired_state_can_be_subscribed_to() {
        let grants = grants(Standing::Full);
        for rest in ["actions/#", "actions/+", "actions/identify", "actions/update", "desired"] {
            assert_eq!(grants.subscribe(&own(rest)), Ok(()), "{rest}");
        }
        for rest in
            ["#", "+", "properties/#", "telemetry", "reported", "actions/other", "actions/+/result"]
        {
            assert!(grants.subscribe(&own(rest)).is_err(), "{rest}");
        }
        for filter in ["#", "+/+/desired", "things/#", "things/+/desired"] {
            assert_eq!(grants.subscribe(filter), Err(GrantDenial::NotYours), "{filter}");
        }
    }

    #[test]
    fn a_device_is_handed_its_actions_and_desired_state_and_nothing_else() {
        let grants = grants(Standing::Full);
        assert_eq!(grants.receive(&own("actions/identify")), Ok(()));
        assert_eq!(grants.receive(&own("desired")), Ok(()));
        assert!(grants.receive(&own("actions/identify/result")).is_err(), "no echo of its own");
        assert!(grants.receive(&own("properties/cpuPercent")).is_err());
    }

    #[test]
    fn the_owner_can_only_take_away() {
        let overlay = Overlay {
            withheld: ["cpuPercent", "identify", "identified", "unknown", "update"]
                .map(Into::into)
                .into(),
            ..Overlay::default()
        };
        let grants = grants_with(&overlay, Standing::Full);
        assert_eq!(grants.publish(&own("properties/cpuPercent")), Err(GrantDenial::Withheld));
        assert_eq!(grants.publish(&own("events/identified")), Err(GrantDenial::Withheld));
        assert_eq!(grants.receive(&own("actions/identify")), Err(GrantDenial::Withheld));
        assert!(grants.publish(&own("properties/load1")).is_ok());
        assert!(grants.publish(&own("properties/unknown")).is_err(), "nothing is added");
        assert!(grants.receive(&own("actions/update")).is_ok(), "healing can't be withheld");
    }

    #[test]
    fn a_restricted_device_keeps_its_events_and_what_is_essential() {
        let overlay =
            Overlay { essential: ["cpuPercent"].map(Into::into).into(), ..Overlay::default() };
        let grants = grants_with(&overlay, Standing::Restricted);
        let denied = Err(GrantDenial::Standing(Standing::Restricted));
        assert!(grants.publish(&own("properties/cpuPercent")).is_ok());
        assert_eq!(grants.publish(&own("properties/load1")), denied);
        assert_eq!(grants.publish(&own("telemetry")), Ok(Channel::Telemetry));
        let allowed = (0..10).filter(|index| grants.may_publish_property(*index).is_ok());
        assert_eq!(allowed.count(), 1);
        assert!(grants.publish(&own("events/identified")).is_ok());
        assert_eq!(grants.publish(&own("actions/identify/result")), denied);
        assert!(grants.receive(&own("actions/identify")).is_err());
        assert!(grants.receive(&own("actions/update")).is_ok());
    }

    #[test]
    fn a_quarantined_device_can_only_heal() {
        let overlay =
            Overlay { essential: ["cpuPercent"].map(Into::into).into(), ..Overlay::default() };
        let grants = grants_with(&overlay, Standing::Remediate);
        for rest in
            ["telemetry", "properties/cpuPercent", "events/identified", "actions/identify/result"]
        {
            let denied = Err(GrantDenial::Standing(Standing::Remediate));
            assert_eq!(grants.publish(&own(rest)), denied, "{rest}");
        }
        for (at, action) in (0..).zip(REMEDIATION_ACTIONS) {
            assert_eq!(grants.receive(&own(&format!("actions/{action}"))), Ok(()));
            let result = own(&format!("actions/{action}/result"));
            assert_eq!(grants.publish(&result), Ok(Channel::RemediationResult(at)));
        }
        assert_eq!(grants.receive(&own("desired")), Ok(()));
        assert_eq!(grants.publish(&own("reported")), Ok(Channel::Reported));
        assert!(grants.receive(&own("actions/identify")).is_err());
        assert_eq!(grants.subscribe(&own("actions/#")), Ok(()));
        assert_eq!(
            grants.subscribe(&own("actions/identify")),
            Ok(()),
            "it outlasts the quarantine"
        );
    }

    #[test]
    fn a_cut_device_can_do_nothing() {
        let grants = grants(Standing::Cut);
        let denied = GrantDenial::Standing(Standing::Cut);
        for rest in ["telemetry", "reported", "properties/cpuPercent", "actions/update/result"] {
            assert_eq!(grants.publish(&own(rest)), Err(denied), "{rest}");
        }
        assert_eq!(grants.receive(&own("desired")), Err(denied));
        assert_eq!(grants.receive(&own("actions/wipe")), Err(denied));
        assert_eq!(grants.subscribe(&own("desired")), Err(denied));
        assert_eq!(grants.may_publish_property(0), Err(denied));
    }
}
