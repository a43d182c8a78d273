use alloc::{boxed::Box, vec::Vec};
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use crate::{Error, topic};

/// Subscriptions by filter: finds every value whose filter matches a topic name, in the time of the
/// name's levels rather than of the subscriptions.
///
/// Under one filter each key has one value. Depth is bounded by
/// [`limits::TOPIC_LEVELS_MAX`](crate::limits::TOPIC_LEVELS_MAX).
#[derive(Debug)]
pub struct TopicTree<K, V> {
    root: Node<K, V>,
    len: usize,
    /// Seeded anew in each process, so that nobody can choose names that collide.
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Node<K, V> {
    /// Of filters that end here, sorted by key.
    here: Vec<(K, V)>,
    /// Of filters that end in `#` after this level, sorted by key.
    below: Vec<(K, V)>,
    any: Option<Box<Node<K, V>>>,
    named: HashTable<Named<K, V>>,
}

/// A level with a name.
#[derive(Debug)]
struct Named<K, V> {
    name: Box<str>,
    node: Box<Node<K, V>>,
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Self {
        Self { here: Vec::new(), below: Vec::new(), any: None, named: HashTable::new() }
    }
}

impl<K, V> Node<K, V> {
    /// The level below with this name, made if it is missing.
    fn named_or_new(&mut self, name: &str, hasher: &DefaultHashBuilder) -> &mut Self {
        let hash = hasher.hash_one(name);
        let is_it = |known: &Named<K, V>| *known.name == *name;
        match self.named.entry(hash, is_it, |known| hasher.hash_one(&*known.name)) {
            Entry::Occupied(known) => &mut known.into_mut().node,
            Entry::Vacant(vacant) => {
                let new = Named { name: name.into(), node: Box::default() };
                &mut vacant.insert(new).into_mut().node
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.below.is_empty() && self.any.is_none() && self.named.is_empty()
    }
}

impl<K, V> Default for TopicTree<K, V> {
    fn default() -> Self {
        Self { root: Node::default(), len: 0, hasher: DefaultHashBuilder::default() }
    }
}

impl<K: Ord, V> TopicTree<K, V> {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts `value` under (filter, key); what stood there comes back.
    ///
    /// # Errors
    /// [`Error::TopicFilter`]: not a filter, or beyond the limits.
    pub fn insert(&mut self, filter: &str, key: K, value: V) -> Result<Option<V>, Error> {
        topic::check_filter(filter)?;
        if !topic::TopicLimits::WIDEST.allow(filter) {
            return Err(Error::TopicFilter("it is too long or has too many levels"));
        }
        let mut node = &mut self.root;
        let mut everything_below = false;
        for level in filter.split('/') {
            match level {
                "#" => everything_below = true,
                "+" => node = node.any.get_or_insert_default(),
                name => node = node.named_or_new(name, &self.hasher),
            }
        }
        let list = if everything_below { &mut node.below } else { &mut node.here };
        match list.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => Ok(list.get_mut(at).map(|(_, old)| core::mem::replace(old, value))),
            Err(at) => {
                list.insert(at, (key, value));
                self.len += 1;
                Ok(None)
            }
        }
    }

    /// Takes the value out that stands under (filter, key), and the levels that nothing else needs.
    pub fn remove(&mut self, filter: &str, key: &K) -> Option<V> {
        if !topic::TopicLimits::WIDEST.allow(filter) {
            return None;
        }
        let value = remove(&mut self.root, Some(filter), key, &self.hasher)?;
        self.len -= 1;
        Some(value)
    }

    /// Calls `found` for every value whose filter matches `name`; a key with several matching filters
    /// comes several times.
    pub fn visit<'t>(&'t self, name: &str, found: &mut impl FnMut(&'t K, &'t V)) {
        let hidden = name.starts_with('$');
        visit(&self.root, Some(name), (hidden, &self.hasher), found);
    }
}

fn cut(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    }
}

fn remove<K: Ord, V>(
    node: &mut Node<K, V>,
    levels: Option<&str>,
    key: &K,
    hasher: &DefaultHashBuilder,
) -> Option<V> {
    let take = |list: &mut Vec<(K, V)>| {
        let at = list.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        Some(list.remove(at).1)
    };
    let Some(levels) = levels else { return take(&mut node.here) };
    match cut(levels) {
        ("#", _) => take(&mut node.below),
        ("+", rest) => {
            let any = node.any.as_mut()?;
            let value = remove(any, rest, key, hasher)?;
            if any.is_empty() {
                node.any = None;
            }
            Some(value)
        }
        (level, rest) => {
            let is_it = |known: &Named<K, V>| *known.name == *level;
            let mut known = node.named.find_entry(hasher.hash_one(level), is_it).ok()?;
            let value = remove(&mut known.get_mut().node, rest, key, hasher)?;
            if known.get().node.is_empty() {
                let _ = known.remove();
                if node.named.len() * 8 < node.named.capacity() {
                    node.named.shrink_to_fit(|known| hasher.hash_one(&*known.name));
                }
            }
            Some(value)
        }
    }
}

fn visit<'t, K, V>(
    node: &'t Node<K, V>,
    levels: Option<&str>,
    (hidden, hasher): (bool, &DefaultHashBuilder),
    found: &mut impl FnMut(&'t K, &'t V),
) {
    if !hidden {
        node.below.iter().for_each(|(key, value)| found(key, value));
    }
    let Some(levels) = levels else {
        node.here.iter().for_each(|(key, value)| found(key, value));
        return;
    };
    let (level, rest) = cut(levels);
    // Most levels have few names below, and a `+` has none often.
    if !node.named.is_empty()
        && let Some(next) = node.named.find(hasher.hash_one(level), |known| *known.name == *level)
    {
        visit(&next.node, rest, (false, hasher), found);
    }
    if let Some(any) = node.any.as_ref().filter(|_| !hidden) {
        visit(any, rest, (false, hasher), found);
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec};

    use super::*;
    use crate::limits::TOPIC_LEVELS_MAX;

    fn found(tree: &TopicTree<u32, ()>, name: &str) -> Vec<u32> {
        let mut keys = vec![];
        tree.visit(name, &mut |key, ()| keys.push(*key));
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_tree_agrees_with_matching_one_by_one() {
        let levels = ["a", "b", "", "+", "#", "$x"];
        let mut filters: Vec<String> = vec![];
        for first in levels {
            filters.push(first.into());
            for second in levels {
                filters.push([first, second].join("/"));
                filters.extend(levels.map(|third| [first, second, third].join("/")));
            }
        }
        filters.retain(|filter| topic::check_filter(filter).is_ok());
        let mut tree = TopicTree::new();
        for (key, filter) in filters.iter().enumerate() {
            tree.insert(filter, u32::try_from(key).unwrap(), ()).unwrap();
        }
        for name in filters.iter().filter(|name| topic::check_name(name).is_ok()) {
            let wanted: Vec<u32> = (0u32..)
                .zip(&filters)
                .filter(|(_, filter)| topic::matches(filter, name))
                .map(|(key, _)| key)
                .collect();
            assert_eq!(found(&tree, name), wanted, "{name}");
        }
        for (key, filter) in filters.iter().enumerate() {
            assert_eq!(tree.remove(filter, &u32::try_from(key).unwrap()), Some(()), "{filter}");
        }
        assert!(tree.is_empty() && tree.root.is_empty(), "no level stays behind");
    }

    #[test]
    fn a_key_has_one_value_under_a_filter() {
        let mut tree = TopicTree::new();
        assert_eq!(tree.insert("a/+", 1, 'x'), Ok(None));
        assert_eq!(tree.insert("a/+", 1, 'y'), Ok(Some('x')));
        assert_eq!((tree.len(), tree.remove("a/b", &1), tree.remove("a/+", &2)), (1, None, None));
        assert_eq!(tree.remove("a/+", &1), Some('y'));
    }

    #[test]
    fn a_filter_too_deep_is_refused_and_never_walked() {
        let deep = |levels: usize| vec!["+"; levels].join("/");
        let mut tree = TopicTree::new();
        assert!(tree.insert(&deep(TOPIC_LEVELS_MAX), 1, ()).is_ok());
        assert!(tree.insert(&deep(TOPIC_LEVELS_MAX + 1), 1, ()).is_err());
        let endless = vec!["a"; 30_000].join("/");
        assert_eq!(found(&tree, &endless), []);
        assert_eq!(tree.remove(&endless, &1), None);
    }
}
