use std::{
    collections::HashMap,
    rc::{Rc, Weak},
};

use hedgerow_mqtt::{QoS, SubscriptionOptions, TopicTree};

use crate::{directory::Interest, gate::Gate, limits::ROUTES_MAX, link::Link};

/// The subscriptions of a shard, and who gets what of the topics seen lately.
pub(crate) struct Router<G: Gate> {
    tree: TopicTree<u64, (Rc<Link<G>>, SubscriptionOptions)>,
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
}

pub(crate) struct Target<G: Gate> {
    pub(crate) link: Rc<Link<G>>,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
}

impl<G: Gate> Default for Router<G> {
    fn default() -> Self {
        Self { tree: TopicTree::new(), routes: HashMap::default(), generation: 0 }
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
        interest: &Interest,
        shard: usize,
    ) {
        // A filter that the session took is one that the tree takes.
        let old = self.tree.insert(filter, link.id, (Rc::clone(link), options));
        if let Ok(None) = old {
            interest.add(filter, shard);
        } else {
            self.routes.clear();
            interest.touch();
        }
    }

    pub(crate) fn remove(&mut self, filter: &str, link: u64, interest: &Interest, shard: usize) {
        if self.tree.remove(filter, &link).is_some() {
            interest.remove(filter, shard);
        }
    }

    /// The route of `topic`: the one in `memo` if it fits, the one made before, or a new one.
    #[inline]
    pub(crate) fn route(
        &mut self,
        topic: &str,
        memo: &mut Weak<Route<G>>,
        interest: &Interest,
        shard: usize,
    ) -> Rc<Route<G>> {
        let generation = interest.generation();
        if let Some(route) = memo.upgrade()
            && route.fits(topic, generation)
        {
            return route;
        }
        let route = self.look_up(topic, generation, interest, shard);
        *memo = Rc::downgrade(&route);
        route
    }

    fn look_up(
        &mut self,
        topic: &str,
        generation: u64,
        interest: &Interest,
        shard: usize,
    ) -> Rc<Route<G>> {
        if self.generation != generation || self.routes.len() >= ROUTES_MAX {
            self.routes.clear();
            self.generation = generation;
        }
        if let Some(route) = self.routes.get(topic) {
            return Rc::clone(route);
        }
        let mut targets: Vec<Target<G>> = Vec::new();
        self.tree.visit(topic, &mut |_, (link, options)| {
            let (link, qos) = (Rc::clone(link), options.qos);
            targets.push(Target { link, qos, no_local: options.no_local });
        });
        // Several filters of one client match: it gets the message once, at the best quality.
        targets.sort_by_key(|target| (target.link.id, u8::MAX - target.qos as u8));
        targets.dedup_by_key(|target| target.link.id);
        let remote = interest.shards(topic) & !(1 << shard);
        let (topic, targets): (Box<str>, _) = (topic.into(), targets.into_boxed_slice());
        let route = Rc::new(Route { topic: topic.clone(), generation, targets, remote });
        self.routes.insert(topic, Rc::clone(&route));
        route
    }
}
