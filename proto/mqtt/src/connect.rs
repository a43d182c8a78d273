use crate::{
    Buffer, Error, PacketKind, Place, Properties, QoS, ReasonCode, Version,
    bytes::{Reader, put_binary},
    packet::Body,
    topic,
};

/// What a client says first (MQTT 5.0, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version spoken from here on.
    pub version: Version,
    /// Begin with an empty session (Clean Session in 3.1.1).
    pub clean_start: bool,
    /// Seconds of silence that the client promises not to exceed; 0 is no promise.
    pub keep_alive_s: u16,
    /// The client's name; empty asks for one.
    pub client_id: &'a str,
    /// What to publish should the client vanish.
    pub will: Option<Will<'a>>,
    /// User name.
    pub username: Option<&'a str>,
    /// Password or token.
    pub password: Option<&'a [u8]>,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

/// The message that speaks for a client that vanished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// Where to.
    pub topic: &'a str,
    /// The message.
    pub payload: &'a [u8],
    /// How hard to try.
    pub qos: QoS,
    /// To be kept for later subscribers.
    pub retain: bool,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Connect<'a> {
    pub(crate) fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        match rest.binary()? {
            b"MQTT" => {}
            b"MQIsdp" => return Err(Error::Version(3)),
            _ => return Err(Error::Malformed("the name of another protocol")),
        }
        let version = match rest.byte()? {
            4 => Version::V311,
            5 => Version::V5,
            other => return Err(Error::Version(other)),
        };
        let flags = rest.byte()?;
        check_flags(flags, version)?;
        let keep_alive_s = rest.short()?;
        let properties = match version {
            Version::V311 => Properties::NONE,
            Version::V5 => Properties::read(&mut rest, Place::Packet(PacketKind::Connect))?,
        };
        let client_id = rest.text()?;
        let will =
            if flags & 4 != 0 { Some(Will::decode(&mut rest, flags, version)?) } else { None };
        let username = if flags & 0x80 != 0 { Some(rest.text()?) } else { None };
        let password = if flags & 0x40 != 0 { Some(rest.binary()?) } else { None };
        if !rest.is_empty() {
            return Err(Error::Malformed("bytes after the end of a connect"));
        }
        let clean_start = flags & 2 != 0;
        Ok(Self {
            version,
            clean_start,
            keep_alive_s,
            client_id,
            will,
            username,
            password,
            properties,
        })
    }

    fn flags(&self) -> u8 {
        let will =
            self.will.map_or(0, |will| 4 | (will.qos as u8) << 3 | u8::from(will.retain) << 5);
        will | u8::from(self.clean_start) << 1
            | u8::from(self.password.is_some()) << 6
            | u8::from(self.username.is_some()) << 7
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), Error> {
    if flags & 1 != 0 {
        return Err(Error::Malformed("the reserved connect flag is set"));
    }
    if flags & 4 == 0 && flags & 0x38 != 0 {
        return Err(Error::Malformed("will qos or retain without a will"));
    }
    if version == Version::V311 && flags & 0xC0 == 0x40 {
        return Err(Error::Malformed("a password without a user name"));
    }
    Ok(())
}

impl<'a> Will<'a> {
    fn decode(rest: &mut Reader<'a>, flags: u8, version: Version) -> Result<Self, Error> {
        let qos = QoS::from_bits(flags >> 3)?;
        let properties = match version {
            Version::V311 => Properties::NONE,
            Version::V5 => Properties::read(rest, Place::Will)?,
        };
        let topic = rest.text()?;
        topic::check_name(topic)?;
        let payload = rest.binary()?;
        Ok(Self { topic, payload, qos, retain: flags & 0x20 != 0, properties })
    }
}

impl Body for Connect<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        put_binary(b"MQTT", out)?;
        let level = match version {
            Version::V311 => 4,
            Version::V5 => 5,
        };
        out.put(&[level, self.flags()])?;
        out.put(&self.keep_alive_s.to_be_bytes())?;
        if version == Version::V5 {
            self.properties.write(out)?;
        }
        put_binary(self.client_id.as_bytes(), out)?;
        if let Some(will) = &self.will {
            if version == Version::V5 {
                will.properties.write(out)?;
            }
            put_binary(will.topic.as_bytes(), out)?;
            put_binary(will.payload, out)?;
        }
        if let Some(username) = self.username {
            put_binary(username.as_bytes(), out)?;
        }
        match self.password {
            Some(password) => put_binary(password, out),
            None => Ok(()),
        }
    }
}

/// The server's answer to a CONNECT (MQTT 5.0, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// The server still had the client's session.
    pub session_present: bool,
    /// How it went. In 3.1.1 the return codes 0 to 5 are read as, and written from, the closest codes
    /// of 5.0.
    pub reason: ReasonCode,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut rest = Reader::new(body);
        let session_present = match rest.byte()? {
            0 => false,
            1 => true,
            _ => return Err(Error::Malformed("reserved connack flags are set")),
        };
        let code = rest.byte()?;
        let reason = match version {
            Version::V311 => reason_of_v311(code)?,
            Version::V5 => ReasonCode(code),
        };
        if !reason.fits(PacketKind::ConnAck) {
            return Err(Error::Malformed("a reason code that a connack can't have"));
        }
        if session_present && reason != ReasonCode::SUCCESS {
            return Err(Error::Protocol("a refusal says that a session is present"));
        }
        let properties = match version {
            Version::V311 => Properties::NONE,
            Version::V5 => Properties::read(&mut rest, Place::Packet(PacketKind::ConnAck))?,
        };
        if !rest.is_empty() {
            return Err(Error::Malformed("bytes after the end of a connack"));
        }
        Ok(Self { session_present, reason, properties })
    }
}

fn reason_of_v311(code: u8) -> Result<ReasonCode, Error> {
    Ok(match code {
        0 => ReasonCode::SUCCESS,
        1 => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        2 => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        3 => ReasonCode::SERVER_UNAVAILABLE,
        4 => ReasonCode::BAD_USER_NAME_OR_PASSWORD,
        5 => ReasonCode::NOT_AUTHORIZED,
        _ => return Err(Error::Malformed("a return code that a connack can't have")),
    })
}

impl Body for ConnAck<'_> {
    fn write(&self, version: Version, out: &mut impl Buffer) -> Result<(), Error> {
        match version {
            Version::V311 => out.put(&[u8::from(self.session_present), self.reason.v311_connack()]),
            Version::V5 => {
                out.put(&[u8::from(self.session_present), self.reason.0])?;
                self.properties.write(out)
            }
        }
    }
}
