//! Online certificate status (RFC 6960), in the profile for many clients (RFC 5019).
//!
//! 1. A client sends a [`Request`]: certificates by the hashes of their issuer's name and key and their serial
//!    numbers, and maybe a nonce (RFC 9654).
//! 2. [`IssuerHashes::issued`] says which CA they are of.
//! 3. [`Draft::new`] writes what is answered, that CA signs [`Draft::to_be_signed`] with ECDSA and SHA-256, and
//!    [`Draft::finish`] gives the response; what can't be answered gets a [`Refusal`], which nobody signs.
//!
//! Left out: signatures of requests and names of requestors are passed over, since answers are for everyone.

use alloc::{string::ToString, vec::Vec};
use core::fmt;

use hedgerow_base::Timestamp;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{
    csr::ECDSA_WITH_SHA256,
    der,
    der::{NotDer, Reader, tag},
    limits::{OCSP_CERTIFICATES_MAX, OCSP_NONCE_BYTES_MAX, OCSP_REQUEST_BYTES_MAX},
};

/// Type of a request.
pub const REQUEST_TYPE: &str = "application/ocsp-request";
/// Type of a response.
pub const RESPONSE_TYPE: &str = "application/ocsp-response";

/// sha1, RFC 3279 section 2.2.1: what clients name issuers by, unless told otherwise.
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// sha256, RFC 5754 section 2.2.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// id-pkix-ocsp-basic.
const BASIC: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// id-pkix-ocsp-nonce.
const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

/// The request is not one of RFC 6960, or asks for more than is answered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an OCSP request of RFC 6960 for 1 to {OCSP_CERTIFICATES_MAX} certificates")
    }
}

impl core::error::Error for Malformed {}

impl From<NotDer> for Malformed {
    fn from(_: NotDer) -> Self {
        Self
    }
}

/// By which hash a client names an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
    /// One that names nobody here.
    Other,
}

/// A certificate that is asked about: CertID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertId {
    der: Vec<u8>,
    hash: Hash,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    serial: Vec<u8>,
}

impl CertId {
    fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(der)?.enter(tag::SEQUENCE)?;
        let mut algorithm = fields.enter(tag::SEQUENCE)?;
        let hash = match algorithm.take(tag::OID)? {
            SHA1 => Hash::Sha1,
            SHA256 => Hash::Sha256,
            _ => Hash::Other,
        };
        let issuer_name = fields.take(tag::OCTET_STRING)?.to_vec();
        let issuer_key = fields.take(tag::OCTET_STRING)?.to_vec();
        let serial = fields.take(tag::INTEGER)?.to_vec();
        if !fields.is_empty() || serial.is_empty() {
            return Err(Malformed);
        }
        Ok(Self { der: der.to_vec(), hash, issuer_name, issuer_key, serial })
    }

    /// The whole of it in DER, as the client wrote it and finds it in the response.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The serial number: the contents of its INTEGER.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// An OCSPRequest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    certificates: Vec<CertId>,
    nonce: Option<Vec<u8>>,
}

impl Request {
    /// Reads one.
    ///
    /// # Errors
    /// [`Malformed`]: it is longer than [`OCSP_REQUEST_BYTES_MAX`], another version, asks about none or more than
    /// [`OCSP_CERTIFICATES_MAX`] certificates, has a nonce of no or more than [`OCSP_NONCE_BYTES_MAX`] bytes, or a
    /// critical extension that is not understood.
    pub fn parse(der: &[u8]) -> Result<Self, Malformed> {
        if der.len() > OCSP_REQUEST_BYTES_MAX {
            return Err(Malformed);
        }
        let mut whole = Reader::new(der)?;
        let mut outer = whole.enter(tag::SEQUENCE)?;
        let mut fields = outer.enter(tag::SEQUENCE)?;
        if outer.peek() == Some(tag::CONTEXT_0) {
            outer.enter(tag::CONTEXT_0)?.take(tag::SEQUENCE)?;
        }
        if !outer.is_empty() || !whole.is_empty() {
            return Err(Malformed);
        }
        if fields.peek() == Some(tag::CONTEXT_0) {
            let mut version = fields.enter(tag::CONTEXT_0)?;
            if version.take(tag::INTEGER)? != [0] || !version.is_empty() {
                return Err(Malformed);
            }
        }
        if fields.peek() == Some(tag::CONTEXT_1) {
            fields.take(tag::CONTEXT_1)?;
        }
        let certificates = certificates(fields.enter(tag::SEQUENCE)?)?;
        let nonce = match fields.peek() {
            Some(tag::CONTEXT_2) => {
                let mut explicit = fields.enter(tag::CONTEXT_2)?;
                let list = explicit.enter(tag::SEQUENCE)?;
                if !explicit.is_empty() {
                    return Err(Malformed);
                }
                extensions(list)?
            }
            Some(_) | None => None,
        };
        if fields.is_empty() { Ok(Self { certificates, nonce }) } else { Err(Malformed) }
    }

    /// What is asked about: 1 to [`OCSP_CERTIFICATES_MAX`].
    #[must_use]
    pub fn certificates(&self) -> &[CertId] {
        &self.certificates
    }

    /// What the response has to repeat, so that it is no older one.
    #[must_use]
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }
}

fn certificates(mut list: Reader<'_>) -> Result<Vec<CertId>, Malformed> {
    let mut found = Vec::new();
    while !list.is_empty() {
        if found.len() == OCSP_CERTIFICATES_MAX {
            return Err(Malformed);
        }
        let mut one = list.enter(tag::SEQUENCE)?;
        let (_, _, id) = one.any()?;
        found.push(CertId::read(id)?);
        if one.peek() == Some(tag::CONTEXT_0) {
            extensions(one.enter(tag::CONTEXT_0)?.enter(tag::SEQUENCE)?)?;
        }
        if !one.is_empty() {
            return Err(Malformed);
        }
    }
    if found.is_empty() { Err(Malformed) } else { Ok(found) }
}

/// Walks extensions; gives the nonce that is among them.
fn extensions(mut list: Reader<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    let mut nonce = None;
    while !list.is_empty() {
        let mut extension = list.enter(tag::SEQUENCE)?;
        let name = extension.take(tag::OID)?;
        let is_critical = match extension.peek() {
            Some(tag::BOOLEAN) => extension.take(tag::BOOLEAN)? != [0],
            Some(_) | None => false,
        };
        let value = extension.take(tag::OCTET_STRING)?;
        if !extension.is_empty() {
            return Err(Malformed);
        }
        if name == NONCE {
            let mut inside = Reader::new(value)?;
            let bytes = inside.take(tag::OCTET_STRING)?;
            let fits = (1..=OCSP_NONCE_BYTES_MAX).contains(&bytes.len());
            if !inside.is_empty() || !fits || nonce.is_some() {
                return Err(Malformed);
            }
            nonce = Some(bytes.to_vec());
        } else if is_critical {
            return Err(Malformed);
        }
    }
    Ok(nonce)
}

/// What clients name a CA by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerHashes {
    sha1: [[u8; 20]; 2],
    sha256: [[u8; 32]; 2],
}

impl IssuerHashes {
    /// Of a CA with this subject and SubjectPublicKeyInfo, both in DER.
    ///
    /// # Errors
    /// [`NotDer`] when the key can't be read.
    pub fn of(subject: &[u8], spki: &[u8]) -> Result<Self, NotDer> {
        let key = key_bits(spki)?;
        let sha1 = [subject, key].map(|part| Sha1::digest(part).into());
        let sha256 = [subject, key].map(|part| Sha256::digest(part).into());
        Ok(Self { sha1, sha256 })
    }

    /// Whether a certificate is of this CA.
    #[must_use]
    pub fn issued(&self, certificate: &CertId) -> bool {
        let is = |of: [&[u8]; 2]| of == [&*certificate.issuer_name, &*certificate.issuer_key];
        match certificate.hash {
            Hash::Sha1 => is(self.sha1.each_ref().map(|hash| hash.as_slice())),
            Hash::Sha256 => is(self.sha256.each_ref().map(|hash| hash.as_slice())),
            Hash::Other => false,
        }
    }
}

/// The bits of a public key, without the byte that counts the unused ones.
fn key_bits(spki: &[u8]) -> Result<&[u8], NotDer> {
    let mut fields = Reader::new(spki)?.enter(tag::SEQUENCE)?;
    fields.take(tag::SEQUENCE)?;
    match fields.take(tag::BIT_STRING)?.split_first() {
        Some((0, bits)) => Ok(bits),
        Some(_) | None => Err(NotDer),
    }
}

/// How it stands with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Issued and not revoked; it may have ended by itself.
    Good,
    /// Revoked then, with the CRLReason of RFC 5280 section 5.3.1; 0 is left out.
    Revoked(Timestamp, u8),
    /// The CA never issued it, or it is another CA's.
    Unknown,
}

/// The answer about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The [`CertId::der`] that was asked about.
    pub certificate: Vec<u8>,
    /// How it stands.
    pub status: Status,
}

/// A response before it is signed.
#[derive(Clone, Debug)]
pub struct Draft {
    data: Vec<u8>,
}

impl Draft {
    /// Answers, true at `at` and to be asked again at `next`, of the CA with the key of `spki` (in DER).
    ///
    /// # Errors
    /// [`NotDer`] when the key can't be read.
    pub fn new(
        spki: &[u8],
        answers: &[Answer],
        nonce: Option<&[u8]>,
        at: Timestamp,
        next: Timestamp,
    ) -> Result<Self, NotDer> {
        let key = Sha1::digest(key_bits(spki)?);
        let by_key = der::value(tag::CONTEXT_2, &[&der::value(tag::OCTET_STRING, &[&key])]);
        let (at, next) = (time(at), der::value(tag::CONTEXT_0, &[&time(next)]));
        let single = |answer: &Answer| {
            der::sequence(&[&answer.certificate, &status(answer.status), &at, &next])
        };
        let singles: Vec<u8> = answers.iter().flat_map(single).collect();
        let nonce = nonce.map(|bytes| {
            let value = der::value(tag::OCTET_STRING, &[&der::value(tag::OCTET_STRING, &[bytes])]);
            let extension = der::sequence(&[&der::value(tag::OID, &[NONCE]), &value]);
            der::value(tag::CONTEXT_1, &[&der::sequence(&[&extension])])
        });
        let nonce = nonce.unwrap_or_default();
        let data = der::sequence(&[&by_key, &at, &der::sequence(&[&singles]), &nonce]);
        Ok(Self { data })
    }

    /// What the CA has to sign.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.data
    }

    /// The whole response; `signature` is an ECDSA-Sig-Value in DER over SHA-256 of [`Self::to_be_signed`].
    #[must_use]
    pub fn finish(self, signature: &[u8]) -> Vec<u8> {
        let algorithm = der::sequence(&[ECDSA_WITH_SHA256]);
        let basic = der::sequence(&[&self.data, &algorithm, &der::bit_string(signature)]);
        let bytes = der::sequence(&[BASIC, &der::value(tag::OCTET_STRING, &[&basic])]);
        let successful = der::value(tag::ENUMERATED, &[&[0]]);
        der::sequence(&[&successful, &der::value(tag::CONTEXT_0, &[&bytes])])
    }
}

fn status(status: Status) -> Vec<u8> {
    match status {
        Status::Good => der::value(0x80, &[]),
        Status::Revoked(at, 0) => der::value(0xa1, &[&time(at)]),
        Status::Revoked(at, reason) => {
            let reason = der::value(tag::ENUMERATED, &[&[reason]]);
            der::value(0xa1, &[&time(at), &der::value(tag::CONTEXT_0, &[&reason])])
        }
        Status::Unknown => der::value(0x82, &[]),
    }
}

/// GeneralizedTime in whole seconds, as RFC 5280 section 4.1.2.5.2 wants it.
fn time(at: Timestamp) -> Vec<u8> {
    let text = at.to_string();
    let digits: Vec<u8> = text.bytes().take(19).filter(u8::is_ascii_digit).collect();
    der::value(tag::GENERALIZED_TIME, &[&digits, b"Z"])
}

/// Why there is no answer: OCSPResponseStatus. Nobody signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// malformedRequest (1).
    Malformed,
    /// internalError (2).
    Broken,
    /// tryLater (3).
    TryLater,
    /// unauthorized (6): the certificates are of no CA of ours.
    NotOurs,
}

impl Refusal {
    /// The whole response.
    #[must_use]
    pub fn response(self) -> Vec<u8> {
        let status = match self {
            Self::Malformed => 1,
            Self::Broken => 2,
            Self::TryLater => 3,
            Self::NotOurs => 6,
        };
        der::sequence(&[&der::value(tag::ENUMERATED, &[&[status]])])
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::csr::p256_spki;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const SUBJECT: &[u8] = &[0x30, 0];

    fn algorithm(oid: &[u8]) -> Vec<u8> {
        der::sequence(&[&der::value(tag::OID, &[oid]), &[5, 0]])
    }

    fn id_of(oid: &[u8], name: &[u8], key: &[u8], serial: &[u8]) -> Vec<u8> {
        let octets = |bytes| der::value(tag::OCTET_STRING, &[bytes]);
        let serial = der::value(tag::INTEGER, &[serial]);
        der::sequence(&[&algorithm(oid), &octets(name), &octets(key), &serial])
    }

    fn id() -> Vec<u8> {
        id_of(SHA1, &[1; 20], &[2; 20], &[3; 16])
    }

    fn request_of(ids: &[Vec<u8>], after: &[u8]) -> Vec<u8> {
        let list: Vec<u8> = ids.iter().flat_map(|id| der::sequence(&[id])).collect();
        der::sequence(&[&der::sequence(&[&der::sequence(&[&list]), after])])
    }

    fn extension(oid: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
        let value = der::value(tag::OCTET_STRING, &[value]);
        let extension = der::sequence(&[&der::value(tag::OID, &[oid]), critical, &value]);
        der::value(tag::CONTEXT_2, &[&der::sequence(&[&extension])])
    }

    fn with_nonce(len: usize) -> Vec<u8> {
        let nonce = der::value(tag::OCTET_STRING, &[&vec![7; len]]);
        request_of(&[id()], &extension(NONCE, &[], &nonce))
    }

    #[test]
    fn a_request_gives_what_is_asked_about_and_the_nonce() {
        let request = Request::parse(&with_nonce(16)).unwrap();
        assert_eq!(request.nonce(), Some(&[7; 16][..]));
        let [one] = request.certificates() else { panic!("another number") };
        assert_eq!((one.der(), one.serial()), (&*id(), &[3; 16][..]));
        let plain = Request::parse(&request_of(&[id()], &[])).unwrap();
        assert_eq!(plain.nonce(), None);
    }

    #[test]
    fn so_many_certificates_are_answered_at_once_and_not_one_more() {
        let parse = |count| Request::parse(&request_of(&vec![id(); count], &[]));
        assert_eq!(
            parse(OCSP_CERTIFICATES_MAX).unwrap().certificates().len(),
            OCSP_CERTIFICATES_MAX
        );
        assert_eq!(parse(OCSP_CERTIFICATES_MAX + 1), Err(Malformed));
        assert_eq!(parse(0), Err(Malformed));
    }

    #[test]
    fn a_nonce_has_1_to_128_bytes() {
        for len in [1, 32, OCSP_NONCE_BYTES_MAX] {
            assert!(Request::parse(&with_nonce(len)).is_ok(), "{len}");
        }
        assert_eq!(Request::parse(&with_nonce(0)), Err(Malformed));
        assert_eq!(Request::parse(&with_nonce(OCSP_NONCE_BYTES_MAX + 1)), Err(Malformed));
        let bare = request_of(&[id()], &extension(NONCE, &[], &[7; 16]));
        assert_eq!(Request::parse(&bare), Err(Malformed), "it is an OCTET STRING in one");
    }

    #[test]
    fn a_request_at_the_limit_is_read_and_one_byte_more_is_not() {
        let padded = |pad: usize| request_of(&[id()], &extension(&[0x2a], &[], &vec![0; pad]));
        let pad = (0..OCSP_REQUEST_BYTES_MAX)
            .rev()
            .find(|pad| padded(*pad).len() <= OCSP_REQUEST_BYTES_MAX)
            .unwrap();
        assert_eq!(padded(pad).len(), OCSP_REQUEST_BYTES_MAX);
        assert!(Request::parse(&padded(pad)).is_ok());
        assert_eq!(Request::parse(&padded(pad + 1)), Err(Malformed));
    }

    #[test]
    fn what_is_not_understood_is_passed_over_unless_it_is_critical() {
        let with = |critical: &[u8]| request_of(&[id()], &extension(&[0x2a, 3], critical, &[]));
        assert!(Request::parse(&with(&[])).is_ok());
        assert!(Request::parse(&with(&[1, 1, 0])).is_ok());
        assert_eq!(Request::parse(&with(&[1, 1, 0xff])), Err(Malformed));
    }

    #[test]
    fn versions_signatures_and_names_of_requestors() {
        let list = der::sequence(&[&der::sequence(&[&id()])]);
        let version =
            |number| der::value(tag::CONTEXT_0, &[&der::value(tag::INTEGER, &[&[number]])]);
        let named = der::value(tag::CONTEXT_1, &[&[0x86, 1, b'x']]);
        let signed = der::value(tag::CONTEXT_0, &[&der::sequence(&[&[1, 1, 0]])]);
        let whole = |version: &[u8], after: &[u8]| {
            Request::parse(&der::sequence(&[&der::sequence(&[version, &named, &list]), after]))
        };
        assert!(whole(&version(0), &signed).is_ok());
        assert!(whole(&[], &[]).is_ok());
        assert_eq!(whole(&version(1), &[]), Err(Malformed));
        assert_eq!(whole(&[], &named), Err(Malformed));
    }

    #[test]
    fn every_cut_of_a_request_is_refused() {
        let whole = with_nonce(16);
        for len in 0..whole.len() {
            assert_eq!(Request::parse(&whole[..len]), Err(Malformed), "{len}");
        }
        assert_eq!(Request::parse(&[&*whole, &[0]].concat()), Err(Malformed));
    }

    #[test]
    fn an_issuer_is_known_by_both_its_name_and_its_key() {
        let spki = p256_spki(&[4; 65]);
        let hashes = IssuerHashes::of(SUBJECT, &spki).unwrap();
        let issued = |oid, name: &[u8], key: &[u8]| {
            hashes.issued(&CertId::read(&id_of(oid, name, key, &[1])).unwrap())
        };
        let [name, key] = hashes.sha1;
        assert!(issued(SHA1, &name, &key));
        assert!(!issued(SHA1, &name, &name) && !issued(SHA1, &key, &key));
        assert!(!issued(SHA256, &name, &key) && !issued(&[0x2a], &name, &key));
        let [name, key] = hashes.sha256;
        assert!(issued(SHA256, &name, &key) && !issued(SHA1, &name, &key));
        assert_eq!(IssuerHashes::of(SUBJECT, SUBJECT), Err(NotDer));
    }

    #[test]
    fn a_response_says_who_what_and_until_when() {
        let spki = p256_spki(&[4; 65]);
        let answer = |status| Answer { certificate: id(), status };
        let answers =
            [Status::Good, Status::Revoked(NOW, 2), Status::Revoked(NOW, 0), Status::Unknown];
        let answers = answers.map(answer);
        let nonce = Some(&[7; 16][..]);
        let draft = Draft::new(&spki, &answers, nonce, NOW, NOW.plus_ms(1000)).unwrap();
        let data = draft.to_be_signed().to_vec();
        let has = |bytes: &[u8]| data.windows(bytes.len()).any(|window| window == bytes);
        assert!(has(b"\x18\x0f20231114221320Z") && has(b"\xa0\x11\x18\x0f20231114221321Z"));
        assert!(has(b"\xa1\x16\x18\x0f20231114221320Z\xa0\x03\x0a\x01\x02"));
        assert!(has(b"\xa1\x11\x18\x0f20231114221320Z\x18") && has(&[0x04, 0x10, 7, 7, 7, 7]));
        let response = draft.finish(&[0x30, 0]);
        let mut outer = Reader::new(&response).unwrap().enter(tag::SEQUENCE).unwrap();
        assert_eq!(outer.take(tag::ENUMERATED).unwrap(), [0]);
        let mut bytes = outer.enter(tag::CONTEXT_0).unwrap().enter(tag::SEQUENCE).unwrap();
        assert_eq!(bytes.any().unwrap().2, BASIC);
        assert!(bytes.take(tag::OCTET_STRING).is_ok() && bytes.is_empty() && outer.is_empty());
    }

    #[test]
    fn a_refusal_is_a_status_and_nothing_else() {
        let refusals = [Refusal::Malformed, Refusal::Broken, Refusal::TryLater, Refusal::NotOurs];
        for (refusal, status) in refusals.into_iter().zip([1, 2, 3, 6]) {
            assert_eq!(refusal.response(), [0x30, 3, 0x0a, 1, status]);
        }
    }
}
