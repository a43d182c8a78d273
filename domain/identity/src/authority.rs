//! The hub's own certificates: root CA, issuing CA, TLS server.

use std::net::IpAddr;

use hedgerow_base::Timestamp;
use hedgerow_onboarding::renewal;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, ParsedExtension, X509Certificate};

use crate::{
    CertificatePlan, Issuer, Name, Serial, Usage,
    limits::{BACKDATE_MS, ISSUING_CA_LIFE_MS, ROOT_CA_LIFE_MS, SERVER_LIFE_MS},
};

/// What a hub is called in the names of its certificates.
pub const HUB_NAME: &str = "Hedgerow";

/// Plans the root CA for a key.
#[must_use]
pub fn root(key: Vec<u8>, hub: &str, serial: Serial, now: Timestamp) -> CertificatePlan {
    CertificatePlan {
        serial,
        subject: format!("{hub} root CA"),
        names: Vec::new(),
        key,
        not_before: now.plus_ms(-BACKDATE_MS),
        not_after: now.plus_ms(ROOT_CA_LIFE_MS),
        usage: Usage::RootCa,
        issuer: Issuer::Root,
    }
}

/// Plans the issuing CA for a key: the hub's `number`th, from 1. Each has a name of its own, so that nobody
/// takes the revocation list of one for that of another (RFC 5280 section 5.1.2.3).
#[must_use]
pub fn issuing(
    key: Vec<u8>,
    hub: &str,
    number: usize,
    serial: Serial,
    now: Timestamp,
) -> CertificatePlan {
    let subject = match number {
        0 | 1 => format!("{hub} issuing CA"),
        _ => format!("{hub} issuing CA {number}"),
    };
    CertificatePlan {
        subject,
        not_after: now.plus_ms(ISSUING_CA_LIFE_MS),
        usage: Usage::IssuingCa,
        ..root(key, hub, serial, now)
    }
}

/// Plans the server certificate for a key and the names that clients reach the hub by.
#[must_use]
pub fn server(
    key: Vec<u8>,
    hosts: &[String],
    addresses: &[IpAddr],
    serial: Serial,
    now: Timestamp,
) -> CertificatePlan {
    let dns = hosts.iter().cloned().map(Name::Dns);
    let ips = addresses.iter().copied().map(Name::Ip);
    CertificatePlan {
        serial,
        subject: hosts.first().cloned().unwrap_or_else(|| "hedgerow".into()),
        names: dns.chain(ips).collect(),
        key,
        not_before: now.plus_ms(-BACKDATE_MS),
        not_after: now.plus_ms(SERVER_LIFE_MS),
        usage: Usage::Server,
        issuer: Issuer::Issuing,
    }
}

/// Plans the next server certificate, with the names of the one in use; `None` when that can't be read.
#[must_use]
pub fn server_again(
    key: Vec<u8>,
    in_use: &[u8],
    serial: Serial,
    now: Timestamp,
) -> Option<CertificatePlan> {
    let (_, names) = read(in_use)?;
    let subject = names.iter().find_map(|name| match name {
        Name::Dns(host) => Some(host.clone()),
        Name::Uri(_) | Name::Ip(_) => None,
    });
    let plan = server(key, subject.as_slice(), &[], serial, now);
    Some(CertificatePlan { names, ..plan })
}

/// The key that a certificate is for: SubjectPublicKeyInfo in DER; `None` when it can't be read.
#[must_use]
pub fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

/// The name of a certificate's subject in DER; `None` when it can't be read.
#[must_use]
pub fn subject(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.subject().as_raw().to_vec())
}

/// The subjectKeyIdentifier of a CA of ours; `None` when there is none.
#[must_use]
pub fn key_identifier(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    certificate.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}

/// Whether a certificate of ours names this CA as its issuer. Each of our issuing CAs has a name of its own.
#[must_use]
pub fn is_issued_by(der: &[u8], ca: &[u8]) -> bool {
    let issuer = X509Certificate::from_der(der).ok().map(|(_, one)| one.issuer().as_raw().to_vec());
    issuer.is_some() && issuer == subject(ca)
}

/// The serial number of a certificate of ours; `None` when it is not one.
#[must_use]
pub fn serial(der: &[u8]) -> Option<Serial> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    certificate.raw_serial().try_into().ok().map(Serial::from_bytes)
}

/// From when to when a certificate is valid, and the names that it has; `None` when it can't be read.
#[must_use]
pub fn read(der: &[u8]) -> Option<((Timestamp, Timestamp), Vec<Name>)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let moment = |time: ASN1Time| Timestamp::from_secs(time.timestamp());
    let validity = certificate.validity();
    let life = (moment(validity.not_before), moment(validity.not_after));
    let names = match certificate.subject_alternative_name().ok()? {
        Some(names) => names.value.general_names.iter().filter_map(name).collect(),
        None => Vec::new(),
    };
    Some((life, names))
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(host) => Some(Name::Dns((*host).into())),
        GeneralName::URI(uri) => Some(Name::Uri((*uri).into())),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
            .ok()
            .map(Name::Ip),
        _ => None,
    }
}

/// Whether the server certificate has to be made anew: it is due, or the hub got another name.
#[must_use]
pub fn server_is_stale(
    (not_before, not_after): (Timestamp, Timestamp),
    names: &[Name],
    wanted: &[Name],
    now: Timestamp,
) -> bool {
    now >= renewal::due(not_before, not_after) || wanted.iter().any(|name| !names.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[test]
    fn each_issuing_ca_has_a_name_of_its_own() {
        let serial = Serial::from_random([0; 16]);
        let named = |number| issuing(vec![], "Hub", number, serial, NOW).subject;
        let names = ["Hub issuing CA", "Hub issuing CA 2", "Hub issuing CA 3"];
        assert_eq!([named(1), named(2), named(3)], names);
    }

    #[test]
    fn what_is_no_certificate_has_no_key_serial_or_successor() {
        for junk in [&b""[..], b"\x30\x00", &[0xff; 64]] {
            assert_eq!((public_key(junk), super::serial(junk)), (None, None));
            assert_eq!(server_again(vec![], junk, Serial::from_random([0; 16]), NOW), None);
        }
    }

    #[test]
    fn a_server_certificate_is_stale_when_due_or_when_a_name_is_missing() {
        let hosts = ["hub.local".to_string()];
        let plan = server(vec![], &hosts, &[], Serial::from_random([0; 16]), NOW);
        let life = (plan.not_before, plan.not_after);
        assert!(!server_is_stale(life, &plan.names, &plan.names, NOW));
        assert!(!server_is_stale(life, &plan.names, &[], NOW));
        let more = [plan.names.clone(), vec![Name::Dns("new.local".into())]].concat();
        assert!(server_is_stale(life, &plan.names, &more, NOW));
        assert!(server_is_stale(life, &plan.names, &plan.names, NOW.plus_ms(SERVER_LIFE_MS)));
    }
}
