use crate::{
    Buffer, Error, Frame, PacketId, PacketKind, Place, Properties, PropertyId, QoS, Version,
    bytes::{Reader, put_variable, variable_len},
    topic,
};

/// An application message on its way (MQTT 5.0, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before, and not acknowledged.
    pub dup: bool,
    /// How hard to try.
    pub qos: QoS,
    /// To be kept for later subscribers; or: was kept.
    pub retain: bool,
    /// Where to; empty only in 5.0 with a topic alias.
    pub topic: &'a str,
    /// `Some` exactly for QoS 1 and 2.
    pub id: Option<PacketId>,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    /// The message itself.
    pub payload: &'a [u8],
}

pub(crate) fn packet_id(from: &mut Reader<'_>) -> Result<PacketId, Error> {
    PacketId::new(from.short()?).ok_or(Error::Protocol("packet identifier 0"))
}

impl<'a> Publish<'a> {
    /// A message of QoS 0 without properties.
    #[must_use]
    pub const fn at_most_once(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            id: None,
            properties: Properties::NONE,
            payload,
        }
    }

    #[inline]
    pub(crate) fn decode(frame: Frame<'a>, version: Version) -> Result<Self, Error> {
        let (dup, retain) = (frame.first & 8 != 0, frame.first & 1 != 0);
        let qos = QoS::from_bits(frame.first >> 1)?;
        if dup && qos == QoS::AtMostOnce {
            return Err(Error::Malformed("dup is set on a message of qos 0"));
        }
        let mut rest = Reader::new(frame.body);
        let topic = rest.text()?;
        let id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(packet_id(&mut rest)?),
        };
        let properties = match version {
            Version::V311 => Properties::NONE,
            Version::V5 => Properties::read(&mut rest, Place::Packet(PacketKind::Publish))?,
        };
        if !topic.is_empty() {
            topic::check_name(topic)?;
        } else if properties.value(PropertyId::TOPIC_ALIAS).is_none() {
            return Err(Error::Protocol("neither a topic nor an alias of one"));
        }
        Ok(Self { dup, qos, retain, topic, id, properties, payload: rest.rest() })
    }

    /// Bytes of the packet as `version` has it, header included.
    #[must_use]
    pub const fn encoded_len(&self, version: Version) -> usize {
        let body = self.body_len(version);
        1 + variable_len(body) + body
    }

    const fn body_len(&self, version: Version) -> usize {
        let id = if self.id.is_some() { 2 } else { 0 };
        let properties = match version {
            Version::V311 => 0,
            Version::V5 => self.properties.written_len(),
        };
        2 + self.topic.len() + id + properties + self.payload.len()
    }

    /// Appends the packet to `out`; 3.1.1 leaves the properties out.
    ///
    /// # Errors
    /// [`Error::NoRoom`]: the buffer is full, or the topic longer than its length prefix can say.
    pub fn encode(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        let topic_len = u16::try_from(self.topic.len()).map_err(|_| Error::NoRoom)?;
        let flags = u8::from(self.dup) << 3 | (self.qos as u8) << 1 | u8::from(self.retain);
        out.put(&[0x30 | flags])?;
        put_variable(self.body_len(version), out)?;
        out.put(&topic_len.to_be_bytes())?;
        out.put(self.topic.as_bytes())?;
        if let Some(id) = self.id {
            out.put(&id.get().to_be_bytes())?;
        }
        if version == Version::V5 {
            self.properties.write(out)?;
        }
        out.put(self.payload)
    }
}
