//! Limits of the control plane.

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Bytes of an action's input.
pub const ACTION_BYTES_MAX: usize = 4096;
/// Entries of a page of a timeline or of the audit log.
pub const PAGE_MAX: u32 = 500;
/// Entries of timelines that one change adds.
pub const TELL_MAX: usize = 256;
/// How long a one-time sign-in link works.
pub const LINK_LIFE_MS: i64 = 15 * MINUTE_MS;
/// How long a person stays signed in.
pub const SESSION_LIFE_MS: i64 = 7 * DAY_MS;
/// How long a person stays signed in without doing anything.
pub const SESSION_IDLE_MS: i64 = DAY_MS;
/// Failed sign-ins in a row after which an account is locked for a while.
pub const FAILED_SIGN_INS_MAX: u32 = 5;
/// How long the first lock lasts; each further one lasts twice as long.
pub const LOCK_MS: i64 = MINUTE_MS;
/// The longest lock.
pub const LOCK_MS_MAX: i64 = 60 * MINUTE_MS;
/// Characters of a password, at least.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Characters of a password, at most.
pub const PASSWORD_CHARS_MAX: usize = 256;
/// Characters of a person's name.
pub const PERSON_NAME_CHARS_MAX: usize = 64;
/// People in a tenant.
pub const PEOPLE_MAX: u32 = 1000;
/// Passkeys of a person.
pub const PASSKEYS_MAX: usize = 20;
/// Devices of a tenant that sign in with a password.
pub const WEAK_DEVICES_MAX: u64 = 1000;
/// Tokens in a tenant.
pub const TOKENS_MAX: u32 = 1000;
/// The longest life of a token.
pub const TOKEN_LIFE_MS_MAX: i64 = 366 * DAY_MS;
/// The kinds of denial remembered so that each is recorded once.
pub const DENIAL_KINDS_MAX: usize = 1024;
/// Readings in one answer.
pub const READINGS_MAX: usize = 50_000;
/// Buckets in one answer.
pub const BUCKETS_MAX: u32 = 2_000;
/// Profiles of a tenant, the built-in one included.
pub const PROFILES_MAX: usize = 100;
/// Bytes of a profile's name here.
pub const PROFILE_NAME_BYTES_MAX: usize = 64;
/// Errors of a profile that a refusal spells out; of more it says how many.
pub const PROFILE_ERRORS_TOLD_MAX: usize = 20;
/// Days left below which a certificate should have been renewed: that happens at two thirds of thirty.
pub const LATE_DAYS: i64 = 7;
