//! What to sign for a device, or why not.

use std::fmt;

use hedgerow_base::{DeviceId, Fault, Timestamp};
use hedgerow_onboarding::name;

use crate::{
    CertificatePlan, Claim, ClaimState, Issuer, Name, Request, Serial, Usage,
    limits::{BACKDATE_MS, DEVICE_LIFE_MS},
};

/// What is known of the device that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    No,
    /// It is enrolled here.
    Enrolled,
    /// It was retired or erased.
    Gone,
}

/// Why a certificate is not issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such claim code.
    UnknownClaim,
    /// The claim code ran out.
    ClaimExpired,
    /// A person took it back.
    ClaimWithdrawn,
    /// Another device used it.
    ClaimUsed,
    /// The request names another device.
    AnothersName,
    /// The device was retired or erased.
    Gone,
    /// The request was made for another connection.
    OtherChannel,
    /// A renewal with another key than the certificate's.
    OtherKey,
    /// The certificate that asks is revoked.
    Revoked,
    /// The certificate that asks is unknown here.
    UnknownCertificate,
    /// The certificate that asks has expired since it was shown.
    Expired,
    /// The issuing CA of the certificate that asks is not trusted any more.
    Distrusted,
    /// The certificate is of an earlier life of the device, before it changed hands.
    EarlierLife,
    /// The device is cut off.
    Cut,
    /// The device has connected with a newer certificate since.
    Superseded,
    /// The certificate has not expired: it can be renewed.
    NotExpired,
    /// Expired certificates get no device back here.
    NoRescue,
    /// It got so many certificates today, and used none.
    TooOften,
    /// The certificate expired longer ago than the hub allows.
    PastGrace {
        /// Days that it allows.
        days: u32,
    },
}

impl Refusal {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::UnknownClaim
            | Self::ClaimExpired
            | Self::ClaimWithdrawn
            | Self::ClaimUsed
            | Self::Gone
            | Self::OtherChannel
            | Self::Revoked
            | Self::UnknownCertificate
            | Self::Expired
            | Self::Distrusted
            | Self::EarlierLife
            | Self::Cut
            | Self::Superseded
            | Self::NoRescue
            | Self::PastGrace { .. } => Fault::Denied,
            Self::AnothersName | Self::OtherKey | Self::NotExpired => Fault::Invalid,
            Self::TooOften => Fault::TooMuch,
        }
    }

    /// The word in metrics and audit records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownClaim => "unknown-claim",
            Self::ClaimExpired => "claim-expired",
            Self::ClaimWithdrawn => "claim-withdrawn",
            Self::ClaimUsed => "claim-used",
            Self::AnothersName => "anothers-name",
            Self::Gone => "gone",
            Self::OtherChannel => "other-channel",
            Self::OtherKey => "other-key",
            Self::Revoked => "revoked",
            Self::UnknownCertificate => "unknown-certificate",
            Self::Expired => "expired",
            Self::Distrusted => "distrusted",
            Self::EarlierLife => "earlier-life",
            Self::Cut => "cut",
            Self::Superseded => "superseded",
            Self::NotExpired => "not-expired",
            Self::NoRescue => "no-rescue",
            Self::TooOften => "too-often",
            Self::PastGrace { .. } => "past-grace",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PastGrace { days } => {
                return write!(
                    f,
                    "the certificate expired more than {days} days ago (limits.rescue-days); claim the \
                     device again"
                );
            }
            Self::UnknownClaim => "no such claim code; make one with `hedgerow device claim`",
            Self::ClaimExpired => {
                "the claim code has expired; make a new one with `hedgerow device claim`"
            }
            Self::ClaimWithdrawn => "the claim code was withdrawn; ask for a new one",
            Self::ClaimUsed => "the claim code was used by another device; each code works once",
            Self::AnothersName => {
                "the request names another device than its key; leave the name out"
            }
            Self::Gone => "this device was retired; a retired key can't come back",
            Self::OtherChannel => {
                "the request was made for another connection; make it anew on this one"
            }
            Self::OtherKey => {
                "a renewal keeps the key of the certificate; this request has another"
            }
            Self::Revoked => "the certificate is revoked; claim the device again",
            Self::UnknownCertificate => {
                "the certificate is not one of this hub's; claim the device again"
            }
            Self::Expired => "the certificate has just expired; connect again with it and ask once more",
            Self::Distrusted => {
                "the issuing CA of the certificate is not trusted any more; claim the device again"
            }
            Self::EarlierLife => {
                "the certificate is from before the device changed hands; claim the device again"
            }
            Self::Cut => "the device is cut off; its owner has to release it first",
            Self::Superseded => {
                "the device has connected with a newer certificate since; use that one, or claim the \
                 device again if it is lost"
            }
            Self::TooOften => {
                "the device got many certificates today and has used none; connect with the newest, or try \
                 again tomorrow"
            }
            Self::NotExpired => {
                "the certificate has not expired by the hub's clock; connect again and renew it"
            }
            Self::NoRescue => {
                "this hub takes no device back by an expired certificate (limits.rescue-days is 0); \
                 claim the device again"
            }
        })
    }
}

impl std::error::Error for Refusal {}

/// A connection on which a request came.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// Base64 of its TLS exporter (RFC 9266).
    pub binding: &'a str,
}

/// Decides a first enrolment with a claim code (RFC 7030 section 4.2.1). The same device may use its
/// code again while it lasts: an answer that got lost must not strand it.
///
/// # Errors
/// [`Refusal`].
pub fn first(
    request: &Request,
    claim: Option<&Claim>,
    known: Known,
    channel: Channel<'_>,
    serial: Serial,
    now: Timestamp,
) -> Result<CertificatePlan, Refusal> {
    let claim = claim.ok_or(Refusal::UnknownClaim)?;
    match claim.state {
        ClaimState::Withdrawn => return Err(Refusal::ClaimWithdrawn),
        ClaimState::UsedBy(device) if device != request.device() => return Err(Refusal::ClaimUsed),
        ClaimState::Open | ClaimState::UsedBy(_) => {}
    }
    if now >= claim.expires {
        return Err(Refusal::ClaimExpired);
    }
    if known == Known::Gone {
        return Err(Refusal::Gone);
    }
    check_request(request, request.device(), channel)?;
    Ok(plan(request.device(), request, serial, now))
}

/// A certificate of ours that asks for its successor.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The device that it names.
    pub device: DeviceId,
    /// Its SubjectPublicKeyInfo in DER.
    pub key: &'a [u8],
    /// Whether it was revoked.
    pub is_revoked: bool,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// Decides a renewal by the current certificate (RFC 7030 section 4.2.2). The name stays whatever the
/// request says, and the key stays too.
///
/// # Errors
/// [`Refusal`].
pub fn again(
    request: &Request,
    current: Option<Current<'_>>,
    known: Known,
    channel: Channel<'_>,
    serial: Serial,
    now: Timestamp,
) -> Result<CertificatePlan, Refusal> {
    let current = current.ok_or(Refusal::UnknownCertificate)?;
    if current.is_revoked {
        return Err(Refusal::Revoked);
    }
    if now > current.not_after {
        return Err(Refusal::Expired);
    }
    match known {
        Known::Enrolled => {}
        Known::Gone => return Err(Refusal::Gone),
        Known::No => return Err(Refusal::UnknownCertificate),
    }
    if current.key != request.key() {
        return Err(Refusal::OtherKey);
    }
    check_request(request, current.device, channel)?;
    Ok(plan(current.device, request, serial, now))
}

pub(crate) fn check_request(
    request: &Request,
    device: DeviceId,
    channel: Channel<'_>,
) -> Result<(), Refusal> {
    if request.names().iter().any(|name| *name != device) {
        return Err(Refusal::AnothersName);
    }
    match request.channel_binding() {
        Some(binding) if binding != channel.binding => Err(Refusal::OtherChannel),
        Some(_) | None => Ok(()),
    }
}

/// A program's certificate, for as long as its token works.
#[must_use]
pub fn application(
    token: i64,
    request: &Request,
    serial: Serial,
    now: Timestamp,
    until: Timestamp,
) -> CertificatePlan {
    CertificatePlan {
        serial,
        subject: format!("application {token}"),
        names: vec![Name::Uri(name::application_uri(token))],
        key: request.key().to_vec(),
        not_before: now.plus_ms(-BACKDATE_MS),
        not_after: until,
        usage: Usage::Device,
        issuer: Issuer::Issuing,
    }
}

pub(crate) fn plan(
    device: DeviceId,
    request: &Request,
    serial: Serial,
    now: Timestamp,
) -> CertificatePlan {
    CertificatePlan {
        serial,
        subject: device.to_string(),
        names: vec![Name::Uri(name::device_uri(device))],
        key: request.key().to_vec(),
        not_before: now.plus_ms(-BACKDATE_MS),
        not_after: now.plus_ms(DEVICE_LIFE_MS),
        usage: Usage::Device,
        issuer: Issuer::Issuing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::Key;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const SERIAL: Serial = Serial::from_random([1; 16]);
    const HERE: Channel<'static> = Channel { binding: "aGVyZQ==" };

    fn claim() -> Claim {
        Claim {
            names: hedgerow_model::mapping::Names::default(),
            secret_hash: [0; 32],
            name: "lamp".into(),
            profile: "linux-host".into(),
            created: NOW,
            expires: NOW.plus_ms(1000),
            state: ClaimState::Open,
        }
    }

    fn request(key: &Key) -> Request {
        Request::parse(&key.request(Some(HERE.binding))).unwrap()
    }

    fn try_first(claim: &Claim, key: &Key) -> Result<CertificatePlan, Refusal> {
        first(&request(key), Some(claim), Known::No, HERE, SERIAL, NOW)
    }

    #[test]
    fn the_name_comes_from_the_key() {
        let key = Key::new();
        let plan = try_first(&claim(), &key).unwrap();
        let id = DeviceId::from_public_key(&key.spki());
        assert_eq!(plan.names, [Name::Uri(format!("urn:hedgerow:device:{id}"))]);
        assert_eq!((plan.subject, plan.usage), (id.to_string(), Usage::Device));
        assert_eq!(plan.not_after, NOW.plus_ms(DEVICE_LIFE_MS));
    }

    #[test]
    fn expired_withdrawn_and_unknown_claims_are_refused() {
        let key = Key::new();
        let expired = Claim { expires: NOW, ..claim() };
        assert_eq!(try_first(&expired, &key), Err(Refusal::ClaimExpired));
        let withdrawn = Claim { state: ClaimState::Withdrawn, ..claim() };
        assert_eq!(try_first(&withdrawn, &key), Err(Refusal::ClaimWithdrawn));
        let unknown = first(&request(&key), None, Known::No, HERE, SERIAL, NOW);
        assert_eq!(unknown, Err(Refusal::UnknownClaim));
    }

    #[test]
    fn a_replayed_claim_is_refused_to_others_and_kind_to_its_own_device() {
        let (one, other) = (Key::new(), Key::new());
        let used = ClaimState::UsedBy(DeviceId::from_public_key(&one.spki()));
        let used = Claim { state: used, ..claim() };
        assert_eq!(try_first(&used, &other), Err(Refusal::ClaimUsed));
        assert!(try_first(&used, &one).is_ok());
    }

    #[test]
    fn a_request_made_for_another_connection_is_refused() {
        let key = Key::new();
        let elsewhere = Channel { binding: "b3RoZXI=" };
        let refused = first(&request(&key), Some(&claim()), Known::No, elsewhere, SERIAL, NOW);
        assert_eq!(refused, Err(Refusal::OtherChannel));
        let unbound = Request::parse(&key.request(None)).unwrap();
        assert!(first(&unbound, Some(&claim()), Known::No, elsewhere, SERIAL, NOW).is_ok());
    }

    #[test]
    fn a_retired_key_can_not_come_back() {
        let key = Key::new();
        let back = first(&request(&key), Some(&claim()), Known::Gone, HERE, SERIAL, NOW);
        assert_eq!(back, Err(Refusal::Gone));
    }

    fn try_again(request: &Request, current: Current<'_>) -> Result<CertificatePlan, Refusal> {
        again(request, Some(current), Known::Enrolled, HERE, SERIAL, NOW)
    }

    #[test]
    fn renewal_needs_an_unrevoked_certificate_with_the_same_key() {
        let (key, other) = (Key::new(), Key::new());
        let spki = key.spki();
        let device = DeviceId::from_public_key(&spki);
        let current = Current { device, key: &spki, is_revoked: false, not_after: NOW };
        assert!(try_again(&request(&key), current).is_ok());
        let revoked = Current { is_revoked: true, ..current };
        assert_eq!(try_again(&request(&key), revoked), Err(Refusal::Revoked));
        let over = Current { not_after: NOW.plus_ms(-1), ..current };
        assert_eq!(try_again(&request(&key), over), Err(Refusal::Expired));
        assert_eq!(try_again(&request(&other), current), Err(Refusal::OtherKey));
        let strange = again(&request(&key), None, Known::Enrolled, HERE, SERIAL, NOW);
        assert_eq!(strange, Err(Refusal::UnknownCertificate));
        for (known, refusal) in
            [(Known::Gone, Refusal::Gone), (Known::No, Refusal::UnknownCertificate)]
        {
            let gone = again(&request(&key), Some(current), known, HERE, SERIAL, NOW);
            assert_eq!(gone, Err(refusal));
        }
    }

    #[test]
    fn another_devices_name_is_refused() {
        let key = Key::new();
        let spki = key.spki();
        let device = DeviceId::from_bytes([8; 16]);
        let someone = Current { device, key: &spki, is_revoked: false, not_after: NOW };
        assert_eq!(try_again(&request(&key), someone), Err(Refusal::AnothersName));
    }
}
