//! Whether a device whose certificate has expired gets its next one.
//!
//! It lay in a drawer, or the hub was down when it wanted to renew. The handshake proved that it has the key
//! of a certificate that an issuing CA of ours signed; whether that is enough is decided here, and unknown
//! means no. The grace period is the owner's.

use hedgerow_base::{DeviceId, Timestamp};

use crate::{
    CertificatePlan, Refusal, Request, Serial,
    enrol::{Channel, Known, check_request, plan},
    limits::RESCUES_A_DAY_MAX,
};

const DAY_MS: i64 = 86_400_000;

/// For how many days after its end a certificate still gets its device the next one; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Whole days.
    pub days: u32,
}

impl Grace {
    /// The last moment at which a certificate that ended at `end` is taken.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Timestamp {
        end.plus_ms(i64::from(self.days).saturating_mul(DAY_MS))
    }
}

/// Whether the device has moved on to a newer certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// None was issued, or none of them was ever seen in use: the answer that carried it may have been lost.
    Unused,
    /// The device connected with one: whoever shows the older one now is a copy of it.
    Used,
}

/// An expired certificate that asks for its successor, and what is known of its device now.
#[derive(Clone, Copy, Debug)]
pub struct Lapsed<'a> {
    /// The device that it names.
    pub device: DeviceId,
    /// Its SubjectPublicKeyInfo in DER.
    pub key: &'a [u8],
    /// When it ended.
    pub not_after: Timestamp,
    /// Whether it was revoked.
    pub is_revoked: bool,
    /// Whether the issuing CA that signed it is trusted.
    pub is_issuer_trusted: bool,
    /// Whether it is of the device's present life.
    pub is_of_this_life: bool,
    /// Whether the device is cut off.
    pub is_cut: bool,
    /// Whether there is a newer one that was used.
    pub newer: Newer,
    /// Newer ones that were issued within a day.
    pub issued_today: usize,
}

/// Decides a renewal by an expired certificate. Name and key stay.
///
/// # Errors
/// [`Refusal`]; what is wrong with the certificate is said before how old it is.
pub fn rescue(
    request: &Request,
    lapsed: Option<Lapsed<'_>>,
    known: Known,
    channel: Channel<'_>,
    grace: Grace,
    serial: Serial,
    now: Timestamp,
) -> Result<CertificatePlan, Refusal> {
    let lapsed = lapsed.ok_or(Refusal::UnknownCertificate)?;
    match known {
        Known::Enrolled => {}
        Known::Gone => return Err(Refusal::Gone),
        Known::No => return Err(Refusal::UnknownCertificate),
    }
    if !lapsed.is_issuer_trusted {
        return Err(Refusal::Distrusted);
    }
    if lapsed.is_revoked {
        return Err(Refusal::Revoked);
    }
    if !lapsed.is_of_this_life {
        return Err(Refusal::EarlierLife);
    }
    if lapsed.is_cut {
        return Err(Refusal::Cut);
    }
    match lapsed.newer {
        Newer::Unused => {}
        Newer::Used => return Err(Refusal::Superseded),
    }
    if now <= lapsed.not_after {
        return Err(Refusal::NotExpired);
    }
    if grace.days == 0 {
        return Err(Refusal::NoRescue);
    }
    if now > grace.until(lapsed.not_after) {
        return Err(Refusal::PastGrace { days: grace.days });
    }
    if lapsed.issued_today >= RESCUES_A_DAY_MAX {
        return Err(Refusal::TooOften);
    }
    if lapsed.key != request.key() {
        return Err(Refusal::OtherKey);
    }
    check_request(request, lapsed.device, channel)?;
    Ok(plan(lapsed.device, request, serial, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::{DEVICE_LIFE_MS, RESCUE_DAYS_DEFAULT, RESCUE_DAYS_MAX},
        request::tests::Key,
    };

    const END: Timestamp = Timestamp::from_secs(1_700_000_000);
    const SERIAL: Serial = Serial::from_random([1; 16]);
    const HERE: Channel<'static> = Channel { binding: "aGVyZQ==" };
    const GRACE: Grace = Grace { days: RESCUE_DAYS_DEFAULT };

    fn id(key: &Key) -> DeviceId {
        DeviceId::from_public_key(&key.spki())
    }

    fn lapsed<'a>(device: DeviceId, key: &'a [u8]) -> Lapsed<'a> {
        Lapsed {
            device,
            key,
            not_after: END,
            is_revoked: false,
            is_issuer_trusted: true,
            is_of_this_life: true,
            is_cut: false,
            newer: Newer::Unused,
            issued_today: 0,
        }
    }

    fn ask(
        key: &Key,
        lapsed: Option<Lapsed<'_>>,
        known: Known,
        grace: Grace,
        now: Timestamp,
    ) -> Result<CertificatePlan, Refusal> {
        let request = Request::parse(&key.request(Some(HERE.binding))).unwrap();
        rescue(&request, lapsed, known, HERE, grace, SERIAL, now)
    }

    #[test]
    fn within_the_grace_the_same_device_and_key_get_the_next_certificate() {
        let key = Key::new();
        let spki = key.spki();
        let last = END.plus_ms(i64::from(GRACE.days) * DAY_MS);
        for now in [END.plus_ms(1), END.plus_ms(DAY_MS), last] {
            let one = lapsed(id(&key), &spki);
            let plan = ask(&key, Some(one), Known::Enrolled, GRACE, now).unwrap();
            assert_eq!((plan.subject, plan.key), (id(&key).to_string(), spki.clone()));
            assert_eq!(plan.not_after, now.plus_ms(DEVICE_LIFE_MS));
        }
    }

    #[test]
    fn a_millisecond_past_the_grace_is_too_late_and_zero_days_is_never() {
        let key = Key::new();
        let spki = key.spki();
        let one = lapsed(id(&key), &spki);
        let at = |days, now| ask(&key, Some(one), Known::Enrolled, Grace { days }, now);
        for days in [1, GRACE.days, RESCUE_DAYS_MAX] {
            let last = END.plus_ms(i64::from(days) * DAY_MS);
            assert!(at(days, last).is_ok());
            assert_eq!(at(days, last.plus_ms(1)), Err(Refusal::PastGrace { days }));
        }
        assert_eq!(at(0, END.plus_ms(1)), Err(Refusal::NoRescue));
        assert_eq!(at(GRACE.days, END), Err(Refusal::NotExpired), "it is to be renewed");
    }

    #[test]
    fn each_thing_that_speaks_against_it_is_enough() {
        let (key, other) = (Key::new(), Key::new());
        let (spki, others) = (key.spki(), other.spki());
        let one = lapsed(id(&key), &spki);
        let someone = DeviceId::from_bytes([8; 16]);
        let table = [
            (None, Known::Enrolled, Refusal::UnknownCertificate),
            (Some(one), Known::No, Refusal::UnknownCertificate),
            (Some(one), Known::Gone, Refusal::Gone),
            (Some(Lapsed { is_revoked: true, ..one }), Known::Enrolled, Refusal::Revoked),
            (
                Some(Lapsed { is_issuer_trusted: false, ..one }),
                Known::Enrolled,
                Refusal::Distrusted,
            ),
            (Some(Lapsed { is_of_this_life: false, ..one }), Known::Enrolled, Refusal::EarlierLife),
            (Some(Lapsed { is_cut: true, ..one }), Known::Enrolled, Refusal::Cut),
            (Some(Lapsed { newer: Newer::Used, ..one }), Known::Enrolled, Refusal::Superseded),
            (Some(Lapsed { key: &others, ..one }), Known::Enrolled, Refusal::OtherKey),
            (Some(Lapsed { device: someone, ..one }), Known::Enrolled, Refusal::AnothersName),
        ];
        for (shown, known, refusal) in table {
            assert_eq!(ask(&key, shown, known, GRACE, END.plus_ms(1)), Err(refusal));
            assert!(!refusal.word().is_empty() && refusal.to_string().len() > 20);
        }
        let request = Request::parse(&key.request(Some(HERE.binding))).unwrap();
        let (elsewhere, now) = (Channel { binding: "b3RoZXI=" }, END.plus_ms(1));
        let moved = rescue(&request, Some(one), Known::Enrolled, elsewhere, GRACE, SERIAL, now);
        assert_eq!(moved, Err(Refusal::OtherChannel));
    }

    #[test]
    fn so_many_certificates_are_given_in_a_day_and_not_one_more() {
        let key = Key::new();
        let spki = key.spki();
        let at = |issued_today| {
            let one = Lapsed { issued_today, ..lapsed(id(&key), &spki) };
            ask(&key, Some(one), Known::Enrolled, GRACE, END.plus_ms(1)).map(drop)
        };
        assert_eq!(at(RESCUES_A_DAY_MAX - 1), Ok(()));
        assert_eq!(at(RESCUES_A_DAY_MAX), Err(Refusal::TooOften));
    }

    #[test]
    fn a_copy_with_a_replaced_certificate_is_told_apart_however_old_it_is() {
        let key = Key::new();
        let spki = key.spki();
        let copy = Lapsed { newer: Newer::Used, ..lapsed(id(&key), &spki) };
        let late = END.plus_ms(i64::from(RESCUE_DAYS_MAX) * 2 * DAY_MS);
        assert_eq!(ask(&key, Some(copy), Known::Enrolled, GRACE, late), Err(Refusal::Superseded));
    }
}
