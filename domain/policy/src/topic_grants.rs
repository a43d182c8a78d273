use std::fmt;

use hedgerow_base::Fault;

use crate::{
    filter_tree::FilterTree,
    limits::{GRANT_FILTER_BYTES_MAX, GRANT_FILTER_LEVELS_MAX, TOPIC_GRANTS_MAX},
};

/// What a grant by topic filter lets a program do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Say something on a topic.
    Publish,
    /// Hear what is said on it.
    Subscribe,
}

impl Verb {
    /// The word in a grant, the API and the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        }
    }
}

/// One grant: a verb and an MQTT topic filter, written as `subscribe things/+/properties/#`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicGrant {
    verb: Verb,
    // INVARIANT: a valid filter within the limits, without control characters, not a shared one; that of
    // a publication does not begin with `$`.
    filter: Box<str>,
}

/// Why a text is no grant. It is the fault of who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicGrantError {
    /// It does not begin with a verb and a space.
    NoVerb,
    /// There is no filter.
    NoFilter,
    /// The filter is longer than [`GRANT_FILTER_BYTES_MAX`].
    TooLong,
    /// It has more levels than [`GRANT_FILTER_LEVELS_MAX`].
    TooDeep,
    /// It has a control character.
    ControlCharacter,
    /// `+` does not fill its level, or `#` not the last one.
    Wildcard,
    /// It names a group: whoever may subscribe may share.
    Shared,
    /// Nobody publishes under `$`.
    Reserved,
    /// There are more grants than [`TOPIC_GRANTS_MAX`].
    TooMany,
}

impl TopicGrantError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::TooMany => Fault::TooMuch,
            Self::NoVerb
            | Self::NoFilter
            | Self::TooLong
            | Self::TooDeep
            | Self::ControlCharacter
            | Self::Wildcard
            | Self::Shared
            | Self::Reserved => Fault::Invalid,
        }
    }
}

impl fmt::Display for TopicGrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVerb => f.write_str(
                "a grant begins with publish or subscribe and a space: subscribe things/+/events/#",
            ),
            Self::NoFilter => f.write_str("a grant needs a topic filter after its verb"),
            Self::TooLong => write!(f, "a filter has up to {GRANT_FILTER_BYTES_MAX} bytes"),
            Self::TooDeep => write!(f, "a filter has up to {GRANT_FILTER_LEVELS_MAX} levels"),
            Self::ControlCharacter => f.write_str("a filter has no control characters"),
            Self::Wildcard => f.write_str("+ fills a whole level of a filter, and # the last one"),
            Self::Shared => f.write_str(
                "leave $share and the group out: whoever may subscribe to a filter may share it",
            ),
            Self::Reserved => f.write_str("nobody publishes to topics that begin with $"),
            Self::TooMany => write!(f, "a token has up to {TOPIC_GRANTS_MAX} grants"),
        }
    }
}

impl std::error::Error for TopicGrantError {}

impl TopicGrant {
    /// Reads a grant as [`TopicGrant`] is displayed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TopicGrantError> {
        use TopicGrantError as Error;
        let (word, filter) = text.split_once(' ').ok_or(Error::NoVerb)?;
        let verb = [Verb::Publish, Verb::Subscribe].into_iter().find(|verb| verb.word() == word);
        let verb = verb.ok_or(Error::NoVerb)?;
        if filter.is_empty() {
            return Err(Error::NoFilter);
        }
        if filter.len() > GRANT_FILTER_BYTES_MAX {
            return Err(Error::TooLong);
        }
        if filter.split('/').count() > GRANT_FILTER_LEVELS_MAX {
            return Err(Error::TooDeep);
        }
        if filter.chars().any(char::is_control) {
            return Err(Error::ControlCharacter);
        }
        if filter.starts_with("$share/") {
            return Err(Error::Shared);
        }
        if verb == Verb::Publish && filter.starts_with('$') {
            return Err(Error::Reserved);
        }
        let mut levels = filter.split('/').peekable();
        while let Some(level) = levels.next() {
            let is_last = levels.peek().is_none();
            if level.contains(['+', '#']) && level != "+" && !(level == "#" && is_last) {
                return Err(Error::Wildcard);
            }
        }
        Ok(Self { verb, filter: filter.into() })
    }

    /// What it lets a program do.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        self.verb
    }

    /// On which topics.
    #[must_use]
    pub const fn filter(&self) -> &str {
        &self.filter
    }
}

impl fmt::Display for TopicGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.word(), self.filter)
    }
}

/// The grants of one token, compiled. A check allocates nothing; its time follows the levels of the topic,
/// not the number of the grants.
#[derive(Clone, Debug, Default)]
pub struct TopicGrants {
    publish: FilterTree,
    subscribe: FilterTree,
    count: usize,
}

impl TopicGrants {
    /// Compiles grants.
    ///
    /// # Errors
    /// [`TopicGrantError::TooMany`].
    pub fn compile(grants: &[TopicGrant]) -> Result<Self, TopicGrantError> {
        if grants.len() > TOPIC_GRANTS_MAX {
            return Err(TopicGrantError::TooMany);
        }
        let of = |verb| grants.iter().filter(move |g| g.verb == verb).map(TopicGrant::filter);
        let (publish, subscribe) = (of(Verb::Publish), of(Verb::Subscribe));
        Ok(Self {
            publish: FilterTree::compile(publish),
            subscribe: FilterTree::compile(subscribe),
            count: grants.len(),
        })
    }

    /// Whether there are none: the token has what its scopes say.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a program may publish to `topic`: one grant's filter matches it.
    #[must_use]
    #[inline]
    pub fn may_publish(&self, topic: &str) -> bool {
        self.publish.matches(topic)
    }

    /// Whether a program may subscribe to `filter`: one grant covers all of it.
    #[must_use]
    pub fn may_subscribe(&self, filter: &str) -> bool {
        self.subscribe.covers(filter)
    }

    /// Whether a program may be handed what was said on `topic`.
    #[must_use]
    #[inline]
    pub fn may_receive(&self, topic: &str) -> bool {
        self.subscribe.matches(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TopicGrant, TopicGrantError> {
        TopicGrant::parse(text)
    }

    #[test]
    fn a_grant_is_read_as_it_is_written() {
        for text in [
            "subscribe things/+/properties/#",
            "publish things/abc/actions/identify",
            "publish lab/#",
            "subscribe #",
            "subscribe +",
            "publish /",
            "publish a b//c",
            "subscribe $SYS/#",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_grant_is_refused_by_what_is_wrong_with_it() {
        use TopicGrantError as Error;
        for (text, error) in [
            ("", Error::NoVerb),
            ("things/#", Error::NoVerb),
            ("Publish a", Error::NoVerb),
            ("delete a", Error::NoVerb),
            ("publish", Error::NoVerb),
            ("publish ", Error::NoFilter),
            ("publish a+", Error::Wildcard),
            ("publish a/#/b", Error::Wildcard),
            ("subscribe ##", Error::Wildcard),
            ("subscribe a/b#", Error::Wildcard),
            ("subscribe a\nb", Error::ControlCharacter),
            ("subscribe a\0", Error::ControlCharacter),
            ("subscribe $share/g/a", Error::Shared),
            ("publish $SYS/x", Error::Reserved),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_filter_at_the_limits_passes_and_one_past_does_not() {
        let long = |bytes| parse(&format!("publish {}", "a".repeat(bytes)));
        assert!(long(GRANT_FILTER_BYTES_MAX).is_ok());
        assert_eq!(long(GRANT_FILTER_BYTES_MAX + 1), Err(TopicGrantError::TooLong));
        let deep = |levels| parse(&format!("publish {}", ["a"].repeat(levels).join("/")));
        assert!(deep(GRANT_FILTER_LEVELS_MAX).is_ok());
        assert_eq!(deep(GRANT_FILTER_LEVELS_MAX + 1), Err(TopicGrantError::TooDeep));
    }

    #[test]
    fn so_many_grants_fit_a_token_and_not_one_more() {
        let many = |count| {
            let grants: Vec<_> =
                (0..count).map(|n| parse(&format!("publish a/{n}")).unwrap()).collect();
            TopicGrants::compile(&grants)
        };
        let most = many(TOPIC_GRANTS_MAX).unwrap();
        assert!((0..TOPIC_GRANTS_MAX).all(|n| most.may_publish(&format!("a/{n}"))));
        assert_eq!(many(TOPIC_GRANTS_MAX + 1).unwrap_err(), TopicGrantError::TooMany);
    }

    #[test]
    fn the_verbs_do_not_lend_each_other_anything() {
        let grants = ["publish a/#", "subscribe b/#"].map(|text| parse(text).unwrap());
        let grants = TopicGrants::compile(&grants).unwrap();
        assert!(grants.may_publish("a/x") && !grants.may_publish("b/x"));
        assert!(grants.may_subscribe("b/+") && !grants.may_subscribe("a/x"));
        assert!(grants.may_receive("b/x") && !grants.may_receive("a/x"));
        assert!(!grants.is_empty() && TopicGrants::default().is_empty());
        assert!(!TopicGrants::default().may_publish("a"), "nothing granted, nothing allowed");
    }
}
