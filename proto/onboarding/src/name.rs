//! The name of a device or program in a certificate, as a URI in the SubjectAltName: `urn:hedgerow:device:<id>`,
//! `urn:hedgerow:application:<number>`.

use alloc::{format, string::String};

use hedgerow_base::DeviceId;

const DEVICE: &str = "urn:hedgerow:device:";
const APPLICATION: &str = "urn:hedgerow:application:";

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

/// The URI for a program, by the number of its token.
#[must_use]
pub fn application_uri(token: i64) -> String {
    format!("{APPLICATION}{token}")
}

/// Whether a URI names a program. Which one is known by the certificate itself.
#[must_use]
pub fn is_application_uri(uri: &str) -> bool {
    uri.starts_with(APPLICATION)
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
    fn a_program_is_no_device() {
        let uri = application_uri(7);
        assert!(is_application_uri(&uri) && parse_device_uri(&uri).is_none());
        assert!(!is_application_uri(&device_uri(DeviceId::from_bytes([3; 16]))));
    }

    #[test]
    fn other_uris_name_no_device() {
        for uri in ["", "urn:hedgerow:device:", "urn:hedgerow:hub:0", "URN:hedgerow:device:x"] {
            assert_eq!(parse_device_uri(uri), None);
        }
    }
}
