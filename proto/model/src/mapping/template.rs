//! Topics with named variables, and the values that one device has for them.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use super::MappingError;
use crate::{
    limits::{
        FOREIGN_TOPIC_BYTES_MAX, FOREIGN_TOPIC_LEVELS_MAX, VARIABLE_BYTES_MAX, VARIABLES_MAX,
    },
    profile::check_name,
};

/// A variable of a profile's topics; each device has its own value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// As it stands between braces.
    pub name: Box<str>,
    /// For people; may be empty.
    pub title: Box<str>,
    /// The most topic levels that a value may have.
    pub levels_max: usize,
    /// The value of a device that has none of its own; its id when there is none here either.
    pub default: Option<Box<str>>,
}

/// A topic or filter whose variables are not filled in: `tele/{topic}/SENSOR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// The place in the profile's variables.
    Variable(usize),
}

/// Whether a template may have wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic,
    Filter,
}

impl Template {
    /// Reads a template; the reason when it is none.
    pub(crate) fn parse(
        text: &str,
        kind: Kind,
        variables: &[Variable],
    ) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a { has no }; close it")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            let place = variables.iter().position(|variable| *variable.name == *name);
            let place = place.ok_or("hedgerow:variables does not declare the name in braces")?;
            parts.push(Part::Variable(place));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        let template = Self { text: text.into(), parts: parts.into() };
        // With a value of one letter for each variable, what is wrong is wrong with the text.
        let sample: Vec<&str> = variables.iter().map(|_| "v").collect();
        template.fill(&sample, kind).map(|_| template.clone())
    }

    /// As it is in the profile.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn has_variables(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(_)))
    }

    /// The topic or filter with `values` in the order of the profile's variables.
    pub(crate) fn fill(&self, values: &[&str], kind: Kind) -> Result<Box<str>, &'static str> {
        let mut filled = String::with_capacity(self.text.len());
        for part in &self.parts {
            filled.push_str(match part {
                Part::Text(text) => text,
                Part::Variable(place) => values.get(*place).copied().unwrap_or_default(),
            });
        }
        match kind {
            Kind::Topic => check_topic(&filled)?,
            Kind::Filter => check_filter(&filled)?,
        }
        Ok(filled.into())
    }
}

/// A foreign topic is a topic name outside what is the hub's own.
fn check_topic(topic: &str) -> Result<(), &'static str> {
    if topic.contains(['+', '#']) {
        return Err("a topic has no wildcards; write each topic out");
    }
    check_place(topic)
}

fn check_filter(filter: &str) -> Result<(), &'static str> {
    let mut levels = filter.split('/').peekable();
    if matches!(levels.peek(), Some(&("+" | "#"))) {
        return Err("a filter begins with a level of its own, not with a wildcard");
    }
    while let Some(level) = levels.next() {
        let is_wild = level.contains(['+', '#']);
        if is_wild && (level.len() > 1 || (level == "#" && levels.peek().is_some())) {
            return Err("a wildcard is a whole level, and # the last one");
        }
    }
    check_place(filter)
}

fn check_place(topic: &str) -> Result<(), &'static str> {
    let first = topic.split('/').next().unwrap_or_default();
    if first == "things" || first.starts_with('$') {
        return Err("topics under things/ and those that begin with $ are the hub's own");
    }
    if topic.is_empty() || topic.chars().any(char::is_control) {
        return Err("a topic has at least one character, and none of them is a control character");
    }
    if topic.len() > FOREIGN_TOPIC_BYTES_MAX {
        return Err("the topic is longer than 512 bytes");
    }
    if topic.split('/').count() > FOREIGN_TOPIC_LEVELS_MAX {
        return Err("the topic has more than 24 levels");
    }
    Ok(())
}

/// The values that a device has for the variables of its profile. What is not named here is the
/// device's id.
// INVARIANT: up to VARIABLES_MAX names, each with a value that `check_value` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<Box<str>, Box<str>>);

impl Names {
    /// Puts names together.
    ///
    /// # Errors
    /// [`MappingError`] names the one that is wrong.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, MappingError> {
        let mut names = BTreeMap::new();
        for (name, value) in pairs {
            if !check_name(name) || names.len() == VARIABLES_MAX {
                return Err(MappingError::Name(name.into()));
            }
            if let Err(why) = check_value(value) {
                return Err(MappingError::Value(name.into(), why));
            }
            names.insert(name.into(), value.into());
        }
        Ok(Self(names))
    }

    /// Reads what [`Names`] is displayed as: `name=value`, a line each.
    ///
    /// # Errors
    /// [`MappingError`] names the one that is wrong.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        Self::new(text.lines().map(|line| line.split_once('=').unwrap_or((line, ""))))
    }

    /// The value of one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values in the order of `variables`, with `default` where none is named.
    pub(super) fn values<'a>(
        &'a self,
        variables: &'a [Variable],
        default: &'a str,
    ) -> Result<Vec<&'a str>, MappingError> {
        let is_known = |name: &str| variables.iter().any(|variable| *variable.name == *name);
        if let Some((name, _)) = self.iter().find(|(name, _)| !is_known(name)) {
            return Err(MappingError::Unknown(name.into()));
        }
        let value = |variable: &'a Variable| {
            let value = self.value(&variable.name).or(variable.default.as_deref());
            let value = value.unwrap_or(default);
            let levels = value.split('/').count();
            if levels > variable.levels_max {
                return Err(MappingError::Levels(variable.name.clone(), variable.levels_max));
            }
            Ok(value)
        };
        variables.iter().map(value).collect()
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            let before = if at == 0 { "" } else { "\n" };
            write!(f, "{before}{name}={value}")?;
        }
        Ok(())
    }
}

pub(crate) fn check_value(value: &str) -> Result<(), &'static str> {
    if value.is_empty() || value.len() > VARIABLE_BYTES_MAX {
        return Err("it has 1 to 128 bytes");
    }
    if value.contains(['+', '#']) || value.chars().any(char::is_control) {
        return Err("it has no +, no # and no control characters");
    }
    if value.split('/').any(str::is_empty) {
        return Err("none of its levels is empty");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable() -> Variable {
        Variable { name: "topic".into(), title: Box::default(), levels_max: 1, default: None }
    }

    fn topic(text: &str) -> Result<Template, &'static str> {
        Template::parse(text, Kind::Topic, &[variable()])
    }

    fn filter(text: &str) -> Result<Template, &'static str> {
        Template::parse(text, Kind::Filter, &[variable()])
    }

    #[test]
    fn variables_are_filled_in_where_they_stand() {
        let template = topic("tele/{topic}/SENSOR").unwrap();
        assert_eq!(template.fill(&["plug1"], Kind::Topic).as_deref(), Ok("tele/plug1/SENSOR"));
        assert_eq!(topic("{topic}").unwrap().fill(&["a/b"], Kind::Topic).as_deref(), Ok("a/b"));
        assert!(topic("tele/{other}/SENSOR").is_err() && topic("tele/{topic").is_err());
    }

    #[test]
    fn the_hubs_own_topics_and_wildcards_are_refused_before_and_after_filling() {
        for text in
            ["things/x", "things", "$SYS/x", "$share/g/x", "a/+", "a/#", "", "a\u{0}", "#", "+"]
        {
            assert!(topic(text).is_err(), "{text}");
        }
        let template = topic("{topic}/x").unwrap();
        for value in ["things", "$SYS", "+", "#"] {
            assert!(template.fill(&[value], Kind::Topic).is_err(), "{value}");
        }
        assert!(topic("Things/x").is_ok() && topic("athings/x").is_ok());
    }

    #[test]
    fn a_filter_has_whole_wildcards_behind_a_level_of_its_own() {
        assert!(filter("cmnd/{topic}/#").is_ok() && filter("a/+/b").is_ok());
        for text in ["#", "+/a", "a/#/b", "a/b#", "a/+b", "things/#", "$SYS/#"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn topics_one_past_the_limits_are_refused() {
        assert!(topic(&"a".repeat(FOREIGN_TOPIC_BYTES_MAX)).is_ok());
        assert!(topic(&"a".repeat(FOREIGN_TOPIC_BYTES_MAX + 1)).is_err());
        assert!(topic(&"/".repeat(FOREIGN_TOPIC_LEVELS_MAX - 1)).is_ok());
        assert!(topic(&"/".repeat(FOREIGN_TOPIC_LEVELS_MAX)).is_err());
    }

    #[test]
    fn names_are_held_to_their_limits() {
        let value = |value: &str| Names::new([("topic", value)]);
        assert!(value(&"v".repeat(VARIABLE_BYTES_MAX)).is_ok());
        assert!(value(&"v".repeat(VARIABLE_BYTES_MAX + 1)).is_err());
        for wrong in ["", "a+", "#", "a\nb", "/a", "a//b", "a/", "\u{0}"] {
            assert!(value(wrong).is_err(), "{wrong:?}");
        }
        let many = |count: usize| -> Vec<String> {
            (0..count).map(|at| alloc::format!("n{at}")).collect()
        };
        let named = |names: &[String]| Names::new(names.iter().map(|name| (&**name, "v")));
        assert!(named(&many(VARIABLES_MAX)).is_ok());
        assert!(named(&many(VARIABLES_MAX + 1)).is_err());
        assert!(Names::new([("1x", "v")]).is_err());
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let names = Names::new([("topic", "plug=1"), ("base", "a/b")]).unwrap();
        assert_eq!(alloc::format!("{names}"), "base=a/b\ntopic=plug=1");
        assert_eq!(Names::parse(&alloc::format!("{names}")), Ok(names));
        assert_eq!(Names::parse(""), Ok(Names::default()));
        assert!(Names::parse("topic").is_err());
    }

    #[test]
    fn slashes_need_to_be_declared() {
        let mut variable = variable();
        let names = Names::new([("topic", "a/b")]).unwrap();
        let values = |variable: &Variable| {
            names.values(core::slice::from_ref(variable), "id").map(|values| values.len())
        };
        assert_eq!(values(&variable), Err(MappingError::Levels("topic".into(), 1)));
        variable.levels_max = 2;
        assert_eq!(values(&variable), Ok(1));
    }
}
