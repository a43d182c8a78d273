use hedgerow_onboarding::der::{NotDer, Reader, tag};

/// The SubjectPublicKeyInfo (DER) of a certificate, found by walking over what stands before it.
///
/// # Errors
/// [`NotDer`] when the bytes are not a certificate.
pub fn certificate_key(certificate: &[u8]) -> Result<&[u8], NotDer> {
    let mut fields = Reader::new(certificate)?.enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
    if fields.peek() == Some(tag::CONTEXT_0) {
        fields.any()?;
    }
    // serialNumber, signature, issuer, validity, subject
    for expected in [tag::INTEGER, tag::SEQUENCE, tag::SEQUENCE, tag::SEQUENCE, tag::SEQUENCE] {
        fields.take(expected)?;
    }
    let (found, _, whole) = fields.any()?;
    if found == tag::SEQUENCE { Ok(whole) } else { Err(NotDer) }
}
