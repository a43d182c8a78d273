//! Topic names and filters (MQTT 5.0, section 4.7).

use crate::{
    Error,
    limits::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX},
};

/// Whether a text holds a control character (U+0001 to U+001F, U+007F to U+009F) or the null character.
/// Section 1.5.4 lets a receiver refuse them: they have no business in names that people read in logs.
#[must_use]
pub fn has_control(text: &str) -> bool {
    // The characters from U+0080 to U+009F begin with 0xC2.
    text.bytes().any(|byte| matches!(byte, 0..=0x1F | 0x7F | 0xC2))
        && text.contains(char::is_control)
}

/// Checks a topic name: not empty, no wildcard, no control character.
///
/// # Errors
/// [`Error::TopicName`].
#[inline]
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::TopicName("it is empty"));
    }
    if name.bytes().any(|byte| matches!(byte, b'+' | b'#' | 0..=0x1F | 0x7F | 0xC2)) {
        return check_characters(name);
    }
    Ok(())
}

/// Looks closer at a name that has a byte of a wildcard, or one of a control character.
#[cold]
fn check_characters(name: &str) -> Result<(), Error> {
    if name.contains(['+', '#']) {
        return Err(Error::TopicName("it contains a wildcard"));
    }
    if has_control(name) {
        return Err(Error::TopicName("it contains a control character"));
    }
    Ok(())
}

/// Checks a topic filter: not empty, no control character, `+` alone in its level, `#` alone in the last;
/// a shared one names its group and a filter.
///
/// # Errors
/// [`Error::TopicFilter`].
pub fn check_filter(filter: &str) -> Result<(), Error> {
    if has_control(filter) {
        return Err(Error::TopicFilter("it contains a control character"));
    }
    let filter = match filter.strip_prefix("$share/") {
        None => filter,
        Some(shared) => match shared.split_once('/') {
            Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) => filter,
            _ => return Err(Error::TopicFilter("a shared subscription without group or filter")),
        },
    };
    if filter.is_empty() {
        return Err(Error::TopicFilter("it is empty"));
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('+') && level != "+" {
            return Err(Error::TopicFilter("`+` must fill its level"));
        }
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(Error::TopicFilter("`#` must fill the last level"));
        }
    }
    Ok(())
}

/// What names and filters may be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// Bytes.
    pub bytes_max: usize,
    /// Levels.
    pub levels_max: usize,
}

impl TopicLimits {
    /// The widest: no setting goes beyond, because the topic tree relies on it.
    pub const WIDEST: Self = Self { bytes_max: TOPIC_BYTES_MAX, levels_max: TOPIC_LEVELS_MAX };

    /// Whether a valid name or filter keeps to them, and to the widest.
    #[must_use]
    pub fn allow(&self, topic: &str) -> bool {
        topic.len() <= self.bytes_max.min(TOPIC_BYTES_MAX)
            && topic.bytes().filter(|byte| *byte == b'/').count()
                < self.levels_max.min(TOPIC_LEVELS_MAX)
    }
}

/// Whether a name is one of the server's own, `$SYS` and `$share`, which clients may not publish to
/// (sections 4.7.2 and 4.8.2).
#[inline]
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with('$') && (name.starts_with("$SYS") || name.starts_with("$share/"))
}

/// Whether a filter asks for a shared subscription.
#[must_use]
pub fn is_shared(filter: &str) -> bool {
    filter.starts_with("$share/")
}

/// Group and filter of a shared subscription's valid filter.
#[must_use]
pub fn share(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix("$share/")?.split_once('/')
}

/// What a valid filter matches: of a shared subscription's, the part after the group.
#[must_use]
pub fn unshared(filter: &str) -> &str {
    share(filter).map_or(filter, |(_, filter)| filter)
}

/// Whether a valid filter matches a valid name. A leading wildcard matches no name that begins with
/// `$` (section 4.7.2).
#[must_use]
pub fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut wanted, mut levels) = (filter.split('/'), name.split('/'));
    loop {
        match (wanted.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (filter, name) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "a/b"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/x"),
            ("$SYS/monitor/+", "$SYS/monitor/Clients"),
        ] {
            assert!(matches(filter, name), "{filter} {name}");
        }
        for (filter, name) in [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/x"),
            ("+/monitor/Clients", "$SYS/monitor/Clients"),
            ("a", "b"),
            ("a", "A"),
            ("\u{e9}", "e\u{301}"),
            ("a/b", "a//b"),
            ("a", "a/"),
        ] {
            assert!(!matches(filter, name), "{filter} {name}");
        }
    }

    #[test]
    fn bad_filters_are_refused() {
        for bad in
            ["", "sport+", "sport/tennis#", "sport/tennis/#/ranking", "$share/", "$share/g", "a\0b"]
                .into_iter()
                .chain(["$share//a", "$share/+/a", "$share/g#/a", "$share/g/", "$share/g/a#"])
        {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
        for good in ["#", "+", "/", "//", "+/tennis/#", "$share/g/#", "$share/g//", "a b"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_with_wildcards_and_empty_names_are_refused() {
        for bad in ["", "a/+", "#", "a\0"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name("/").is_ok());
    }

    #[test]
    fn control_characters_are_refused_and_their_neighbours_are_not() {
        for bad in ["a\u{1}", "\u{1f}", "a/\u{7f}b", "\u{80}", "a\u{9f}", "\0"] {
            assert!(check_name(bad).is_err() && check_filter(bad).is_err(), "{bad:?}");
        }
        for good in ["a b", "~", "\u{a0}", "\u{c2}", "\u{fffd}", "\u{feff}a", "\u{10ffff}"] {
            assert!(check_name(good).is_ok() && check_filter(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_topic_at_the_limits_passes_and_one_past_does_not() {
        let levels = |count: usize| ["a"].repeat(count).join("/");
        let beyond = TopicLimits { bytes_max: usize::MAX, levels_max: usize::MAX };
        for limits in [TopicLimits::WIDEST, beyond] {
            assert!(limits.allow(&levels(TOPIC_LEVELS_MAX)));
            assert!(!limits.allow(&levels(TOPIC_LEVELS_MAX + 1)));
            assert!(limits.allow(&"a".repeat(TOPIC_BYTES_MAX)));
            assert!(!limits.allow(&"a".repeat(TOPIC_BYTES_MAX + 1)));
        }
        let narrow = TopicLimits { bytes_max: 5, levels_max: 2 };
        assert!(narrow.allow("ab/cd") && !narrow.allow("ab/cde") && !narrow.allow("a/b/c"));
    }
}
