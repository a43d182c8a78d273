use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_control::{
    Failure,
    ports::{Pending, Signer},
};
use hedgerow_identity::{
    CertificatePlan, Issuer as By, Name, Usage, authority,
    limits::ISSUING_CAS_MAX,
    ocsp::OcspPlan,
    revocation::{CrlPlan, Revoked},
};
use hedgerow_onboarding::{crl, ocsp::Draft};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey,
    SubjectPublicKeyInfo,
};
use time::OffsetDateTime;

use crate::{EcKey, KeyError, KeyFile, SealingKey};

/// The certificate authority: its keys in sealed files, its signatures.
pub struct Authority {
    directory: PathBuf,
    sealing: Arc<SealingKey>,
    keys: Mutex<BTreeMap<String, Arc<EcKey>>>,
}

/// Where the key of the `number`th issuing CA is, from 1.
fn issuing(number: usize) -> String {
    if number <= 1 { "issuing".into() } else { format!("issuing-{number}") }
}

impl Authority {
    /// Keys in `directory`, sealed with `sealing`.
    #[must_use]
    pub fn new(directory: &Path, sealing: Arc<SealingKey>) -> Self {
        Self { directory: directory.into(), sealing, keys: Mutex::default() }
    }

    /// The key of a kind, made at the first call.
    ///
    /// # Errors
    /// When its file can't be used.
    pub fn key(&self, kind: &str) -> Result<Arc<EcKey>, KeyError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(kind) {
            return Ok(Arc::clone(key));
        }
        let key = EcKey::open_or_make(&KeyFile::new(&self.directory, kind), &self.sealing)?;
        Ok(Arc::clone(keys.entry(kind.to_owned()).or_insert(Arc::new(key))))
    }

    /// The key of a kind, if it was made before.
    fn made(&self, kind: &str) -> Result<Option<Arc<EcKey>>, KeyError> {
        if let Some(key) = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(kind) {
            return Ok(Some(Arc::clone(key)));
        }
        let is_there = KeyFile::new(&self.directory, kind).read(&self.sealing)?.is_some();
        is_there.then(|| self.key(kind)).transpose()
    }

    /// The key that signs for an issuer: the one in its certificate, wherever it lies. A key that was made
    /// and never certified is in nobody's way.
    fn signing(&self, issuer: &[u8]) -> Result<Arc<EcKey>, Failure> {
        let wanted = authority::public_key(issuer);
        let wanted = wanted.ok_or_else(|| broken("an issuer's certificate can't be read"))?;
        let names = std::iter::once("root".to_owned()).chain((1..=ISSUING_CAS_MAX).map(issuing));
        for name in names {
            match self.made(&name)? {
                Some(key) if key.spki() == wanted => return Ok(key),
                Some(_) => {}
                None => break,
            }
        }
        Err(broken("the key of an issuer's certificate is not there; restore a backup"))
    }

    /// The first key for an issuing CA that none of `certified` has; made when it is missing.
    fn next_issuing(&self, certified: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
        for number in 1..=ISSUING_CAS_MAX {
            let key = self.key(&issuing(number))?;
            if certified.iter().all(|known| known != key.spki()) {
                return Ok(key.spki().to_vec());
            }
        }
        let reason = format!("a hub has up to {ISSUING_CAS_MAX} issuing CAs in its life");
        Err(Failure::new(Fault::TooMuch, reason))
    }

    fn issue(&self, plan: &CertificatePlan, issuer: Option<Vec<u8>>) -> Result<Vec<u8>, Failure> {
        let params = params(plan)?;
        let certificate = match plan.issuer {
            By::Root if issuer.is_none() => params.self_signed(&Hand(self.key("root")?)),
            By::Root | By::Issuing => {
                let der = issuer.ok_or_else(|| broken("an issuer's certificate is missing"))?;
                let hand = Hand(self.signing(&der)?);
                let issuer = Issuer::from_ca_cert_der(&der.into(), hand);
                let key = SubjectPublicKeyInfo::from_der(&plan.key).map_err(broken)?;
                params.signed_by(&key, &issuer.map_err(broken)?)
            }
        };
        Ok(certificate.map_err(broken)?.der().to_vec())
    }

    fn word(&self, plan: &OcspPlan, issuer: &[u8]) -> Result<Vec<u8>, Failure> {
        let key = self.signing(issuer)?;
        let OcspPlan { answers, nonce, this_update, next_update } = plan;
        let draft = Draft::new(key.spki(), answers, nonce.as_deref(), *this_update, *next_update)
            .map_err(broken)?;
        let signature = key.sign(draft.to_be_signed())?;
        Ok(draft.finish(&signature))
    }

    fn list(&self, plan: &CrlPlan, issuer: &[u8]) -> Result<Vec<u8>, Failure> {
        let unreadable = || broken("an issuer's certificate can't be read");
        let key = self.signing(issuer)?;
        let entry = |one: &Revoked| crl::Entry {
            serial: one.serial.as_bytes().to_vec(),
            at: one.at,
            reason: one.reason.code(),
        };
        let entries: Vec<_> = plan.revoked.iter().map(entry).collect();
        let draft = crl::Draft::new(&crl::Contents {
            issuer: &authority::subject(issuer).ok_or_else(unreadable)?,
            issuer_key: &authority::key_identifier(issuer).ok_or_else(unreadable)?,
            number: plan.number,
            base: plan.base,
            freshest: plan.freshest.as_deref(),
            at: plan.this_update,
            next: plan.next_update,
            entries: &entries,
        });
        let signature = key.sign(draft.to_be_signed())?;
        Ok(draft.finish(&signature))
    }
}

impl Signer for Authority {
    fn public_key(&self, kind: &'static str) -> Pending<'_, Vec<u8>> {
        Box::pin(async move { Ok(self.key(kind)?.spki().to_vec()) })
    }

    fn next_issuing_key(&self, certified: Vec<Vec<u8>>) -> Pending<'_, Vec<u8>> {
        Box::pin(async move { self.next_issuing(&certified) })
    }

    fn certificate(&self, plan: CertificatePlan, issuer: Option<Vec<u8>>) -> Pending<'_, Vec<u8>> {
        Box::pin(async move { self.issue(&plan, issuer) })
    }

    fn crl(&self, plan: CrlPlan, issuer: Vec<u8>) -> Pending<'_, Vec<u8>> {
        Box::pin(async move { self.list(&plan, &issuer) })
    }

    fn ocsp(&self, plan: OcspPlan, issuer: Vec<u8>) -> Pending<'_, Vec<u8>> {
        Box::pin(async move { self.word(&plan, &issuer) })
    }
}

fn params(plan: &CertificatePlan) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(plan.serial.as_bytes()));
    params.not_before = moment(plan.not_before)?;
    params.not_after = moment(plan.not_after)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, plan.subject.as_str());
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = plan.names.iter().map(san).collect::<Result<_, _>>()?;
    let ca = |below| IsCa::Ca(BasicConstraints::Constrained(below));
    // The last is for the words on single certificates (RFC 5280 section 4.2.1.3, RFC 6960 section 4.2.2.2).
    let signs = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    (params.is_ca, params.key_usages, params.extended_key_usages) = match plan.usage {
        Usage::RootCa => (ca(1), signs, vec![]),
        Usage::IssuingCa => (ca(0), signs, vec![]),
        Usage::Server => (
            IsCa::ExplicitNoCa,
            vec![KeyUsagePurpose::DigitalSignature],
            vec![ExtendedKeyUsagePurpose::ServerAuth],
        ),
        Usage::Device => (
            IsCa::ExplicitNoCa,
            vec![KeyUsagePurpose::DigitalSignature],
            vec![ExtendedKeyUsagePurpose::ClientAuth],
        ),
    };
    Ok(params)
}

fn san(name: &Name) -> Result<SanType, Failure> {
    Ok(match name {
        Name::Uri(uri) => SanType::URI(uri.as_str().try_into().map_err(broken)?),
        Name::Dns(host) => SanType::DnsName(host.as_str().try_into().map_err(broken)?),
        Name::Ip(address) => SanType::IpAddress(*address),
    })
}

fn moment(at: Timestamp) -> Result<OffsetDateTime, Failure> {
    OffsetDateTime::from_unix_timestamp(at.as_secs()).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(Fault::Broken, format!("a certificate could not be made: {error}"))
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(error.fault(), error.to_string())
    }
}

/// A key as rcgen wants to hold it.
struct Hand(Arc<EcKey>);

impl PublicKeyData for Hand {
    fn der_bytes(&self) -> &[u8] {
        self.0.point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Hand {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_identity::{
        Serial,
        limits::DEVICE_LIFE_MS,
        revocation::{self, Reason},
    };
    use x509_parser::prelude::{FromDer, X509Certificate};
    use x509_parser::revocation_list::CertificateRevocationList;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn made() -> (tempfile::TempDir, Authority, Vec<u8>, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let ca = Authority::new(directory.path(), Arc::new(sealing));
        let serial = |n| Serial::from_random([n; 16]);
        let key = |kind| ca.key(kind).unwrap().spki().to_vec();
        let plan = authority::root(key("root"), "hub", serial(1), NOW);
        let root = ca.issue(&plan, None).unwrap();
        let plan = authority::issuing(key("issuing"), "hub", 1, serial(2), NOW);
        let issuing = ca.issue(&plan, Some(root.clone())).unwrap();
        (directory, ca, root, issuing)
    }

    fn device_plan(key: Vec<u8>) -> CertificatePlan {
        CertificatePlan {
            serial: Serial::from_random([3; 16]),
            subject: "dev".into(),
            names: vec![Name::Uri("urn:hedgerow:device:x".into())],
            key,
            not_before: NOW,
            not_after: NOW.plus_ms(DEVICE_LIFE_MS),
            usage: Usage::Device,
            issuer: By::Issuing,
        }
    }

    #[test]
    fn the_chain_holds_from_root_to_device() {
        let (_directory, ca, root, issuing) = made();
        let plan = device_plan(ca.key("server").unwrap().spki().to_vec());
        let device = ca.issue(&plan, Some(issuing.clone())).unwrap();
        let read = |der| X509Certificate::from_der(der).unwrap().1;
        let (root, issuing, device) = (read(&root), read(&issuing), read(&device));
        root.verify_signature(None).unwrap();
        issuing.verify_signature(Some(root.public_key())).unwrap();
        device.verify_signature(Some(issuing.public_key())).unwrap();
        assert!(device.verify_signature(Some(root.public_key())).is_err());
        assert!(issuing.is_ca() && !device.is_ca());
        assert_eq!(device.raw_serial(), plan.serial.as_bytes());
        let usage = device.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
    }

    /// The next issuing CA after those of `before`, made in full.
    fn rotated(ca: &Authority, root: &[u8], before: &[&[u8]]) -> Vec<u8> {
        let certified: Vec<_> =
            before.iter().map(|der| authority::public_key(der).unwrap()).collect();
        let key = ca.next_issuing(&certified).unwrap();
        let serial = Serial::from_random([9; 16]);
        let plan = authority::issuing(key, "hub", before.len() + 1, serial, NOW);
        ca.issue(&plan, Some(root.to_vec())).unwrap()
    }

    #[test]
    fn each_issuing_ca_signs_with_the_key_in_its_certificate() {
        let (_directory, ca, root, first) = made();
        let second = rotated(&ca, &root, &[&first]);
        let third = rotated(&ca, &root, &[&second, &first]);
        let all = [&first, &second, &third];
        let plan = device_plan(ca.key("server").unwrap().spki().to_vec());
        for issuer in all {
            let device = ca.issue(&plan, Some(issuer.clone())).unwrap();
            let (_, device) = X509Certificate::from_der(&device).unwrap();
            for other in all {
                let (_, by) = X509Certificate::from_der(other).unwrap();
                assert_eq!(device.verify_signature(Some(by.public_key())).is_ok(), other == issuer);
            }
        }
    }

    #[test]
    fn a_key_that_was_made_and_never_certified_signs_nothing_and_is_used_next() {
        let (directory, ca, root, first) = made();
        let key = |der: &[u8]| authority::public_key(der).unwrap();
        // The power is cut after this: the key is there, its certificate is not.
        let cut = ca.next_issuing(&[key(&first)]).unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let ca = Authority::new(directory.path(), Arc::new(sealing));
        let plan = device_plan(ca.key("server").unwrap().spki().to_vec());
        let device = ca.issue(&plan, Some(first.clone())).unwrap();
        let (_, device) = X509Certificate::from_der(&device).unwrap();
        let (_, issuer) = X509Certificate::from_der(&first).unwrap();
        device.verify_signature(Some(issuer.public_key())).unwrap();
        let second = rotated(&ca, &root, &[&first]);
        assert_eq!(key(&second), cut);
        assert_ne!(key(&rotated(&ca, &root, &[&first, &second])), cut);
    }

    #[test]
    fn a_certificate_whose_key_is_not_here_signs_nothing() {
        let ((_one, ca, ..), (_two, _, _, foreign)) = (made(), made());
        let plan = device_plan(ca.key("server").unwrap().spki().to_vec());
        let refused = ca.issue(&plan, Some(foreign.clone())).unwrap_err();
        assert!(refused.reason.contains("key of an issuer's certificate"), "{refused}");
        assert!(ca.list(&revocation::list([], 1, NOW), &foreign).is_err());
    }

    #[test]
    fn so_many_issuing_cas_are_made_and_one_more_is_refused() {
        let (_directory, ca, ..) = made();
        let mut certified = Vec::new();
        for _ in 0..ISSUING_CAS_MAX {
            certified.push(ca.next_issuing(&certified).unwrap());
        }
        assert_eq!(ca.next_issuing(&certified).unwrap_err().fault, Fault::TooMuch);
    }

    #[test]
    fn the_list_names_what_was_revoked() {
        let (_directory, ca, _, issuing) = made();
        let serial = Serial::from_random([3; 16]);
        let revoked = revocation::Revoked {
            serial,
            at: NOW,
            reason: Reason::CessationOfOperation,
            not_after: NOW.plus_ms(1000),
        };
        let base = revocation::Base::of(&revocation::list([], 6, NOW));
        let plan = revocation::list([revoked], 7, NOW);
        for plan in [base.delta(&plan), plan] {
            let list = ca.list(&plan, &issuing).unwrap();
            let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
            let (_, ca) = X509Certificate::from_der(&issuing).unwrap();
            list.verify_signature(ca.public_key()).unwrap();
            assert_eq!(list.issuer(), ca.subject());
            let one = list.iter_revoked_certificates().next().unwrap();
            assert_eq!(one.raw_serial(), serial.as_bytes());
            assert_eq!(list.crl_number().unwrap().to_bytes_be(), [7]);
            let is_delta =
                list.extensions().iter().any(|one| one.oid.to_id_string() == "2.5.29.27");
            assert_eq!(is_delta, plan.base.is_some());
        }
    }

    #[test]
    fn a_word_on_a_certificate_is_signed_by_the_key_of_its_issuer() {
        let (_directory, ca, root, issuing) = made();
        let plan = OcspPlan {
            answers: Vec::new(),
            nonce: None,
            this_update: NOW,
            next_update: NOW.plus_ms(1),
        };
        let point = |der: &[u8]| authority::public_key(der).unwrap();
        for issuer in [&root, &issuing] {
            let draft = Draft::new(&point(issuer), &[], None, NOW, NOW.plus_ms(1)).unwrap();
            let word = ca.word(&plan, issuer).unwrap();
            let signed = draft.to_be_signed();
            let at = word.windows(signed.len()).position(|window| window == signed).unwrap();
            // After what is signed: the algorithm (12 bytes), the BIT STRING's tag, length and unused bits.
            let signature = &word[at + signed.len() + 15..];
            let spki = point(issuer);
            let key = &spki[spki.len() - 65..];
            let key = aws_lc_rs::signature::UnparsedPublicKey::new(
                &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
                key,
            );
            key.verify(signed, signature).unwrap();
        }
        let (_other, stranger, ..) = made();
        assert!(stranger.word(&plan, &issuing).is_err());
    }
}
