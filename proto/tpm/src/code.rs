use core::fmt;

/// Bit 7: format one, an error about a handle, a parameter or a session.
const FORMAT_ONE: u32 = 0x080;
/// Of a code of format one, what is the error; the rest says which handle, parameter or session.
const FORMAT_ONE_ERROR: u32 = 0x0bf;
/// Layers of software above the TPM put their number here.
const LAYER: u32 = 0xffff_0000;

/// A response code other than success (part 2, section 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseCode(u32);

/// What a response code means for whoever sent the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The same command can succeed soon.
    TryAgain,
    /// Too many wrong authorizations: the TPM waits.
    Lockout,
    /// The authValue is a wrong one.
    WrongAuth,
    /// What was to be loaded was not wrapped by this TPM with this parent, or was changed.
    NotItsOwn,
    /// A handle is not there: it was flushed, or the TPM has been restarted.
    NoSuchHandle,
    /// All slots for keys are taken.
    NoRoom,
    /// It was not started, or it has failed its self-test.
    NotReady,
    /// It does not know the command, or can't do what was asked.
    NotSupported,
    /// Anything else.
    Other,
}

/// Every code that is known by name, without its handle, parameter or session number.
const NAMES: [(u32, &str, Meaning); 41] = [
    (0x100, "TPM_RC_INITIALIZE", Meaning::NotReady),
    (0x101, "TPM_RC_FAILURE", Meaning::NotReady),
    (0x120, "TPM_RC_DISABLED", Meaning::NotSupported),
    (0x124, "TPM_RC_AUTH_TYPE", Meaning::Other),
    (0x125, "TPM_RC_AUTH_MISSING", Meaning::Other),
    (0x127, "TPM_RC_PCR", Meaning::Other),
    (0x12d, "TPM_RC_UPGRADE", Meaning::NotReady),
    (0x12f, "TPM_RC_AUTH_UNAVAILABLE", Meaning::Other),
    (0x130, "TPM_RC_REBOOT", Meaning::NotReady),
    (0x142, "TPM_RC_COMMAND_SIZE", Meaning::Other),
    (0x143, "TPM_RC_COMMAND_CODE", Meaning::NotSupported),
    (0x144, "TPM_RC_AUTHSIZE", Meaning::Other),
    (0x082, "TPM_RC_ATTRIBUTES", Meaning::Other),
    (0x083, "TPM_RC_HASH", Meaning::NotSupported),
    (0x084, "TPM_RC_VALUE", Meaning::Other),
    (0x085, "TPM_RC_HIERARCHY", Meaning::Other),
    (0x089, "TPM_RC_MODE", Meaning::NotSupported),
    (0x08a, "TPM_RC_TYPE", Meaning::NotSupported),
    (0x08b, "TPM_RC_HANDLE", Meaning::NoSuchHandle),
    (0x08d, "TPM_RC_RANGE", Meaning::Other),
    (0x08e, "TPM_RC_AUTH_FAIL", Meaning::WrongAuth),
    (0x092, "TPM_RC_SCHEME", Meaning::NotSupported),
    (0x095, "TPM_RC_SIZE", Meaning::Other),
    (0x096, "TPM_RC_SYMMETRIC", Meaning::NotSupported),
    (0x09a, "TPM_RC_INSUFFICIENT", Meaning::Other),
    (0x09c, "TPM_RC_KEY", Meaning::Other),
    (0x09f, "TPM_RC_INTEGRITY", Meaning::NotItsOwn),
    (0x0a0, "TPM_RC_TICKET", Meaning::Other),
    (0x0a2, "TPM_RC_BAD_AUTH", Meaning::WrongAuth),
    (0x0a6, "TPM_RC_CURVE", Meaning::NotSupported),
    (0x0a7, "TPM_RC_ECC_POINT", Meaning::NotItsOwn),
    (0x902, "TPM_RC_OBJECT_MEMORY", Meaning::NoRoom),
    (0x904, "TPM_RC_MEMORY", Meaning::NoRoom),
    (0x906, "TPM_RC_OBJECT_HANDLES", Meaning::NoRoom),
    (0x908, "TPM_RC_YIELDED", Meaning::TryAgain),
    (0x909, "TPM_RC_CANCELED", Meaning::TryAgain),
    (0x90a, "TPM_RC_TESTING", Meaning::TryAgain),
    (0x910, "TPM_RC_REFERENCE_H0", Meaning::NoSuchHandle),
    (0x920, "TPM_RC_NV_RATE", Meaning::TryAgain),
    (0x921, "TPM_RC_LOCKOUT", Meaning::Lockout),
    (0x922, "TPM_RC_RETRY", Meaning::TryAgain),
];

impl ResponseCode {
    /// As it came; zero is success and no code of this kind.
    #[must_use]
    pub const fn new(code: u32) -> Option<Self> {
        if code == 0 { None } else { Some(Self(code)) }
    }

    /// As it came.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.0
    }

    fn known(self) -> Option<&'static (u32, &'static str, Meaning)> {
        let code = self.0 & !LAYER;
        let bare = if code & FORMAT_ONE == 0 { code } else { code & FORMAT_ONE_ERROR };
        NAMES.iter().find(|(known, ..)| *known == bare)
    }

    /// What it means for whoever sent the command.
    #[must_use]
    pub fn meaning(self) -> Meaning {
        self.known().map_or(Meaning::Other, |(.., meaning)| *meaning)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((_, name, _)) => write!(f, "{name} (0x{:x})", self.0),
            None => write!(f, "response code 0x{:x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn meaning(code: u32) -> Meaning {
        ResponseCode::new(code).unwrap().meaning()
    }

    #[test]
    fn warnings_are_tried_again_and_a_lockout_is_not() {
        for code in [0x908, 0x909, 0x90a, 0x920, 0x922] {
            assert_eq!(meaning(code), Meaning::TryAgain, "{code:x}");
        }
        assert_eq!(meaning(0x921), Meaning::Lockout);
        assert_eq!(meaning(0x902), Meaning::NoRoom);
    }

    #[test]
    fn the_handle_or_parameter_that_a_code_names_does_not_change_its_meaning() {
        // Parameter 1, session 1, handle 1 and 2.
        assert_eq!(meaning(0x1df), Meaning::NotItsOwn);
        assert_eq!(meaning(0x98e), Meaning::WrongAuth);
        assert_eq!(meaning(0x9a2), Meaning::WrongAuth);
        assert_eq!(meaning(0x18b), Meaning::NoSuchHandle);
        assert_eq!(meaning(0x28b), Meaning::NoSuchHandle);
        assert_eq!(ResponseCode::new(0x1df).unwrap().to_string(), "TPM_RC_INTEGRITY (0x1df)");
    }

    #[test]
    fn the_kernels_resource_manager_is_understood_and_the_unknown_is_shown() {
        assert_eq!(meaning(0x000b_0143), Meaning::NotSupported);
        assert_eq!(meaning(0x0fff), Meaning::Other);
        assert_eq!(ResponseCode::new(0x155).unwrap().to_string(), "response code 0x155");
        assert_eq!(ResponseCode::new(0), None);
    }

    #[test]
    fn no_code_stands_twice() {
        for (at, (code, name, _)) in NAMES.iter().enumerate() {
            assert!(NAMES[..at].iter().all(|(other, ..)| other != code), "{name}");
        }
    }
}
