use alloc::{boxed::Box, vec::Vec};

use crate::{Place, Properties, PropertyId, Publish, QoS, Will, property::put_property, topic};

/// A will, kept until it must speak or may be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWill {
    topic: Box<str>,
    payload: Box<[u8]>,
    properties: Box<[u8]>,
    qos: QoS,
    retain: bool,
    /// Seconds after the end of the connection, unless the client comes back.
    pub delay_s: u32,
}

impl KeptWill {
    pub(super) fn new(will: &Will<'_>) -> Option<Self> {
        let mut properties = Vec::new();
        for (id, value) in will.properties.iter() {
            if id != PropertyId::WILL_DELAY_INTERVAL {
                put_property(id, value, &mut properties).ok()?;
            }
        }
        Some(Self {
            topic: will.topic.into(),
            payload: will.payload.into(),
            properties: properties.into(),
            qos: will.qos,
            retain: will.retain,
            delay_s: will.properties.number(PropertyId::WILL_DELAY_INTERVAL).unwrap_or(0),
        })
    }

    /// The will as a message.
    #[must_use]
    pub fn message(&self) -> Publish<'_> {
        Publish {
            qos: self.qos,
            retain: self.retain,
            properties: Properties::trusted(&self.properties),
            ..Publish::at_most_once(&self.topic, &self.payload)
        }
    }

    /// The will in bytes, for [`KeptWill::from_bytes`]: delay, quality and retain flag in one, the lengths of
    /// topic and properties, topic, properties, payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = Vec::from(self.delay_s.to_be_bytes());
        bytes.push(self.qos as u8 | u8::from(self.retain) << 2);
        bytes.extend_from_slice(&length(self.topic.len()));
        bytes.extend_from_slice(&length(self.properties.len()));
        bytes.extend_from_slice(self.topic.as_bytes());
        bytes.extend_from_slice(&self.properties);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads what [`KeptWill::to_bytes`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (delay_s, rest) = bytes.split_first_chunk::<4>()?;
        let (flags, rest) = rest.split_first()?;
        let (topic_len, rest) = rest.split_first_chunk::<4>()?;
        let (properties_len, rest) = rest.split_first_chunk::<4>()?;
        let (topic, rest) = rest.split_at_checked(u32::from_be_bytes(*topic_len) as usize)?;
        let properties_len = u32::from_be_bytes(*properties_len) as usize;
        let (properties, payload) = rest.split_at_checked(properties_len)?;
        let topic = core::str::from_utf8(topic).ok()?;
        topic::check_name(topic).ok()?;
        Properties::check(properties, Place::Will).ok()?;
        Some(Self {
            topic: topic.into(),
            payload: payload.into(),
            properties: properties.into(),
            qos: QoS::from_bits(*flags).ok()?,
            retain: flags & 4 != 0,
            delay_s: u32::from_be_bytes(*delay_s),
        })
    }
}
