//! A certification request (PKCS#10, RFC 2986) for a P-256 key that stays where it was made.
//!
//! 1. The device derives its id from its public key and calls [`Draft::new`].
//! 2. Whatever holds the key (file, TPM, token) signs [`Draft::to_be_signed`] with ECDSA and SHA-256.
//! 3. [`Draft::finish`] gives the DER that EST sends.

use alloc::{string::ToString, vec, vec::Vec};

use hedgerow_base::DeviceId;

use crate::{der, der::tag, name};

/// ecdsa-with-SHA256, RFC 5758.
pub(crate) const ECDSA_WITH_SHA256: &[u8] =
    &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// id-at-commonName.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
/// pkcs-9-at-extensionRequest.
const EXTENSION_REQUEST: &[u8] =
    &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// pkcs-9-at-challengePassword.
const CHALLENGE_PASSWORD: &[u8] =
    &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07];
/// id-ce-subjectAltName.
const SUBJECT_ALT_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x11];
/// id-ecPublicKey and prime256v1, and the head of the BIT STRING that follows.
const P256_SPKI_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The SubjectPublicKeyInfo (DER) of a P-256 key given as an uncompressed point of 65 bytes.
#[must_use]
pub fn p256_spki(point: &[u8; 65]) -> Vec<u8> {
    [P256_SPKI_HEAD, point].concat()
}

/// A request that still lacks its signature.
#[derive(Clone, Debug)]
pub struct Draft {
    info: Vec<u8>,
}

impl Draft {
    /// A request for the device that the key names. `channel_binding` is the base64 of the TLS exporter
    /// of RFC 9266: as challengePassword (RFC 7030 section 3.5) it ties the request to the connection
    /// that carries it.
    #[must_use]
    pub fn new(spki: &[u8], channel_binding: Option<&str>) -> Self {
        let id = DeviceId::from_public_key(spki);
        let version = der::value(tag::INTEGER, &[&[0]]);
        let common_name = der::value(tag::UTF8_STRING, &[id.to_string().as_bytes()]);
        let attribute = der::sequence(&[COMMON_NAME, &common_name]);
        let subject = der::sequence(&[&der::value(tag::SET, &[&attribute])]);
        let mut attributes = vec![extension_request(id)];
        if let Some(binding) = channel_binding {
            let value = der::value(tag::UTF8_STRING, &[binding.as_bytes()]);
            let values = der::value(tag::SET, &[&value]);
            attributes.push(der::sequence(&[CHALLENGE_PASSWORD, &values]));
        }
        // DER orders the members of a SET OF by their encoding.
        attributes.sort();
        let attributes = der::value(tag::CONTEXT_0, &[&attributes.concat()]);
        Self { info: der::sequence(&[&version, &subject, spki, &attributes]) }
    }

    /// What the key signs: CertificationRequestInfo in DER.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.info
    }

    /// The whole request; `signature` is an ECDSA-Sig-Value in DER over SHA-256 of
    /// [`Self::to_be_signed`].
    #[must_use]
    pub fn finish(self, signature: &[u8]) -> Vec<u8> {
        let algorithm = der::sequence(&[ECDSA_WITH_SHA256]);
        der::sequence(&[&self.info, &algorithm, &der::bit_string(signature)])
    }
}

fn extension_request(id: DeviceId) -> Vec<u8> {
    let uri = der::value(tag::URI, &[name::device_uri(id).as_bytes()]);
    let names = der::value(tag::OCTET_STRING, &[&der::sequence(&[&uri])]);
    let extension = der::sequence(&[SUBJECT_ALT_NAME, &names]);
    let extensions = der::value(tag::SET, &[&der::sequence(&[&extension])]);
    der::sequence(&[EXTENSION_REQUEST, &extensions])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_the_three_parts_of_rfc_2986() {
        let spki = p256_spki(&[4; 65]);
        let draft = Draft::new(&spki, Some("YmluZGluZw=="));
        let signed = draft.to_be_signed().to_vec();
        let whole = draft.finish(&[0x30, 0]);
        let mut outer = der::Reader::new(&whole).unwrap().enter(tag::SEQUENCE).unwrap();
        let (_, _, info) = outer.any().unwrap();
        assert_eq!(info, signed);
        outer.take(tag::SEQUENCE).unwrap();
        assert_eq!(outer.take(tag::BIT_STRING).unwrap(), [0, 0x30, 0]);
        assert!(outer.is_empty());
    }

    #[test]
    fn the_key_stands_in_the_request_byte_for_byte() {
        let spki = p256_spki(&[4; 65]);
        let draft = Draft::new(&spki, None);
        assert!(draft.to_be_signed().windows(spki.len()).any(|window| window == spki));
    }
}
