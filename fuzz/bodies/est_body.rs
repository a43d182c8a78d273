//! An EST body: the DER in it is written back as a body that reads the same; a message of certificates
//! is too.

use hedgerow_onboarding::est::{certs_only, from_body, read_certs_only, to_body};

pub(super) fn run(body: &[u8]) -> bool {
    let Ok(der) = from_body(body) else { return false };
    assert_eq!(from_body(to_body(&der).as_bytes()).as_ref(), Ok(&der));
    let Ok(certificates) = read_certs_only(&der) else { return false };
    let parts: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    assert_eq!(read_certs_only(&certs_only(&parts)), Ok(certificates));
    true
}
