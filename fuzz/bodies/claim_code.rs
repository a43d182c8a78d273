//! A typed claim code: what is read is written back as something that reads the same, and its password
//! leads to the same claim.

use hedgerow_onboarding::{ClaimCode, password_hash};

pub(super) fn run(typed: &[u8]) -> bool {
    let Ok(typed) = core::str::from_utf8(typed) else { return false };
    let hash = password_hash(typed);
    let Ok(code) = typed.parse::<ClaimCode>() else { return false };
    assert_eq!(code.to_string().parse(), Ok(code.clone()));
    assert_eq!(hash, Some(code.secret_hash()));
    assert_eq!(password_hash(&code.password()), hash);
    true
}
