//! What the hub answers about one certificate (RFC 6960).
//!
//! The CA that issued it signs the answer itself. A responder with a certificate of its own would take the CA's key
//! out of reach; but that key signs the revocation lists in the same process, and a second key, its
//! certificate and its renewal would protect nothing more.

use hedgerow_base::Timestamp;
use hedgerow_onboarding::ocsp::{Answer, CertId, Status};

use crate::{Serial, limits::OCSP_LIFE_MS, revocation::Reason};

/// What a CA knows of a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issued {
    /// It never issued such a certificate, or has forgotten one that ended long ago.
    Never,
    /// It did, and stands by it.
    Good,
    /// It took it back.
    Revoked(Timestamp, Reason),
}

/// A response to be signed by the CA that issued what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspPlan {
    /// In the order of the request.
    pub answers: Vec<Answer>,
    /// From the request.
    pub nonce: Option<Vec<u8>>,
    /// When it is true.
    pub this_update: Timestamp,
    /// When to ask again.
    pub next_update: Timestamp,
}

/// Plans a response of what is known now.
#[must_use]
pub fn plan<'a>(
    known: impl IntoIterator<Item = (&'a CertId, Issued)>,
    nonce: Option<&[u8]>,
    now: Timestamp,
) -> OcspPlan {
    let answer = |(certificate, issued): (&CertId, Issued)| Answer {
        certificate: certificate.der().to_vec(),
        status: match issued {
            Issued::Never => Status::Unknown,
            Issued::Good => Status::Good,
            Issued::Revoked(at, reason) => Status::Revoked(at, reason.code()),
        },
    };
    OcspPlan {
        answers: known.into_iter().map(answer).collect(),
        nonce: nonce.map(<[u8]>::to_vec),
        this_update: now,
        next_update: now.plus_ms(OCSP_LIFE_MS),
    }
}

/// The serial number that is asked about; `None` when it can't be one of ours.
#[must_use]
pub fn serial(certificate: &CertId) -> Option<Serial> {
    let bytes: [u8; 16] = certificate.serial().try_into().ok()?;
    Some(Serial::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use hedgerow_onboarding::{
        der::{sequence, tag, value},
        ocsp::Request,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn request(serials: &[&[u8]]) -> Request {
        let algorithm = sequence(&[&value(tag::OID, &[&[0x2b, 0x0e, 0x03, 0x02, 0x1a]])]);
        let hash = value(tag::OCTET_STRING, &[&[1; 20]]);
        let id = |serial: &&[u8]| {
            let id = sequence(&[&algorithm, &hash, &hash, &value(tag::INTEGER, &[serial])]);
            sequence(&[&id])
        };
        let list: Vec<u8> = serials.iter().flat_map(id).collect();
        Request::parse(&sequence(&[&sequence(&[&sequence(&[&list])])])).unwrap()
    }

    #[test]
    fn each_certificate_is_answered_in_the_order_of_the_request() {
        let request = request(&[&[0x40; 16], &[0x41; 16], &[0x42; 16]]);
        let known = [Issued::Good, Issued::Revoked(NOW, Reason::CaCompromise), Issued::Never];
        let plan = plan(request.certificates().iter().zip(known), Some(&[7; 16]), NOW);
        let said: Vec<_> = plan.answers.iter().map(|answer| answer.status).collect();
        assert_eq!(said, [Status::Good, Status::Revoked(NOW, 2), Status::Unknown]);
        assert_eq!(plan.nonce.as_deref(), Some(&[7; 16][..]));
        assert_eq!(plan.next_update.since_ms(plan.this_update), OCSP_LIFE_MS);
    }

    #[test]
    fn a_serial_number_of_another_length_is_none_of_ours() {
        let request = request(&[&[0x40; 16], &[0x40; 15], &[0x40; 17], &[1]]);
        let ours: Vec<_> = request.certificates().iter().map(|one| serial(one).is_some()).collect();
        assert_eq!(ours, [true, false, false, false]);
    }
}
