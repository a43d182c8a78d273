use core::fmt;

use hedgerow_base::Fault;

use crate::ReasonCode;

/// Why bytes are not a packet, a packet not allowed, or a packet not written. The text names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The peer's bytes don't follow the format.
    Malformed(&'static str),
    /// The peer's packet is well formed and not allowed, there or then.
    Protocol(&'static str),
    /// The peer's topic name is not one.
    TopicName(&'static str),
    /// The peer's topic filter is not one.
    TopicFilter(&'static str),
    /// The peer's packet is larger than the limit, headers included.
    TooLarge {
        /// Bytes of the packet.
        bytes: usize,
        /// Bytes that are taken.
        max: usize,
    },
    /// The peer speaks a version of the protocol that this crate doesn't.
    Version(u8),
    /// The peer asks for QoS 2, which is not offered.
    QosTwo,
    /// The peer sends more unacknowledged messages than the Receive Maximum allows.
    ReceiveMaximum,
    /// The caller's buffer is too small for the packet, or a field for its length prefix.
    NoRoom,
    /// The caller's window of unacknowledged messages is full.
    WindowFull,
    /// The caller asked for something that the connection can't do now.
    State(&'static str),
}

impl Error {
    /// The reason code that says this to the peer.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            // 0x8F and 0x90 are for topics that are well formed and not taken (section 3.14.2.1).
            Self::Malformed(_) | Self::TopicName(_) | Self::TopicFilter(_) => {
                ReasonCode::MALFORMED_PACKET
            }
            Self::Protocol(_) => ReasonCode::PROTOCOL_ERROR,
            Self::TooLarge { .. } => ReasonCode::PACKET_TOO_LARGE,
            Self::Version(_) => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            Self::QosTwo => ReasonCode::QOS_NOT_SUPPORTED,
            Self::ReceiveMaximum | Self::WindowFull => ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
            Self::NoRoom | Self::State(_) => ReasonCode::IMPLEMENTATION_SPECIFIC,
        }
    }

    /// The kind of outcome that this is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::Malformed(_)
            | Self::Protocol(_)
            | Self::TopicName(_)
            | Self::TopicFilter(_)
            | Self::Version(_)
            | Self::QosTwo => Fault::Invalid,
            Self::TooLarge { .. } | Self::ReceiveMaximum | Self::WindowFull => Fault::TooMuch,
            Self::NoRoom => Fault::Broken,
            Self::State(_) => Fault::Conflict,
        }
    }

    /// The word for counters and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Protocol(_) => "protocol-error",
            Self::TopicName(_) => "topic-name",
            Self::TopicFilter(_) => "topic-filter",
            Self::TooLarge { .. } => "packet-too-large",
            Self::Version(_) => "version",
            Self::QosTwo => "qos-2",
            Self::ReceiveMaximum => "receive-maximum",
            Self::NoRoom => "no-room",
            Self::WindowFull => "window-full",
            Self::State(_) => "state",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(rule) => write!(f, "malformed packet: {rule}"),
            Self::Protocol(rule) => write!(f, "protocol error: {rule}"),
            Self::TopicName(rule) => write!(f, "topic name refused: {rule}"),
            Self::TopicFilter(rule) => write!(f, "topic filter refused: {rule}"),
            Self::TooLarge { bytes, max } => {
                write!(f, "packet of {bytes} bytes is larger than the {max} that are taken")
            }
            Self::Version(level) => {
                write!(f, "protocol level {level} is not spoken here: use 3.1.1 (4) or 5.0 (5)")
            }
            Self::QosTwo => f.write_str("this client does not do qos 2: use qos 1"),
            Self::ReceiveMaximum => f.write_str("more unacknowledged messages than announced"),
            Self::NoRoom => f.write_str("the buffer is too small for the packet"),
            Self::WindowFull => f.write_str("too many messages wait for their acknowledgement"),
            Self::State(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for Error {}
