use std::net::IpAddr;

use hedgerow_base::Timestamp;

/// A certificate's serial number: 16 bytes, positive, random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial([u8; 16]);

impl Serial {
    /// From 16 random bytes; one bit is cleared so that DER reads it as positive, one set so that it
    /// has always the same length.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(bytes)
    }

    /// From the store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Big-endian bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a certificate is for; decides its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Signs the issuing CA; path length 1.
    RootCa,
    /// Signs everything else; path length 0.
    IssuingCa,
    /// The hub's TLS servers: serverAuth.
    Server,
    /// A device or a program: clientAuth.
    Device,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The root's own key.
    Root,
    /// The issuing CA's key.
    Issuing,
}

/// An entry of the SubjectAltName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// uniformResourceIdentifier.
    Uri(String),
    /// dNSName.
    Dns(String),
    /// iPAddress.
    Ip(IpAddr),
}

/// Everything that a signer needs to make a certificate, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePlan {
    /// Serial number.
    pub serial: Serial,
    /// Common name of the subject.
    pub subject: String,
    /// SubjectAltName, in order.
    pub names: Vec<Name>,
    /// SubjectPublicKeyInfo in DER.
    pub key: Vec<u8>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// What for.
    pub usage: Usage,
    /// By whom.
    pub issuer: Issuer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_positive_and_sixteen_bytes_long() {
        for byte in [0x00, 0xff, 0x80] {
            let first = Serial::from_random([byte; 16]).as_bytes()[0];
            assert!(first < 0x80 && first != 0);
        }
    }
}
