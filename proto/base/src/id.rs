use core::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{
    base32,
    limits::{DEVICE_ID_BYTES, DEVICE_ID_CHARS},
};

/// The name of a device for life: the first 128 bits of SHA-256 over the SubjectPublicKeyInfo (DER) of
/// its first key, written as 26 characters of Crockford base32 in lower case.
///
/// Later keys are bound to it by succession; it never changes and anyone who has the key can check it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId([u8; DEVICE_ID_BYTES]);

impl DeviceId {
    /// Derives the id of the device whose first key is `spki`, a SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn from_public_key(spki: &[u8]) -> Self {
        let digest = Sha256::digest(spki);
        let mut id = [0; DEVICE_ID_BYTES];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// The id as stored; also the way in for devices without a key pair, whose id is random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; DEVICE_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 128 bits.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; DEVICE_ID_BYTES] {
        &self.0
    }

    /// The 26 characters, without allocating.
    #[must_use]
    pub fn text(&self) -> [u8; DEVICE_ID_CHARS] {
        let mut text = [b'0'; DEVICE_ID_CHARS];
        let _ = base32::encode(&self.0, &mut text);
        text
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(core::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

/// The text is not 26 characters of Crockford base32 in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADeviceId;

impl fmt::Display for NotADeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device id is 26 characters of 0-9 and a-z without i, l, o, u")
    }
}

impl core::error::Error for NotADeviceId {}

impl FromStr for DeviceId {
    type Err = NotADeviceId;

    /// Reads the one spelling that [`fmt::Display`] writes: ids are compared as text in topics and
    /// names, so look-alikes and capitals are refused here.
    fn from_str(text: &str) -> Result<Self, NotADeviceId> {
        let mut bytes = [0; DEVICE_ID_BYTES];
        base32::decode(text, &mut bytes).ok_or(NotADeviceId)?;
        let id = Self(bytes);
        if id.text() == text.as_bytes() { Ok(id) } else { Err(NotADeviceId) }
    }
}

/// Whose device, person or record it is. One hub can serve several; the embedded default has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub u32);

impl TenantId {
    /// The tenant of the embedded default.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which life of a device a record belongs to: a resold device keeps its id and starts the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The life that begins with a device's first enrolment at this hub.
    pub const FIRST: Self = Self(1);
}

/// Which record: a device of a tenant in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceKey {
    /// Whose device.
    pub tenant: TenantId,
    /// Which device.
    pub id: DeviceId,
    /// Which life of it.
    pub incarnation: Incarnation,
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn an_id_is_the_first_half_of_the_key_digest() {
        let digest = Sha256::digest(b"key");
        assert_eq!(DeviceId::from_public_key(b"key").as_bytes(), &digest[..16]);
    }

    #[test]
    fn other_spellings_of_an_id_are_refused() {
        let id = DeviceId::from_bytes([0x11; 16]).to_string();
        assert!(id.parse::<DeviceId>().is_ok());
        assert!(id.to_uppercase().parse::<DeviceId>().is_err());
        assert!(id.replace('1', "l").parse::<DeviceId>().is_err() || !id.contains('1'));
        assert!("".parse::<DeviceId>().is_err());
        assert!(std::format!("{id}0").parse::<DeviceId>().is_err());
    }
}
