//! From a JSON document to a [`Profile`], top-down: the thing, its properties, events and actions.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt;

use hedgerow_base::{Fault, Timestamp};

use super::{
    Access, Action, Collection, DataClass, Event, Profile, Property, Shape,
    vocabulary::{
        ACTION_TERMS, DATA_CLASSES, EVENT_TERMS, NAMESPACE, PREFIX, PROPERTY_TERMS, TD_CONTEXT,
        THING_MODEL, THING_TERMS,
    },
};
use crate::{
    limits::{
        AFFORDANCES_MAX, DESCRIPTION_BYTES_MAX, ENUM_WORDS_MAX, NAME_BYTES_MAX, PROFILE_BYTES_MAX,
        PROFILE_DEPTH_MAX, RATE_MAX, RESOLUTION_MS_DEFAULT, RESOLUTION_MS_MAX,
        RETENTION_DAYS_DEFAULT, RETENTION_DAYS_MAX, TEXT_BYTES_MAX, TITLE_BYTES_MAX,
        UNIT_BYTES_MAX,
    },
    tree::{Json, step},
    value::{double, whole},
};

/// Why a document is no device profile: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    /// JSON pointer (RFC 6901) to the place; empty for the whole document.
    pub pointer: String,
    /// What is wrong there, and what to do.
    pub what: String,
}

impl ProfileError {
    /// A document that is not a profile is the sender's fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Invalid
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the document" } else { &self.pointer };
        write!(f, "{place}: {}", self.what)
    }
}

impl core::error::Error for ProfileError {}

type Checked<T> = Result<T, ProfileError>;

fn refuse<T>(pointer: &str, what: impl Into<String>) -> Checked<T> {
    Err(ProfileError { pointer: pointer.into(), what: what.into() })
}

/// Whether `name` can be a topic level and a member name: letters, digits, `-` and `_`, beginning with
/// a letter, up to [`NAME_BYTES_MAX`].
#[must_use]
pub fn check_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

pub(super) fn profile(document: &[u8]) -> Checked<Profile> {
    if document.len() > PROFILE_BYTES_MAX {
        return refuse("", format!("it is longer than {PROFILE_BYTES_MAX} bytes; shorten it"));
    }
    let text = core::str::from_utf8(document)
        .or_else(|_| refuse("", "it is not UTF-8; save it as UTF-8"))?;
    let tree = Json::parse(text, PROFILE_DEPTH_MAX)
        .or_else(|error| refuse("", format!("it is not JSON: {error}")))?;
    let thing = Node { pointer: String::new(), json: &tree };
    if !matches!(tree, Json::Object(_)) {
        return refuse("", "it is not an object; a Thing Model is one JSON object");
    }
    check_context(&thing)?;
    check_type(&thing)?;
    thing.check_terms(&THING_TERMS)?;
    if tree.member("links").is_some_and(extends) {
        return refuse("/links", "it extends another model; put both together before signing");
    }
    Ok(Profile {
        title: thing.text("title", TITLE_BYTES_MAX)?.map_or_else(
            || refuse("/title", "it is missing; say what people call this kind of device"),
            Ok,
        )?,
        description: thing.text("description", DESCRIPTION_BYTES_MAX)?.unwrap_or_default(),
        maker: thing.needed("hedgerow:maker", "say who makes the device")?,
        model: thing.needed("hedgerow:model", "say the maker's name of the model")?,
        version: version(&thing)?,
        end_of_support: end_of_support(&thing)?,
        network_peers: network_peers(&thing)?,
        properties: affordances(&thing, "properties", property)?,
        events: affordances(&thing, "events", event)?,
        actions: affordances(&thing, "actions", action)?,
    })
}

fn extends(links: &Json) -> bool {
    let Json::Array(links) = links else { return false };
    links.iter().any(|link| link.member("rel") == Some(&Json::String("tm:extends".into())))
}

fn check_context(thing: &Node<'_>) -> Checked<()> {
    let advice = format!(
        "it must be [\"{TD_CONTEXT}\", {{\"hedgerow\": \"{NAMESPACE}\"}}], further entries after it"
    );
    let Some(Json::Array(entries)) = thing.json.member("@context") else {
        return refuse("/@context", advice);
    };
    let first = entries.first() == Some(&Json::String(TD_CONTEXT.into()));
    let prefixes: Vec<_> = entries.iter().filter_map(|entry| entry.member("hedgerow")).collect();
    if first && prefixes == [&Json::String(NAMESPACE.into())] {
        return Ok(());
    }
    refuse("/@context", advice)
}

fn check_type(thing: &Node<'_>) -> Checked<()> {
    let wanted = Json::String(THING_MODEL.into());
    match thing.json.member("@type") {
        Some(one) if *one == wanted => Ok(()),
        Some(Json::Array(types)) if types.contains(&wanted) => Ok(()),
        _ => refuse("/@type", format!("it must be or contain \"{THING_MODEL}\"")),
    }
}

fn version(thing: &Node<'_>) -> Checked<Box<str>> {
    let Some(json) = thing.json.member("version") else { return Ok("".into()) };
    let node = Node { pointer: step(&thing.pointer, "version"), json };
    Ok(node.text("model", TITLE_BYTES_MAX)?.unwrap_or_default())
}

fn end_of_support(thing: &Node<'_>) -> Checked<Option<Timestamp>> {
    let Some(date) = thing.text("hedgerow:endOfSupport", TITLE_BYTES_MAX)? else { return Ok(None) };
    match Timestamp::parse(&format!("{date}T00:00:00Z")) {
        Some(moment) => Ok(Some(moment)),
        None => refuse("/hedgerow:endOfSupport", "it is not a date; write it as 2031-12-31"),
    }
}

fn network_peers(thing: &Node<'_>) -> Checked<Box<[Box<str>]>> {
    let pointer = thing.at("hedgerow:networkPeers");
    let Some(json) = thing.json.member("hedgerow:networkPeers") else { return Ok(Box::default()) };
    let Json::Array(items) = json else {
        return refuse(&pointer, "it must be an array of host names, each with an optional :port");
    };
    if items.len() > AFFORDANCES_MAX {
        return refuse(&pointer, format!("it has more than {AFFORDANCES_MAX} entries"));
    }
    items
        .iter()
        .map(|item| match item {
            Json::String(host) if !host.is_empty() && host.len() <= 260 && host.is_ascii() => {
                Ok(host.clone())
            }
            _ => refuse(&pointer, "each entry is a host name in ASCII, with an optional :port"),
        })
        .collect()
}

fn affordances<T>(
    thing: &Node<'_>,
    section: &str,
    read: impl Fn(Box<str>, &Node<'_>) -> Checked<T>,
) -> Checked<Box<[T]>> {
    let pointer = thing.at(section);
    let members = match thing.json.member(section) {
        None => return Ok(Box::default()),
        Some(Json::Object(members)) => members,
        Some(_) => return refuse(&pointer, "it must be an object with one member for each name"),
    };
    if members.len() > AFFORDANCES_MAX {
        return refuse(&pointer, format!("it has more than {AFFORDANCES_MAX}; split the device"));
    }
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    sorted
        .into_iter()
        .map(|(name, json)| {
            let node = Node { pointer: step(&pointer, name), json };
            if !check_name(name) {
                return refuse(
                    &node.pointer,
                    format!(
                        "a name is up to {NAME_BYTES_MAX} letters, digits, - and _, a letter first"
                    ),
                );
            }
            if !matches!(json, Json::Object(_)) {
                return refuse(&node.pointer, "it must be an object");
            }
            if json.member("tm:ref").is_some() {
                return refuse(&node.pointer, "it refers to another model; write it out");
            }
            read(name.clone(), &node)
        })
        .collect()
}

fn property(name: Box<str>, node: &Node<'_>) -> Checked<Property> {
    node.check_terms(&PROPERTY_TERMS)?;
    let shape = shape(node)?;
    let precision = precision(node, &shape)?;
    let read_only = node.truth("readOnly")?;
    if node.truth("writeOnly")? == Some(true) {
        return refuse(
            &node.at("writeOnly"),
            "a device can't be told what it never says; remove it",
        );
    }
    Ok(Property {
        title: node.text("title", TITLE_BYTES_MAX)?.unwrap_or_else(|| name.clone()),
        name,
        description: node.text("description", DESCRIPTION_BYTES_MAX)?.unwrap_or_default(),
        unit: node.text("unit", UNIT_BYTES_MAX)?.unwrap_or_default(),
        access: if read_only == Some(true) { Access::ReadOnly } else { Access::ReadWrite },
        is_observable: node.truth("observable")?.unwrap_or(false),
        collection: collection(node)?,
        resolution_ms: resolution(node)?,
        precision,
        shape,
    })
}

fn event(name: Box<str>, node: &Node<'_>) -> Checked<Event> {
    node.check_terms(&EVENT_TERMS)?;
    Ok(Event {
        title: node.text("title", TITLE_BYTES_MAX)?.unwrap_or_else(|| name.clone()),
        name,
        description: node.text("description", DESCRIPTION_BYTES_MAX)?.unwrap_or_default(),
        collection: collection(node)?,
    })
}

fn action(name: Box<str>, node: &Node<'_>) -> Checked<Action> {
    node.check_terms(&ACTION_TERMS)?;
    Ok(Action {
        title: node.text("title", TITLE_BYTES_MAX)?.unwrap_or_else(|| name.clone()),
        name,
        description: node.text("description", DESCRIPTION_BYTES_MAX)?.unwrap_or_default(),
    })
}

fn shape(node: &Node<'_>) -> Checked<Shape> {
    let kind = node.text("type", TITLE_BYTES_MAX)?;
    let words = words(node)?;
    let (low, high) = (node.number("minimum")?, node.number("maximum")?);
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        return refuse(&node.at("minimum"), "it is above the maximum; exchange them");
    }
    let kind = kind.as_deref();
    if words.is_some() && kind != Some("string") {
        return refuse(&node.at("enum"), "only a string can have an enum; use minimum and maximum");
    }
    match kind {
        Some("boolean") => Ok(Shape::Boolean),
        Some("number") => Ok(Shape::Number {
            minimum: low.unwrap_or(f64::MIN),
            maximum: high.unwrap_or(f64::MAX),
        }),
        Some("integer") => {
            let bound = |member: &str, value: Option<f64>, default| match value.map(whole) {
                None => Ok(default),
                Some(Some(bound)) => Ok(bound),
                Some(None) => refuse(&node.at(member), "it must be a whole number below 2^53"),
            };
            let most = crate::limits::INTEGER_MAX;
            Ok(Shape::Integer {
                minimum: bound("minimum", low, -most)?,
                maximum: bound("maximum", high, most)?,
            })
        }
        Some("string") => {
            let longest = double(i64::try_from(TEXT_BYTES_MAX).unwrap_or(0));
            let length_max = node.whole_in("maxLength", 1.0, longest)?;
            Ok(Shape::Text {
                length_max: length_max.map_or(TEXT_BYTES_MAX, |length| length as usize),
                words: words.unwrap_or_default(),
            })
        }
        _ => refuse(&node.at("type"), "it must be boolean, integer, number or string"),
    }
}

fn words(node: &Node<'_>) -> Checked<Option<Box<[Box<str>]>>> {
    let Some(json) = node.json.member("enum") else { return Ok(None) };
    let pointer = node.at("enum");
    let advice = format!("it must be an array of 1 to {ENUM_WORDS_MAX} different strings");
    let Json::Array(items) = json else { return refuse(&pointer, advice) };
    let mut words = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Json::String(word) if word.len() <= TEXT_BYTES_MAX => words.push(word.clone()),
            _ => return refuse(&pointer, advice),
        }
    }
    words.sort_unstable();
    let repeats = words.windows(2).any(|pair| pair.first() == pair.last());
    if repeats || words.is_empty() || words.len() > ENUM_WORDS_MAX {
        return refuse(&pointer, advice);
    }
    Ok(Some(words.into()))
}

fn collection(node: &Node<'_>) -> Checked<Collection> {
    let data_class = match node.text("hedgerow:dataClass", TITLE_BYTES_MAX)? {
        None => DataClass::Personal,
        Some(word) => DataClass::parse(&word).map_or_else(
            || {
                let known = DATA_CLASSES.join(", ");
                refuse(&node.at("hedgerow:dataClass"), format!("it must be one of {known}"))
            },
            Ok,
        )?,
    };
    let days = node.whole_in("hedgerow:retentionDays", 1.0, f64::from(RETENTION_DAYS_MAX))?;
    Ok(Collection {
        data_class,
        purpose: node.text("hedgerow:purpose", TITLE_BYTES_MAX)?.unwrap_or_default(),
        retention_days: days.unwrap_or(RETENTION_DAYS_DEFAULT),
        rate_max: node.whole_in("hedgerow:rateMax", 1.0, f64::from(RATE_MAX))?,
    })
}

fn resolution(node: &Node<'_>) -> Checked<i64> {
    let ms = node.whole_in("hedgerow:resolution", 1.0, double(RESOLUTION_MS_MAX))?;
    Ok(ms.map_or(RESOLUTION_MS_DEFAULT, i64::from))
}

fn precision(node: &Node<'_>, shape: &Shape) -> Checked<Option<f64>> {
    let Some(precision) = node.number("hedgerow:precision")? else { return Ok(None) };
    let pointer = node.at("hedgerow:precision");
    if !matches!(shape, Shape::Number { .. }) {
        return refuse(&pointer, "only a number has a precision; remove it");
    }
    let parts = 1.0 / precision;
    let is_decimal = (1e-9..1.0).contains(&precision)
        && whole((parts * 1e6 + 0.5).floor_exact() / 1e6).is_some();
    if is_decimal || (precision >= 1.0 && whole(precision).is_some()) {
        return Ok(Some(precision));
    }
    refuse(&pointer, "it must be a whole number, or a whole part of one such as 0.1 or 0.25")
}

/// `core` has no `floor` for doubles.
trait FloorExact {
    fn floor_exact(self) -> f64;
}

impl FloorExact for f64 {
    fn floor_exact(self) -> f64 {
        #[expect(clippy::cast_possible_truncation, reason = "positive and below 1e15 here")]
        let whole = self as i64;
        double(whole)
    }
}

/// A place in the document.
struct Node<'a> {
    pointer: String,
    json: &'a Json,
}

impl Node<'_> {
    fn at(&self, member: &str) -> String {
        step(&self.pointer, member)
    }

    /// A term of ours that is not known here is refused: a guard with a typing error guards nothing.
    fn check_terms(&self, known: &[&str]) -> Checked<()> {
        let Json::Object(members) = self.json else { return Ok(()) };
        let unknown = |name: &str| name.starts_with(PREFIX) && !known.contains(&name);
        match members.iter().find(|(name, _)| unknown(name)) {
            None => Ok(()),
            Some((name, _)) => {
                let known = known.join(", ");
                refuse(&self.at(name), format!("this term is not known here; known are {known}"))
            }
        }
    }

    fn text(&self, member: &str, bytes_max: usize) -> Checked<Option<Box<str>>> {
        match self.json.member(member) {
            None => Ok(None),
            Some(Json::String(text)) if text.contains("{{") => {
                refuse(&self.at(member), "it has a placeholder; fill it in")
            }
            Some(Json::String(text)) if text.chars().any(char::is_control) => {
                refuse(&self.at(member), "it has control characters; remove them")
            }
            Some(Json::String(text)) if text.len() <= bytes_max => Ok(Some(text.clone())),
            Some(Json::String(_)) => {
                refuse(&self.at(member), format!("it is longer than {bytes_max} bytes; shorten it"))
            }
            Some(_) => refuse(&self.at(member), "it must be a string"),
        }
    }

    fn needed(&self, member: &str, advice: &str) -> Checked<Box<str>> {
        match self.text(member, TITLE_BYTES_MAX)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => refuse(&self.at(member), format!("it is missing; {advice}")),
        }
    }

    fn truth(&self, member: &str) -> Checked<Option<bool>> {
        match self.json.member(member) {
            None => Ok(None),
            Some(Json::Boolean(truth)) => Ok(Some(*truth)),
            Some(_) => refuse(&self.at(member), "it must be true or false"),
        }
    }

    fn number(&self, member: &str) -> Checked<Option<f64>> {
        match self.json.member(member) {
            None => Ok(None),
            Some(Json::Number(number)) => Ok(Some(*number)),
            Some(_) => refuse(&self.at(member), "it must be a number"),
        }
    }

    fn whole_in(&self, member: &str, low: f64, high: f64) -> Checked<Option<u32>> {
        let Some(number) = self.number(member)? else { return Ok(None) };
        let inside = (low..=high).contains(&number);
        match whole(number).filter(|_| inside).and_then(|whole| u32::try_from(whole).ok()) {
            Some(whole) => Ok(Some(whole)),
            None => refuse(&self.at(member), format!("it must be a whole number, {low} to {high}")),
        }
    }
}
