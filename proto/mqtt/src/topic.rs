//! Topic names and filters (MQTT 5.0, section 4.7).

use crate::{
    Error,
    limits::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX},
};

/// Checks a topic name: not empty, no wildcard. Its characters were checked when it was read.
///
/// # Errors
/// [`Error::TopicName`].
#[inline]
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::TopicName("it is empty"));
    }
    if name.bytes().any(|byte| matches!(byte, b'+' | b'#' | 0)) {
        return Err(Error::TopicName("it contains a wildcard or the null character"));
    }
    Ok(())
}

/// Checks a topic filter: not empty, `+` alone in its level, `#` alone in the last; a shared one names
/// its group and a filter.
///
/// # Errors
/// [`Error::TopicFilter`].
pub fn check_filter(filter: &str) -> Result<(), Error> {
    let filter = match filter.strip_prefix("$share/") {
        None => filter,
        Some(shared) => match shared.split_once('/') {
            Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) => filter,
            _ => return Err(Error::TopicFilter("a shared subscription without group or filter")),
        },
    };
    if filter.is_empty() || filter.contains('\0') {
        return Err(Error::TopicFilter("it is empty or contains the null character"));
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

/// Whether a valid name or filter is within the limits that this crate's server keeps.
#[must_use]
pub fn is_within_limits(topic: &str) -> bool {
    topic.len() <= TOPIC_BYTES_MAX
        && topic.bytes().filter(|byte| *byte == b'/').count() < TOPIC_LEVELS_MAX
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
        ] {
            assert!(!matches(filter, name), "{filter} {name}");
        }
    }

    #[test]
    fn bad_filters_are_refused() {
        for bad in
            ["", "sport+", "sport/tennis#", "sport/tennis/#/ranking", "$share/", "$share/g", "a\0b"]
                .into_iter()
                .chain(["$share//a", "$share/+/a", "$share/g/"])
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
    fn a_topic_at_the_limits_passes_and_one_past_does_not() {
        let levels = |count: usize| ["a"].repeat(count).join("/");
        assert!(is_within_limits(&levels(TOPIC_LEVELS_MAX)));
        assert!(!is_within_limits(&levels(TOPIC_LEVELS_MAX + 1)));
        assert!(is_within_limits(&"a".repeat(TOPIC_BYTES_MAX)));
        assert!(!is_within_limits(&"a".repeat(TOPIC_BYTES_MAX + 1)));
    }
}
