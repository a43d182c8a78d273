use core::num::NonZeroU16;

use crate::{
    Ack, Auth, Buffer, ConnAck, Connect, Disconnect, Error, Frame, Publish, SubAck, Subscribe,
    UnsubAck, Unsubscribe,
    bytes::{Measure, put_variable},
};

/// A packet identifier; zero is none.
pub type PacketId = NonZeroU16;

/// The version of the protocol, as CONNECT says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// 3.1.1, level 4.
    V311,
    /// 5.0, level 5.
    V5,
}

/// How hard both sides try to deliver a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum QoS {
    /// At most once: nothing is acknowledged.
    AtMostOnce = 0,
    /// At least once: acknowledged by PUBACK.
    AtLeastOnce = 1,
    /// Exactly once: PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce = 2,
}

impl QoS {
    pub(crate) const fn from_bits(bits: u8) -> Result<Self, Error> {
        match bits & 3 {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            _ => Err(Error::Malformed("qos 3 is reserved")),
        }
    }
}

/// The kinds of packet (MQTT 5.0, section 2.1.2), numbered as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the standard's names")]
pub enum PacketKind {
    Connect = 1,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

impl PacketKind {
    pub(crate) const fn from_nibble(nibble: u8) -> Self {
        match nibble {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            // `split` lets no frame of kind 0 through.
            _ => Self::Auth,
        }
    }

    /// The first byte of a packet of this kind without flags of its own.
    pub(crate) const fn first_byte(self) -> u8 {
        let flags = match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 2,
            _ => 0,
        };
        (self as u8) << 4 | flags
    }
}

/// One packet, its texts and payload borrowed from the bytes that it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the standard's names; each packet documents itself")]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    PubAck(Ack<'a>),
    PubRec(Ack<'a>),
    PubRel(Ack<'a>),
    PubComp(Ack<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    UnsubAck(UnsubAck<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// Reads a packet as `version` has it; a CONNECT says its own.
    ///
    /// # Errors
    /// Whatever rule of the standard the packet breaks.
    pub fn decode(frame: Frame<'a>, version: Version) -> Result<Self, Error> {
        let kind = frame.kind();
        if kind != PacketKind::Publish && frame.first != kind.first_byte() {
            return Err(Error::Malformed("reserved flags of the first byte are set"));
        }
        match kind {
            PacketKind::Connect => Connect::decode(frame.body).map(Self::Connect),
            PacketKind::ConnAck => ConnAck::decode(frame.body, version).map(Self::ConnAck),
            PacketKind::Publish => Publish::decode(frame, version).map(Self::Publish),
            PacketKind::PubAck => Ack::decode(frame.body, kind, version).map(Self::PubAck),
            PacketKind::PubRec => Ack::decode(frame.body, kind, version).map(Self::PubRec),
            PacketKind::PubRel => Ack::decode(frame.body, kind, version).map(Self::PubRel),
            PacketKind::PubComp => Ack::decode(frame.body, kind, version).map(Self::PubComp),
            PacketKind::Subscribe => Subscribe::decode(frame.body, version).map(Self::Subscribe),
            PacketKind::SubAck => SubAck::decode(frame.body, version).map(Self::SubAck),
            PacketKind::Unsubscribe => {
                Unsubscribe::decode(frame.body, version).map(Self::Unsubscribe)
            }
            PacketKind::UnsubAck => UnsubAck::decode(frame.body, version).map(Self::UnsubAck),
            PacketKind::PingReq => empty(frame.body, Self::PingReq),
            PacketKind::PingResp => empty(frame.body, Self::PingResp),
            PacketKind::Disconnect => Disconnect::decode(frame.body, version).map(Self::Disconnect),
            PacketKind::Auth => Auth::decode(frame.body, version).map(Self::Auth),
        }
    }

    /// Appends the packet to `out`, as `version` has it. On an error `out` may hold a part of it.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        match self {
            Self::Connect(packet) => write(packet, PacketKind::Connect, packet.version, out),
            Self::ConnAck(packet) => write(packet, PacketKind::ConnAck, version, out),
            Self::Publish(packet) => packet.encode(version, out),
            Self::PubAck(packet) => write(packet, PacketKind::PubAck, version, out),
            Self::PubRec(packet) => write(packet, PacketKind::PubRec, version, out),
            Self::PubRel(packet) => write(packet, PacketKind::PubRel, version, out),
            Self::PubComp(packet) => write(packet, PacketKind::PubComp, version, out),
            Self::Subscribe(packet) => write(packet, PacketKind::Subscribe, version, out),
            Self::SubAck(packet) => write(packet, PacketKind::SubAck, version, out),
            Self::Unsubscribe(packet) => write(packet, PacketKind::Unsubscribe, version, out),
            Self::UnsubAck(packet) => write(packet, PacketKind::UnsubAck, version, out),
            Self::PingReq => out.put(&[0xC0, 0]),
            Self::PingResp => out.put(&[0xD0, 0]),
            Self::Disconnect(packet) => write(packet, PacketKind::Disconnect, version, out),
            Self::Auth(packet) => write(packet, PacketKind::Auth, version, out),
        }
    }
}

fn empty<'a>(body: &[u8], packet: Packet<'a>) -> Result<Packet<'a>, Error> {
    if body.is_empty() { Ok(packet) } else { Err(Error::Malformed("a ping has a body")) }
}

/// The part of a packet after its fixed header.
pub(crate) trait Body {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error>;
}

fn write(
    packet: &impl Body,
    kind: PacketKind,
    version: Version,
    out: &mut impl Buffer,
) -> Result<(), Error> {
    let mut len = Measure(0);
    packet.write(version, &mut len)?;
    out.put(&[kind.first_byte()])?;
    put_variable(len.0, out)?;
    packet.write(version, out)
}
