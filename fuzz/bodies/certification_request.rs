//! A certification request: what is accepted names the device by the key that it carries.

use hedgerow_base::DeviceId;
use hedgerow_identity::Request;

pub(super) fn run(der: &[u8]) -> bool {
    let Ok(request) = Request::parse(der) else { return false };
    assert!(der.windows(request.key().len()).any(|part| part == request.key()));
    assert_eq!(request.device(), DeviceId::from_public_key(request.key()));
    true
}
