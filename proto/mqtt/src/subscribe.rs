use core::num::NonZeroU32;

use crate::{
    Buffer, Error, PacketId, PacketKind, Place, Properties, QoS, ReasonCode, Version,
    bytes::{Reader, put_binary},
    packet::Body,
    publish::packet_id,
    topic,
};

/// What a subscriber wants of the messages that match (MQTT 5.0, section 3.8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The most that the server shall try.
    pub qos: QoS,
    /// Leave out what this client published itself. False in 3.1.1.
    pub no_local: bool,
    /// Keep the retain flag as published. False in 3.1.1.
    pub retain_as_published: bool,
    /// 0: send retained messages; 1: only for a new subscription; 2: don't. 0 in 3.1.1.
    pub retain_handling: u8,
    /// The subscription identifier of the SUBSCRIBE; it is not in the filter's own byte.
    pub identifier: Option<NonZeroU32>,
}

impl SubscriptionOptions {
    /// Everything at its default but the quality.
    #[must_use]
    pub const fn of(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: 0,
            identifier: None,
        }
    }

    fn from_byte(byte: u8, version: Version) -> Result<Self, Error> {
        let reserved = match version {
            Version::V311 => 0xFC,
            Version::V5 => 0xC0,
        };
        if byte & reserved != 0 {
            return Err(Error::Malformed("reserved subscription options are set"));
        }
        let retain_handling = byte >> 4 & 3;
        if retain_handling == 3 {
            return Err(Error::Protocol("retain handling 3 is reserved"));
        }
        Ok(Self {
            qos: QoS::from_bits(byte)?,
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling,
            identifier: None,
        })
    }

    /// In bytes, for [`SubscriptionOptions::from_bytes`]: the filter's byte and the identifier.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.identifier.map_or(0, NonZeroU32::get).to_be_bytes();
        [self.to_byte(), a, b, c, d]
    }

    /// Reads what [`SubscriptionOptions::to_bytes`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [byte, identifier @ ..] = *bytes.first_chunk::<5>().filter(|_| bytes.len() == 5)?;
        let identifier = NonZeroU32::new(u32::from_be_bytes(identifier));
        Some(Self { identifier, ..Self::from_byte(byte, Version::V5).ok()? })
    }

    const fn to_byte(self) -> u8 {
        self.qos as u8
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling & 3) << 4
    }
}

/// Asks for messages (MQTT 5.0, section 3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Comes back in the SUBACK.
    pub id: PacketId,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    /// What to match.
    pub filters: Filters<'a>,
}

/// The filters of a SUBSCRIBE with their options: checked bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters<'a> {
    // INVARIANT: at least one whole, valid (filter, options) of `version`, or the caller's own list.
    source: Source<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source<'a> {
    Wire(&'a [u8], Version),
    List(&'a [(&'a str, SubscriptionOptions)]),
}

impl<'a> Filters<'a> {
    /// A list to be sent.
    #[must_use]
    pub const fn list(filters: &'a [(&'a str, SubscriptionOptions)]) -> Self {
        Self { source: Source::List(filters) }
    }

    fn check(bytes: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut rest = Reader::new(bytes);
        if rest.is_empty() {
            return Err(Error::Protocol("a subscribe without a filter"));
        }
        while !rest.is_empty() {
            let filter = rest.text()?;
            topic::check_filter(filter)?;
            let options = SubscriptionOptions::from_byte(rest.byte()?, version)?;
            if options.no_local && topic::is_shared(filter) {
                return Err(Error::Protocol("no local on a shared subscription"));
            }
        }
        Ok(Self { source: Source::Wire(bytes, version) })
    }

    /// Each filter and what is wanted of it, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, SubscriptionOptions)> + use<'a> {
        let (mut rest, version, mut list) = match self.source {
            Source::Wire(bytes, version) => (Reader::new(bytes), version, [].iter()),
            Source::List(list) => (Reader::new(&[]), Version::V5, list.iter()),
        };
        core::iter::from_fn(move || {
            if let Some(item) = list.next() {
                return Some(*item);
            }
            let filter = rest.text().ok()?;
            Some((filter, SubscriptionOptions::from_byte(rest.byte().ok()?, version).ok()?))
        })
    }
}

impl<'a> Subscribe<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        let id = packet_id(&mut rest)?;
        let properties = match version {
            Version::V311 => Properties::NONE,
            Version::V5 => Properties::read(&mut rest, Place::Packet(PacketKind::Subscribe))?,
        };
        Ok(Self { id, properties, filters: Filters::check(rest.rest(), version)? })
    }
}

impl Body for Subscribe<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        out.put(&self.id.get().to_be_bytes())?;
        if version == Version::V5 {
            self.properties.write(out)?;
        }
        self.filters.iter().try_for_each(|(filter, options)| {
            put_binary(filter.as_bytes(), out)?;
            let options = match version {
                Version::V311 => options.qos as u8,
                Version::V5 => options.to_byte(),
            };
            out.put(&[options])
        })
    }
}

/// Wants no more of some messages (MQTT 5.0, section 3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Comes back in the UNSUBACK.
    pub id: PacketId,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    /// Which subscriptions.
    pub filters: Names<'a>,
}

/// The filters of an UNSUBSCRIBE: checked bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    // INVARIANT: at least one whole, valid filter, or the caller's own list.
    wire: &'a [u8],
    list: &'a [&'a str],
}

impl<'a> Names<'a> {
    /// A list to be sent.
    #[must_use]
    pub const fn list(filters: &'a [&'a str]) -> Self {
        Self { wire: &[], list: filters }
    }

    /// Each filter, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (mut rest, mut list) = (Reader::new(self.wire), self.list.iter());
        core::iter::from_fn(move || match list.next() {
            Some(filter) => Some(*filter),
            None => rest.text().ok(),
        })
    }
}

impl<'a> Unsubscribe<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        let id = packet_id(&mut rest)?;
        let properties = match version {
            Version::V311 => Properties::NONE,
            Version::V5 => Properties::read(&mut rest, Place::Packet(PacketKind::Unsubscribe))?,
        };
        let filters = Names { wire: rest.rest(), list: &[] };
        if rest.is_empty() {
            return Err(Error::Protocol("an unsubscribe without a filter"));
        }
        while !rest.is_empty() {
            topic::check_filter(rest.text()?)?;
        }
        Ok(Self { id, properties, filters })
    }
}

impl Body for Unsubscribe<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        out.put(&self.id.get().to_be_bytes())?;
        if version == Version::V5 {
            self.properties.write(out)?;
        }
        self.filters.iter().try_for_each(|filter| put_binary(filter.as_bytes(), out))
    }
}

/// The answer to a SUBSCRIBE, a code for each filter (MQTT 5.0, section 3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// Of the SUBSCRIBE.
    pub id: PacketId,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    /// One [`ReasonCode`] a filter, in their order. Every failure is 0x80 in 3.1.1.
    pub codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        let id = packet_id(&mut rest)?;
        let properties = match version {
            Version::V311 => Properties::NONE,
            Version::V5 => Properties::read(&mut rest, Place::Packet(PacketKind::SubAck))?,
        };
        let codes = rest.rest();
        let fits = |code: &u8| match version {
            Version::V311 => matches!(code, 0..=2 | 0x80),
            Version::V5 => ReasonCode(*code).fits(PacketKind::SubAck),
        };
        if codes.is_empty() || !codes.iter().all(fits) {
            return Err(Error::Malformed("a suback without codes, or with one that it can't have"));
        }
        Ok(Self { id, properties, codes })
    }
}

impl Body for SubAck<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        out.put(&self.id.get().to_be_bytes())?;
        match version {
            Version::V5 => {
                self.properties.write(out)?;
                out.put(self.codes)
            }
            Version::V311 => self.codes.iter().try_for_each(|code| out.put(&[(*code).min(0x80)])),
        }
    }
}

/// The answer to an UNSUBSCRIBE (MQTT 5.0, section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// Of the UNSUBSCRIBE.
    pub id: PacketId,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    /// One [`ReasonCode`] a filter, in their order; none in 3.1.1.
    pub codes: &'a [u8],
}

impl<'a> UnsubAck<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        let id = packet_id(&mut rest)?;
        if version == Version::V311 {
            return match rest.rest() {
                [] => Ok(Self { id, properties: Properties::NONE, codes: &[] }),
                _ => Err(Error::Malformed("bytes after the end of an unsuback")),
            };
        }
        let properties = Properties::read(&mut rest, Place::Packet(PacketKind::UnsubAck))?;
        let codes = rest.rest();
        if codes.is_empty()
            || !codes.iter().all(|code| ReasonCode(*code).fits(PacketKind::UnsubAck))
        {
            return Err(Error::Malformed("an unsuback without codes, or with one it can't have"));
        }
        Ok(Self { id, properties, codes })
    }
}

impl Body for UnsubAck<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        out.put(&self.id.get().to_be_bytes())?;
        match version {
            Version::V311 => Ok(()),
            Version::V5 => {
                self.properties.write(out)?;
                out.put(self.codes)
            }
        }
    }
}
