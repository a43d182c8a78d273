//! Limits that more than one room must agree on.

/// Characters of a device id in text: 128 bits, five at a time.
pub const DEVICE_ID_CHARS: usize = 26;

/// Bytes of a device id.
pub const DEVICE_ID_BYTES: usize = 16;

/// The last year, exclusive, that a [`crate::Timestamp`] is formatted with; RFC 3339 has four digits.
pub const YEAR_END: i64 = 10_000;
