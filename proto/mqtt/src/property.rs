use crate::{
    Buffer, Error, PacketKind,
    bytes::{Fixed, Reader, put_binary, put_variable, variable_len},
};

/// Which property (MQTT 5.0, section 2.2.2.2), by the standard's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PropertyId(pub u8);

/// The types that a property's value can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A byte that is 0 or 1.
    Flag,
    Short,
    /// A two byte integer that is not 0.
    ShortNotZero,
    Word,
    /// A four byte integer that is not 0.
    WordNotZero,
    Variable,
    Text,
    Binary,
    Pair,
}

/// A property's value, borrowed from the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// One byte.
    Byte(u8),
    /// Two byte integer.
    Short(u16),
    /// Four byte integer.
    Word(u32),
    /// Variable byte integer.
    Variable(u32),
    /// UTF-8 string.
    Text(&'a str),
    /// Binary data.
    Binary(&'a [u8]),
    /// UTF-8 string pair: name and value.
    Pair(&'a str, &'a str),
}

/// Where properties stand: in a packet of some kind, or in the will of a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the properties of a packet.
    Packet(PacketKind),
    /// In the will properties of a CONNECT.
    Will,
}

impl Place {
    const fn bit(self) -> u16 {
        match self {
            Self::Packet(kind) => 1 << kind as u16,
            Self::Will => 1,
        }
    }
}

macro_rules! properties {
    ($($name:ident = $id:literal $text:literal $kind:ident in $($place:ident)*;)*) => {
        impl PropertyId {
            $(#[doc = concat!($text, ".")] pub const $name: Self = Self($id);)*

            const fn rule(self) -> Option<(Kind, u16)> {
                match self.0 {
                    $($id => Some((Kind::$kind, $(bit_of!($place))|*)),)*
                    _ => None,
                }
            }
        }
    };
}

macro_rules! bit_of {
    (Will) => {
        Place::Will.bit()
    };
    ($kind:ident) => {
        Place::Packet(PacketKind::$kind).bit()
    };
}

properties! {
    PAYLOAD_FORMAT_INDICATOR = 0x01 "Payload Format Indicator" Flag in Publish Will;
    MESSAGE_EXPIRY_INTERVAL = 0x02 "Message Expiry Interval" Word in Publish Will;
    CONTENT_TYPE = 0x03 "Content Type" Text in Publish Will;
    RESPONSE_TOPIC = 0x08 "Response Topic" Text in Publish Will;
    CORRELATION_DATA = 0x09 "Correlation Data" Binary in Publish Will;
    SUBSCRIPTION_IDENTIFIER = 0x0B "Subscription Identifier" Variable in Publish Subscribe;
    SESSION_EXPIRY_INTERVAL = 0x11 "Session Expiry Interval" Word in Connect ConnAck Disconnect;
    ASSIGNED_CLIENT_IDENTIFIER = 0x12 "Assigned Client Identifier" Text in ConnAck;
    SERVER_KEEP_ALIVE = 0x13 "Server Keep Alive" Short in ConnAck;
    AUTHENTICATION_METHOD = 0x15 "Authentication Method" Text in Connect ConnAck Auth;
    AUTHENTICATION_DATA = 0x16 "Authentication Data" Binary in Connect ConnAck Auth;
    REQUEST_PROBLEM_INFORMATION = 0x17 "Request Problem Information" Flag in Connect;
    WILL_DELAY_INTERVAL = 0x18 "Will Delay Interval" Word in Will;
    REQUEST_RESPONSE_INFORMATION = 0x19 "Request Response Information" Flag in Connect;
    RESPONSE_INFORMATION = 0x1A "Response Information" Text in ConnAck;
    SERVER_REFERENCE = 0x1C "Server Reference" Text in ConnAck Disconnect;
    REASON_STRING = 0x1F "Reason String" Text in ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth;
    RECEIVE_MAXIMUM = 0x21 "Receive Maximum" ShortNotZero in Connect ConnAck;
    TOPIC_ALIAS_MAXIMUM = 0x22 "Topic Alias Maximum" Short in Connect ConnAck;
    TOPIC_ALIAS = 0x23 "Topic Alias" ShortNotZero in Publish;
    MAXIMUM_QOS = 0x24 "Maximum QoS" Flag in ConnAck;
    RETAIN_AVAILABLE = 0x25 "Retain Available" Flag in ConnAck;
    USER_PROPERTY = 0x26 "User Property" Pair in Connect ConnAck Publish Will PubAck PubRec PubRel PubComp Subscribe SubAck Unsubscribe UnsubAck Disconnect Auth;
    MAXIMUM_PACKET_SIZE = 0x27 "Maximum Packet Size" WordNotZero in Connect ConnAck;
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28 "Wildcard Subscription Available" Flag in ConnAck;
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29 "Subscription Identifier Available" Flag in ConnAck;
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A "Shared Subscription Available" Flag in ConnAck;
}

impl PropertyId {
    /// Whether the property may stand at `place`.
    #[must_use]
    pub const fn fits(self, place: Place) -> bool {
        matches!(self.rule(), Some((_, places)) if places & place.bit() != 0)
    }

    fn read<'a>(self, kind: Kind, from: &mut Reader<'a>) -> Result<Value<'a>, Error> {
        let value = match kind {
            Kind::Flag => Value::Byte(from.byte()?),
            Kind::Short | Kind::ShortNotZero => Value::Short(from.short()?),
            Kind::Word | Kind::WordNotZero => Value::Word(from.word()?),
            Kind::Variable => Value::Variable(from.variable()?),
            Kind::Text => Value::Text(from.text()?),
            Kind::Binary => Value::Binary(from.binary()?),
            Kind::Pair => Value::Pair(from.text()?, from.text()?),
        };
        match (kind, value) {
            (Kind::Flag, Value::Byte(2..)) => Err(Error::Protocol("a flag property is not 0 or 1")),
            (Kind::ShortNotZero, Value::Short(0))
            | (Kind::WordNotZero, Value::Word(0))
            | (Kind::Variable, Value::Variable(0)) => {
                Err(Error::Protocol("a property that must not be 0 is 0"))
            }
            (Kind::Text, Value::Text(topic)) if self == Self::RESPONSE_TOPIC => {
                crate::topic::check_name(topic)?;
                Ok(value)
            }
            _ => Ok(value),
        }
    }
}

/// The properties of a packet: checked bytes, read again where a value is asked for. Most packets have
/// none, which costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Properties<'a> {
    // INVARIANT: a sequence of whole properties that passed `check` for their place.
    bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const NONE: Self = Self { bytes: &[] };

    /// Takes the bytes of properties, without their length, after checking them for `place`: known,
    /// allowed there, no value out of range, none twice but those that may repeat, and no
    /// authentication data without a method.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Protocol`], [`Error::TopicName`] for a bad response topic.
    pub fn check(bytes: &'a [u8], place: Place) -> Result<Self, Error> {
        let (mut rest, mut seen) = (Reader::new(bytes), 0u64);
        while !rest.is_empty() {
            let id = PropertyId(rest.byte()?);
            let (kind, places) = id.rule().ok_or(Error::Malformed("an unknown property"))?;
            if places & place.bit() == 0 {
                return Err(Error::Malformed("a property that this packet can't have"));
            }
            let repeats = id == PropertyId::USER_PROPERTY
                || (id == PropertyId::SUBSCRIPTION_IDENTIFIER
                    && place == Place::Packet(PacketKind::Publish));
            if !repeats && seen & (1 << id.0) != 0 {
                return Err(Error::Protocol("a property stands twice"));
            }
            seen |= 1 << id.0;
            id.read(kind, &mut rest)?;
        }
        let has = |id: PropertyId| seen & (1 << id.0) != 0;
        if has(PropertyId::AUTHENTICATION_DATA) && !has(PropertyId::AUTHENTICATION_METHOD) {
            return Err(Error::Protocol("authentication data without a method"));
        }
        Ok(Self { bytes })
    }

    /// Bytes that were checked before.
    #[cfg(feature = "alloc")]
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    #[inline]
    pub(crate) fn read(from: &mut Reader<'a>, place: Place) -> Result<Self, Error> {
        match from.variable()? {
            0 => Ok(Self::NONE),
            len => Self::check(from.take(len as usize)?, place),
        }
    }

    pub(crate) fn write(&self, out: &mut impl Buffer) -> Result<(), Error> {
        put_variable(self.bytes.len(), out)?;
        out.put(self.bytes)
    }

    pub(crate) const fn written_len(&self) -> usize {
        variable_len(self.bytes.len()) + self.bytes.len()
    }

    /// The bytes as they stand in the packet, without their length.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (PropertyId, Value<'a>)> + use<'a> {
        let mut rest = Reader::new(self.bytes);
        core::iter::from_fn(move || {
            let id = PropertyId(rest.byte().ok()?);
            let (kind, _) = id.rule()?;
            Some((id, id.read(kind, &mut rest).ok()?))
        })
    }

    /// The first value of a property.
    #[must_use]
    pub fn value(&self, id: PropertyId) -> Option<Value<'a>> {
        if self.bytes.is_empty() {
            return None;
        }
        self.iter().find(|(found, _)| *found == id).map(|(_, value)| value)
    }

    /// The number of an integer property, whatever its width.
    #[must_use]
    pub fn number(&self, id: PropertyId) -> Option<u32> {
        match self.value(id)? {
            Value::Byte(value) => Some(u32::from(value)),
            Value::Short(value) => Some(u32::from(value)),
            Value::Word(value) | Value::Variable(value) => Some(value),
            Value::Text(_) | Value::Binary(_) | Value::Pair(..) => None,
        }
    }

    /// The text of a string property.
    #[must_use]
    pub fn text(&self, id: PropertyId) -> Option<&'a str> {
        match self.value(id)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Builds properties in a borrowed buffer.
#[derive(Debug)]
pub struct PropertyWriter<'b> {
    out: Fixed<'b>,
    place: Place,
}

impl<'b> PropertyWriter<'b> {
    /// Starts with none.
    pub const fn new(buffer: &'b mut [u8], place: Place) -> Self {
        Self { out: Fixed::new(buffer), place }
    }

    /// Appends one.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; [`Error::State`] when `value` is not of the property's type.
    pub fn push(&mut self, id: PropertyId, value: Value<'_>) -> Result<(), Error> {
        put_property(id, value, &mut self.out)
    }

    /// The properties, checked as a peer would check them.
    ///
    /// # Errors
    /// As [`Properties::check`].
    pub fn finish(self) -> Result<Properties<'b>, Error> {
        Properties::check(self.out.into_written(), self.place)
    }
}

pub(crate) fn put_property(
    id: PropertyId,
    value: Value<'_>,
    out: &mut impl Buffer,
) -> Result<(), Error> {
    let kind = id.rule().map(|(kind, _)| kind);
    out.put(&[id.0])?;
    match (kind, value) {
        (Some(Kind::Flag), Value::Byte(value)) => out.put(&[value]),
        (Some(Kind::Short | Kind::ShortNotZero), Value::Short(value)) => {
            out.put(&value.to_be_bytes())
        }
        (Some(Kind::Word | Kind::WordNotZero), Value::Word(value)) => out.put(&value.to_be_bytes()),
        (Some(Kind::Variable), Value::Variable(value)) => put_variable(value as usize, out),
        (Some(Kind::Text), Value::Text(text)) => put_binary(text.as_bytes(), out),
        (Some(Kind::Binary), Value::Binary(bytes)) => put_binary(bytes, out),
        (Some(Kind::Pair), Value::Pair(name, value)) => {
            put_binary(name.as_bytes(), out)?;
            put_binary(value.as_bytes(), out)
        }
        _ => Err(Error::State("the value is not of the property's type")),
    }
}
