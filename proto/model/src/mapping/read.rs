//! A message on a foreign topic: from its payload to values.

use alloc::{boxed::Box, vec::Vec};

use hedgerow_base::Timestamp;

use super::{
    Place, Route, Target, TimeFormat, Tree, Unreadable,
    tree::{Leaf, Seen},
};
use crate::{
    json::{NotJson, Scanner},
    limits::{PACK_BYTES_MAX, TIMES_MAX},
    sparkplug::{Metric, Payload},
    value::{Kind, ValueRef},
};

/// How the payloads of a topic are read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reader {
    /// Not at all: they are passed on.
    Pass,
    /// JSON, at the places of the targets.
    Json(Tree),
    /// The whole payload is one value; the types of the targets, in their order.
    Text(Box<[Option<Kind>]>),
    /// Sparkplug B: the names of metrics, sorted, and their targets.
    Sparkplug(SparkplugMessage, Box<[(Box<str>, u16)]>),
}

/// What the third level of a Sparkplug topic says of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SparkplugMessage {
    /// NBIRTH: every alias of the node begins anew.
    NodeBirth,
    /// DBIRTH: aliases of a device behind the node are added.
    DeviceBirth,
    /// NDATA and DDATA.
    Data,
    /// NDEATH and DDEATH: their metrics say nothing of the device.
    Death,
}

/// What one payload says of one property or event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken<'a> {
    /// What it is for.
    pub place: Place,
    /// What it says.
    pub found: Found<'a>,
    /// When it was measured, if the payload says so.
    pub time: Option<Timestamp>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'a> {
    /// A value for a property.
    Value(ValueRef<'a>),
    /// JSON for an event, as it stands in the payload.
    Json(&'a str),
    /// Text for an event, not in JSON.
    Text(&'a str),
    /// Something that can't be a value, or a time that can't be read.
    Wrong,
    /// A word that the profile does not list.
    Unlisted,
    /// A metric under an alias, and no birth certificate was heard that explains it.
    Unborn,
}

/// What a Sparkplug node said of its metrics at its birth. As large as the profile's mapped metrics at
/// most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Births {
    is_born: bool,
    // INVARIANT: sorted by alias.
    aliases: Vec<(u64, Box<str>)>,
    // INVARIANT: sorted by name.
    types: Vec<(Box<str>, u32)>,
}

impl Births {
    fn begin(&mut self) {
        *self = Self { is_born: true, ..Self::default() };
    }

    fn learn(&mut self, name: &str, metric: &Metric<'_>) {
        if let Some(datatype) = metric.datatype {
            match self.types.binary_search_by(|(known, _)| (**known).cmp(name)) {
                Ok(at) => self.types.get_mut(at).into_iter().for_each(|kept| kept.1 = datatype),
                Err(at) => self.types.insert(at, (name.into(), datatype)),
            }
        }
        if let Some(alias) = metric.alias {
            self.aliases.retain(|(_, known)| **known != *name);
            match self.aliases.binary_search_by_key(&alias, |(known, _)| *known) {
                Ok(at) => {
                    self.aliases.get_mut(at).into_iter().for_each(|kept| kept.1 = name.into())
                }
                Err(at) => self.aliases.insert(at, (alias, name.into())),
            }
        }
    }

    fn name_of(&self, alias: u64) -> Option<&str> {
        let at = self.aliases.binary_search_by_key(&alias, |(known, _)| *known).ok()?;
        self.aliases.get(at).map(|(_, name)| &**name)
    }

    fn type_of(&self, name: &str) -> Option<u32> {
        let at = self.types.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.types.get(at).map(|(_, datatype)| *datatype)
    }
}

pub(super) fn route(
    route: &Route,
    payload: &[u8],
    births: &mut Births,
    take: &mut dyn FnMut(Taken<'_>),
) -> Result<(), Unreadable> {
    if payload.len() > PACK_BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    match &route.reader {
        Reader::Pass => return Ok(()),
        Reader::Json(tree) => json(route, tree, payload, take)?,
        Reader::Text(kinds) => text(route, kinds, payload, take)?,
        Reader::Sparkplug(message, names) => {
            let payload = Payload::decode(payload).map_err(Unreadable::Sparkplug)?;
            sparkplug(route, (*message, names), &payload, births, take);
        }
    }
    Ok(())
}

/// Targets whose value does not depend on the payload.
fn constants(route: &Route, time: Option<Timestamp>, take: &mut dyn FnMut(Taken<'_>)) {
    for target in &route.targets {
        if let Some(value) = &target.rule.constant {
            let found = match target.place {
                Place::Property(_) => Found::Value(value.borrow()),
                Place::Event(_) => Found::Json("{}"),
            };
            take(Taken { place: target.place, found, time });
        }
    }
}

/// A time of a payload: not there, there, or there and unreadable.
#[derive(Clone, Copy, Default)]
enum Time {
    #[default]
    Unsaid,
    Said(Timestamp),
    Wrong,
}

fn json(
    route: &Route,
    tree: &Tree,
    payload: &[u8],
    take: &mut dyn FnMut(Taken<'_>),
) -> Result<(), Unreadable> {
    let text = core::str::from_utf8(payload)
        .map_err(|error| Unreadable::Json(NotJson { at: error.valid_up_to(), why: "not UTF-8" }))?;
    let mut times = [Time::Unsaid; TIMES_MAX];
    if !route.times.is_empty() {
        // The time may stand behind the values, so it is looked for first.
        let mut see = |leaf: Leaf, seen: &Seen<'_>| {
            let Leaf::Time(at) = leaf else { return };
            let format = route.times.get(usize::from(at));
            if let (Some(time), Some(format)) = (times.get_mut(usize::from(at)), format) {
                *time = said(seen, *format);
            }
        };
        tree.walk(text, &mut see).map_err(Unreadable::Json)?;
    }
    // A member that stands there twice counts once, so that a payload can't say more than the profile has.
    let mut left = route.targets.len();
    let mut see = |leaf: Leaf, seen: &Seen<'_>| {
        let Leaf::Target(at) = leaf else { return };
        let Some(target) = route.targets.get(usize::from(at)) else { return };
        if seen.is_null || left == 0 {
            return;
        }
        left -= 1;
        let time = target.time.and_then(|at| times.get(usize::from(at)).copied());
        let (found, time) = match time.unwrap_or_default() {
            Time::Unsaid => (found(target, seen), None),
            Time::Said(time) => (found(target, seen), Some(time)),
            Time::Wrong => (Found::Wrong, None),
        };
        take(Taken { place: target.place, found, time });
    };
    tree.walk(text, &mut see).map_err(Unreadable::Json)?;
    constants(route, None, take);
    Ok(())
}

fn found<'s>(target: &'s Target, seen: &'s Seen<'_>) -> Found<'s> {
    match (target.place, seen.value) {
        (Place::Event(_), _) => Found::Json(seen.json),
        (Place::Property(_), Some(value)) => translated(target, value),
        (Place::Property(_), None) => Found::Wrong,
    }
}

fn translated<'v>(target: &'v Target, value: ValueRef<'v>) -> Found<'v> {
    target.rule.read(value).map_or(Found::Unlisted, Found::Value)
}

fn said(seen: &Seen<'_>, format: TimeFormat) -> Time {
    if seen.is_null {
        return Time::Unsaid;
    }
    let time = match (format, seen.value) {
        (TimeFormat::Rfc3339, Some(ValueRef::Text(text))) => Timestamp::parse(text),
        (TimeFormat::Seconds, Some(ValueRef::Number(seconds))) => milliseconds(seconds * 1000.0),
        (TimeFormat::Milliseconds, Some(ValueRef::Number(ms))) => milliseconds(ms),
        _ => None,
    };
    time.map_or(Time::Wrong, Time::Said)
}

fn milliseconds(ms: f64) -> Option<Timestamp> {
    // Within the years that RFC 3339 can write.
    if !(0.0..253_402_300_800_000.0).contains(&ms) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "held within 53 bits above")]
    let whole = ms as i64;
    Some(Timestamp::from_ms(whole))
}

fn text(
    route: &Route,
    kinds: &[Option<Kind>],
    payload: &[u8],
    take: &mut dyn FnMut(Taken<'_>),
) -> Result<(), Unreadable> {
    let text = core::str::from_utf8(payload).map_err(|_| Unreadable::Text)?;
    let trimmed = text.trim();
    for (target, kind) in route.targets.iter().zip(kinds) {
        if target.rule.constant.is_some() {
            continue;
        }
        let found = match (target.place, kind) {
            (Place::Event(_), _) | (Place::Property(_), None) => Found::Text(text),
            (Place::Property(_), Some(_)) if !target.rule.words.is_empty() => {
                translated(target, ValueRef::Text(trimmed))
            }
            (Place::Property(_), Some(kind)) => {
                bare(trimmed, *kind).map_or(Found::Wrong, |value| translated(target, value))
            }
        };
        take(Taken { place: target.place, found, time: None });
    }
    constants(route, None, take);
    Ok(())
}

/// A whole payload as a value of the type.
fn bare(text: &str, kind: Kind) -> Option<ValueRef<'_>> {
    match kind {
        Kind::Text => Some(ValueRef::Text(text)),
        Kind::Boolean => match text {
            "true" => Some(ValueRef::Boolean(true)),
            "false" => Some(ValueRef::Boolean(false)),
            _ => None,
        },
        Kind::Integer | Kind::Number => {
            let mut scan = Scanner::new(text);
            let number = scan.number().ok()?;
            scan.end().ok().map(|()| ValueRef::Number(number))
        }
    }
}

fn sparkplug(
    route: &Route,
    (message, names): (SparkplugMessage, &[(Box<str>, u16)]),
    payload: &Payload<'_>,
    births: &mut Births,
    take: &mut dyn FnMut(Taken<'_>),
) {
    constants(route, payload.time, take);
    match message {
        SparkplugMessage::NodeBirth => births.begin(),
        SparkplugMessage::Death => return,
        SparkplugMessage::DeviceBirth | SparkplugMessage::Data => {}
    }
    for metric in payload.metrics() {
        let known = match (metric.name, metric.alias) {
            (Some(name), _) => Some(name),
            (None, Some(alias)) => births.name_of(alias),
            (None, None) => None,
        };
        let Some(name) = known else {
            if !births.is_born {
                let Some(target) = route.targets.first() else { continue };
                take(Taken { place: target.place, found: Found::Unborn, time: None });
            }
            continue;
        };
        let Ok(at) = names.binary_search_by(|(known, _)| (**known).cmp(name)) else { continue };
        let at = names.get(at).and_then(|(_, at)| route.targets.get(usize::from(*at)));
        let Some(target) = at else { continue };
        let datatype = births.type_of(name);
        if let Some(value) = metric.value(datatype) {
            let found = match target.place {
                Place::Property(_) => translated(target, value),
                Place::Event(_) => Found::Value(value),
            };
            take(Taken { place: target.place, found, time: metric.time.or(payload.time) });
        }
        if message != SparkplugMessage::Data
            && let Some(name) = metric.name
        {
            births.learn(name, &metric);
        }
    }
}
