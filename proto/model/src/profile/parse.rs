//! From a JSON document to a [`Profile`], top-down: the thing, its properties, events and actions.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::fmt;

use hedgerow_base::{Fault, Timestamp};

use super::{
    Access, Action, Collection, DataClass, Event, Profile, Property, Shape, forms,
    vocabulary::{
        ACTION_TERMS, DATA_CLASSES, EVENT_TERMS, NAMESPACE, PREFIX, PROPERTY_TERMS, TD_CONTEXT,
        THING_MODEL, THING_TERMS,
    },
};
use crate::{
    limits::{
        AFFORDANCES_MAX, DESCRIPTION_BYTES_MAX, ENUM_WORDS_MAX, NAME_BYTES_MAX, PROFILE_BYTES_MAX,
        PROFILE_DEPTH_MAX, PROFILE_ERRORS_MAX, RATE_MAX, RESOLUTION_MS_DEFAULT, RESOLUTION_MS_MAX,
        RETENTION_DAYS_DEFAULT, RETENTION_DAYS_MAX, TEXT_BYTES_MAX, TITLE_BYTES_MAX,
        UNIT_BYTES_MAX,
    },
    tree::{Json, step},
    value::{double, whole},
};

/// Why a document is no device profile: where, what, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

pub(super) type Checked<T> = Result<T, ProfileError>;

pub(super) fn refuse<T>(pointer: &str, what: impl Into<String>) -> Checked<T> {
    Err(ProfileError { pointer: pointer.into(), what: what.into() })
}

/// What was found wrong so far, in the order of the document; past [`PROFILE_ERRORS_MAX`] the rest is left
/// out.
#[derive(Default)]
pub(super) struct Findings(Vec<ProfileError>);

impl Findings {
    /// The value, or nothing when it is wrong.
    pub(super) fn keep<T>(&mut self, checked: Checked<T>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(error) => {
                if self.0.len() < PROFILE_ERRORS_MAX {
                    self.0.push(error);
                }
                None
            }
        }
    }
}

/// Whether `name` can be a topic level and a member name: letters, digits, `-` and `_`, beginning with
/// a letter, up to [`NAME_BYTES_MAX`].
#[must_use]
pub fn check_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

pub(super) fn profile(document: &[u8]) -> Result<Profile, Vec<ProfileError>> {
    let tree = tree(document).map_err(|error| alloc::vec![error])?;
    let mut findings = Findings::default();
    match thing(&mut findings, &tree) {
        Some(profile) if findings.0.is_empty() => Ok(profile),
        Some(_) | None => Err(findings.0),
    }
}

fn tree(document: &[u8]) -> Checked<Json> {
    if document.len() > PROFILE_BYTES_MAX {
        return refuse("", format!("it is longer than {PROFILE_BYTES_MAX} bytes; shorten it"));
    }
    let text = core::str::from_utf8(document)
        .or_else(|_| refuse("", "it is not UTF-8; save it as UTF-8"))?;
    let tree = Json::parse(text, PROFILE_DEPTH_MAX)
        .or_else(|error| refuse("", format!("it is not JSON: {error}")))?;
    match tree {
        Json::Object(_) => Ok(tree),
        _ => refuse("", "it is not an object; a Thing Model is one JSON object"),
    }
}

fn thing(findings: &mut Findings, tree: &Json) -> Option<Profile> {
    let thing = Node { pointer: String::new(), json: tree };
    findings.keep(check_context(&thing));
    findings.keep(check_type(&thing));
    thing.check_terms(findings, &THING_TERMS);
    findings.keep(check_links(&thing));
    let title = findings.keep(title(&thing));
    let description = findings.keep(thing.text("description", DESCRIPTION_BYTES_MAX));
    let maker = findings.keep(thing.needed("hedgerow:maker", "say who makes the device"));
    let model = findings.keep(thing.needed("hedgerow:model", "say the maker's name of the model"));
    let version = findings.keep(version(&thing));
    let end_of_support = findings.keep(end_of_support(&thing));
    let network_peers = findings.keep(network_peers(&thing));
    let properties = affordances(findings, &thing, "properties", property);
    let events = affordances(findings, &thing, "events", event);
    let actions = affordances(findings, &thing, "actions", action);
    let (properties, events, actions) = (properties?, events?, actions?);
    let declared = forms::Declared { properties: &properties, events: &events, actions: &actions };
    let plan = forms::plan(findings, &thing, &declared);
    Some(Profile {
        title: title?,
        description: description?.unwrap_or_default(),
        maker: maker?,
        model: model?,
        version: version?,
        end_of_support: end_of_support?,
        network_peers: network_peers?,
        plan: Arc::new(plan?),
        properties,
        events,
        actions,
    })
}

fn title(thing: &Node<'_>) -> Checked<Box<str>> {
    match thing.text("title", TITLE_BYTES_MAX)? {
        Some(title) => Ok(title),
        None => refuse("/title", "it is missing; say what people call this kind of device"),
    }
}

fn check_links(thing: &Node<'_>) -> Checked<()> {
    if thing.json.member("links").is_some_and(extends) {
        return refuse("/links", "it extends another model; put both together before signing");
    }
    Ok(())
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
    findings: &mut Findings,
    thing: &Node<'_>,
    section: &str,
    read: impl Fn(&mut Findings, Box<str>, &Node<'_>) -> Option<T>,
) -> Option<Box<[T]>> {
    let pointer = thing.at(section);
    let mut sorted = findings.keep(members(thing, section, &pointer))?;
    sorted.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let read = sorted.into_iter().map(|(name, json)| {
        let node = Node { pointer: step(&pointer, name), json };
        findings.keep(check_affordance(name, &node))?;
        read(findings, name.clone(), &node)
    });
    // All of them are read before any is missed, so that every error is found.
    let read: Vec<Option<T>> = read.collect();
    read.into_iter().collect()
}

fn members<'t>(
    thing: &Node<'t>,
    section: &str,
    pointer: &str,
) -> Checked<Vec<&'t (Box<str>, Json)>> {
    match thing.json.member(section) {
        None => Ok(Vec::new()),
        Some(Json::Object(members)) if members.len() > AFFORDANCES_MAX => {
            refuse(pointer, format!("it has more than {AFFORDANCES_MAX}; split the device"))
        }
        Some(Json::Object(members)) => Ok(members.iter().collect()),
        Some(_) => refuse(pointer, "it must be an object with one member for each name"),
    }
}

fn check_affordance(name: &str, node: &Node<'_>) -> Checked<()> {
    if !check_name(name) {
        let rule =
            format!("a name is up to {NAME_BYTES_MAX} letters, digits, - and _, a letter first");
        return refuse(&node.pointer, rule);
    }
    if !matches!(node.json, Json::Object(_)) {
        return refuse(&node.pointer, "it must be an object");
    }
    if node.json.member("tm:ref").is_some() {
        return refuse(&node.pointer, "it refers to another model; write it out");
    }
    Ok(())
}

fn property(findings: &mut Findings, name: Box<str>, node: &Node<'_>) -> Option<Property> {
    node.check_terms(findings, &PROPERTY_TERMS);
    let shape = findings.keep(shape(node));
    let precision = match &shape {
        Some(shape) => findings.keep(precision(node, shape)),
        None => None,
    };
    let read_only = findings.keep(node.truth("readOnly"));
    findings.keep(refuse_write_only(node));
    let title = findings.keep(node.text("title", TITLE_BYTES_MAX));
    let description = findings.keep(node.text("description", DESCRIPTION_BYTES_MAX));
    let unit = findings.keep(node.text("unit", UNIT_BYTES_MAX));
    let is_observable = findings.keep(node.truth("observable"));
    let collection = collection(findings, node);
    let resolution_ms = findings.keep(resolution(node));
    Some(Property {
        title: title?.unwrap_or_else(|| name.clone()),
        name,
        description: description?.unwrap_or_default(),
        unit: unit?.unwrap_or_default(),
        access: if read_only? == Some(true) { Access::ReadOnly } else { Access::ReadWrite },
        is_observable: is_observable?.unwrap_or(false),
        collection: collection?,
        resolution_ms: resolution_ms?,
        precision: precision?,
        shape: shape?,
    })
}

fn refuse_write_only(node: &Node<'_>) -> Checked<()> {
    if node.truth("writeOnly")? == Some(true) {
        let advice = "a device can't be told what it never says; remove it";
        return refuse(&node.at("writeOnly"), advice);
    }
    Ok(())
}

fn event(findings: &mut Findings, name: Box<str>, node: &Node<'_>) -> Option<Event> {
    node.check_terms(findings, &EVENT_TERMS);
    let title = findings.keep(node.text("title", TITLE_BYTES_MAX));
    let description = findings.keep(node.text("description", DESCRIPTION_BYTES_MAX));
    let collection = collection(findings, node);
    Some(Event {
        title: title?.unwrap_or_else(|| name.clone()),
        name,
        description: description?.unwrap_or_default(),
        collection: collection?,
    })
}

fn action(findings: &mut Findings, name: Box<str>, node: &Node<'_>) -> Option<Action> {
    node.check_terms(findings, &ACTION_TERMS);
    let title = findings.keep(node.text("title", TITLE_BYTES_MAX));
    let description = findings.keep(node.text("description", DESCRIPTION_BYTES_MAX));
    Some(Action {
        title: title?.unwrap_or_else(|| name.clone()),
        name,
        description: description?.unwrap_or_default(),
    })
}

/// A property without a name: what the input of an action is held to.
pub(super) fn blank_property(shape: Shape) -> Property {
    Property {
        name: Box::default(),
        title: Box::default(),
        description: Box::default(),
        shape,
        unit: Box::default(),
        access: Access::ReadOnly,
        is_observable: false,
        collection: Collection {
            data_class: DataClass::Personal,
            purpose: Box::default(),
            retention_days: RETENTION_DAYS_DEFAULT,
            rate_max: None,
        },
        resolution_ms: RESOLUTION_MS_DEFAULT,
        precision: None,
    }
}

pub(super) fn shape(node: &Node<'_>) -> Checked<Shape> {
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

fn collection(findings: &mut Findings, node: &Node<'_>) -> Option<Collection> {
    let data_class = findings.keep(data_class(node));
    let days = node.whole_in("hedgerow:retentionDays", 1.0, f64::from(RETENTION_DAYS_MAX));
    let days = findings.keep(days);
    let purpose = findings.keep(node.text("hedgerow:purpose", TITLE_BYTES_MAX));
    let rate_max = findings.keep(node.whole_in("hedgerow:rateMax", 1.0, f64::from(RATE_MAX)));
    Some(Collection {
        data_class: data_class?,
        purpose: purpose?.unwrap_or_default(),
        retention_days: days?.unwrap_or(RETENTION_DAYS_DEFAULT),
        rate_max: rate_max?,
    })
}

fn data_class(node: &Node<'_>) -> Checked<DataClass> {
    let Some(word) = node.text("hedgerow:dataClass", TITLE_BYTES_MAX)? else {
        return Ok(DataClass::Personal);
    };
    match DataClass::parse(&word) {
        Some(class) => Ok(class),
        None => {
            let known = DATA_CLASSES.join(", ");
            refuse(&node.at("hedgerow:dataClass"), format!("it must be one of {known}"))
        }
    }
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
pub(super) struct Node<'a> {
    pub(super) pointer: String,
    pub(super) json: &'a Json,
}

impl Node<'_> {
    pub(super) fn at(&self, member: &str) -> String {
        step(&self.pointer, member)
    }

    /// A term of ours that is not known here is refused: a guard with a typing error guards nothing.
    pub(super) fn check_terms(&self, findings: &mut Findings, known: &[&str]) {
        let Json::Object(members) = self.json else { return };
        let unknown = |name: &str| name.starts_with(PREFIX) && !known.contains(&name);
        for (name, _) in members.iter().filter(|(name, _)| unknown(name)) {
            let known = known.join(", ");
            let what = format!("this term is not known here; known are {known}");
            findings.keep(refuse::<()>(&self.at(name), what));
        }
    }

    pub(super) fn text(&self, member: &str, bytes_max: usize) -> Checked<Option<Box<str>>> {
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

    pub(super) fn number(&self, member: &str) -> Checked<Option<f64>> {
        match self.json.member(member) {
            None => Ok(None),
            Some(Json::Number(number)) => Ok(Some(*number)),
            Some(_) => refuse(&self.at(member), "it must be a number"),
        }
    }

    pub(super) fn whole_in(&self, member: &str, low: f64, high: f64) -> Checked<Option<u32>> {
        let Some(number) = self.number(member)? else { return Ok(None) };
        let inside = (low..=high).contains(&number);
        match whole(number).filter(|_| inside).and_then(|whole| u32::try_from(whole).ok()) {
            Some(whole) => Ok(Some(whole)),
            None => refuse(&self.at(member), format!("it must be a whole number, {low} to {high}")),
        }
    }
}
