//! The names by which this machine is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Host names and addresses for the server certificate.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) hosts: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

impl Names {
    /// What the machine is called, what it is reached by, and what the operator adds.
    pub(super) fn find(more: &[String]) -> Self {
        let mut hosts = vec!["localhost".to_owned()];
        let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        for name in more.iter().map(String::as_str).chain([hostname.trim()]) {
            match name.parse::<IpAddr>() {
                Ok(address) => addresses.push(address),
                Err(_) if is_host(name) => hosts.push(name.to_lowercase()),
                Err(_) => {}
            }
        }
        addresses.extend(outward("0.0.0.0:0", "192.0.2.1:9"));
        addresses.extend(outward("[::]:0", "[2001:db8::1]:9"));
        hosts.dedup();
        addresses.dedup();
        Self { hosts, addresses }
    }

    /// The name to print in links for other machines.
    pub(super) fn outer(&self) -> &str {
        self.hosts.last().map_or("localhost", String::as_str)
    }
}

/// The address that packets to the outside would carry. Nothing is sent: connecting a UDP socket only
/// looks the route up.
fn outward(from: &str, to: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_the_operator_are_taken() {
        let names = Names::find(&["Hub.Local".into(), "10.1.2.3".into(), "not a host".into()]);
        assert!(names.hosts.contains(&"hub.local".to_owned()));
        assert!(names.addresses.contains(&"10.1.2.3".parse().unwrap()));
        assert!(names.hosts.iter().all(|host| is_host(host)));
    }

    #[test]
    fn odd_host_names_are_left_out() {
        for name in ["", "-a", "a-", "a_b", "a..b"] {
            assert!(!is_host(name), "{name}");
        }
    }
}
