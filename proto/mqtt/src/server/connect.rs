use alloc::{boxed::Box, vec::Vec};

use hedgerow_base::{Fault, Timestamp};

use super::{Closed, Event, KeptWill, Phase, Server};
use crate::{
    Buffer, ConnAck, Connect, Disconnect, Error, Frame, Packet, PacketKind, Place, Properties,
    PropertyId, PropertyWriter, ReasonCode, Session, Value, Version, limits, topic,
};

/// The version that a CONNECT says, whatever else is wrong with it. Who names another protocol, as 3.1
/// does, is answered in the older words.
const fn version_of(body: &[u8]) -> Version {
    match body {
        [0, 4, b'M', b'Q', b'T', b'T', 5..=255, ..] => Version::V5,
        _ => Version::V311,
    }
}

impl Server {
    pub(super) fn connecting<'a>(
        &mut self,
        frame: Frame<'a>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Event<'a> {
        if frame.kind() != PacketKind::Connect {
            return self.silent("no-connect", Fault::Invalid);
        }
        self.version = version_of(frame.body);
        self.phase = Phase::Deciding;
        match Packet::decode(frame, self.version) {
            Ok(Packet::Connect(connect)) => match self.consider(&connect) {
                Ok(()) => {
                    self.heard = now;
                    Event::Connect(connect)
                }
                Err((reason, why)) => {
                    Event::Closed(self.refuse(reason, why, Fault::Invalid, None, out))
                }
            },
            Ok(_) => self.silent("no-connect", Fault::Invalid),
            // 3.1.1 answers only a version that it doesn't speak (MQTT-3.1.4-1).
            Err(error) if self.version == Version::V311 && !matches!(error, Error::Version(_)) => {
                self.silent(error.word(), error.fault())
            }
            Err(error) => {
                Event::Closed(self.refuse(error.reason(), error.word(), error.fault(), None, out))
            }
        }
    }

    /// Ends without a word: the peer speaks something else.
    fn silent(&mut self, why: &'static str, fault: Fault) -> Event<'static> {
        self.phase = Phase::Closed;
        Event::Closed(Closed { why, fault: Some(fault), will: false })
    }

    /// Remembers what the client asks for, held to what is offered.
    fn consider(&mut self, connect: &Connect<'_>) -> Result<(), (ReasonCode, &'static str)> {
        let number = |id| connect.properties.number(id);
        if connect.properties.value(PropertyId::AUTHENTICATION_METHOD).is_some() {
            return Err((ReasonCode::BAD_AUTHENTICATION_METHOD, "authentication-method"));
        }
        let nameless = connect.client_id.is_empty() && connect.version == Version::V311;
        if (nameless && !connect.clean_start)
            || connect.client_id.len() > limits::CLIENT_ID_BYTES_MAX
        {
            return Err((ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, "client-id"));
        }
        if topic::has_control(connect.client_id) {
            return Err((ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, "control-character"));
        }
        if connect.username.is_some_and(topic::has_control) {
            return Err((ReasonCode::BAD_USER_NAME_OR_PASSWORD, "control-character"));
        }
        if let Some(will) = &connect.will {
            if !self.settings.topics.allow(will.topic) {
                return Err((ReasonCode::TOPIC_NAME_INVALID, "topic-limits"));
            }
            if topic::is_reserved(will.topic) {
                return Err((ReasonCode::NOT_AUTHORIZED, "topic-reserved"));
            }
            self.will = KeptWill::new(will).map(Box::new);
        }
        let (clean_start, offered) = (connect.clean_start, self.settings.keep_alive_s_max);
        let keep_alive_s = match (connect.version, connect.keep_alive_s) {
            (Version::V5, 0) => offered,
            (Version::V5, asked) => asked.min(offered),
            (Version::V311, asked) => asked,
        };
        self.keep_alive_ms = (keep_alive_s > 0).then(|| i64::from(keep_alive_s) * 1500);
        self.clean_start = clean_start;
        let asked = match connect.version {
            Version::V311 if clean_start => 0,
            Version::V311 => u32::MAX,
            Version::V5 => number(PropertyId::SESSION_EXPIRY_INTERVAL).unwrap_or(0),
        };
        self.session_expiry_s = asked.min(self.settings.session_expiry_s_max);
        self.corrects = (asked != self.session_expiry_s, keep_alive_s != connect.keep_alive_s);
        self.problem_information = number(PropertyId::REQUEST_PROBLEM_INFORMATION) != Some(0);
        let window = number(PropertyId::RECEIVE_MAXIMUM).map_or(usize::MAX, |max| max as usize);
        self.window = window.min(usize::from(self.settings.in_flight_max));
        self.packet_bytes =
            number(PropertyId::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |max| max as usize);
        let aliases = number(PropertyId::TOPIC_ALIAS_MAXIMUM).map_or(0, |max| max as usize);
        self.given.max = aliases.min(limits::TOPIC_ALIASES_GIVEN_MAX);
        if !self.takes_connack(connect.client_id.is_empty()) {
            return Err((ReasonCode::PACKET_TOO_LARGE, "connack-too-large"));
        }
        Ok(())
    }

    /// Whether the client's Maximum Packet Size lets it hear what is offered to it.
    fn takes_connack(&self, is_nameless: bool) -> bool {
        if self.packet_bytes > limits::CONNECT_BYTES_MAX {
            return true;
        }
        let mut buffer = [0; 64 + limits::CLIENT_ID_BYTES_MAX];
        let longest = "n".repeat(limits::ASSIGNED_ID_BYTES_MAX);
        self.offer(is_nameless.then_some(&*longest), &mut buffer).is_ok_and(|properties| {
            let mut out = Vec::new();
            let reason = ReasonCode::SUCCESS;
            let connack = Packet::ConnAck(ConnAck { session_present: false, reason, properties });
            connack.encode(self.version, &mut out).is_ok() && out.len() <= self.packet_bytes
        })
    }

    /// Lets the client in, with the session of an earlier connection if there is one and it wants it.
    /// `assigned` is the client identifier that it is given when it brought none. Writes CONNACK; then
    /// the driver calls [`Server::send`].
    pub fn accept(&mut self, session: Option<Session>, assigned: Option<&str>, out: &mut Vec<u8>) {
        if self.phase != Phase::Deciding {
            return;
        }
        self.phase = Phase::Open;
        let resumed = session.filter(|_| !self.clean_start);
        let session_present = resumed.is_some();
        self.session = resumed.unwrap_or_default();
        self.session.rewind();
        let mut buffer = [0; 64 + limits::CLIENT_ID_BYTES_MAX];
        let properties = match self.version {
            Version::V311 => Ok(Properties::NONE),
            Version::V5 => self.offer(assigned, &mut buffer),
        };
        let properties = properties.unwrap_or(Properties::NONE);
        let reason = ReasonCode::SUCCESS;
        // INVARIANT: a Vec takes everything.
        let _ = Packet::ConnAck(ConnAck { session_present, reason, properties })
            .encode(self.version, out);
    }

    fn offer<'b>(
        &self,
        assigned: Option<&str>,
        buffer: &'b mut [u8],
    ) -> Result<Properties<'b>, Error> {
        let mut offer = PropertyWriter::new(buffer, Place::Packet(PacketKind::ConnAck));
        let packet_bytes = u32::try_from(self.settings.packet_bytes_max).unwrap_or(u32::MAX);
        let (corrects_expiry, corrects_keep_alive) = self.corrects;
        if corrects_expiry {
            offer.push(PropertyId::SESSION_EXPIRY_INTERVAL, Value::Word(self.session_expiry_s))?;
        }
        offer.push(PropertyId::RECEIVE_MAXIMUM, Value::Short(self.settings.receive_maximum))?;
        offer.push(PropertyId::MAXIMUM_PACKET_SIZE, Value::Word(packet_bytes))?;
        if let Some(client_id) = assigned {
            offer.push(PropertyId::ASSIGNED_CLIENT_IDENTIFIER, Value::Text(client_id))?;
        }
        if self.settings.topic_alias_max > 0 {
            let max = Value::Short(self.settings.topic_alias_max);
            offer.push(PropertyId::TOPIC_ALIAS_MAXIMUM, max)?;
        }
        if corrects_keep_alive {
            let seconds = self.settings.keep_alive_s_max;
            offer.push(PropertyId::SERVER_KEEP_ALIVE, Value::Short(seconds))?;
        }
        offer.finish()
    }

    /// Turns the client away with a CONNACK; `text` says to people what to do (5.0 only).
    pub fn refuse(
        &mut self,
        reason: ReasonCode,
        why: &'static str,
        fault: Fault,
        text: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Closed {
        self.will = None;
        self.session_expiry_s = 0;
        if self.phase == Phase::Deciding {
            let mut buffer = [0; limits::LAST_WORDS_BYTES_MAX];
            let told = self.last_words(PacketKind::ConnAck, reason, text, &mut buffer);
            let reason = match reason.fits(PacketKind::ConnAck) && reason.is_failure() {
                true => reason,
                false => ReasonCode::UNSPECIFIED,
            };
            self.put_last(told, out, |properties| {
                Packet::ConnAck(ConnAck { session_present: false, reason, properties })
            });
        }
        self.phase = Phase::Closed;
        Closed { why, fault: Some(fault), will: false }
    }

    /// Ends an open connection from this side; 5.0 is told why. Before CONNACK it is a refusal.
    pub fn close(
        &mut self,
        reason: ReasonCode,
        why: &'static str,
        fault: Fault,
        text: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Closed {
        if self.phase == Phase::Open && self.version == Version::V5 {
            let mut buffer = [0; limits::LAST_WORDS_BYTES_MAX];
            let properties = self.last_words(PacketKind::Disconnect, reason, text, &mut buffer);
            let reason = match reason.fits(PacketKind::Disconnect) {
                true => reason,
                false => ReasonCode::PROTOCOL_ERROR,
            };
            self.put_last(properties, out, |properties| {
                Packet::Disconnect(Disconnect { reason, properties })
            });
        }
        let will = self.phase == Phase::Open && self.will.is_some();
        self.phase = Phase::Closed;
        Closed { why, fault: Some(fault), will }
    }

    /// The connection broke without a word.
    pub fn broken(&mut self, why: &'static str) -> Closed {
        let will = self.phase == Phase::Open && self.will.is_some();
        self.phase = Phase::Closed;
        Closed { why, fault: Some(Fault::Unavailable), will }
    }

    /// Says the last packet, without its properties when the client has no room for them.
    fn put_last<'b>(
        &self,
        properties: Properties<'b>,
        out: &mut Vec<u8>,
        packet: impl Fn(Properties<'b>) -> Packet<'b>,
    ) {
        let start = out.len();
        self.put(packet(properties), out);
        if out.len() == start {
            self.put(packet(Properties::NONE), out);
        }
    }

    /// Where else to go, and why.
    fn last_words<'b>(
        &self,
        kind: PacketKind,
        reason: ReasonCode,
        text: Option<&str>,
        buffer: &'b mut [u8],
    ) -> Properties<'b> {
        let sends_on = matches!(reason, ReasonCode::USE_ANOTHER_SERVER | ReasonCode::SERVER_MOVED);
        let reference = self.settings.server_reference.as_deref().filter(|_| sends_on);
        let Some(reference) = reference.filter(|_| self.version == Version::V5) else {
            return self.reason_string(kind, text, buffer);
        };
        let mut writer = PropertyWriter::new(buffer, Place::Packet(kind));
        let reference = cut(reference, limits::SERVER_REFERENCE_BYTES_MAX);
        // INVARIANT: the buffer has room for both; without it nothing is said.
        let _ = writer.push(PropertyId::SERVER_REFERENCE, Value::Text(reference));
        if let Some(text) = text.filter(|_| self.problem_information) {
            let text = cut(text, limits::REASON_STRING_BYTES_MAX);
            let _ = writer.push(PropertyId::REASON_STRING, Value::Text(text));
        }
        writer.finish().unwrap_or(Properties::NONE)
    }

    pub(super) fn reason_string<'b>(
        &self,
        kind: PacketKind,
        text: Option<&str>,
        buffer: &'b mut [u8],
    ) -> Properties<'b> {
        let Some(text) = text.filter(|_| self.version == Version::V5 && self.problem_information)
        else {
            return Properties::NONE;
        };
        let mut writer = PropertyWriter::new(buffer, Place::Packet(kind));
        let text = cut(text, limits::REASON_STRING_BYTES_MAX);
        match writer.push(PropertyId::REASON_STRING, Value::Text(text)) {
            Ok(()) => writer.finish().unwrap_or(Properties::NONE),
            Err(_) => Properties::NONE,
        }
    }

    pub(super) fn put(&self, packet: Packet<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let written = packet.encode(self.version, out);
        if written.is_err() || out.len() - start > self.packet_bytes {
            out.truncate(start);
        }
    }

    pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
        // INVARIANT: a Vec takes everything.
        let _ = out.put(bytes);
    }
}

/// The text's beginning of at most `bytes`, cut between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
