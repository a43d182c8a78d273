use std::{fmt, str::FromStr};

use crate::AgentError;

const DEFAULT_PORT: u16 = 8444;

/// Where a hub takes devices: `https://host:8444`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubUrl {
    host: String,
    port: u16,
}

impl HubUrl {
    /// The host, as in a URL: an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}:{}", self.host, self.port)
    }
}

impl FromStr for HubUrl {
    type Err = AgentError;

    /// Reads a URL; scheme and port may be left out, a path may not be there.
    fn from_str(text: &str) -> Result<Self, AgentError> {
        let wrong = || AgentError::Address(text.into());
        let rest = text.trim().strip_prefix("https://").unwrap_or(text.trim());
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            Some(_) | None => (rest, DEFAULT_PORT),
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_good = match inner {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(plain),
        };
        if is_good { Ok(Self { host: host.into(), port }) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_scheme_and_port() {
        for (text, url) in [
            ("https://hub.local:9000", "https://hub.local:9000"),
            ("hub.local", "https://hub.local:8444"),
            ("https://[::1]:8444/", "https://[::1]:8444"),
            ("[::1]", "https://[::1]:8444"),
        ] {
            assert_eq!(text.parse::<HubUrl>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "http://hub", "https://hub/path", "hub:port", "[::zz]", "a b", "::1"] {
            assert!(text.parse::<HubUrl>().is_err(), "{text}");
        }
    }
}
