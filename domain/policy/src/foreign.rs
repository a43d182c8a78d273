//! What a device may do on the topics of its own that its profile maps.

use std::sync::Arc;

use hedgerow_model::mapping::{Mapping, Place, Route, Told};

use crate::{GrantDenial, Standing};

/// The foreign topics of one device, judged for its overlay and standing.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    mapping: Arc<Mapping>,
    /// In the order of the plan's routes.
    routes: Box<[Heard]>,
}

/// How far a topic is open.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// Why nothing of it is taken; `None` when something is.
    denial: Option<GrantDenial>,
    /// Whether nothing of its payloads is kept back.
    is_whole: bool,
}

impl Foreign {
    /// Judges each topic by what its payloads say; `judge` is asked for each part of them.
    pub(crate) fn new(
        mapping: Arc<Mapping>,
        standing: Result<(), GrantDenial>,
        is_weak: bool,
        judge: impl Fn(Place) -> Result<(), GrantDenial>,
    ) -> Self {
        let heard = |is_pack: bool, parts: Vec<Result<(), GrantDenial>>| {
            let first = parts.iter().find_map(|part| part.err());
            let takes = parts.iter().any(Result::is_ok) || parts.is_empty();
            let weak = (is_weak && is_pack).then_some(GrantDenial::Weak);
            let denial = standing.err().or(weak).or(if takes { None } else { first });
            Heard { denial, is_whole: denial.is_none() && first.is_none() }
        };
        let routes = mapping.plan().routes().iter();
        let parts = |route: &Route| route.targets().iter().map(|one| judge(one.place)).collect();
        let routes = routes.map(|route| heard(route.is_pack(), parts(route))).collect();
        Self { mapping, routes }
    }

    pub(crate) const fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// The route of a topic that the device may publish to.
    #[inline]
    pub(crate) fn publish(&self, topic: &str) -> Result<u16, GrantDenial> {
        let route = self.mapping.route_of(topic).ok_or(GrantDenial::NotYours)?;
        match self.routes.get(usize::from(route)) {
            Some(Heard { denial: None, .. }) => Ok(route),
            Some(Heard { denial: Some(denial), .. }) => Err(*denial),
            None => Err(GrantDenial::NotYours),
        }
    }

    pub(crate) fn hands_on(&self, route: u16) -> bool {
        self.routes.get(usize::from(route)).is_some_and(|heard| heard.is_whole)
    }

    /// Whether something that the device is told on this topic is allowed.
    pub(crate) fn receive(
        &self,
        topic: &str,
        judge: impl Fn(Told) -> Result<(), GrantDenial>,
    ) -> Result<(), GrantDenial> {
        let mut denial = GrantDenial::NotYours;
        for (_, told) in self.mapping.commands().filter(|(known, _)| *known == topic) {
            match judge(told) {
                Ok(()) => return Ok(()),
                Err(error) => denial = error,
            }
        }
        Err(denial)
    }

    /// Whether the filter is one that the profile declares, or the topic of a command. The subscription
    /// outlasts a narrowing; deliveries do not.
    pub(crate) fn subscribe(
        &self,
        filter: &str,
        judge: impl Fn(Told) -> Result<(), GrantDenial>,
    ) -> Result<(), GrantDenial> {
        if self.mapping.filters().any(|known| known == filter) {
            return Ok(());
        }
        match self.receive(filter, judge) {
            Err(GrantDenial::Standing(Standing::Restricted | Standing::Remediate)) => Ok(()),
            other => other,
        }
    }

    /// Whether a filter of the device can be wider than what it is handed.
    pub(crate) fn is_wide(&self) -> bool {
        self.mapping.filters().next().is_some()
    }
}
