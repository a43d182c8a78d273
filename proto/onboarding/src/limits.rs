//! Limits of onboarding.

/// Bytes of a DER value that [`crate::der::Reader`] reads: a certificate chain is far smaller.
pub const DER_BYTES_MAX: usize = 64 * 1024;

/// Certificates in one certs-only message: device, issuing CA, root, and one more of each on rollover.
pub const CERTIFICATES_MAX: usize = 6;

/// Characters of base64 in an EST body, line breaks included.
pub const EST_BODY_BYTES_MAX: usize = 32 * 1024;

/// Characters of a typed claim code, separators included.
pub const CLAIM_CODE_CHARS_MAX: usize = 160;
