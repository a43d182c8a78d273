use alloc::boxed::Box;
use core::fmt;

use hedgerow_base::Fault;

use crate::{
    json::NotJson,
    limits::{PACK_BYTES_MAX, VARIABLES_MAX},
    profile::Misfit,
    sparkplug::SparkplugError,
};

/// Why a device can't be given the topics of its profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingError {
    /// No name of a variable, or one too many.
    Name(Box<str>),
    /// The value of this variable is wrong: why.
    Value(Box<str>, &'static str),
    /// The profile has no variable of this name.
    Unknown(Box<str>),
    /// The value of this variable has more than so many levels.
    Levels(Box<str>, usize),
    /// This template can't be a topic with these values: why.
    Topic(Box<str>, &'static str),
    /// Two of the profile's topics are this same one with these values.
    Twice(Box<str>),
}

impl MappingError {
    /// Who names the device is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Invalid
    }
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "{name} names no variable; a device has up to {VARIABLES_MAX} of them")
            }
            Self::Value(name, why) => write!(f, "the value of {name} can't be used: {why}"),
            Self::Unknown(name) => write!(f, "the profile has no variable {name}; leave it out"),
            Self::Levels(name, 1) => write!(f, "the value of {name} has no slash"),
            Self::Levels(name, most) => write!(f, "the value of {name} has up to {most} levels"),
            Self::Topic(topic, why) => write!(f, "{topic} can't be a topic of the device: {why}"),
            Self::Twice(topic) => write!(f, "two topics of the profile would both be {topic}"),
        }
    }
}

impl core::error::Error for MappingError {}

/// Why a foreign payload could not be read; nothing of it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not the JSON that its topic asks for.
    Json(NotJson),
    /// It is not UTF-8 text.
    Text,
    /// It is no Sparkplug B payload.
    Sparkplug(SparkplugError),
    /// It is longer than [`PACK_BYTES_MAX`].
    TooLong,
}

impl Unreadable {
    /// The sender's fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooLong | Self::Sparkplug(SparkplugError::TooMany) => Fault::TooMuch,
            Self::Json(_) | Self::Text | Self::Sparkplug(_) => Fault::Invalid,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Text => f.write_str("not UTF-8"),
            Self::Sparkplug(error) => error.fmt(f),
            Self::TooLong => write!(f, "longer than {PACK_BYTES_MAX} bytes"),
        }
    }
}

impl core::error::Error for Unreadable {}

/// Why an action can't be put into the device's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The input is no single JSON value, and the action needs one.
    Input(NotJson),
    /// The input is not what the profile declares.
    Misfit(Misfit),
    /// The device has no word for this input.
    NoWord,
}

impl CommandError {
    /// Who asks is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Invalid
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(_) => f.write_str(
                "the action needs an input: one number, true, false or string as JSON, as its profile says",
            ),
            Self::Misfit(misfit) => write!(f, "the input of the action does not fit: {misfit}"),
            Self::NoWord => f.write_str("the profile has no word for this input of the action"),
        }
    }
}

impl core::error::Error for CommandError {}
