//! An action or a new value of a property in the device's words.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt::Write;

use hedgerow_base::Timestamp;

use super::{CommandError, Rule, Template};
use crate::{
    profile::{Property, Shape},
    single::Single,
    sparkplug,
    value::{Value, ValueRef},
};

/// What a device is told. Indices are those of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// To do this action.
    Action(u16),
    /// To give this property the value that is the input.
    Property(u16),
}

/// What an action or the writing of a property becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What it says.
    pub told: Told,
    pub(crate) topic: Template,
    pub(crate) body: Body,
    /// What the input has to be, when the body needs one.
    pub(crate) input: Option<Box<Property>>,
    pub(crate) rule: Rule,
}

/// The payload, without its input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    /// As it stands.
    Fixed(Box<str>),
    /// With the input between the two.
    Around(Box<str>, Box<str>, Form),
    /// Sparkplug B with this metric: of this value, or of the input.
    Metric(Box<str>, Option<Value>),
}

/// How an input is written into a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As JSON, strings in quotation marks.
    Json,
    /// As it is.
    Text,
}

impl Command {
    /// The topic, its variables not filled in.
    #[must_use]
    pub const fn topic(&self) -> &Template {
        &self.topic
    }

    /// What it needs as input, if it needs any.
    #[must_use]
    pub fn input(&self) -> Option<&Shape> {
        self.input.as_ref().map(|input| &input.shape)
    }

    /// The payload for an input in JSON. An action without input passes over what it is given.
    pub(super) fn payload(&self, input: &[u8], now: Timestamp) -> Result<Vec<u8>, CommandError> {
        match (&self.body, &self.input) {
            (Body::Fixed(text), _) => Ok(text.as_bytes().into()),
            (Body::Metric(metric, Some(value)), _) => {
                Ok(sparkplug::command(metric, value.borrow(), now))
            }
            (Body::Metric(metric, None), Some(shape)) => {
                self.with_input(shape, input, |value| sparkplug::command(metric, value, now))
            }
            (Body::Around(before, after, form), Some(shape)) => {
                self.with_input(shape, input, |value| {
                    written(before, value, *form, after).into_bytes()
                })
            }
            (Body::Metric(_, None) | Body::Around(..), None) => Err(CommandError::NoWord),
        }
    }

    fn with_input<T>(
        &self,
        shape: &Property,
        input: &[u8],
        write: impl FnOnce(ValueRef<'_>) -> T,
    ) -> Result<T, CommandError> {
        let single = Single::parse(input).map_err(CommandError::Input)?;
        let value = shape.fit(single.borrow()).map_err(CommandError::Misfit)?;
        self.rule.write(value).map(write).ok_or(CommandError::NoWord)
    }
}

fn written(before: &str, value: ValueRef<'_>, form: Form, after: &str) -> String {
    let mut text = String::from(before);
    // Writing into a string can't fail.
    let _ = match (form, value) {
        (Form::Text, ValueRef::Text(word)) => text.write_str(word),
        (Form::Text | Form::Json, value) => write!(text, "{value}"),
    };
    text.push_str(after);
    text
}
