//! The name of a device in a certificate: `urn:hedgerow:device:<id>` as a URI in the SubjectAltName.

use alloc::{format, string::String};

use hedgerow_base::DeviceId;

const DEVICE: &str = "urn:hedgerow:device:";

/// The URI for a device.
#[must_use]
pub fn device_uri(id: DeviceId) -> String {
    format!("{DEVICE}{id}")
}

/// Reads [`device_uri`]; `None` for any other URI.
#[must_use]
pub fn parse_device_uri(uri: &str) -> Option<DeviceId> {
    uri.strip_prefix(DEVICE)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_uri_is_read_as_it_is_written() {
        let id = DeviceId::from_bytes([3; 16]);
        assert_eq!(parse_device_uri(&device_uri(id)), Some(id));
    }

    #[test]
    fn other_uris_name_no_device() {
        for uri in ["", "urn:hedgerow:device:", "urn:hedgerow:hub:0", "URN:hedgerow:device:x"] {
            assert_eq!(parse_device_uri(uri), None);
        }
    }
}
