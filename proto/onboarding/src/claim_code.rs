use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use hedgerow_base::{Secret, base32};
use sha2::{Digest, Sha256};

use crate::limits::CLAIM_CODE_CHARS_MAX;

const SECRET: usize = 16;
const HUB: usize = 16;
const CHECK: usize = 2;
const BYTES: usize = SECRET + HUB + CHECK;
const CHARS: usize = base32::encoded_len(BYTES);
const PREFIX: &str = "HR1";
const GROUP: usize = 5;

/// What a person carries from the hub to a device: a 128-bit secret that works once, and the first 128
/// bits of SHA-256 over the hub's root key (SubjectPublicKeyInfo), so that the device can tell its hub
/// from an impostor before it shows the secret.
///
/// In text: `HR1-` and eleven groups of five Crockford base32 characters, the last 16 bits a check
/// against mistyping. Case, hyphens and blanks don't matter when it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimCode {
    secret: Secret<SECRET>,
    hub: [u8; HUB],
}

impl ClaimCode {
    /// Joins a fresh secret and [`hub_fingerprint`](Self::hub_fingerprint).
    #[must_use]
    pub const fn new(secret: Secret<SECRET>, hub: [u8; HUB]) -> Self {
        Self { secret, hub }
    }

    /// The fingerprint of a hub whose root key is `spki` (SubjectPublicKeyInfo in DER).
    #[must_use]
    pub fn hub_fingerprint(spki: &[u8]) -> [u8; HUB] {
        let digest = Sha256::digest(spki);
        let mut hub = [0; HUB];
        hub.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        hub
    }

    /// Whether this code was made by the hub whose root key is `spki`.
    #[must_use]
    pub fn is_from_hub(&self, spki: &[u8]) -> bool {
        Self::hub_fingerprint(spki) == self.hub
    }

    /// The fingerprint that the hub's root key must have.
    #[must_use]
    pub const fn hub(&self) -> &[u8; HUB] {
        &self.hub
    }

    /// The secret as the password of HTTP Basic: 26 characters of Crockford base32 in lower case.
    #[must_use]
    pub fn password(&self) -> String {
        password(&self.secret)
    }

    /// What the hub keeps instead of the secret: SHA-256 over its 16 bytes. The secret has 128 random
    /// bits, so a slow hash would add nothing.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        secret_hash(&self.secret)
    }
}

fn password(secret: &Secret<SECRET>) -> String {
    let mut text = [0; base32::encoded_len(SECRET)];
    base32::encode(secret.expose(), &mut text).unwrap_or_default().into()
}

fn secret_hash(secret: &Secret<SECRET>) -> [u8; 32] {
    Sha256::digest(secret.expose()).into()
}

/// Reads a Basic password back into the hash that [`ClaimCode::secret_hash`] gives; `None` when it can't
/// be a claim secret. A whole code typed as the password is understood too.
#[must_use]
pub fn password_hash(typed: &str) -> Option<[u8; 32]> {
    if let Ok(code) = typed.parse::<ClaimCode>() {
        return Some(code.secret_hash());
    }
    let mut secret = [0; SECRET];
    base32::decode(typed.trim(), &mut secret)?;
    Some(secret_hash(&Secret::new(secret)))
}

fn check(secret_and_hub: &[u8]) -> [u8; CHECK] {
    let digest = Sha256::new_with_prefix(b"hedgerow claim code 1").chain_update(secret_and_hub);
    let [first, second, ..]: [u8; 32] = digest.finalize().into();
    [first, second]
}

impl fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes: Vec<u8> = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(self.secret.expose());
        bytes.extend_from_slice(&self.hub);
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        let mut text = [0; CHARS];
        let text = base32::encode(&bytes, &mut text).ok_or(fmt::Error)?;
        f.write_str(PREFIX)?;
        for group in text.as_bytes().chunks(GROUP) {
            f.write_str("-")?;
            group.iter().try_for_each(|c| write!(f, "{}", char::from(c.to_ascii_uppercase())))?;
        }
        Ok(())
    }
}

/// Why a text is not a claim code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAClaimCode {
    /// It does not begin with `HR1`.
    Prefix,
    /// It has too few or too many characters, or foreign ones.
    Shape,
    /// A character was mistyped.
    Mistyped,
}

impl fmt::Display for NotAClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "a claim code begins with HR1; copy it whole from the hub",
            Self::Shape => {
                "a claim code is HR1 and eleven groups of five characters; copy it whole"
            }
            Self::Mistyped => {
                "the claim code was mistyped: its check does not fit; compare it again"
            }
        })
    }
}

impl core::error::Error for NotAClaimCode {}

impl FromStr for ClaimCode {
    type Err = NotAClaimCode;

    fn from_str(typed: &str) -> Result<Self, NotAClaimCode> {
        if typed.len() > CLAIM_CODE_CHARS_MAX {
            return Err(NotAClaimCode::Shape);
        }
        let plain: String =
            typed.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect::<String>();
        let head = plain.get(..PREFIX.len()).ok_or(NotAClaimCode::Prefix)?;
        if !head.eq_ignore_ascii_case(PREFIX) {
            return Err(NotAClaimCode::Prefix);
        }
        let mut bytes = [0; BYTES];
        let body = plain.get(PREFIX.len()..).ok_or(NotAClaimCode::Shape)?;
        base32::decode(body, &mut bytes).ok_or(NotAClaimCode::Shape)?;
        let (payload, found) = bytes.split_at(SECRET + HUB);
        if check(payload) != *found {
            return Err(NotAClaimCode::Mistyped);
        }
        let (secret, hub) = payload.split_at(SECRET);
        let secret = secret.try_into().map_err(|_| NotAClaimCode::Shape)?;
        let hub = hub.try_into().map_err(|_| NotAClaimCode::Shape)?;
        Ok(Self { secret: Secret::new(secret), hub })
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn code() -> ClaimCode {
        ClaimCode::new(Secret::new([0x5a; 16]), ClaimCode::hub_fingerprint(b"root key"))
    }

    #[test]
    fn a_code_is_read_however_it_was_typed() {
        let text = code().to_string();
        assert_eq!(text.len(), 3 + 11 * 6);
        assert_eq!(text.parse(), Ok(code()));
        assert_eq!(text.to_lowercase().parse(), Ok(code()));
        assert_eq!(text.replace('-', " ").parse(), Ok(code()));
        assert_eq!(text.replace('-', "").parse(), Ok(code()));
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let text = code().to_string();
        for at in 4..text.len() {
            let mut typed = text.clone().into_bytes();
            if typed[at] == b'-' {
                continue;
            }
            typed[at] = if typed[at] == b'7' { b'8' } else { b'7' };
            let typed = std::str::from_utf8(&typed).unwrap();
            if typed != text {
                assert!(typed.parse::<ClaimCode>().is_err(), "{typed}");
            }
        }
    }

    #[test]
    fn what_is_no_code_is_refused_with_what_to_do() {
        assert_eq!("".parse::<ClaimCode>(), Err(NotAClaimCode::Prefix));
        assert_eq!("HR2-AAAAA".parse::<ClaimCode>(), Err(NotAClaimCode::Prefix));
        assert_eq!("HR1-AAAAA".parse::<ClaimCode>(), Err(NotAClaimCode::Shape));
        assert_eq!("é".parse::<ClaimCode>(), Err(NotAClaimCode::Prefix));
        let long = "HR1".to_string() + &"-".repeat(CLAIM_CODE_CHARS_MAX - 2);
        assert_eq!(long.len(), CLAIM_CODE_CHARS_MAX + 1);
        assert_eq!(long.parse::<ClaimCode>(), Err(NotAClaimCode::Shape));
    }

    #[test]
    fn the_password_and_the_whole_code_lead_to_the_same_claim() {
        let code = code();
        assert_eq!(password_hash(&code.password()), Some(code.secret_hash()));
        assert_eq!(password_hash(&code.to_string()), Some(code.secret_hash()));
        assert_eq!(password_hash("hunter2"), None);
    }

    #[test]
    fn another_hub_is_told_apart() {
        assert!(code().is_from_hub(b"root key"));
        assert!(!code().is_from_hub(b"other key"));
    }
}
