//! Where a device's key is, and that it stays there.

#[cfg(test)]
mod key;
#[cfg(test)]
#[path = "../../../../tests/src/swtpm.rs"]
#[allow(dead_code, unreachable_pub, reason = "other rooms use more of it")]
mod swtpm;
