//! Limits of what is said to a TPM and taken from one.

/// Bytes of a command, and of a response: what every TPM and the kernel's driver take.
pub const MESSAGE_BYTES_MAX: usize = 4096;
/// Bytes of an authValue: the largest digest there is.
pub const AUTH_BYTES_MAX: usize = 64;
/// Random bytes asked for at once: what a TPM with SHA-256 gives.
pub const RANDOM_BYTES_MAX: usize = 32;
/// Bytes of a TPM2B_PRIVATE: a wrapped P-256 key has some 130.
pub const PRIVATE_BYTES_MAX: usize = 1024;
/// Bytes of a TPM2B_PUBLIC: one of a P-256 key has 88 to 94.
pub const PUBLIC_BYTES_MAX: usize = 512;
/// Bytes of what a quote is made over: a nonce.
pub const NONCE_BYTES_MAX: usize = 64;
/// Bytes of a TPMS_ATTEST: a quote of the SHA-256 registers has some 130.
pub const ATTEST_BYTES_MAX: usize = 512;
/// Digests in one answer of TPM2_PCR_Read.
pub const DIGESTS_MAX: usize = 8;
/// Values in one answer of TPM2_GetCapability: as many as fit into it.
pub const VALUES_MAX: usize = 508;
