use core::fmt;

use crate::PacketKind;

/// The one byte that says how it went (MQTT 5.0, section 2.4). 128 and more are failures.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReasonCode(pub u8);

macro_rules! reason_codes {
    ($($name:ident = $code:literal $text:literal in $($kind:ident)*;)*) => {
        impl ReasonCode {
            $(#[doc = concat!($text, ".")] pub const $name: Self = Self($code);)*

            /// The standard's name of the code.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self.0 { $($code => $text,)* _ => "reserved" }
            }

            /// Whether a packet of this kind may carry the code in version 5.0.
            #[must_use]
            pub const fn fits(self, kind: PacketKind) -> bool {
                match self.0 { $($code => matches!(kind, $(PacketKind::$kind)|*),)* _ => false }
            }
        }
    };
}

reason_codes! {
    SUCCESS = 0x00 "success" in ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth;
    GRANTED_QOS_1 = 0x01 "granted qos 1" in SubAck;
    GRANTED_QOS_2 = 0x02 "granted qos 2" in SubAck;
    DISCONNECT_WITH_WILL = 0x04 "disconnect with will message" in Disconnect;
    NO_MATCHING_SUBSCRIBERS = 0x10 "no matching subscribers" in PubAck PubRec;
    NO_SUBSCRIPTION_EXISTED = 0x11 "no subscription existed" in UnsubAck;
    CONTINUE_AUTHENTICATION = 0x18 "continue authentication" in Auth;
    RE_AUTHENTICATE = 0x19 "re-authenticate" in Auth;
    UNSPECIFIED = 0x80 "unspecified error" in ConnAck PubAck PubRec SubAck UnsubAck Disconnect;
    MALFORMED_PACKET = 0x81 "malformed packet" in ConnAck Disconnect;
    PROTOCOL_ERROR = 0x82 "protocol error" in ConnAck Disconnect;
    IMPLEMENTATION_SPECIFIC = 0x83 "implementation specific error" in ConnAck PubAck PubRec SubAck UnsubAck Disconnect;
    UNSUPPORTED_PROTOCOL_VERSION = 0x84 "unsupported protocol version" in ConnAck;
    CLIENT_IDENTIFIER_NOT_VALID = 0x85 "client identifier not valid" in ConnAck;
    BAD_USER_NAME_OR_PASSWORD = 0x86 "bad user name or password" in ConnAck;
    NOT_AUTHORIZED = 0x87 "not authorized" in ConnAck PubAck PubRec SubAck UnsubAck Disconnect;
    SERVER_UNAVAILABLE = 0x88 "server unavailable" in ConnAck;
    SERVER_BUSY = 0x89 "server busy" in ConnAck Disconnect;
    BANNED = 0x8A "banned" in ConnAck;
    SERVER_SHUTTING_DOWN = 0x8B "server shutting down" in Disconnect;
    BAD_AUTHENTICATION_METHOD = 0x8C "bad authentication method" in ConnAck Disconnect;
    KEEP_ALIVE_TIMEOUT = 0x8D "keep alive timeout" in Disconnect;
    SESSION_TAKEN_OVER = 0x8E "session taken over" in Disconnect;
    TOPIC_FILTER_INVALID = 0x8F "topic filter invalid" in SubAck UnsubAck Disconnect;
    TOPIC_NAME_INVALID = 0x90 "topic name invalid" in ConnAck PubAck PubRec Disconnect;
    PACKET_IDENTIFIER_IN_USE = 0x91 "packet identifier in use" in PubAck PubRec SubAck UnsubAck;
    PACKET_IDENTIFIER_NOT_FOUND = 0x92 "packet identifier not found" in PubRel PubComp;
    RECEIVE_MAXIMUM_EXCEEDED = 0x93 "receive maximum exceeded" in Disconnect;
    TOPIC_ALIAS_INVALID = 0x94 "topic alias invalid" in Disconnect;
    PACKET_TOO_LARGE = 0x95 "packet too large" in ConnAck Disconnect;
    MESSAGE_RATE_TOO_HIGH = 0x96 "message rate too high" in Disconnect;
    QUOTA_EXCEEDED = 0x97 "quota exceeded" in ConnAck PubAck PubRec SubAck Disconnect;
    ADMINISTRATIVE_ACTION = 0x98 "administrative action" in Disconnect;
    PAYLOAD_FORMAT_INVALID = 0x99 "payload format invalid" in ConnAck PubAck PubRec Disconnect;
    RETAIN_NOT_SUPPORTED = 0x9A "retain not supported" in ConnAck Disconnect;
    QOS_NOT_SUPPORTED = 0x9B "qos not supported" in ConnAck Disconnect;
    USE_ANOTHER_SERVER = 0x9C "use another server" in ConnAck Disconnect;
    SERVER_MOVED = 0x9D "server moved" in ConnAck Disconnect;
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E "shared subscriptions not supported" in SubAck Disconnect;
    CONNECTION_RATE_EXCEEDED = 0x9F "connection rate exceeded" in ConnAck Disconnect;
    MAXIMUM_CONNECT_TIME = 0xA0 "maximum connect time" in Disconnect;
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1 "subscription identifiers not supported" in SubAck Disconnect;
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2 "wildcard subscriptions not supported" in SubAck Disconnect;
}

impl ReasonCode {
    /// Whether it says that something went wrong.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.0 >= 0x80
    }

    /// The CONNACK return code of 3.1.1 that comes closest (section 3.2.2.3).
    #[must_use]
    pub const fn v311_connack(self) -> u8 {
        match self {
            Self::SUCCESS => 0,
            Self::UNSUPPORTED_PROTOCOL_VERSION => 1,
            Self::CLIENT_IDENTIFIER_NOT_VALID => 2,
            Self::BAD_USER_NAME_OR_PASSWORD => 4,
            Self::NOT_AUTHORIZED | Self::BANNED => 5,
            _ => 3,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.text(), self.0)
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
