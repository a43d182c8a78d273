use std::collections::BTreeMap;

/// Topic filters, frozen into one table, that answer two questions: does one of them match this topic,
/// and does one of them cover all that this filter could match (MQTT 5.0, section 4.7).
///
/// A level costs one look by hash, and one more where a filter has `+` beside it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterTree {
    nodes: Box<[Node]>,
    edges: Box<[Edge]>,
    // INVARIANT: a power of two, at least twice the edges; 0 is empty, else an index of `edges` + 1.
    slots: Box<[u32]>,
}

/// What filters say after the levels that led here. The root is node 0, and nothing leads back to it.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// After `+`; 0 where none goes on so.
    any: u32,
    /// A filter ends here.
    ends: bool,
    /// A filter has `#` here.
    below: bool,
}

#[derive(Clone, Debug)]
struct Edge {
    from: u32,
    level: Box<str>,
    to: u32,
}

impl FilterTree {
    /// Compiles valid filters.
    pub(crate) fn compile<'f>(filters: impl Iterator<Item = &'f str>) -> Self {
        let mut nodes = Vec::new();
        let mut named: BTreeMap<(u32, &str), u32> = BTreeMap::new();
        for filter in filters {
            // `+/#` matches what `#` matches: every topic has a level.
            let filter = if filter == "+/#" { "#" } else { filter };
            if nodes.is_empty() {
                nodes.push(Node::default());
            }
            let mut at = 0u32;
            let mut everything_below = false;
            for level in filter.split('/') {
                let known = match level {
                    "#" => {
                        everything_below = true;
                        continue;
                    }
                    "+" => node(&nodes, at).any,
                    name => named.get(&(at, name)).copied().unwrap_or_default(),
                };
                let next = if known == 0 { fresh(&mut nodes) } else { known };
                match (level, nodes.get_mut(at as usize)) {
                    ("+", Some(node)) => node.any = next,
                    (name, _) => {
                        named.insert((at, name), next);
                    }
                }
                at = next;
            }
            if let Some(node) = nodes.get_mut(at as usize) {
                if everything_below { node.below = true } else { node.ends = true }
            }
        }
        let edges =
            named.into_iter().map(|((from, level), to)| Edge { from, level: level.into(), to });
        let edges: Box<[Edge]> = edges.collect();
        Self { slots: slots(&edges), edges, nodes: nodes.into() }
    }

    /// Whether a filter matches `topic`. A leading wildcard matches nothing that begins with `$`.
    #[inline]
    pub(crate) fn matches(&self, topic: &str) -> bool {
        !self.nodes.is_empty() && self.reaches(0, Some(topic), topic.starts_with('$'))
    }

    fn reaches(&self, at: u32, levels: Option<&str>, is_hidden: bool) -> bool {
        let node = node(&self.nodes, at);
        if node.below && !is_hidden {
            return true;
        }
        let Some(levels) = levels else { return node.ends };
        let (level, rest) = cut(levels);
        let named = self.step(at, level);
        (named != 0 && self.reaches(named, rest, false))
            || (node.any != 0 && !is_hidden && self.reaches(node.any, rest, false))
    }

    /// Whether one filter matches whatever the valid filter `asked` could match.
    pub(crate) fn covers(&self, asked: &str) -> bool {
        !self.nodes.is_empty() && self.includes(0, Some(asked), asked.starts_with('$'))
    }

    fn includes(&self, at: u32, levels: Option<&str>, is_hidden: bool) -> bool {
        let node = node(&self.nodes, at);
        if node.below && !is_hidden {
            return true;
        }
        let Some(levels) = levels else { return node.ends };
        let any = |rest| node.any != 0 && !is_hidden && self.includes(node.any, rest, false);
        match cut(levels) {
            ("#", _) => false,
            ("+", rest) => any(rest),
            (level, rest) => {
                let named = self.step(at, level);
                (named != 0 && self.includes(named, rest, false)) || any(rest)
            }
        }
    }

    /// The node after a named level; 0 where there is none.
    #[inline]
    fn step(&self, from: u32, level: &str) -> u32 {
        for slot in walk(from, level, self.slots.len()) {
            let edge = self.slots.get(slot).and_then(|index| index.checked_sub(1));
            match edge.and_then(|index| self.edges.get(index as usize)) {
                Some(edge) if edge.from == from && *edge.level == *level => return edge.to,
                Some(_) => {}
                None => return 0,
            }
        }
        0
    }
}

#[inline]
fn node(nodes: &[Node], at: u32) -> Node {
    nodes.get(at as usize).copied().unwrap_or_default()
}

/// A new node's number. The limits of grants keep it small.
fn fresh(nodes: &mut Vec<Node>) -> u32 {
    let number = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    nodes.push(Node::default());
    number
}

#[inline]
fn cut(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    }
}

fn slots(edges: &[Edge]) -> Box<[u32]> {
    let mut slots = vec![0u32; (edges.len() * 2).next_power_of_two()];
    for (number, edge) in (1u32..).zip(edges) {
        let free = walk(edge.from, &edge.level, slots.len())
            .find(|slot| slots.get(*slot) == Some(&0))
            .and_then(|slot| slots.get_mut(slot));
        if let Some(slot) = free {
            *slot = number;
        }
    }
    slots.into()
}

/// The slots to look at for a level after a node, each once.
#[inline]
fn walk(from: u32, level: &str, slots: usize) -> impl Iterator<Item = usize> {
    // FNV-1a over eight bytes at a time; the levels are bounded and were granted by an owner.
    let mix =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = level.as_bytes().as_chunks::<8>();
    let hash =
        words.iter().fold(u64::from(from), |hash, word| mix(hash, u64::from_le_bytes(*word)));
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
    fn nothing_is_in_an_empty_tree() {
        assert!(!tree(&[]).matches("a") && !tree(&[]).covers("a") && !tree(&[]).covers("#"));
    }
}
