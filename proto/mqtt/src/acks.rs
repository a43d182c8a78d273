use crate::{
    Buffer, Error, PacketId, PacketKind, Place, Properties, PropertyId, ReasonCode, Version,
    bytes::Reader, packet::Body, publish::packet_id,
};

/// PUBACK, PUBREC, PUBREL or PUBCOMP (MQTT 5.0, sections 3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The message that it speaks of.
    pub id: PacketId,
    /// How it went; 3.1.1 only knows success.
    pub reason: ReasonCode,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Ack<'a> {
    /// Success, without a word more.
    #[must_use]
    pub const fn success(id: PacketId) -> Self {
        Self { id, reason: ReasonCode::SUCCESS, properties: Properties::NONE }
    }

    pub(crate) fn decode(
        body: &'a [u8],
        kind: PacketKind,
        version: Version,
    ) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        let id = packet_id(&mut rest)?;
        let (reason, properties) = reason_and_properties(&mut rest, kind, version)?;
        Ok(Self { id, reason, properties })
    }
}

/// The common end of packets whose reason and properties may be left out.
fn reason_and_properties<'a>(
    rest: &mut Reader<'a>,
    kind: PacketKind,
    version: Version,
) -> Result<(ReasonCode, Properties<'a>), Error> {
    if rest.is_empty() {
        return Ok((ReasonCode::SUCCESS, Properties::NONE));
    }
    if version == Version::V311 {
        return Err(Error::Malformed("bytes after the end of a packet"));
    }
    let reason = ReasonCode(rest.byte()?);
    if !reason.fits(kind) {
        return Err(Error::Protocol("a reason code that this packet can't have"));
    }
    if rest.is_empty() {
        return Ok((reason, Properties::NONE));
    }
    let properties = Properties::read(rest, Place::Packet(kind))?;
    if !rest.is_empty() {
        return Err(Error::Malformed("bytes after the end of a packet"));
    }
    Ok((reason, properties))
}

fn put_reason_and_properties(
    reason: ReasonCode,
    properties: Properties<'_>,
    version: Version,
    out: &mut impl Buffer,
) -> Result<(), Error> {
    if version == Version::V311 || (reason == ReasonCode::SUCCESS && properties.is_empty()) {
        return Ok(());
    }
    out.put(&[reason.0])?;
    if properties.is_empty() { Ok(()) } else { properties.write(out) }
}

impl Body for Ack<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        out.put(&self.id.get().to_be_bytes())?;
        put_reason_and_properties(self.reason, self.properties, version, out)
    }
}

/// The last packet of a connection (MQTT 5.0, section 3.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why; 3.1.1 knows only the normal end.
    pub reason: ReasonCode,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        let (reason, properties) =
            reason_and_properties(&mut rest, PacketKind::Disconnect, version)?;
        Ok(Self { reason, properties })
    }
}

impl Body for Disconnect<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        put_reason_and_properties(self.reason, self.properties, version, out)
    }
}

/// A step of enhanced authentication (MQTT 5.0, section 3.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Which step.
    pub reason: ReasonCode,
    /// Method and data.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        if version == Version::V311 {
            return Err(Error::Malformed("packet kind 15 is reserved in 3.1.1"));
        }
        let mut rest = Reader::new(body);
        let (reason, properties) = reason_and_properties(&mut rest, PacketKind::Auth, version)?;
        if !body.is_empty() && properties.value(PropertyId::AUTHENTICATION_METHOD).is_none() {
            return Err(Error::Protocol("an auth without its method"));
        }
        Ok(Self { reason, properties })
    }
}

impl Body for Auth<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        put_reason_and_properties(self.reason, self.properties, version, out)
    }
}
