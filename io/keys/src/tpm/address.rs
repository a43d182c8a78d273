use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use crate::{KeyError, limits::TPM_ADDRESS_BYTES_MAX};

/// Where a TPM is: `tpm:/dev/tpmrm0`, or `tpm:swtpm:127.0.0.1:2321` for an emulated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TpmAddress {
    /// A device file; the kernel's resource manager (`/dev/tpmrm0`) lets many programs use it.
    Device(PathBuf),
    /// The socket of swtpm, on this machine alone: what is said there is not encrypted, and whoever hears
    /// it can answer.
    Swtpm(SocketAddr),
}

impl TpmAddress {
    /// The TPM of this machine, behind the kernel's resource manager.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::Device("/dev/tpmrm0".into())
    }
}

impl fmt::Display for TpmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "tpm:{}", path.display()),
            Self::Swtpm(at) => write!(f, "tpm:swtpm:{at}"),
        }
    }
}

impl FromStr for TpmAddress {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::TpmAddress(text.into());
        let fits = text.len() <= TPM_ADDRESS_BYTES_MAX;
        let rest = text.strip_prefix("tpm:").filter(|_| fits).ok_or_else(wrong)?;
        if let Some(at) = rest.strip_prefix("swtpm:") {
            let at: SocketAddr = at.parse().map_err(|_| wrong())?;
            let is_here = at.ip().is_loopback() && at.port() != 0;
            return is_here.then_some(Self::Swtpm(at)).ok_or_else(wrong);
        }
        let is_path = rest.starts_with('/') && !rest.chars().any(char::is_control);
        is_path.then(|| Self::Device(rest.into())).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["tpm:/dev/tpmrm0", "tpm:swtpm:127.0.0.1:2321", "tpm:swtpm:[::1]:2321"] {
            assert_eq!(text.parse::<TpmAddress>().unwrap().to_string(), text);
        }
        assert_eq!(TpmAddress::of_this_machine().to_string(), "tpm:/dev/tpmrm0");
    }

    #[test]
    fn an_address_has_a_limit() {
        let of = |len: usize| format!("tpm:/{}", "d".repeat(len - 5)).parse::<TpmAddress>();
        assert!(of(TPM_ADDRESS_BYTES_MAX).is_ok());
        assert!(of(TPM_ADDRESS_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn an_emulated_tpm_elsewhere_is_refused() {
        for text in [
            "tpm:swtpm:192.0.2.1:2321",
            "tpm:swtpm:0.0.0.0:2321",
            "tpm:swtpm:localhost:2321",
            "tpm:swtpm:127.0.0.1:0",
            "tpm:swtpm:127.0.0.1",
            "tpm:dev/tpmrm0",
            "tpm:",
            "/dev/tpmrm0",
            "tpm:/dev/tpm\nrm0",
        ] {
            let error = text.parse::<TpmAddress>().unwrap_err();
            assert!(error.to_string().contains("write tpm:/dev/tpmrm0"), "{text}");
        }
    }
}
