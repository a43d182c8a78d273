use alloc::{boxed::Box, sync::Arc, vec::Vec};

use crate::{
    Buffer, Error, PacketId, Properties, PropertyId, Publish, QoS, Value, Version,
    bytes::{Measure, put_binary, put_variable, variable_len},
    property::put_property,
};

/// How a message goes to one client: what its subscriptions ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryOptions {
    /// How hard to try.
    pub qos: QoS,
    /// The retain flag.
    pub retain: bool,
    /// The subscription identifiers of the filters that matched.
    pub identifiers: Option<Arc<[u32]>>,
}

impl DeliveryOptions {
    /// In bytes, for [`DeliveryOptions::from_bytes`]: quality and flag in one, then the identifiers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::from([self.qos as u8 | u8::from(self.retain) << 2]);
        for identifier in self.identifiers.iter().flat_map(|all| all.iter()) {
            bytes.extend_from_slice(&identifier.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`DeliveryOptions::to_bytes`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        let (identifiers, []) = rest.as_chunks::<4>() else { return None };
        let identifiers: Vec<u32> =
            identifiers.iter().map(|one| u32::from_be_bytes(*one)).collect();
        Some(Self {
            qos: QoS::from_bits(*first).ok()?,
            retain: first & 4 != 0,
            identifiers: (!identifiers.is_empty()).then(|| identifiers.into()),
        })
    }

    /// At this quality, with nothing else.
    #[must_use]
    pub const fn of(qos: QoS) -> Self {
        Self { qos, retain: false, identifiers: None }
    }
}

/// The topics that one connection has numbers for, in the order of the numbers.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    /// As many as the client takes, and we give.
    pub(crate) max: usize,
    topics: Vec<Box<str>>,
}

/// How a topic is named in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// In full.
    Full,
    /// In full, and by this number from now on.
    New(u16),
    /// By a number that the client knows.
    Known(u16),
}

impl Aliases {
    pub(crate) fn naming(&self, topic: &str) -> Naming {
        if self.max == 0 {
            return Naming::Full;
        }
        let number = |at: usize| u16::try_from(at + 1).ok();
        let known = self.topics.iter().position(|known| **known == *topic);
        match (known.and_then(number), number(self.topics.len())) {
            (Some(known), _) => Naming::Known(known),
            (None, Some(next)) if self.topics.len() < self.max => Naming::New(next),
            (None, _) => Naming::Full,
        }
    }

    /// The client has been told.
    pub(crate) fn told(&mut self, topic: &str, naming: Naming) {
        if matches!(naming, Naming::New(_)) {
            self.topics.push(topic.into());
        }
    }
}

/// What one PUBLISH to a client carries beside the message.
pub(crate) struct Envelope<'a> {
    pub(crate) version: Version,
    pub(crate) id: Option<PacketId>,
    pub(crate) dup: bool,
    pub(crate) options: &'a DeliveryOptions,
    pub(crate) naming: Naming,
    /// Seconds that are left of the message's expiry interval.
    pub(crate) expires_in_s: Option<u32>,
}

impl Envelope<'_> {
    /// Appends the packet to `out`. On an error `out` may hold a part of it.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub(crate) fn encode(&self, message: &Publish<'_>, out: &mut impl Buffer) -> Result<(), Error> {
        let options = self.options;
        let topic = match self.naming {
            Naming::Full | Naming::New(_) => message.topic,
            Naming::Known(_) => "",
        };
        let mut properties = Measure(0);
        if self.version == Version::V5 {
            self.write_properties(message.properties, &mut properties)?;
        }
        let properties_len = match self.version {
            Version::V311 => 0,
            Version::V5 => variable_len(properties.0) + properties.0,
        };
        let id_len = if self.id.is_some() { 2 } else { 0 };
        let flags = u8::from(self.dup) << 3 | (options.qos as u8) << 1 | u8::from(options.retain);
        out.put(&[0x30 | flags])?;
        put_variable(2 + topic.len() + id_len + properties_len + message.payload.len(), out)?;
        put_binary(topic.as_bytes(), out)?;
        if let Some(id) = self.id {
            out.put(&id.get().to_be_bytes())?;
        }
        if self.version == Version::V5 {
            put_variable(properties.0, out)?;
            self.write_properties(message.properties, out)?;
        }
        out.put(message.payload)
    }

    fn write_properties(
        &self,
        properties: Properties<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), Error> {
        match self.expires_in_s {
            None => out.put(properties.as_bytes())?,
            Some(left) => properties.iter().try_for_each(|(id, value)| match id {
                PropertyId::MESSAGE_EXPIRY_INTERVAL => put_property(id, Value::Word(left), out),
                _ => put_property(id, value, out),
            })?,
        }
        for identifier in self.options.identifiers.iter().flat_map(|all| all.iter()) {
            let id = PropertyId::SUBSCRIPTION_IDENTIFIER;
            put_property(id, Value::Variable(*identifier), out)?;
        }
        match self.naming {
            Naming::Full => Ok(()),
            Naming::New(alias) | Naming::Known(alias) => {
                put_property(PropertyId::TOPIC_ALIAS, Value::Short(alias), out)
            }
        }
    }
}
