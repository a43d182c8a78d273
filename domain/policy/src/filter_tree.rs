use std::collections::BTreeMap;

/// Up to 64 topic filters, frozen into one table, that answer two questions: does one of them match this
/// topic, and does one of them cover all that this filter could match (MQTT 5.0, section 4.7).
///
/// Each filter is a bit. A level of the topic leaves the bits of those filters that allow it there, which is
/// one look by hash: the time follows the levels of the topic, however many filters there are and whatever
/// wildcards they have.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterTree {
    // INVARIANT: one more than the levels of the longest filter; none for no filter.
    depths: Box<[Depth]>,
    names: Box<[Name]>,
    // INVARIANT: a power of two, at least twice the names; 0 is empty, else an index of `names` + 1.
    slots: Box<[u32]>,
}

/// What the filters say at one depth, a bit each.
#[derive(Clone, Copy, Debug, Default)]
struct Depth {
    /// `+` is here.
    any: u64,
    /// `#` is here, so that everything matches from here on.
    below: u64,
    /// The filter has ended before this level.
    ended: u64,
}

/// The filters that have this name at this depth.
#[derive(Clone, Debug)]
struct Name {
    depth: u32,
    level: Box<str>,
    filters: u64,
}

impl FilterTree {
    /// Filters of one tree; those beyond match nothing.
    pub(crate) const FILTERS_MAX: usize = 64;

    /// Compiles valid filters.
    pub(crate) fn compile<'f>(filters: impl Iterator<Item = &'f str>) -> Self {
        let mut depths: Vec<Depth> = Vec::new();
        let mut named: BTreeMap<(u32, &str), u64> = BTreeMap::new();
        for (number, filter) in filters.take(Self::FILTERS_MAX).enumerate() {
            // `+/#` matches what `#` matches: every topic has a level.
            let filter = if filter == "+/#" { "#" } else { filter };
            let (bit, mut ends) = (1u64 << number, true);
            let mut levels = 0usize;
            for (depth, level) in (0u32..).zip(filter.split('/')) {
                let at = depth_at(&mut depths, levels);
                match level {
                    "#" => {
                        at.below |= bit;
                        ends = false;
                    }
                    "+" => at.any |= bit,
                    name => *named.entry((depth, name)).or_default() |= bit,
                }
                levels += 1;
            }
            if ends {
                depth_at(&mut depths, levels).ended |= bit;
            }
        }
        let name = |((depth, level), filters): ((u32, &str), u64)| Name {
            depth,
            level: level.into(),
            filters,
        };
        let names: Box<[Name]> = named.into_iter().map(name).collect();
        Self { slots: slots(&names), names, depths: depths.into() }
    }

    /// Whether a filter matches `topic`. A leading wildcard matches nothing that begins with `$`.
    #[inline]
    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.follow(topic, |_| Asked::Name)
    }

    /// Whether one filter matches whatever the valid filter `asked` could match.
    pub(crate) fn covers(&self, asked: &str) -> bool {
        self.follow(asked, |level| match level {
            "#" => Asked::Everything,
            "+" => Asked::Any,
            _ => Asked::Name,
        })
    }

    #[inline]
    fn follow(&self, levels: &str, kind: impl Fn(&str) -> Asked) -> bool {
        // Wildcards of the first level, where the name begins with `$`.
        let mut open = if levels.starts_with('$') { 0 } else { u64::MAX };
        let (mut live, mut rest) = (u64::MAX, Some(levels));
        for (number, depth) in (0u32..).zip(&self.depths) {
            if live & depth.below & open != 0 {
                return true;
            }
            let Some(left) = rest else { return live & depth.ended != 0 };
            let (level, after) = cut(left);
            let named = match kind(level) {
                Asked::Everything => return false,
                Asked::Any => 0,
                Asked::Name => self.named(number, level),
            };
            live &= named | depth.any & open;
            if live == 0 {
                return false;
            }
            (rest, open) = (after, u64::MAX);
        }
        false
    }

    /// The filters that have this name at this depth.
    #[inline]
    fn named(&self, depth: u32, level: &str) -> u64 {
        for slot in walk(depth, level, self.slots.len()) {
            let name = self.slots.get(slot).and_then(|index| index.checked_sub(1));
            match name.and_then(|index| self.names.get(index as usize)) {
                Some(name) if name.depth == depth && *name.level == *level => return name.filters,
                Some(_) => {}
                None => return 0,
            }
        }
        0
    }
}

/// What a level of the question is.
enum Asked {
    Name,
    Any,
    Everything,
}

/// The entry of a depth, made with those before it.
fn depth_at(depths: &mut Vec<Depth>, at: usize) -> &mut Depth {
    if depths.len() <= at {
        depths.resize(at + 1, Depth::default());
    }
    // INVARIANT: it was just made.
    #[expect(clippy::indexing_slicing, reason = "resized above")]
    &mut depths[at]
}

#[inline]
fn cut(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    }
}

fn slots(names: &[Name]) -> Box<[u32]> {
    let mut slots = vec![0u32; (names.len() * 2).next_power_of_two()];
    for (number, name) in (1u32..).zip(names) {
        let free = walk(name.depth, &name.level, slots.len())
            .find(|slot| slots.get(*slot) == Some(&0))
            .and_then(|slot| slots.get_mut(slot));
        if let Some(slot) = free {
            *slot = number;
        }
    }
    slots.into()
}

/// The slots to look at for a name at a depth, each once.
#[inline]
fn walk(depth: u32, level: &str, slots: usize) -> impl Iterator<Item = usize> {
    // FNV-1a over eight bytes at a time; the levels are bounded and were granted by an owner.
    let mix =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = level.as_bytes().as_chunks::<8>();
    let hash =
        words.iter().fold(u64::from(depth), |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte) + 1));
    #[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
    let first = (hash ^ (hash >> 32)) as usize;
    (0..slots).map(move |step| first.wrapping_add(step) & (slots - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(filters: &[&str]) -> FilterTree {
        FilterTree::compile(filters.iter().copied())
    }

    /// The standard's rule, word for word and slowly.
    fn is_match(filter: &str, topic: &str) -> bool {
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        let (mut wanted, mut levels) = (filter.split('/'), topic.split('/'));
        loop {
            match (wanted.next(), levels.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(_)) => {}
                (Some(wanted), Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
    }

    /// Every text of one to `depth` of these levels.
    fn texts(levels: &[&str], depth: usize) -> Vec<String> {
        let mut all: Vec<String> = levels.iter().map(|&level| level.into()).collect();
        let mut last = all.clone();
        for _ in 1..depth {
            last = last
                .iter()
                .flat_map(|head| levels.iter().map(move |level| format!("{head}/{level}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    fn filters() -> Vec<String> {
        let mut all = texts(&["a", "", "$b", "+", "#"], 3);
        all.retain(|f| !f.is_empty() && f.find('#').is_none_or(|at| at + 1 == f.len()));
        all
    }

    /// One level deeper than the filters, with a level that none of them names. The empty topic, which
    /// nobody can publish to, is there to keep `/#` and `/+/#` apart.
    fn topics() -> Vec<String> {
        texts(&["a", "", "$b", "other"], 4)
    }

    #[test]
    fn a_filter_matches_what_the_standard_says() {
        let (filters, topics) = (filters(), topics());
        for filter in &filters {
            let tree = tree(&[filter]);
            for topic in &topics {
                assert_eq!(tree.matches(topic), is_match(filter, topic), "{filter} {topic}");
            }
        }
    }

    #[test]
    fn a_filter_covers_another_when_it_matches_all_of_its_topics_and_only_then() {
        let (filters, topics) = (filters(), topics());
        let matched = |filter: &str| -> Vec<bool> {
            topics.iter().map(|topic| is_match(filter, topic)).collect()
        };
        let sets: Vec<_> = filters.iter().map(|filter| matched(filter)).collect();
        for (granted, wide) in filters.iter().zip(&sets) {
            let tree = tree(&[granted]);
            for (asked, narrow) in filters.iter().zip(&sets) {
                let is_within = narrow.iter().zip(wide).all(|(n, w)| *w || !*n);
                assert_eq!(tree.covers(asked), is_within, "{granted} and {asked}");
            }
        }
    }

    #[test]
    fn many_filters_do_what_each_of_them_does() {
        let (filters, topics) = (filters(), topics());
        for chosen in filters.windows(7).step_by(3) {
            let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
            let all = tree(&chosen);
            for topic in &topics {
                let wanted = chosen.iter().any(|filter| is_match(filter, topic));
                assert_eq!(all.matches(topic), wanted, "{chosen:?} {topic}");
            }
            for asked in &filters {
                let wanted = chosen.iter().any(|granted| tree(&[granted]).covers(asked));
                assert_eq!(all.covers(asked), wanted, "{chosen:?} {asked}");
            }
        }
    }

    #[test]
    fn what_begins_with_a_dollar_is_covered_by_its_own_name_only() {
        for granted in ["#", "+/#", "+/x", "+"] {
            for asked in ["$SYS/#", "$SYS/x", "$SYS"] {
                assert!(!tree(&[granted]).covers(asked), "{granted} {asked}");
                assert!(!tree(&[granted]).matches("$SYS/x"), "{granted}");
            }
        }
        assert!(tree(&["$SYS/#"]).covers("$SYS/x/+") && tree(&["$SYS/#"]).matches("$SYS/x"));
        assert!(tree(&["#"]).covers("+/x"), "which matches nothing that begins with a dollar");
    }

    #[test]
    fn the_last_of_so_many_filters_counts_and_one_more_does_not() {
        let names: Vec<String> =
            (0..=FilterTree::FILTERS_MAX).map(|n| format!("t/{n}/+")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tree = tree(&names);
        assert!(tree.matches("t/63/x") && !tree.matches("t/64/x"));
        const { assert!(crate::limits::TOPIC_GRANTS_MAX <= FilterTree::FILTERS_MAX) };
    }

    #[test]
    fn nothing_is_in_an_empty_tree() {
        assert!(!tree(&[]).matches("a") && !tree(&[]).covers("a") && !tree(&[]).covers("#"));
    }
}
