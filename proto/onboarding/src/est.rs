//! Messages of Enrollment over Secure Transport (RFC 7030, with the base64 of RFC 8951).
//!
//! 1. `GET cacerts` → certs-only PKCS#7 with root and issuing CA.
//! 2. `GET csrattrs` → the attributes that the hub likes to see in a request.
//! 3. `POST simpleenroll`, Basic `claim:<secret>` → certs-only PKCS#7 with the new certificate.
//! 4. `POST simplereenroll` with the current certificate → the same with the next one.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    der,
    der::{NotDer, Reader, tag},
    limits::{CERTIFICATES_MAX, EST_BODY_BYTES_MAX},
};

/// Where the operations stand, RFC 7030 section 3.2.2.
pub const BASE_PATH: &str = "/.well-known/est";
/// Type of cacerts and of enrolment answers.
pub const PKCS7_TYPE: &str = "application/pkcs7-mime; smime-type=certs-only";
/// Type of an enrolment request.
pub const PKCS10_TYPE: &str = "application/pkcs10";
/// Type of csrattrs.
pub const CSRATTRS_TYPE: &str = "application/csrattrs";
/// Label of the TLS exporter whose 32 bytes bind a request to its connection, RFC 9266.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Bytes taken from that exporter.
pub const EXPORTER_BYTES: usize = 32;

/// signedData and data, RFC 5652.
const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// CsrAttrs: challengePassword (so that the request is bound to the connection) and id-ecPublicKey
/// with prime256v1, RFC 7030 section 4.5.2.
pub const CSRATTRS: &[u8] = &[
    0x30, 0x22, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07, 0x30, 0x15, 0x06,
    0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x31, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// Why an EST body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyProblem {
    /// Longer than [`EST_BODY_BYTES_MAX`].
    TooLong,
    /// Not base64 of RFC 4648 section 4, line breaks aside.
    NotBase64,
    /// Not a certs-only message.
    NotCertsOnly,
}

impl fmt::Display for BodyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the body is over {EST_BODY_BYTES_MAX} bytes"),
            Self::NotBase64 => {
                f.write_str("the body is not base64: send DER in base64, no PEM armour")
            }
            Self::NotCertsOnly => f.write_str("the body is not a certs-only PKCS#7 message"),
        }
    }
}

impl core::error::Error for BodyProblem {}

impl From<NotDer> for BodyProblem {
    fn from(_: NotDer) -> Self {
        Self::NotCertsOnly
    }
}

/// DER as an EST body: base64 in lines of 64 characters.
#[must_use]
pub fn to_body(der: &[u8]) -> String {
    let plain = STANDARD.encode(der);
    let mut body = String::with_capacity(plain.len() + plain.len() / 64 + 1);
    for (at, character) in plain.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            body.push('\n');
        }
        body.push(character);
    }
    body.push('\n');
    body
}

/// A certificate in DER as PEM (RFC 7468).
#[must_use]
pub fn to_pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", to_body(der))
}

/// The DER in an EST body. White space is passed over; PEM armour is too, since people send what
/// openssl gave them.
///
/// # Errors
/// [`BodyProblem`] when it is too long or no base64.
pub fn from_body(body: &[u8]) -> Result<Vec<u8>, BodyProblem> {
    if body.len() > EST_BODY_BYTES_MAX {
        return Err(BodyProblem::TooLong);
    }
    let text = core::str::from_utf8(body).map_err(|_| BodyProblem::NotBase64)?;
    let plain: String = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    STANDARD.decode(plain).map_err(|_| BodyProblem::NotBase64)
}

/// A certs-only message (RFC 5652 SignedData without signers) of certificates in DER.
#[must_use]
pub fn certs_only(certificates: &[&[u8]]) -> Vec<u8> {
    let version = der::value(tag::INTEGER, &[&[1]]);
    let none = der::value(tag::SET, &[]);
    let content = der::sequence(&[DATA]);
    let certificates = der::value(tag::CONTEXT_0, certificates);
    let signed = der::sequence(&[&version, &none, &content, &certificates, &none]);
    der::sequence(&[SIGNED_DATA, &der::value(tag::CONTEXT_0, &[&signed])])
}

/// The certificates (DER) of a certs-only message, in its order.
///
/// # Errors
/// [`BodyProblem::NotCertsOnly`] when it is anything else, is empty, or holds more than
/// [`CERTIFICATES_MAX`].
pub fn read_certs_only(message: &[u8]) -> Result<Vec<Vec<u8>>, BodyProblem> {
    let mut outer = Reader::new(message)?.enter(tag::SEQUENCE)?;
    let (_, _, kind) = outer.any()?;
    if kind != SIGNED_DATA {
        return Err(BodyProblem::NotCertsOnly);
    }
    let mut signed = outer.enter(tag::CONTEXT_0)?.enter(tag::SEQUENCE)?;
    signed.take(tag::INTEGER)?;
    signed.take(tag::SET)?;
    signed.take(tag::SEQUENCE)?;
    let mut inside = signed.enter(tag::CONTEXT_0)?;
    let mut certificates = Vec::new();
    while !inside.is_empty() {
        let (found, _, whole) = inside.any()?;
        if found != tag::SEQUENCE || certificates.len() == CERTIFICATES_MAX {
            return Err(BodyProblem::NotCertsOnly);
        }
        certificates.push(whole.to_vec());
    }
    if certificates.is_empty() { Err(BodyProblem::NotCertsOnly) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn certificates_come_back_in_order() {
        let (one, two) = (der::sequence(&[&[1; 300]]), der::sequence(&[&[2; 3]]));
        let message = certs_only(&[&one, &two]);
        assert_eq!(read_certs_only(&message), Ok(vec![one, two]));
    }

    #[test]
    fn one_certificate_too_many_is_refused() {
        let certificate = der::sequence(&[&[1]]);
        let many = vec![certificate.as_slice(); CERTIFICATES_MAX];
        assert!(read_certs_only(&certs_only(&many)).is_ok());
        let more = vec![certificate.as_slice(); CERTIFICATES_MAX + 1];
        assert_eq!(read_certs_only(&certs_only(&more)), Err(BodyProblem::NotCertsOnly));
        assert_eq!(read_certs_only(&certs_only(&[])), Err(BodyProblem::NotCertsOnly));
    }

    #[test]
    fn a_body_is_read_with_line_breaks_and_armour() {
        let der = vec![9u8; 200];
        let body = to_body(&der);
        assert!(body.lines().all(|line| line.len() <= 64));
        assert_eq!(from_body(body.as_bytes()), Ok(der.clone()));
        let armoured = std::format!("-----BEGIN X-----\r\n{body}-----END X-----\r\n");
        assert_eq!(from_body(armoured.as_bytes()), Ok(der));
    }

    #[test]
    fn csrattrs_is_one_whole_sequence_of_two_attributes() {
        let mut outer = Reader::new(CSRATTRS).unwrap();
        let mut attributes = outer.enter(tag::SEQUENCE).unwrap();
        assert!(outer.is_empty());
        attributes.take(tag::OID).unwrap();
        let mut key = attributes.enter(tag::SEQUENCE).unwrap();
        assert!(attributes.is_empty());
        key.take(tag::OID).unwrap();
        let mut curves = key.enter(tag::SET).unwrap();
        assert_eq!(curves.take(tag::OID).unwrap().len(), 8);
        assert!(key.is_empty() && curves.is_empty());
    }

    #[test]
    fn bodies_that_are_no_base64_or_too_long_are_refused() {
        assert_eq!(from_body(b"%%%"), Err(BodyProblem::NotBase64));
        assert_eq!(from_body(&[0xff]), Err(BodyProblem::NotBase64));
        assert!(from_body(&vec![b'\n'; EST_BODY_BYTES_MAX]).is_ok());
        assert_eq!(from_body(&vec![b'\n'; EST_BODY_BYTES_MAX + 1]), Err(BodyProblem::TooLong));
    }
}
