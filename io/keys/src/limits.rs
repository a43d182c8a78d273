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
