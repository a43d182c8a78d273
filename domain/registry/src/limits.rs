//! Limits of the registry.

/// Characters of a device's name.
pub const NAME_CHARS_MAX: usize = 80;
/// Labels of a device.
pub const LABELS_MAX: usize = 32;
/// Characters of a label's key and of its value.
pub const LABEL_CHARS_MAX: usize = 63;
/// Characters of a search.
pub const SEARCH_CHARS_MAX: usize = 200;
/// Devices in one page of a list.
pub const PAGE_MAX: u32 = 1000;
/// Devices in a page when the caller does not say.
pub const PAGE_DEFAULT: u32 = 100;
/// Days that a search for ending certificates looks ahead.
pub const DAYS_LEFT_MAX: u32 = 3_650;
