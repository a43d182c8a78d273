//! Limits and lifetimes of identity.

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How long a device's certificate lives.
pub const DEVICE_LIFE_MS: i64 = 30 * DAY_MS;
/// How long the hub's server certificate lives.
pub const SERVER_LIFE_MS: i64 = 90 * DAY_MS;
/// How long the issuing CA lives.
pub const ISSUING_CA_LIFE_MS: i64 = 5 * 365 * DAY_MS;
/// Issuing CAs that a hub ever has: one a month for ten years.
pub const ISSUING_CAS_MAX: usize = 120;
/// How long the root CA lives.
pub const ROOT_CA_LIFE_MS: i64 = 20 * 365 * DAY_MS;
/// How far certificates are dated back, for clocks that run behind ours.
pub const BACKDATE_MS: i64 = 5 * 60_000;
/// How long a claim code works, unless the caller asks for less.
pub const CLAIM_LIFE_MS: i64 = DAY_MS;
/// The longest life of a claim code that can be asked for.
pub const CLAIM_LIFE_MS_MAX: i64 = 30 * DAY_MS;
/// How long a revocation list is good for; it is made anew at half of that and at every revocation.
pub const CRL_LIFE_MS: i64 = DAY_MS;
/// Days after its end in which an expired certificate still gets a device its next one, unless the owner says
/// otherwise.
pub const RESCUE_DAYS_DEFAULT: u32 = 30;
/// Certificates that an expired one gets its device in a day while none of them is used.
pub const RESCUES_A_DAY_MAX: usize = 16;
/// The most days that an owner can allow.
pub const RESCUE_DAYS_MAX: u32 = 3650;
/// How long deltas add to the same revocation list.
pub const CRL_BASE_LIFE_MS: i64 = DAY_MS;
/// How long the word on a single certificate is good for; it is given anew at half of that and at every revocation.
pub const OCSP_LIFE_MS: i64 = HOUR_MS;
/// Bytes of a certification request.
pub const REQUEST_BYTES_MAX: usize = 4096;
/// Claim codes open at the same time in a tenant.
pub const CLAIMS_OPEN_MAX: usize = 10_000;
