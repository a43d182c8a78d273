//! A request for the status of certificates: what was read is within the limits, and each certificate's name stands
//! in the request as it was written.

use hedgerow_onboarding::{
    limits::{OCSP_CERTIFICATES_MAX, OCSP_NONCE_BYTES_MAX},
    ocsp::Request,
};

pub(super) fn run(bytes: &[u8]) -> bool {
    let Ok(request) = Request::parse(bytes) else { return false };
    assert!((1..=OCSP_CERTIFICATES_MAX).contains(&request.certificates().len()));
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    for certificate in request.certificates() {
        assert!(has(certificate.der()) && !certificate.serial().is_empty());
    }
    if let Some(nonce) = request.nonce() {
        assert!((1..=OCSP_NONCE_BYTES_MAX).contains(&nonce.len()) && has(nonce));
    }
    true
}
