//! Packets as ours and as two other people's codecs read them. What one takes and the other refuses, or reads as
//! something else, is explained by a name in [`Exception`], with the section that decides who is right.

use bytes::BytesMut;
use hedgerow_mqtt::{
    Error, Packet, PacketKind, Properties, PropertyId, ReasonCode, Split, Value, Version, split,
};
use mqtt_protocol_core::mqtt::packet::{v3_1_1, v5_0};
use tokio_util::codec::{Decoder, Encoder};

use self::Oracle::{Core, Rmqtt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oracle {
    /// rmqtt-codec.
    Rmqtt,
    /// mqtt-protocol-core.
    Core,
}

pub(super) fn run(bytes: &[u8]) {
    let Some((choice, stream)) = bytes.split_first() else { return };
    let Ok(Split::Whole(frame, _)) = split(stream, 1 << 16) else { return };
    let is_connect = frame.kind() == PacketKind::Connect;
    let is_5 = if is_connect { frame.body.get(6) == Some(&5) } else { choice & 1 == 1 };
    let version = if is_5 { Version::V5 } else { Version::V311 };
    let ours = Packet::decode(frame, version);
    for oracle in [Oracle::Rmqtt, Oracle::Core] {
        compare(frame.bytes, version, ours.ok(), oracle);
        // What ours writes they read as it was meant.
        if let Ok(packet) = ours {
            let mut written = Vec::new();
            packet.encode(version, &mut written).expect("a vector takes everything");
            compare(&written, version, Some(packet), oracle);
        }
    }
}

fn compare(bytes: &[u8], version: Version, ours: Option<Packet<'_>>, oracle: Oracle) {
    let theirs = theirs(bytes, version, oracle);
    match (ours, &theirs) {
        (None, None) => {}
        (Some(ours), Some(theirs)) => {
            // What they understood is what they write of it, which ours must read in turn.
            let read = match split(theirs, 1 << 20) {
                Ok(Split::Whole(frame, [])) => Packet::decode(frame, version).ok(),
                _ => None,
            };
            if read.map(said) != Some(said(ours)) {
                let explained = reads_differently(ours, read, oracle);
                assert!(
                    explained.is_some(),
                    "{oracle:?} {version:?} {bytes:02x?}\n ours {ours:?}\n theirs {read:?} {theirs:02x?}"
                );
            }
        }
        (Some(ours), None) => {
            let explained = they_refuse(ours, version, oracle);
            assert!(explained.is_some(), "{oracle:?} {version:?} refuses {ours:?} {bytes:02x?}");
        }
        (None, Some(theirs)) => {
            let error = match split(bytes, 1 << 20) {
                Ok(Split::Whole(frame, _)) => Packet::decode(frame, version).err(),
                Ok(Split::More(_)) | Err(_) => None,
            };
            let explained = error.and_then(|error| they_take(error, oracle));
            assert!(
                explained.is_some(),
                "{oracle:?} {version:?} takes {bytes:02x?} as {theirs:02x?}; ours says {error:?}"
            );
        }
    }
}

/// Why they differ. Sections are of MQTT 5.0 unless they say otherwise; ours is right by each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exception {
    /// MQTT-1.5.4-2: no string holds U+0000.
    NullCharacter,
    /// 1.5.4: a receiver may take a string with control characters for malformed; ours does so for topics.
    ControlCharacter,
    /// MQTT-1.5.5-1: as few bytes as can be.
    LongInteger,
    /// MQTT-2.2.1-3: no identifier is zero.
    IdentifierZero,
    /// 2.1.4 and the tables of each packet: nothing follows the last field.
    MoreThanItsFields,
    /// 2.1.3, MQTT-3.1.2-3, 3.2.2-1, 3.8.3-5, and of 3.1.1 also 3.8.3-4: reserved bits are zero.
    ReservedBits,
    /// MQTT-3.1.2-2: level 3 is another protocol, to be told so.
    OlderVersion,
    /// MQTT-3.1.2-11, -12 and -13: quality and retain of a will without one, and a quality of 3.
    WillFlags,
    /// MQTT-3.1.2-22 of 3.1.1: no password without a user name.
    PasswordAlone311,
    /// 3.1.2.11.10, 3.2.2.3.18: no data of an authentication without its method.
    DataWithoutMethod,
    /// 3.15.2.2.2: no AUTH without a method.
    AuthWithoutMethod,
    /// MQTT-3.2.2-6: a refusal has no session.
    SessionOfRefusal,
    /// 3.2.2.2, 3.9.3, 3.11.3, and the tables of 3.1.1: each packet has codes of its own, and at least one.
    ForeignCodes,
    /// 3.1.2.11.6, 3.1.2.11.7, 3.2.2.3.5 and on: what is yes or no is 0 or 1.
    NeitherYesNorNo,
    /// MQTT-3.3.1-2: no DUP at quality 0.
    DupOfQuality0,
    /// MQTT-3.3.2-2, 4.7.1-1, 4.7.1-2, 4.7.3-1, 3.3.2.1: what is a topic name and what a filter.
    TopicRules,
    /// 3.3.2.3.1: PUBLISH of 5.0 has a length of its properties, even if it is zero.
    NoPropertyLength,
    /// 3.1.2.9: unlike 3.1.1, 5.0 allows a password without a user name.
    PasswordAlone,
    /// 3.8.2.1.2, 3.2.2.3.6 and their like: a property that may stand once, and one that is not zero.
    PropertyRules,
    /// MQTT-3.1.3-6: an empty client identifier is allowed; 3.1.1 asks for a clean session with it, and there
    /// ours tells the client so (MQTT-3.1.3-8), which its codec could not.
    Nameless,
    /// 3.3.2.3.3: a message expiry interval is a number of seconds, and zero is one.
    ExpiryOfZero,
    /// 2.4: DISCONNECT may have 0x8C, though the table in 3.14.2.1 leaves it out.
    DisconnectBadMethod,
    /// 3.15.2.1 lets AUTH be empty, 3.15.2.2.2 wants a method: theirs writes the length, which ours refuses.
    EmptyAuth,
    /// 3.2.2.3, 3.3.2.3.2: theirs forgets a property that says what its absence says.
    SaidByAbsence,
}

/// What they take and ours refuses, by the words of ours.
const THEY_TAKE: [(&str, &[Oracle], Exception); 28] = [
    ("a property stands twice", &[Core], Exception::PropertyRules),
    ("must not be 0 is 0", &[Rmqtt], Exception::PropertyRules),
    ("null character", &[Rmqtt, Core], Exception::NullCharacter),
    ("a control character", &[Rmqtt, Core], Exception::ControlCharacter),
    ("longer than needed", &[Rmqtt, Core], Exception::LongInteger),
    ("packet identifier 0", &[Core], Exception::IdentifierZero),
    ("bytes after the end", &[Rmqtt, Core], Exception::MoreThanItsFields),
    ("a ping has a body", &[Rmqtt], Exception::MoreThanItsFields),
    ("reserved subscription options", &[Rmqtt, Core], Exception::ReservedBits),
    ("reserved connack flags", &[Core], Exception::ReservedBits),
    ("the reserved connect flag", &[Core], Exception::ReservedBits),
    ("Version(3)", &[Rmqtt], Exception::OlderVersion),
    ("will qos or retain without a will", &[Rmqtt, Core], Exception::WillFlags),
    ("qos 3 is reserved", &[Core], Exception::WillFlags),
    ("a password without a user name", &[Rmqtt], Exception::PasswordAlone311),
    ("authentication data without", &[Rmqtt, Core], Exception::DataWithoutMethod),
    ("an auth without its method", &[Rmqtt, Core], Exception::AuthWithoutMethod),
    ("a refusal says that a session", &[Rmqtt, Core], Exception::SessionOfRefusal),
    ("an unsuback without codes", &[Rmqtt], Exception::ForeignCodes),
    ("a suback without codes", &[Rmqtt], Exception::ForeignCodes),
    ("a return code that a connack", &[Rmqtt], Exception::ForeignCodes),
    ("a flag property is not 0 or 1", &[Rmqtt], Exception::NeitherYesNorNo),
    ("dup is set on a message of qos 0", &[Rmqtt, Core], Exception::DupOfQuality0),
    ("it is empty", &[Rmqtt, Core], Exception::TopicRules),
    ("a wildcard", &[Rmqtt, Core], Exception::TopicRules),
    ("must fill", &[Rmqtt, Core], Exception::TopicRules),
    ("neither a topic nor an alias", &[Rmqtt, Core], Exception::TopicRules),
    ("the packet ends inside a field", &[Core], Exception::NoPropertyLength),
];

fn they_take(error: Error, oracle: Oracle) -> Option<Exception> {
    let said = format!("{error:?}");
    let known = |(words, oracles, _): &&(&str, &[Oracle], Exception)| {
        said.contains(words) && oracles.contains(&oracle)
    };
    THEY_TAKE.iter().find(known).map(|(.., exception)| *exception)
}

fn they_refuse(packet: Packet<'_>, version: Version, oracle: Oracle) -> Option<Exception> {
    match (packet, version, oracle) {
        (Packet::Connect(connect), _, _)
            if connect.client_id.is_empty() && !connect.clean_start =>
        {
            Some(Exception::Nameless)
        }
        (Packet::Connect(connect), Version::V5, Core)
            if connect.password.is_some() && connect.username.is_none() =>
        {
            Some(Exception::PasswordAlone)
        }
        (Packet::Connect(connect), Version::V5, Rmqtt) => {
            let will = connect.will?;
            let expiry = will.properties.number(PropertyId::MESSAGE_EXPIRY_INTERVAL);
            (expiry == Some(0)).then_some(Exception::ExpiryOfZero)
        }
        (Packet::Publish(message), Version::V5, Rmqtt) => {
            let expiry = message.properties.number(PropertyId::MESSAGE_EXPIRY_INTERVAL);
            (expiry == Some(0)).then_some(Exception::ExpiryOfZero)
        }
        (Packet::Disconnect(end), Version::V5, Core)
            if end.reason == ReasonCode::BAD_AUTHENTICATION_METHOD =>
        {
            Some(Exception::DisconnectBadMethod)
        }
        _ => None,
    }
}

fn reads_differently(
    ours: Packet<'_>,
    theirs: Option<Packet<'_>>,
    oracle: Oracle,
) -> Option<Exception> {
    if oracle != Rmqtt {
        return None;
    }
    if let (Packet::Auth(auth), None) = (ours, theirs) {
        return auth.properties.is_empty().then_some(Exception::EmptyAuth);
    }
    let ((ours, all), (theirs, kept)) = (said(ours), said(theirs?));
    let is_default = |(id, value): &(PropertyId, String)| {
        let yes = [
            PropertyId::MAXIMUM_QOS,
            PropertyId::RETAIN_AVAILABLE,
            PropertyId::WILDCARD_SUBSCRIPTION_AVAILABLE,
            PropertyId::SUBSCRIPTION_IDENTIFIER_AVAILABLE,
            PropertyId::SHARED_SUBSCRIPTION_AVAILABLE,
            PropertyId::REQUEST_PROBLEM_INFORMATION,
        ];
        let no = [
            PropertyId::PAYLOAD_FORMAT_INDICATOR,
            PropertyId::REQUEST_RESPONSE_INFORMATION,
            PropertyId::SESSION_EXPIRY_INTERVAL,
            PropertyId::WILL_DELAY_INTERVAL,
            PropertyId::TOPIC_ALIAS_MAXIMUM,
        ];
        yes.contains(id) && value.ends_with("(1)")
            || no.contains(id) && value.ends_with("(0)")
            || *id == PropertyId::RECEIVE_MAXIMUM && value.ends_with("(65535)")
    };
    let without: Vec<_> = all.into_iter().filter(|one| !is_default(one)).collect();
    let kept: Vec<_> = kept.into_iter().filter(|one| !is_default(one)).collect();
    (ours == theirs && without == kept).then_some(Exception::SaidByAbsence)
}

/// What a packet says, its properties in one order; those that may come several times keep theirs.
fn said(mut packet: Packet<'_>) -> (String, Vec<(PropertyId, String)>) {
    let mut all = Vec::new();
    let mut take = |properties: &mut Properties<'_>| {
        let from = all.len();
        all.extend(properties.iter().map(|(id, value): (_, Value<'_>)| (id, format!("{value:?}"))));
        all[from..].sort_by_key(|(id, _)| format!("{id:?}"));
        *properties = Properties::NONE;
    };
    match &mut packet {
        Packet::Connect(connect) => {
            take(&mut connect.properties);
            connect.will.iter_mut().for_each(|will| take(&mut will.properties));
        }
        Packet::ConnAck(packet) => take(&mut packet.properties),
        Packet::Publish(packet) => take(&mut packet.properties),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            take(&mut ack.properties);
        }
        Packet::Subscribe(packet) => take(&mut packet.properties),
        Packet::SubAck(packet) => take(&mut packet.properties),
        Packet::Unsubscribe(packet) => take(&mut packet.properties),
        Packet::UnsubAck(packet) => take(&mut packet.properties),
        Packet::Disconnect(packet) => take(&mut packet.properties),
        Packet::Auth(packet) => take(&mut packet.properties),
        Packet::PingReq | Packet::PingResp => {}
    }
    (format!("{packet:?}"), all)
}

/// What they read, as they write it; none when they refuse it.
fn theirs(bytes: &[u8], version: Version, oracle: Oracle) -> Option<Vec<u8>> {
    match oracle {
        Oracle::Rmqtt => rmqtt(bytes, version),
        Oracle::Core => core(bytes, version),
    }
}

fn rmqtt(bytes: &[u8], version: Version) -> Option<Vec<u8>> {
    let (mut input, mut output) = (BytesMut::from(bytes), BytesMut::new());
    match version {
        Version::V311 => {
            let mut codec = rmqtt_codec::v3::Codec::default();
            let (packet, _) = codec.decode(&mut input).ok()??;
            codec.encode(packet, &mut output).ok()?;
        }
        Version::V5 => {
            let mut codec = rmqtt_codec::v5::Codec::default();
            let (packet, _) = codec.decode(&mut input).ok()??;
            // A fresh one: it holds back reasons from who asked for none in CONNECT.
            rmqtt_codec::v5::Codec::default().encode(packet, &mut output).ok()?;
        }
    }
    Some(output.to_vec())
}

fn core(bytes: &[u8], version: Version) -> Option<Vec<u8>> {
    let Ok(Split::Whole(frame, _)) = split(bytes, 1 << 20) else { return None };
    let (body, flags) = (frame.body, frame.first & 15);
    macro_rules! read {
        ($($module:ident)::+ $kind:ident) => {{
            let (packet, used) = $($module)::+::$kind::parse(body).ok()?;
            (used == body.len()).then(|| packet.to_continuous_buffer())
        }};
    }
    let kind = frame.kind();
    let expected = match kind {
        PacketKind::PubRel | PacketKind::Subscribe | PacketKind::Unsubscribe => 2,
        _ => 0,
    };
    if kind != PacketKind::Publish && flags != expected {
        // Its connection looks at them, its packets don't see them.
        return None;
    }
    match (version, kind) {
        (Version::V311, PacketKind::Connect) => read!(v3_1_1 Connect),
        (Version::V311, PacketKind::ConnAck) => read!(v3_1_1 Connack),
        (Version::V311, PacketKind::Publish) => {
            let (packet, used) = v3_1_1::Publish::parse(flags, body.into()).ok()?;
            (used == body.len()).then(|| packet.to_continuous_buffer())
        }
        (Version::V311, PacketKind::PubAck) => read!(v3_1_1 Puback),
        (Version::V311, PacketKind::PubRec) => read!(v3_1_1 Pubrec),
        (Version::V311, PacketKind::PubRel) => read!(v3_1_1 Pubrel),
        (Version::V311, PacketKind::PubComp) => read!(v3_1_1 Pubcomp),
        (Version::V311, PacketKind::Subscribe) => read!(v3_1_1 Subscribe),
        (Version::V311, PacketKind::SubAck) => read!(v3_1_1 Suback),
        (Version::V311, PacketKind::Unsubscribe) => read!(v3_1_1 Unsubscribe),
        (Version::V311, PacketKind::UnsubAck) => read!(v3_1_1 Unsuback),
        (Version::V311, PacketKind::PingReq) => read!(v3_1_1 Pingreq),
        (Version::V311, PacketKind::PingResp) => read!(v3_1_1 Pingresp),
        (Version::V311, PacketKind::Disconnect) => read!(v3_1_1 Disconnect),
        (Version::V311, PacketKind::Auth) => None,
        (Version::V5, PacketKind::Connect) => read!(v5_0 Connect),
        (Version::V5, PacketKind::ConnAck) => read!(v5_0 Connack),
        (Version::V5, PacketKind::Publish) => {
            let (packet, used) = v5_0::Publish::parse(flags, body.into()).ok()?;
            (used == body.len()).then(|| packet.to_continuous_buffer())
        }
        (Version::V5, PacketKind::PubAck) => read!(v5_0 Puback),
        (Version::V5, PacketKind::PubRec) => read!(v5_0 Pubrec),
        (Version::V5, PacketKind::PubRel) => read!(v5_0 Pubrel),
        (Version::V5, PacketKind::PubComp) => read!(v5_0 Pubcomp),
        (Version::V5, PacketKind::Subscribe) => read!(v5_0 Subscribe),
        (Version::V5, PacketKind::SubAck) => read!(v5_0 Suback),
        (Version::V5, PacketKind::Unsubscribe) => read!(v5_0 Unsubscribe),
        (Version::V5, PacketKind::UnsubAck) => read!(v5_0 Unsuback),
        (Version::V5, PacketKind::PingReq) => read!(v5_0 Pingreq),
        (Version::V5, PacketKind::PingResp) => read!(v5_0 Pingresp),
        (Version::V5, PacketKind::Disconnect) => read!(v5_0 Disconnect),
        (Version::V5, PacketKind::Auth) => read!(v5_0 Auth),
    }
}
