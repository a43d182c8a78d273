use std::fmt;

use hedgerow_base::{DeviceId, Fault};
use hedgerow_onboarding::name;
use x509_parser::{
    certification_request::X509CertificationRequest,
    cri_attributes::ParsedCriAttribute,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    public_key::PublicKey,
};

use crate::limits::REQUEST_BYTES_MAX;

/// Uncompressed P-256 point.
const P256_POINT_BYTES: usize = 65;
/// OID of prime256v1.
const PRIME256V1: &str = "1.2.840.10045.3.1.7";

/// A certification request whose signature was verified: the sender has the key.
///
/// Nothing in it names the certificate; names that it asks for are only compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    key: Vec<u8>,
    device: DeviceId,
    names: Vec<DeviceId>,
    channel_binding: Option<String>,
}

/// Why a request was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestProblem {
    /// Longer than [`REQUEST_BYTES_MAX`].
    TooLong,
    /// Not PKCS#10.
    NotPkcs10,
    /// The key is of another kind than P-256; says which.
    WeakKey(&'static str),
    /// The signature does not fit the key.
    BadSignature,
}

impl RequestProblem {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooLong => Fault::TooMuch,
            Self::NotPkcs10 | Self::WeakKey(_) | Self::BadSignature => Fault::Invalid,
        }
    }
}

impl fmt::Display for RequestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the request is over {REQUEST_BYTES_MAX} bytes"),
            Self::NotPkcs10 => {
                f.write_str("the request is not a PKCS#10 certification request in DER")
            }
            Self::WeakKey(kind) => write!(
                f,
                "the key is {kind}; make a P-256 key, for example with \
                 `openssl ecparam -name prime256v1 -genkey`"
            ),
            Self::BadSignature => f.write_str(
                "the signature of the request does not fit its key; make the request anew",
            ),
        }
    }
}

impl std::error::Error for RequestProblem {}

impl Request {
    /// Reads and verifies a request in DER.
    ///
    /// # Errors
    /// [`RequestProblem`].
    pub fn parse(der: &[u8]) -> Result<Self, RequestProblem> {
        if der.len() > REQUEST_BYTES_MAX {
            return Err(RequestProblem::TooLong);
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| RequestProblem::NotPkcs10)?;
        if !rest.is_empty() {
            return Err(RequestProblem::NotPkcs10);
        }
        let info = &request.certification_request_info;
        check_key(
            info.subject_pki.parsed().map_err(|_| RequestProblem::NotPkcs10)?,
            &info.subject_pki,
        )?;
        request.verify_signature().map_err(|_| RequestProblem::BadSignature)?;
        let channel_binding = info.iter_attributes().find_map(|a| match a.parsed_attribute() {
            ParsedCriAttribute::ChallengePassword(challenge) => Some(challenge.0.clone()),
            ParsedCriAttribute::ExtensionRequest(_) | ParsedCriAttribute::UnsupportedAttribute => {
                None
            }
        });
        let key = info.subject_pki.raw.to_vec();
        let device = DeviceId::from_public_key(&key);
        Ok(Self { names: names_in(&request), key, device, channel_binding })
    }

    /// SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The id of a device whose first key this is.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The device ids that the request asks to be named by.
    #[must_use]
    pub fn names(&self) -> &[DeviceId] {
        &self.names
    }

    /// The challengePassword, which must be the channel binding when there is one.
    #[must_use]
    pub fn channel_binding(&self) -> Option<&str> {
        self.channel_binding.as_deref()
    }
}

fn check_key(
    key: PublicKey<'_>,
    info: &x509_parser::x509::SubjectPublicKeyInfo<'_>,
) -> Result<(), RequestProblem> {
    let weak = |kind| Err(RequestProblem::WeakKey(kind));
    match key {
        PublicKey::EC(point) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
            let is_p256 = curve.is_some_and(|curve| curve.to_id_string() == PRIME256V1);
            match point.data().len() == P256_POINT_BYTES && is_p256 {
                true => Ok(()),
                false => weak("on another curve than P-256, or a compressed point"),
            }
        }
        PublicKey::RSA(_) => weak("RSA"),
        PublicKey::DSA(_) => weak("DSA"),
        PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) => weak("GOST"),
        PublicKey::Unknown(_) => weak("of an unknown kind"),
    }
}

/// Device ids in the common name and in the requested SubjectAltName.
fn names_in(request: &X509CertificationRequest<'_>) -> Vec<DeviceId> {
    let common_names = request
        .certification_request_info
        .subject
        .iter_common_name()
        .filter_map(|cn| cn.as_str().ok()?.parse().ok());
    let alternatives =
        request.requested_extensions().into_iter().flatten().filter_map(|e| match e {
            ParsedExtension::SubjectAlternativeName(names) => Some(names),
            _ => None,
        });
    let uris = alternatives.flat_map(|names| &names.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) => name::parse_device_uri(uri),
        _ => None,
    });
    common_names.chain(uris).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use hedgerow_onboarding::csr;

    use super::*;

    pub(crate) struct Key(EcdsaKeyPair);

    impl Key {
        pub(crate) fn new() -> Self {
            Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
        }

        pub(crate) fn spki(&self) -> Vec<u8> {
            csr::p256_spki(self.0.public_key().as_ref().try_into().unwrap())
        }

        pub(crate) fn request(&self, binding: Option<&str>) -> Vec<u8> {
            let draft = csr::Draft::new(&self.spki(), binding);
            let signature = self.0.sign(&SystemRandom::new(), draft.to_be_signed()).unwrap();
            draft.finish(signature.as_ref())
        }
    }

    #[test]
    fn a_request_is_read_as_the_device_wrote_it() {
        let key = Key::new();
        let request = Request::parse(&key.request(Some("YmluZA=="))).unwrap();
        assert_eq!(request.key(), key.spki());
        assert_eq!(request.names(), [request.device(), request.device()]);
        assert_eq!(request.channel_binding(), Some("YmluZA=="));
    }

    #[test]
    fn a_changed_request_has_a_bad_signature() {
        let good = Key::new().request(None);
        let mut refused = 0;
        for at in (0..good.len()).step_by(3) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let read = Request::parse(&bad);
            assert!(read.is_err(), "byte {at} changed and nobody noticed");
            refused += usize::from(read == Err(RequestProblem::BadSignature));
        }
        assert!(refused > 10);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(Request::parse(b""), Err(RequestProblem::NotPkcs10));
        let mut long = Key::new().request(None);
        long.push(0);
        assert_eq!(Request::parse(&long), Err(RequestProblem::NotPkcs10));
        assert_eq!(Request::parse(&[0; REQUEST_BYTES_MAX]), Err(RequestProblem::NotPkcs10));
        assert_eq!(Request::parse(&[0; REQUEST_BYTES_MAX + 1]), Err(RequestProblem::TooLong));
    }

    #[test]
    fn keys_other_than_p_256_are_refused_by_kind() {
        let requests: [(&[u8], &str); 2] = [
            (include_bytes!("../tests/data/rsa2048.csr.der"), "RSA"),
            (
                include_bytes!("../tests/data/p384.csr.der"),
                "on another curve than P-256, or a compressed point",
            ),
        ];
        for (der, kind) in requests {
            assert_eq!(Request::parse(der), Err(RequestProblem::WeakKey(kind)));
        }
    }
}
