//! Limits of keys.

/// Bytes of a sealed file.
pub const SEALED_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of a sealing key's file or credential, at least: 256 bits.
pub const SEALING_KEY_BYTES_MIN: usize = 32;
/// Bytes of a sealing key's file or credential, at most.
pub const SEALING_KEY_BYTES_MAX: u64 = 4096;
/// Characters of a passphrase, at least.
pub const PASSPHRASE_CHARS_MIN: usize = 12;
/// Passwords hashed at the same time: each takes 19 MiB.
pub const PASSWORDS_AT_ONCE: usize = 2;
/// Sign-ins that may wait for their turn.
pub const PASSWORDS_WAITING_MAX: usize = 32;
/// Bytes of the file of a key in a TPM.
pub const TPM_KEY_BYTES_MAX: u64 = 4096;
/// Bytes of a TPM's address.
pub const TPM_ADDRESS_BYTES_MAX: usize = 1024;
/// How often a command is sent to a TPM that asks for it to be sent again.
pub const TPM_TRIES_MAX: u32 = 9;
/// The first wait before a command is sent again; each is twice as long as the one before.
pub const TPM_RETRY_MS_MIN: u64 = 20;
/// The longest wait before a command is sent again.
pub const TPM_RETRY_MS_MAX: u64 = 1_000;
/// How long an emulated TPM may take to be connected to.
pub const TPM_CONNECT_MS_MAX: u64 = 2_000;
/// How long an emulated TPM may take to answer; of a real one the kernel decides.
pub const TPM_ANSWER_MS_MAX: u64 = 20_000;
