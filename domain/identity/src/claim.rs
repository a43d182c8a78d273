use hedgerow_base::{DeviceId, Timestamp};
use hedgerow_model::mapping::Names;

/// What happened to a claim code so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// Nobody used it.
    Open,
    /// This device enrolled with it.
    UsedBy(DeviceId),
    /// A person took it back.
    Withdrawn,
}

/// A claim code as the hub keeps it: without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// SHA-256 over the secret; the key of the record.
    pub secret_hash: [u8; 32],
    /// The name that the device will have.
    pub name: String,
    /// The profile that the device will be held to.
    pub profile: String,
    /// What the variables of the device's foreign topics will be.
    pub names: Names,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops working.
    pub expires: Timestamp,
    /// What happened to it.
    pub state: ClaimState,
}
