//! Keys in a TPM, against swtpm.

#[cfg(test)]
mod meddler;
#[cfg(test)]
#[path = "../../../../tests/src/swtpm.rs"]
#[allow(dead_code, unreachable_pub, reason = "other rooms use more of it")]
mod swtpm;
#[cfg(test)]
mod tpm;
#[cfg(test)]
mod trouble;
