//! Limits of onboarding.

/// Bytes of a DER value that [`crate::der::Reader`] reads: a certificate chain is far smaller.
pub const DER_BYTES_MAX: usize = 64 * 1024;

/// Certificates in one certs-only message: device, issuing CA, root, and one more of each on rollover.
pub const CERTIFICATES_MAX: usize = 6;

/// Characters of base64 in an EST body, line breaks included.
pub const EST_BODY_BYTES_MAX: usize = 32 * 1024;

/// Bytes of an OCSP request.
pub const OCSP_REQUEST_BYTES_MAX: usize = 4096;

/// Certificates that one OCSP request asks about.
pub const OCSP_CERTIFICATES_MAX: usize = 16;

/// Bytes of the nonce of an OCSP request, RFC 9654 section 2.1.
pub const OCSP_NONCE_BYTES_MAX: usize = 128;

/// Characters of a typed claim code, separators included.
pub const CLAIM_CODE_CHARS_MAX: usize = 160;
