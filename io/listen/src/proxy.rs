//! The PROXY protocol, version 2: whom a load balancer speaks for.
//!
//! A connection from a network that was named as proxies begins with a header that says where the client
//! is; without it the connection ends, so nobody comes in by forgetting it. From anywhere else no header
//! is looked for: a client can't say that it is somebody else.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::PROXY_HEADER_BYTES_MAX;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED_BYTES: usize = 16;

/// A network, as in `192.0.2.0/24`; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// It is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a network: write it as 192.0.2.0/24, 2001:db8::/32, or as one address")
    }
}

impl std::error::Error for NotANetwork {}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| NotANetwork)?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or(NotANetwork)?,
        };
        let network = Self { address, bits };
        // A network with bits beyond its own is a typing error, and a guard with one guards nothing.
        if network.masked(network.address) == network.address {
            Ok(network)
        } else {
            Err(NotANetwork)
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Network {
    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == self.address
    }

    /// The address's part of a network like this; of the same family.
    fn masked(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let mask =
                    u32::MAX.checked_shl(32u32.saturating_sub(self.bits.into())).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask =
                    u128::MAX.checked_shl(128u32.saturating_sub(self.bits.into())).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

/// Where the client is whose connection comes from `from`: what the header says, if that is one of the
/// proxies. Reads no byte beyond the header.
///
/// # Errors
/// The word for the counters: the header is missing, wrong, or the connection broke.
pub async fn client_address(
    stream: &mut (impl AsyncRead + Unpin),
    from: IpAddr,
    proxies: &[Network],
) -> Result<IpAddr, &'static str> {
    if !proxies.iter().any(|proxy| proxy.contains(from)) {
        return Ok(from);
    }
    let mut header = [0; PROXY_HEADER_BYTES_MAX];
    let (fixed, rest) = header.split_at_mut(FIXED_BYTES);
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "no-proxy-header",
        _ => "reset",
    };
    stream.read_exact(fixed).await.map_err(broken)?;
    let length = length(fixed).ok_or("no-proxy-header")?;
    let rest = rest.get_mut(..length).ok_or("proxy-header-too-long")?;
    stream.read_exact(rest).await.map_err(broken)?;
    client(fixed, rest).ok_or("wrong-proxy-header").map(|client| client.unwrap_or(from))
}

/// Bytes after the fixed part; `None` when this is no header of version 2.
fn length(fixed: &[u8]) -> Option<usize> {
    let (signature, rest) = fixed.split_first_chunk()?;
    let [version, _, high, low] = rest else { return None };
    (*signature == SIGNATURE && version >> 4 == 2)
        .then(|| usize::from(u16::from_be_bytes([*high, *low])))
}

/// The client's address; `Some(None)` when the proxy speaks for itself, as for a look whether we are up.
fn client(fixed: &[u8], rest: &[u8]) -> Option<Option<IpAddr>> {
    let [version_command, family, ..] = *fixed.get(12..)? else { return None };
    match (version_command & 0x0f, family) {
        (0, _) => Some(None),
        // TCP over IPv4 and IPv6: source, destination, two ports.
        (1, 0x11) => {
            let source: &[u8; 4] = rest.first_chunk()?;
            (rest.len() >= 12).then(|| Some(IpAddr::from(*source)))
        }
        (1, 0x21) => {
            let source: &[u8; 16] = rest.first_chunk()?;
            (rest.len() >= 36).then(|| Some(IpAddr::from(*source)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &length, rest].concat()
    }

    fn v4() -> Vec<u8> {
        header(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x22, 0xb3])
    }

    async fn read(bytes: &[u8], from: &str) -> (Result<IpAddr, &'static str>, Vec<u8>) {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "fd00::1".parse().unwrap()];
        let mut left = bytes;
        let read = client_address(&mut left, from.parse().unwrap(), &proxies).await;
        (read, left.to_vec())
    }

    #[tokio::test]
    async fn a_proxy_says_where_the_client_is_and_what_follows_is_left_alone() {
        let bytes = [v4(), b"\x16\x03\x01".to_vec()].concat();
        let (read_v4, left) = read(&bytes, "10.1.2.3").await;
        assert_eq!((read_v4, &*left), (Ok("192.0.2.7".parse().unwrap()), &b"\x16\x03\x01"[..]));
        let client: Ipv6Addr = "2001:db8::5".parse().unwrap();
        // With two bytes of the kind that may follow the addresses.
        let rest = [&client.octets()[..], &[0; 16], &[0, 1, 0, 2], &[4, 0]].concat();
        let (read_v6, _) = read(&header(0x21, 0x21, &rest), "fd00::1").await;
        assert_eq!(read_v6, Ok(client.into()));
        let (health, _) = read(&header(0x20, 0, &[]), "10.1.2.3").await;
        assert_eq!(health, Ok("10.1.2.3".parse().unwrap()), "the proxy speaks for itself");
    }

    #[tokio::test]
    async fn nobody_else_is_believed_or_even_read() {
        for from in ["192.0.2.1", "11.0.0.1", "fd00::2"] {
            let (read, left) = read(&v4(), from).await;
            assert_eq!((read, left), (Ok(from.parse().unwrap()), v4()));
        }
        let (mapped, _) = read(&v4(), "::ffff:10.0.0.9").await;
        assert_eq!(mapped, Ok("192.0.2.7".parse().unwrap()), "an IPv4 proxy on an IPv6 socket");
    }

    #[tokio::test]
    async fn a_proxy_without_a_sound_header_is_sent_away() {
        let whole = v4();
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end], "10.0.0.1").await.0, Err("no-proxy-header"), "{end}");
        }
        for place in 0..13 {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x40;
            assert_eq!(read(&bytes, "10.0.0.1").await.0, Err("no-proxy-header"), "{place}");
        }
        let text = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 8883\r\n";
        assert_eq!(read(text, "10.0.0.1").await.0, Err("no-proxy-header"), "version 1");
        for (version_command, family, rest) in [
            (0x22, 0x11, 12),
            (0x21, 0x12, 12),
            (0x21, 0x31, 216),
            (0x21, 0x00, 0),
            (0x21, 0x11, 11),
            (0x21, 0x21, 35),
        ] {
            let bytes = header(version_command, family, &vec![0; rest]);
            assert_eq!(read(&bytes, "10.0.0.1").await.0, Err("wrong-proxy-header"), "{bytes:x?}");
        }
    }

    #[tokio::test]
    async fn a_header_at_the_limit_passes_and_one_past_it_does_not() {
        let rest = |more: usize| {
            let mut rest = v4()[FIXED_BYTES..].to_vec();
            rest.resize(PROXY_HEADER_BYTES_MAX - FIXED_BYTES + more, 0);
            header(0x21, 0x11, &rest)
        };
        assert!(read(&rest(0), "10.0.0.1").await.0.is_ok());
        assert_eq!(read(&rest(1), "10.0.0.1").await.0, Err("proxy-header-too-long"));
    }

    #[test]
    fn networks_are_read_and_typing_errors_are_not() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("0.0.0.0/0", "203.0.113.9") && contains("::/0", "2001:db8::1"));
        assert!(contains("192.0.2.128/25", "192.0.2.255"));
        assert!(!contains("192.0.2.128/25", "192.0.2.127"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1") && !contains("::/0", "192.0.2.1"));
        for wrong in ["", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::/129", "localhost"] {
            assert_eq!(wrong.parse::<Network>(), Err(NotANetwork), "{wrong}");
        }
        assert_eq!("fd00::/8".parse::<Network>().unwrap().to_string(), "fd00::/8");
    }
}
