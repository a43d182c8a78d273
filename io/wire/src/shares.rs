use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use hedgerow_mqtt::{SubscriptionOptions, TopicTree};

/// The members of shared subscriptions (MQTT 5.0, section 4.8.2), whatever shard they are in.
///
/// Read when a route is made; every change makes all routes anew.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Groups by filter and name.
    groups: Mutex<TopicTree<Box<str>, Group>>,
}

#[derive(Debug)]
struct Group {
    name: Arc<GroupName>,
    turn: Arc<AtomicUsize>,
    members: Vec<Member>,
}

/// What a group is called, and its filter.
#[derive(Debug)]
pub(crate) struct GroupName(Box<str>, Box<str>);

/// One session of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) shard: usize,
    pub(crate) link: u64,
    pub(crate) options: SubscriptionOptions,
    /// Its client is connected.
    pub(crate) is_here: bool,
}

/// A group as a route sees it.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) name: Arc<GroupName>,
    turn: Arc<AtomicUsize>,
    members: Box<[Member]>,
}

impl Group {
    fn share(&self) -> Share {
        let (name, turn) = (Arc::clone(&self.name), Arc::clone(&self.turn));
        Share { name, turn, members: self.members.clone().into_boxed_slice() }
    }
}

impl Share {
    /// Whom to offer a message: each once, the next in turn first, those who are away last.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Member> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len().max(1);
        let (before, after) = self.members.split_at(first);
        let in_turn = || after.iter().chain(before);
        in_turn().filter(|member| member.is_here).chain(in_turn().filter(|m| !m.is_here))
    }
}

impl Shares {
    fn lock(&self) -> MutexGuard<'_, TopicTree<Box<str>, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(
        &self,
        (group, filter): (&str, &str),
        act: impl FnOnce(&mut Vec<Member>) -> T,
    ) -> T {
        let mut groups = self.lock();
        let name: Box<str> = group.into();
        let new = || Group {
            name: Arc::new(GroupName(name.clone(), filter.into())),
            turn: Arc::default(),
            members: Vec::new(),
        };
        let mut changed = groups.remove(filter, &name).unwrap_or_else(new);
        let result = act(&mut changed.members);
        if !changed.members.is_empty() {
            // A filter that the session took is one that the tree takes.
            let _ = groups.insert(filter, name, changed);
        }
        result
    }

    /// A session subscribes, or changes its options or its presence; says whether it is new.
    pub(crate) fn join(&self, share: (&str, &str), member: Member) -> bool {
        let is_same =
            |known: &&mut Member| (known.shard, known.link) == (member.shard, member.link);
        self.change(share, |members| match members.iter_mut().find(is_same) {
            Some(known) => {
                *known = member;
                false
            }
            None => {
                members.push(member);
                true
            }
        })
    }

    /// A session's subscription ends; says whether there was one.
    pub(crate) fn leave(&self, share: (&str, &str), shard: usize, link: u64) -> bool {
        self.change(share, |members| {
            let before = members.len();
            members.retain(|known| (known.shard, known.link) != (shard, link));
            members.len() < before
        })
    }

    /// The groups that want `topic`.
    pub(crate) fn of(&self, topic: &str) -> Box<[Share]> {
        let mut found = Vec::new();
        self.lock().visit(topic, &mut |_, group| {
            found.push(group.share());
        });
        found.into_boxed_slice()
    }

    /// The group of this name, as it is now; `None` when nobody is in it any more.
    pub(crate) fn named(&self, GroupName(group, filter): &GroupName) -> Option<Share> {
        let mut groups = self.lock();
        let found = groups.remove(filter, group)?;
        let share = found.share();
        // It was there under this name.
        let _ = groups.insert(filter, group.clone(), found);
        Some(share)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_mqtt::QoS;

    use super::*;

    fn member(shard: usize, link: u64) -> Member {
        let options = SubscriptionOptions::of(QoS::AtLeastOnce);
        Member { shard, link, options, is_here: true }
    }

    fn first(shares: &Shares) -> Option<u64> {
        Some(shares.of("t").first()?.candidates().next()?.link)
    }

    #[test]
    fn members_take_turns_and_those_who_are_away_come_last() {
        let shares = Shares::default();
        for link in [1, 2, 3] {
            shares.join(("g", "t"), member(0, link));
        }
        let turns: Vec<_> = (0..4).filter_map(|_| first(&shares)).collect();
        assert_eq!(turns, [1, 2, 3, 1], "also when routes are made anew");
        shares.join(("g", "t"), Member { is_here: false, ..member(0, 2) });
        let turns: Vec<_> = (0..6).filter_map(|_| first(&shares)).collect();
        assert!(!turns.contains(&2), "{turns:?}");
        shares.leave(("g", "t"), 0, 1);
        shares.leave(("g", "t"), 0, 3);
        assert_eq!(first(&shares), Some(2), "there is nobody else");
        shares.leave(("g", "t"), 0, 2);
        assert!(shares.of("t").is_empty());
    }

    #[test]
    fn each_group_and_each_filter_gets_its_own() {
        let shares = Shares::default();
        for share in [("g", "t"), ("h", "t"), ("g", "+"), ("g", "u")] {
            shares.join(share, member(0, 1));
        }
        assert_eq!(shares.of("t").len(), 3);
    }
}
