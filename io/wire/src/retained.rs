use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use hedgerow_base::Timestamp;
use hedgerow_mqtt::{Kept, Publish, QoS, topic};
use hedgerow_plane::{Level, MaySee};

use crate::limits::RETAINED_SCAN_MAX;

/// The last message of each topic that was published with the retain flag (MQTT 5.0, section 3.3.1.3).
///
/// All shards share it; it is written for a retained message and read for a subscription, never for an
/// ordinary message.
#[derive(Debug)]
pub(crate) struct Retained {
    messages_max: usize,
    bytes_max: usize,
    topics: RwLock<Topics>,
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

type Topics = BTreeMap<Box<str>, (Kept, QoS)>;

/// Some retained messages of a filter, and where to go on.
pub(crate) struct Page {
    pub(crate) messages: Vec<(Kept, QoS)>,
    /// The last topic looked at; `None` when there is no other.
    pub(crate) last: Option<Box<str>>,
}

/// There is no room for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// The one before it went: what is no longer true is not told to anybody.
    pub(crate) is_old_gone: bool,
}

impl Retained {
    /// Room for messages of so many topics, and for so many bytes.
    pub(crate) fn new(messages_max: usize, bytes_max: usize) -> Self {
        let (messages, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { messages_max, bytes_max, topics: RwLock::default(), messages, bytes }
    }

    fn read(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Topics> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Topics that have a message, and the bytes of these.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.messages.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Keeps a message in place of the one before; an empty one takes it away.
    pub(crate) fn keep(&self, message: &Publish<'_>, now: Timestamp) -> Result<(), Full> {
        let mut topics = self.write();
        let old = topics.remove(message.topic).map(|(kept, _)| kept.len());
        let mut bytes = self.bytes.load(Ordering::Relaxed) - old.unwrap_or(0);
        let mut outcome = Ok(());
        if !message.payload.is_empty() {
            let kept = Kept::new(message, now);
            if bytes + kept.len() > self.bytes_max || topics.len() >= self.messages_max {
                outcome = Err(Full { is_old_gone: old.is_some() });
            } else {
                bytes += kept.len();
                topics.insert(message.topic.into(), (kept, message.qos));
            }
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        self.messages.store(topics.len(), Ordering::Relaxed);
        outcome
    }

    /// Puts back what was kept before.
    pub(crate) fn put_back(&self, message: Kept, qos: QoS) {
        let mut topics = self.write();
        self.bytes.fetch_add(message.len(), Ordering::Relaxed);
        topics.insert(message.topic().into(), (message, qos));
        self.messages.store(topics.len(), Ordering::Relaxed);
    }

    /// At most `max` messages of the topics that match `filter`, after the topic `after`.
    pub(crate) fn page(
        &self,
        filter: &str,
        after: Option<&str>,
        max: usize,
        now: Timestamp,
    ) -> Page {
        self.seen(filter, after, max, (now, &|_| true))
    }

    /// As [`Retained::page`], of topics that `may_see` lets through.
    pub(crate) fn seen(
        &self,
        filter: &str,
        after: Option<&str>,
        max: usize,
        (now, may_see): (Timestamp, &MaySee<'_>),
    ) -> Page {
        let mut page = Page { messages: Vec::new(), last: None };
        let topics = self.read();
        let is_there = |kept: &(Kept, QoS)| !kept.0.is_expired(now) && may_see(kept.0.topic());
        let Some(wildcard) = filter.find(['+', '#']) else {
            let found = topics.get(filter).filter(|kept| after.is_none() && is_there(kept));
            page.messages.extend(found.cloned());
            return page;
        };
        // `a/#` matches `a` as well.
        let literal = filter.get(..wildcard).unwrap_or_default().trim_end_matches('/');
        let from = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(literal),
        };
        let range = topics.range::<str, _>((from, Bound::Unbounded));
        for (looked_at, (name, kept)) in range.enumerate() {
            if !name.starts_with(literal) {
                return page;
            }
            if topic::matches(filter, name) && is_there(kept) {
                page.messages.push(kept.clone());
            }
            if page.messages.len() >= max || looked_at >= RETAINED_SCAN_MAX {
                page.last = Some(name.clone());
                return page;
            }
        }
        page
    }

    /// At most `max` names at the level below `prefix`, which is empty or ends with a slash, after the topic
    /// `after`: of topics that `may_see` lets through.
    pub(crate) fn level(
        &self,
        prefix: &str,
        after: Option<&str>,
        max: usize,
        (now, may_see): (Timestamp, &MaySee<'_>),
    ) -> Level {
        let mut level = Level::default();
        let topics = self.read();
        let mut from = match after {
            Some(after) => Bound::Excluded(after.to_owned()),
            None => Bound::Included(prefix.to_owned()),
        };
        for _ in 0..RETAINED_SCAN_MAX {
            let Some((topic, kept)) =
                topics.range::<str, _>((as_str(&from), Bound::Unbounded)).next()
            else {
                return Level { next: None, ..level };
            };
            let Some(below) = topic.strip_prefix(prefix) else {
                return Level { next: None, ..level };
            };
            let is_there = !kept.0.is_expired(now) && may_see(topic);
            let (name, is_end) =
                below.split_once('/').map_or((below, true), |(name, _)| (name, false));
            if !is_there {
                from = Bound::Excluded((**topic).to_owned());
                level.next = Some(topic.clone());
                continue;
            }
            if level.branches.len() >= max && !level.branches.contains_key(name) {
                return level;
            }
            let branch = level.branches.entry(name.into()).or_default();
            branch.has_message |= is_end;
            branch.has_more |= !is_end;
            if is_end {
                from = Bound::Excluded((**topic).to_owned());
                level.next = Some(topic.clone());
            } else {
                // Everything below that name is passed over: `0` comes after `/`.
                let beyond = format!("{prefix}{name}0");
                level.next = Some(format!("{prefix}{name}/\u{10ffff}").into());
                from = Bound::Included(beyond);
            }
        }
        level
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(text) => Bound::Included(text),
        Bound::Excluded(text) => Bound::Excluded(text),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX};

    fn retained() -> Retained {
        Retained::new(RETAINED_MESSAGES_MAX, RETAINED_BYTES_MAX)
    }

    const NOW: Timestamp = Timestamp::from_secs(1);

    fn keep(retained: &Retained, topic: &str, payload: &[u8]) -> Result<(), Full> {
        let message = Publish { retain: true, ..Publish::at_most_once(topic, payload) };
        retained.keep(&message, NOW)
    }

    fn found(retained: &Retained, filter: &str, max: usize) -> Vec<String> {
        let (mut all, mut after) = (vec![], None);
        loop {
            let page = retained.page(filter, after.as_deref(), max, NOW);
            all.extend(page.messages.iter().map(|(kept, _)| kept.topic().to_owned()));
            let Some(last) = page.last else { return all };
            after = Some(last);
        }
    }

    #[test]
    fn the_last_message_of_a_topic_is_found_by_every_filter_that_matches() {
        let retained = retained();
        for topic in ["a", "a/b", "a/b/c", "ab", "a b", "$SYS/x", "b/b", "/"] {
            keep(&retained, topic, b"1").unwrap();
            keep(&retained, topic, b"22").unwrap();
        }
        for filter in ["a", "a/#", "a/+", "+/b", "#", "+/b/#", "$SYS/#", "/+", "+", "ab/#", "c"] {
            let topics = retained.read();
            let wanted: Vec<_> = topics
                .keys()
                .filter(|name| topic::matches(filter, name))
                .map(|n| n.to_string())
                .collect();
            drop(topics);
            for page in [1, 2, 100] {
                assert_eq!(found(&retained, filter, page), wanted, "{filter}, {page} a page");
            }
        }
        assert_eq!(retained.size().0, 8);
        keep(&retained, "a/b", b"").unwrap();
        assert_eq!((found(&retained, "a/b", 9).len(), retained.size().0), (0, 7));
    }

    #[test]
    fn what_is_replaced_or_taken_away_gives_its_room_back() {
        let retained = retained();
        keep(&retained, "t", &[0; 100]).unwrap();
        keep(&retained, "t", &[0; 10]).unwrap();
        assert_eq!(retained.size(), (1, 11));
        keep(&retained, "t", b"").unwrap();
        keep(&retained, "never there", b"").unwrap();
        assert_eq!(retained.size(), (0, 0));
    }

    fn level(
        retained: &Retained,
        prefix: &str,
        max: usize,
        may_see: &MaySee<'_>,
    ) -> (Vec<(String, bool, bool)>, usize) {
        let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let found = retained.level(prefix, after.as_deref(), max, (NOW, may_see));
            for (name, branch) in found.branches {
                all.push((name.into_string(), branch.has_message, branch.has_more));
            }
            pages += 1;
            let Some(next) = found.next else { return (all, pages) };
            after = Some(next);
        }
    }

    #[test]
    fn a_level_of_topics_has_each_name_once_and_says_what_is_below() {
        let retained = retained();
        for topic in ["a", "a b/c", "a/b", "a/b/c", "a/d", "b//x", "b/\u{10ffff}z", "c"] {
            keep(&retained, topic, b"1").unwrap();
        }
        let found = |prefix: &str| level(&retained, prefix, 99, &|_| true).0;
        let name = |name: &str, message, more| (name.to_owned(), message, more);
        assert_eq!(
            found(""),
            [
                name("a", true, true),
                name("a b", false, true),
                name("b", false, true),
                name("c", true, false)
            ]
        );
        assert_eq!(found("a/"), [name("b", true, true), name("d", true, false)]);
        assert_eq!(found("b/"), [name("", false, true), name("\u{10ffff}z", true, false)]);
        assert_eq!(found("b//"), [name("x", true, false)]);
        assert_eq!(found("none/"), []);
        let (paged, pages) = level(&retained, "", 2, &|_| true);
        assert_eq!((paged.len(), pages), (4, 2), "two at a time");
    }

    #[test]
    fn what_may_not_be_seen_is_in_no_page_and_on_no_level() {
        let retained = retained();
        for number in 0..=RETAINED_SCAN_MAX {
            keep(&retained, &format!("mine/{number:05}"), b"1").unwrap();
        }
        keep(&retained, "yours/1", b"1").unwrap();
        let yours = |topic: &str| topic.starts_with("yours/");
        let page = retained.seen("#", None, 9, (NOW, &yours));
        assert!(page.messages.is_empty() && page.last.is_some(), "it goes on after a while");
        let rest = retained.seen("#", page.last.as_deref(), 9, (NOW, &yours));
        assert_eq!(rest.messages.len(), 1);
        let (names, pages) = level(&retained, "", 9, &yours);
        assert_eq!(names, [("yours".to_owned(), false, true)]);
        assert_eq!(pages, 2);
        assert!(retained.seen("mine/00001", None, 9, (NOW, &yours)).messages.is_empty());
    }

    #[test]
    fn so_many_bytes_fit_and_not_one_more() {
        let retained = retained();
        keep(&retained, "t", &vec![0; RETAINED_BYTES_MAX - 1]).unwrap();
        assert_eq!(keep(&retained, "u", b""), Ok(()), "taking away needs no room");
        let too_large = vec![0; RETAINED_BYTES_MAX];
        assert_eq!(keep(&retained, "v", b"1"), Err(Full { is_old_gone: false }));
        assert_eq!(retained.size(), (1, RETAINED_BYTES_MAX));
        assert_eq!(keep(&retained, "t", &too_large), Err(Full { is_old_gone: true }));
        assert_eq!(retained.size(), (0, 0), "what is no longer true is not told");
    }

    #[test]
    fn so_many_topics_fit_and_not_one_more() {
        let retained = retained();
        for number in 0..RETAINED_MESSAGES_MAX {
            keep(&retained, &number.to_string(), b"1").unwrap();
        }
        assert_eq!(keep(&retained, "one more", b"1"), Err(Full { is_old_gone: false }));
        keep(&retained, "0", b"2").unwrap();
        assert_eq!(found(&retained, "#", 1000).len(), RETAINED_MESSAGES_MAX);
    }
}
