use std::{
    collections::HashMap,
    num::NonZeroU32,
    rc::{Rc, Weak},
};

use hedgerow_mqtt::{DeliveryOptions, SubscriptionOptions, TopicTree, topic};

use crate::{
    directory::Interest,
    gate::Gate,
    limits::ROUTES_MAX,
    link::Link,
    shares::{Member, Share, Shares},
};

/// Who wants what, in all shards.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) interest: Interest,
    pub(crate) shares: Shares,
}

/// The subscriptions of a shard, and who gets what of the topics seen lately.
pub(crate) struct Router<G: Gate> {
    tree: TopicTree<u64, (Rc<Link<G>>, SubscriptionOptions)>,
    /// Sessions of this shard in shared subscriptions, and in how many.
    sharers: HashMap<u64, (Rc<Link<G>>, usize)>,
    routes: HashMap<Box<str>, Rc<Route<G>>, foldhash::fast::RandomState>,
    /// The generation of interest that `routes` were made in.
    generation: u64,
}

/// Who gets the messages of one topic.
pub(crate) struct Route<G: Gate> {
    topic: Box<str>,
    generation: u64,
    pub(crate) targets: Box<[Target<G>]>,
    /// Other shards that want it, a bit each.
    pub(crate) remote: u64,
    pub(crate) shares: Box<[Share]>,
}

pub(crate) struct Target<G: Gate> {
    pub(crate) link: Rc<Link<G>>,
    /// What the subscription asks for: the most, and whether the retain flag stays.
    pub(crate) options: DeliveryOptions,
    pub(crate) no_local: bool,
}

impl<G: Gate> Default for Router<G> {
    fn default() -> Self {
        Self {
            tree: TopicTree::new(),
            sharers: HashMap::default(),
            routes: HashMap::default(),
            generation: 0,
        }
    }
}

impl<G: Gate> Route<G> {
    /// Whether it is the route of `topic`, and still right.
    #[inline]
    pub(crate) fn fits(&self, topic: &str, generation: u64) -> bool {
        self.generation == generation && *self.topic == *topic
    }
}

impl<G: Gate> Router<G> {
    pub(crate) fn add(
        &mut self,
        filter: &str,
        options: SubscriptionOptions,
        link: &Rc<Link<G>>,
        wanted: &Wanted,
        shard: usize,
    ) {
        if let Some(share) = topic::share(filter) {
            let member = Member { shard, link: link.id, options, is_here: true };
            if wanted.shares.join(share, member) {
                self.sharers.entry(link.id).or_insert_with(|| (Rc::clone(link), 0)).1 += 1;
            }
            return wanted.interest.touch();
        }
        // A filter that the session took is one that the tree takes.
        let old = self.tree.insert(filter, link.id, (Rc::clone(link), options));
        if let Ok(None) = old {
            wanted.interest.add(filter, shard);
        } else {
            self.routes.clear();
            wanted.interest.touch();
        }
    }

    pub(crate) fn remove(&mut self, filter: &str, link: u64, wanted: &Wanted, shard: usize) {
        if let Some(share) = topic::share(filter) {
            if wanted.shares.leave(share, shard, link)
                && let Some((_, count)) = self.sharers.get_mut(&link)
            {
                *count -= 1;
                if *count == 0 {
                    self.sharers.remove(&link);
                }
            }
            wanted.interest.touch();
        } else if self.tree.remove(filter, &link).is_some() {
            wanted.interest.remove(filter, shard);
        }
    }

    /// A session of this shard that is in a shared subscription.
    pub(crate) fn sharer(&self, link: u64) -> Option<Rc<Link<G>>> {
        self.sharers.get(&link).map(|(link, _)| Rc::clone(link))
    }

    /// The route of `topic`: the one in `memo` if it fits, the one made before, or a new one.
    #[inline]
    pub(crate) fn route(
        &mut self,
        topic: &str,
        memo: &mut Weak<Route<G>>,
        wanted: &Wanted,
        shard: usize,
    ) -> Rc<Route<G>> {
        let generation = wanted.interest.generation();
        if let Some(route) = memo.upgrade()
            && route.fits(topic, generation)
        {
            return route;
        }
        let route = self.look_up(topic, generation, wanted, shard);
        *memo = Rc::downgrade(&route);
        route
    }

    fn look_up(
        &mut self,
        topic: &str,
        generation: u64,
        wanted: &Wanted,
        shard: usize,
    ) -> Rc<Route<G>> {
        if self.generation != generation || self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
            self.generation = generation;
        }
        if let Some(route) = self.routes.get(topic) {
            return Rc::clone(route);
        }
        let mut found: Vec<(Rc<Link<G>>, SubscriptionOptions)> = Vec::new();
        self.tree.visit(topic, &mut |_, (link, options)| found.push((Rc::clone(link), *options)));
        found.sort_by_key(|(link, _)| link.id);
        // Several filters of one client match: it gets the message once, with all their identifiers.
        let targets = found.chunk_by(|(one, _), (other, _)| one.id == other.id);
        let targets: Box<[Target<G>]> = targets.filter_map(target).collect();
        let remote = wanted.interest.shards(topic) & !(1 << shard);
        let shares = wanted.shares.of(topic);
        let topic: Box<str> = topic.into();
        let route = Rc::new(Route { topic: topic.clone(), generation, targets, remote, shares });
        self.routes.insert(topic, Rc::clone(&route));
        route
    }
}

/// What the subscriptions of one client come to.
fn target<G: Gate>(found: &[(Rc<Link<G>>, SubscriptionOptions)]) -> Option<Target<G>> {
    let (link, _) = found.first()?;
    let all = || found.iter().map(|(_, options)| options);
    let identifiers: Box<[u32]> =
        all().filter_map(|options| options.identifier).map(NonZeroU32::get).collect();
    let options = DeliveryOptions {
        qos: all().map(|options| options.qos).max()?,
        retain: all().any(|options| options.retain_as_published),
        identifiers: (!identifiers.is_empty()).then(|| identifiers.into()),
    };
    let no_local = all().all(|options| options.no_local);
    Some(Target { link: Rc::clone(link), options, no_local })
}
