//! Other people's topics and payloads, mapped to the properties, events and actions of a profile.
//!
//! 1. A profile's forms are read into a [`Plan`] (`profile/forms.rs`), once for all devices of it.
//! 2. [`Mapping::compile`] fills in the names of one device: its topics, sorted.
//! 3. A message costs a look-up, [`Mapping::route_of`], and a parse, [`Plan::read`].
//! 4. An action, or a value to be written, becomes a topic and a payload of the device's: [`Mapping::command`].
//!
//! The terms are those of the W3C's MQTT binding (`mqv:filter`, `mqv:topic`) and `hedgerow:` ones, as
//! `docs/guide/profile.md` has them.

mod command;
mod error;
mod read;
mod rule;
mod template;
mod tree;

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use hedgerow_base::Timestamp;

pub(crate) use command::{Body, Form};
pub use command::{Command, Told};
pub use error::{CommandError, MappingError, Unreadable};
pub use read::{Births, Found, Taken};
pub(crate) use read::{Reader, SparkplugMessage};
pub(crate) use rule::{Rule, Words};
pub(crate) use template::{Kind as TemplateKind, check_value};
pub use template::{Names, Template, Variable};
pub(crate) use tree::{Leaf, Tree};

/// What a value of a foreign payload is for. Indices are those of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// This property.
    Property(u16),
    /// This event.
    Event(u16),
}

/// One thing that is taken from the payloads of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What it is for.
    pub place: Place,
    pub(crate) rule: Rule,
    /// The place in the route's times.
    pub(crate) time: Option<u8>,
}

/// How times are written in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    Rfc3339,
    Seconds,
    Milliseconds,
}

/// A foreign topic and what its payloads say.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub(crate) topic: Template,
    pub(crate) reader: Reader,
    pub(crate) targets: Box<[Target]>,
    pub(crate) times: Box<[TimeFormat]>,
}

impl Route {
    /// The topic, its variables not filled in.
    #[must_use]
    pub const fn topic(&self) -> &Template {
        &self.topic
    }

    /// Whether one payload can have many values of one property, each with a time of its own.
    #[must_use]
    pub const fn is_pack(&self) -> bool {
        matches!(self.reader, Reader::Sparkplug(..))
    }

    /// What is taken from its payloads; nothing when they are only passed on.
    #[must_use]
    pub const fn targets(&self) -> &[Target] {
        &self.targets
    }
}

/// The mappings of a profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub(crate) variables: Box<[Variable]>,
    pub(crate) routes: Box<[Route]>,
    // INVARIANT: sorted by what is told, without repeats.
    pub(crate) commands: Box<[Command]>,
    pub(crate) filters: Box<[Template]>,
}

impl Plan {
    /// The variables of its topics.
    #[must_use]
    pub const fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The topics that a device publishes to.
    #[must_use]
    pub const fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What actions and written properties become.
    #[must_use]
    pub const fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// What this becomes, if it is mapped.
    #[must_use]
    pub fn command(&self, told: Told) -> Option<&Command> {
        self.place(told).and_then(|at| self.commands.get(at))
    }

    fn place(&self, told: Told) -> Option<usize> {
        self.commands.binary_search_by(|known| known.told.cmp(&told)).ok()
    }

    /// The filters that a device may subscribe to besides the topics of its commands.
    #[must_use]
    pub const fn filters(&self) -> &[Template] {
        &self.filters
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.commands.is_empty()
    }

    /// Takes what a message on the topic of `route` says: each value is given to `take`.
    ///
    /// # Errors
    /// [`Unreadable`]; what was given to `take` before is not to be kept then.
    pub fn read(
        &self,
        route: u16,
        payload: &[u8],
        births: &mut Births,
        take: &mut dyn FnMut(Taken<'_>),
    ) -> Result<(), Unreadable> {
        match self.routes.get(usize::from(route)) {
            Some(route) => read::route(route, payload, births, take),
            None => Ok(()),
        }
    }
}

/// The topics of one device.
#[derive(Clone, Debug)]
pub struct Mapping {
    plan: Arc<Plan>,
    // INVARIANT: sorted by topic, without repeats.
    topics: Box<[(Box<str>, u16)]>,
    /// In the order of the plan's commands.
    commands: Box<[Box<str>]>,
    filters: Box<[Box<str>]>,
}

impl Mapping {
    /// Fills in the variables: with `names`, and with `default` where a name is missing.
    ///
    /// # Errors
    /// [`MappingError`]: a name that the plan has not, a value that can't be part of a topic, or two
    /// topics that become the same one.
    pub fn compile(plan: &Arc<Plan>, names: &Names, default: &str) -> Result<Self, MappingError> {
        let values = names.values(&plan.variables, default)?;
        let fill = |template: &Template, kind| {
            let wrong = |why| MappingError::Topic(template.text().into(), why);
            template.fill(&values, kind).map_err(wrong)
        };
        let mut topics = Vec::with_capacity(plan.routes.len());
        for (route, at) in plan.routes.iter().zip(0u16..) {
            topics.push((fill(&route.topic, TemplateKind::Topic)?, at));
        }
        topics.sort_unstable();
        let repeated = topics.windows(2).find(|pair| match pair {
            [(one, _), (other, _)] => one == other,
            _ => false,
        });
        if let Some([(topic, _), ..]) = repeated {
            return Err(MappingError::Twice(topic.clone()));
        }
        let mut commands = Vec::with_capacity(plan.commands.len());
        for command in &plan.commands {
            let topic = fill(&command.topic, TemplateKind::Topic)?;
            if topics.binary_search_by(|(known, _)| known.cmp(&topic)).is_ok() {
                return Err(MappingError::Twice(topic));
            }
            commands.push(topic);
        }
        let filters = plan.filters.iter().map(|filter| fill(filter, TemplateKind::Filter));
        let filters = filters.collect::<Result<_, _>>()?;
        let plan = Arc::clone(plan);
        Ok(Self { plan, topics: topics.into(), commands: commands.into(), filters })
    }

    /// What all devices of the profile have in common.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The place of `topic` in [`Plan::routes`], if the device publishes to it.
    #[must_use]
    #[inline]
    pub fn route_of(&self, topic: &str) -> Option<u16> {
        let at = self.topics.binary_search_by(|(known, _)| (**known).cmp(topic)).ok()?;
        self.topics.get(at).map(|(_, route)| *route)
    }

    /// The topics that the device publishes to, and the places of their routes.
    pub fn topics(&self) -> impl Iterator<Item = (&str, u16)> {
        self.topics.iter().map(|(topic, route)| (&**topic, *route))
    }

    /// The topics of the device's commands, and what is told on them.
    pub fn commands(&self) -> impl Iterator<Item = (&str, Told)> {
        let told = self.plan.commands.iter().map(|command| command.told);
        self.commands.iter().map(|topic| &**topic).zip(told)
    }

    /// Whether `topic` is of a command, or one whose payloads say something that the profile declares.
    #[must_use]
    pub fn maps(&self, topic: &str) -> bool {
        let route = self.route_of(topic).and_then(|at| self.plan.routes.get(usize::from(at)));
        route.is_some_and(|route| !route.targets.is_empty())
            || self.commands.iter().any(|known| **known == *topic)
    }

    /// The filters that the device may subscribe to besides the topics of its commands.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.filters.iter().map(|filter| &**filter)
    }

    /// What the device is sent when it is told this with an input in JSON; nothing when it is not mapped.
    ///
    /// # Errors
    /// [`CommandError`] when the input is not what the profile declares.
    pub fn command(
        &self,
        told: Told,
        input: &[u8],
        now: Timestamp,
    ) -> Result<Option<(&str, Vec<u8>)>, CommandError> {
        let Some(at) = self.plan.place(told) else { return Ok(None) };
        let (Some(command), Some(topic)) = (self.plan.commands.get(at), self.commands.get(at))
        else {
            return Ok(None);
        };
        command.payload(input, now).map(|payload| Some((&**topic, payload)))
    }
}

#[cfg(test)]
mod tests;
