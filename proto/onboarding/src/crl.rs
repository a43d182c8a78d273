//! Lists of revoked certificates (RFC 5280 section 5): whole ones, and what came since one (a delta).
//!
//! 1. [`Draft::new`] writes the list of a CA.
//! 2. The CA signs [`Draft::to_be_signed`] with ECDSA and SHA-256.
//! 3. [`Draft::finish`] gives the list in DER.

use alloc::{format, string::ToString, vec::Vec};

use hedgerow_base::Timestamp;

use crate::{csr::ECDSA_WITH_SHA256, der, der::tag};

/// id-ce-cRLNumber.
const NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
/// id-ce-cRLReasons.
const REASON: &[u8] = &[0x55, 0x1d, 0x15];
/// id-ce-deltaCRLIndicator.
const DELTA: &[u8] = &[0x55, 0x1d, 0x1b];
/// id-ce-authorityKeyIdentifier.
const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 0x23];
/// id-ce-freshestCRL.
const FRESHEST: &[u8] = &[0x55, 0x1d, 0x2e];
/// The first moment that UTCTime has no word for: 2050 (RFC 5280 section 4.1.2.5).
const UTC_TIME_ENDS: Timestamp = Timestamp::from_secs(2_524_608_000);

/// A certificate on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its serial number: positive, big-endian, no longer than it has to be.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub at: Timestamp,
    /// The CRLReason; 0 is left out.
    pub reason: u8,
}

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents<'a> {
    /// The CA's subject, in DER.
    pub issuer: &'a [u8],
    /// The CA's subjectKeyIdentifier.
    pub issuer_key: &'a [u8],
    /// cRLNumber.
    pub number: u64,
    /// Of a delta, the cRLNumber of the whole list that it adds to.
    pub base: Option<u64>,
    /// Of a whole list, where the delta is.
    pub freshest: Option<&'a str>,
    /// When it was made.
    pub at: Timestamp,
    /// When the next is there at the latest.
    pub next: Timestamp,
    /// What is revoked.
    pub entries: &'a [Entry],
}

/// A list before it is signed.
#[derive(Clone, Debug)]
pub struct Draft {
    list: Vec<u8>,
}

impl Draft {
    /// A list with these contents.
    #[must_use]
    pub fn new(contents: &Contents<'_>) -> Self {
        let version = der::value(tag::INTEGER, &[&[1]]);
        let algorithm = der::sequence(&[ECDSA_WITH_SHA256]);
        let (at, next) = (time(contents.at), time(contents.next));
        let entries: Vec<u8> = contents.entries.iter().flat_map(entry).collect();
        let entries = if entries.is_empty() { entries } else { der::sequence(&[&entries]) };
        let identifier = der::value(0x80, &[contents.issuer_key]);
        let base = contents.base.map(|base| extension(DELTA, CRITICAL, &whole(base)));
        let freshest = contents.freshest.filter(|_| base.is_none()).map(|url| {
            let name = der::value(tag::CONTEXT_0, &[&der::value(tag::URI, &[url.as_bytes()])]);
            let point = der::sequence(&[&der::value(tag::CONTEXT_0, &[&name])]);
            extension(FRESHEST, &[], &der::sequence(&[&point]))
        });
        let extensions = der::sequence(&[
            &extension(AUTHORITY_KEY, &[], &der::sequence(&[&identifier])),
            &extension(NUMBER, &[], &whole(contents.number)),
            &base.unwrap_or_default(),
            &freshest.unwrap_or_default(),
        ]);
        let extensions = der::value(tag::CONTEXT_0, &[&extensions]);
        let list = der::sequence(&[
            &version,
            &algorithm,
            contents.issuer,
            &at,
            &next,
            &entries,
            &extensions,
        ]);
        Self { list }
    }

    /// What the CA has to sign.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.list
    }

    /// The whole list; `signature` is an ECDSA-Sig-Value in DER over SHA-256 of [`Self::to_be_signed`].
    #[must_use]
    pub fn finish(self, signature: &[u8]) -> Vec<u8> {
        let algorithm = der::sequence(&[ECDSA_WITH_SHA256]);
        der::sequence(&[&self.list, &algorithm, &der::bit_string(signature)])
    }
}

const CRITICAL: &[u8] = &[tag::BOOLEAN, 1, 0xff];

fn extension(name: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    let value = der::value(tag::OCTET_STRING, &[value]);
    der::sequence(&[&der::value(tag::OID, &[name]), critical, &value])
}

fn entry(entry: &Entry) -> Vec<u8> {
    let serial = der::value(tag::INTEGER, &[&entry.serial]);
    let reason = match entry.reason {
        0 => Vec::new(),
        reason => {
            let reason = der::value(tag::ENUMERATED, &[&[reason]]);
            der::sequence(&[&extension(REASON, &[], &reason)])
        }
    };
    der::sequence(&[&serial, &time(entry.at), &reason])
}

/// An INTEGER that is not negative.
fn whole(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    let bytes = bytes.get(zeros..).unwrap_or_default();
    let sign: &[u8] = if bytes.first().is_some_and(|byte| *byte > 0x7f) { &[0] } else { &[] };
    der::value(tag::INTEGER, &[sign, bytes])
}

/// UTCTime until 2049, GeneralizedTime from then on.
fn time(at: Timestamp) -> Vec<u8> {
    let digits = at.to_string();
    let digits: Vec<u8> = digits.bytes().take(19).filter(u8::is_ascii_digit).collect();
    match digits.get(2..) {
        Some(short) if at < UTC_TIME_ENDS => der::value(tag::UTC_TIME, &[short, b"Z"]),
        Some(_) | None => der::value(tag::GENERALIZED_TIME, &[&digits, b"Z"]),
    }
}

/// What the delta of a list is called: `root.crl` has `root.delta.crl`.
#[must_use]
pub fn delta_name(list: &str) -> alloc::string::String {
    format!("{}.delta.crl", list.strip_suffix(".crl").unwrap_or(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::Reader;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn contents() -> Contents<'static> {
        Contents {
            issuer: &[0x30, 0],
            issuer_key: &[9; 20],
            number: 200,
            base: None,
            freshest: Some("https://hub:8444/crl/root.delta.crl"),
            at: NOW,
            next: NOW.plus_ms(1000),
            entries: &[],
        }
    }

    fn has(contents: &Contents<'_>, part: &[u8]) -> bool {
        Draft::new(contents).to_be_signed().windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be_and_never_negative() {
        for (number, bytes) in [
            (0, &[2u8, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (256, &[2, 2, 1, 0]),
            (u64::MAX, &[2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            assert_eq!(whole(number), bytes);
        }
    }

    #[test]
    fn times_change_their_form_in_2050() {
        assert_eq!(time(NOW), b"\x17\x0d231114221320Z");
        assert_eq!(time(UTC_TIME_ENDS.plus_ms(-1)), b"\x17\x0d491231235959Z");
        assert_eq!(time(UTC_TIME_ENDS), b"\x18\x0f20500101000000Z");
    }

    #[test]
    fn a_delta_says_so_critically_and_points_at_no_other() {
        let indicator = [0x55, 0x1d, 0x1b, 1, 1, 0xff, 4, 4, 2, 2, 0, 200];
        let url = b"https://hub:8444/crl/root.delta.crl";
        assert!(!has(&contents(), &indicator) && has(&contents(), url));
        let delta = Contents { number: 201, base: Some(200), ..contents() };
        assert!(has(&delta, &indicator) && !has(&delta, url));
    }

    #[test]
    fn entries_stand_with_time_and_reason_and_an_empty_list_has_none() {
        let entry = |reason| Entry { serial: [0x41; 16].into(), at: NOW, reason };
        let (one, plain) = ([entry(1)], [entry(0)]);
        let reason = [0x55, 0x1d, 0x15, 4, 3, 0x0a, 1, 1];
        assert!(has(&Contents { entries: &one, ..contents() }, &reason));
        let plain = Contents { entries: &plain, ..contents() };
        assert!(has(&plain, &[0x41; 16]) && !has(&plain, &[0x55, 0x1d, 0x15]));
        let draft = Draft::new(&contents());
        let mut fields = Reader::new(draft.to_be_signed()).unwrap().enter(tag::SEQUENCE).unwrap();
        for expected in [tag::INTEGER, tag::SEQUENCE, tag::SEQUENCE, tag::UTC_TIME, tag::UTC_TIME] {
            fields.take(expected).unwrap();
        }
        fields.take(tag::CONTEXT_0).unwrap();
        assert!(fields.is_empty());
    }

    #[test]
    fn the_delta_of_a_list_has_a_name_of_its_own() {
        assert_eq!(delta_name("root.crl"), "root.delta.crl");
    }
}
