//! The device profile: what a device of one model can say and be told.
//!
//! A profile is a W3C Thing Model (WoT Thing Description 1.1, section 10) with the `hedgerow:`
//! vocabulary. It is an upper bound: what it does not declare is refused.

mod forms;
mod parse;
pub mod vocabulary;

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use hedgerow_base::Timestamp;

pub use parse::{ProfileError, check_name};

use crate::{
    limits::{INTEGER_MAX, TEXT_BYTES_MAX},
    mapping::{Plan, Told},
    value::{Kind, ValueRef, double, whole},
};

/// The Thing Model of a Linux host, as it is in the repository.
pub const LINUX_HOST: &str = include_str!("../../profiles/linux-host.tm.json");

/// The Thing Model of a plug with the Tasmota firmware.
pub const TASMOTA_PLUG: &str = include_str!("../../profiles/tasmota-plug.tm.json");

/// The Thing Model of a Shelly of the second generation with one metered switch.
pub const SHELLY_PLUS_1PM: &str = include_str!("../../profiles/shelly-plus-1pm.tm.json");

/// The Thing Model of an ESPHome node with a sensor and a switch.
pub const ESPHOME_SENSOR_SWITCH: &str =
    include_str!("../../profiles/esphome-sensor-switch.tm.json");

/// The Thing Model of a Zigbee sensor behind Zigbee2MQTT.
pub const ZIGBEE2MQTT_SENSOR: &str = include_str!("../../profiles/zigbee2mqtt-sensor.tm.json");

/// The Thing Model of Zigbee2MQTT itself.
pub const ZIGBEE2MQTT_BRIDGE: &str = include_str!("../../profiles/zigbee2mqtt-bridge.tm.json");

/// The Thing Model of a Sparkplug B edge node.
pub const SPARKPLUG_B_NODE: &str = include_str!("../../profiles/sparkplug-b-node.tm.json");

/// A checked device profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// For people.
    pub title: Box<str>,
    /// For people; may be empty.
    pub description: Box<str>,
    /// `hedgerow:maker`.
    pub maker: Box<str>,
    /// `hedgerow:model`: with the maker, the name of the kind of device.
    pub model: Box<str>,
    /// `version.model`; may be empty.
    pub version: Box<str>,
    /// `hedgerow:endOfSupport`, the first moment without updates.
    pub end_of_support: Option<Timestamp>,
    /// `hedgerow:networkPeers`: the hosts that the device talks to besides the hub.
    pub network_peers: Box<[Box<str>]>,
    pub(crate) plan: Arc<Plan>,
    // INVARIANT: each of the three is sorted by name, without repeats.
    pub(crate) properties: Box<[Property]>,
    pub(crate) events: Box<[Event]>,
    pub(crate) actions: Box<[Action]>,
}

impl Profile {
    /// Reads and checks a Thing Model.
    ///
    /// # Errors
    /// [`ProfileError`] names the place in the document, what is wrong and what to do: the first that
    /// [`Profile::check`] finds.
    pub fn parse(document: &[u8]) -> Result<Self, ProfileError> {
        parse::profile(document).map_err(|errors| errors.into_iter().next().unwrap_or_default())
    }

    /// The same for whoever writes it: everything that is wrong, at most
    /// [`PROFILE_ERRORS_MAX`](crate::limits::PROFILE_ERRORS_MAX).
    ///
    /// # Errors
    /// At least one [`ProfileError`].
    pub fn check(document: &[u8]) -> Result<Self, Vec<ProfileError>> {
        parse::profile(document)
    }

    /// Other people's topics and payloads, mapped to what is declared here.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The properties, sorted by name.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The events, sorted by name.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The actions, sorted by name.
    #[must_use]
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The place of the property `name` in [`Profile::properties`].
    #[must_use]
    pub fn property_index(&self, name: &str) -> Option<usize> {
        self.properties.binary_search_by(|known| (*known.name).cmp(name)).ok()
    }

    /// The property `name`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.get(self.property_index(name)?)
    }

    /// Whether a form says how the property `name` is written.
    #[must_use]
    pub fn is_writable(&self, name: &str) -> bool {
        let at = self.property_index(name).and_then(|at| u16::try_from(at).ok());
        at.is_some_and(|at| self.plan.command(Told::Property(at)).is_some())
    }

    /// The place of the event `name` in [`Profile::events`].
    #[must_use]
    pub fn event_index(&self, name: &str) -> Option<usize> {
        self.events.binary_search_by(|known| (*known.name).cmp(name)).ok()
    }

    /// The place of the action `name` in [`Profile::actions`].
    #[must_use]
    pub fn action_index(&self, name: &str) -> Option<usize> {
        self.actions.binary_search_by(|known| (*known.name).cmp(name)).ok()
    }
}

/// One property of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Also its topic level.
    pub name: Box<str>,
    /// For people; the name when the profile has no title.
    pub title: Box<str>,
    /// For people; may be empty.
    pub description: Box<str>,
    /// Type and range.
    pub shape: Shape,
    /// SenML unit (RFC 8428 section 12.1) or UCUM; may be empty.
    pub unit: Box<str>,
    /// Whether the owner may set it.
    pub access: Access,
    /// Whether live values are offered.
    pub is_observable: bool,
    /// What its readings are kept under.
    pub collection: Collection,
    /// Timestamps are rounded to multiples of this many milliseconds.
    pub resolution_ms: i64,
    /// Numbers are rounded to multiples of this before they are kept.
    pub precision: Option<f64>,
}

/// One event of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Also its topic level.
    pub name: Box<str>,
    /// For people.
    pub title: Box<str>,
    /// For people; may be empty.
    pub description: Box<str>,
    /// What its occurrences are kept under.
    pub collection: Collection,
}

/// One action of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Also its topic level.
    pub name: Box<str>,
    /// For people.
    pub title: Box<str>,
    /// For people; may be empty.
    pub description: Box<str>,
}

/// The collection rules of one property or event.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// How sensitive it is.
    pub data_class: DataClass,
    /// What it is collected for; may be empty.
    pub purpose: Box<str>,
    /// Days until it is deleted.
    pub retention_days: u32,
    /// Readings a minute that are expected at most.
    pub rate_max: Option<u32>,
}

/// Who may write a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only the device.
    ReadOnly,
    /// The owner too: in its own words where a form says how, through the desired state where none does.
    ReadWrite,
}

/// How sensitive a property is, for the people around the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataClass {
    /// About the machine alone.
    Technical,
    /// About how it is used.
    Usage,
    /// About a person who can be told; also what is not classified.
    Personal,
    /// Health, presence, biometrics and the like.
    Sensitive,
}

impl DataClass {
    /// The word in profiles, the API and the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Technical => "technical",
            Self::Usage => "usage",
            Self::Personal => "personal",
            Self::Sensitive => "sensitive",
        }
    }

    /// Reads [`DataClass::word`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Technical, Self::Usage, Self::Personal, Self::Sensitive]
            .into_iter()
            .find(|class| class.word() == word)
    }
}

/// The type and range of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// True or false.
    Boolean,
    /// Whole numbers from `minimum` to `maximum`.
    Integer {
        /// The least allowed.
        minimum: i64,
        /// The greatest allowed.
        maximum: i64,
    },
    /// Finite doubles from `minimum` to `maximum`.
    Number {
        /// The least allowed.
        minimum: f64,
        /// The greatest allowed.
        maximum: f64,
    },
    /// Text of up to `length_max` characters, one of `words` unless that is empty.
    Text {
        /// The longest allowed, in characters; [`TEXT_BYTES_MAX`] holds besides.
        length_max: usize,
        /// Sorted.
        words: Box<[Box<str>]>,
    },
}

impl Shape {
    /// The type alone.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Boolean => Kind::Boolean,
            Self::Integer { .. } => Kind::Integer,
            Self::Number { .. } => Kind::Number,
            Self::Text { .. } => Kind::Text,
        }
    }

    /// Any finite number.
    pub const ANY_NUMBER: Self = Self::Number { minimum: f64::MIN, maximum: f64::MAX };

    /// Any whole number that JSON holds exactly.
    pub const ANY_INTEGER: Self = Self::Integer { minimum: -INTEGER_MAX, maximum: INTEGER_MAX };
}

/// Why a value does not fit its property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Misfit {
    /// Another type than declared.
    WrongType,
    /// NaN or infinite.
    NotFinite,
    /// Below the minimum, above the maximum, too long, or not one of the words.
    OutOfRange,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongType => "the value has another type than the profile declares",
            Self::NotFinite => "the value is not a finite number",
            Self::OutOfRange => "the value is outside the range that the profile declares",
        })
    }
}

impl Property {
    /// The value as it is kept: of the declared type, within the range, rounded to the precision.
    ///
    /// # Errors
    /// [`Misfit`] says why it is refused.
    #[inline]
    pub fn fit<'v>(&self, value: ValueRef<'v>) -> Result<ValueRef<'v>, Misfit> {
        match (&self.shape, value) {
            (Shape::Boolean, ValueRef::Boolean(_)) => Ok(value),
            (Shape::Integer { minimum, maximum }, ValueRef::Integer(candidate)) => {
                within((*minimum..=*maximum).contains(&candidate), value)
            }
            (Shape::Integer { minimum, maximum }, ValueRef::Number(number)) => {
                if !number.is_finite() {
                    return Err(Misfit::NotFinite);
                }
                let candidate = whole(number).ok_or(Misfit::WrongType)?;
                within((*minimum..=*maximum).contains(&candidate), ValueRef::Integer(candidate))
            }
            (Shape::Number { minimum, maximum }, ValueRef::Number(number)) => {
                self.fit_number(number, *minimum, *maximum)
            }
            (Shape::Number { minimum, maximum }, ValueRef::Integer(number)) => {
                self.fit_number(double(number), *minimum, *maximum)
            }
            (Shape::Text { length_max, words }, ValueRef::Text(text)) => {
                let listed =
                    words.is_empty() || words.binary_search_by(|known| (**known).cmp(text)).is_ok();
                let short = text.len() <= *length_max
                    || (text.len() <= TEXT_BYTES_MAX && text.chars().count() <= *length_max);
                within(listed && short, value)
            }
            (
                Shape::Boolean | Shape::Integer { .. } | Shape::Number { .. } | Shape::Text { .. },
                _,
            ) => Err(Misfit::WrongType),
        }
    }

    #[inline]
    fn fit_number(
        &self,
        number: f64,
        minimum: f64,
        maximum: f64,
    ) -> Result<ValueRef<'static>, Misfit> {
        if !number.is_finite() {
            return Err(Misfit::NotFinite);
        }
        if !(minimum..=maximum).contains(&number) {
            return Err(Misfit::OutOfRange);
        }
        Ok(ValueRef::Number(self.precision.map_or(number, |step| round_to(number, step))))
    }
}

#[inline]
fn within<'v>(allowed: bool, value: ValueRef<'v>) -> Result<ValueRef<'v>, Misfit> {
    if allowed { Ok(value) } else { Err(Misfit::OutOfRange) }
}

/// The multiple of `step` nearest to `number`, as the double nearest to its decimal. Numbers so large
/// that their own grain is coarser than the step are left as they are.
#[inline]
fn round_to(number: f64, step: f64) -> f64 {
    let nearest = |scaled: f64| {
        let shifted = if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 };
        if !(-4e15..4e15).contains(&shifted) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "held within 53 bits above")]
        let count = shifted as i64;
        Some(double(count))
    };
    if step < 1.0 {
        let per_unit = double(nearest(1.0 / step).and_then(whole).unwrap_or(1));
        nearest(number * per_unit).map_or(number, |count| count / per_unit)
    } else {
        nearest(number / step).map_or(number, |count| count * step)
    }
}

#[cfg(test)]
mod tests;
