use crate::{
    Auth, Command, Handle, Problem, Reader, Writer,
    object::{ECDSA, SHA256, coordinate},
};

/// TPM_ST_HASHCHECK.
const HASH_CHECK: u16 = 0x8024;

/// TPM2_Sign: ECDSA over a SHA-256 digest. The ticket is the empty one, as an unrestricted key takes it:
/// the digest was made elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Sign<'a> {
    /// A loaded signing key.
    pub key: Handle,
    /// Its authValue.
    pub auth: &'a Auth,
    /// SHA-256 of the message.
    pub digest: [u8; 32],
}

/// An ECDSA signature on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Big-endian.
    pub r: [u8; 32],
    /// Big-endian.
    pub s: [u8; 32],
}

impl Signature {
    /// Reads a TPMT_SIGNATURE.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        if reader.u16()? != ECDSA || reader.u16()? != SHA256 {
            return Err(Problem::Unexpected("a signature of another kind"));
        }
        Ok(Self { r: coordinate(reader)?, s: coordinate(reader)? })
    }
}

impl Command for Sign<'_> {
    const CODE: u32 = 0x15d;
    const IS_AUTHORIZED: bool = true;
    type Answer = Signature;

    fn handle(&self) -> Option<Handle> {
        Some(self.key)
    }

    fn auth(&self) -> &Auth {
        self.auth
    }

    fn write(&self, parameters: &mut Writer) {
        parameters.sized(&self.digest).u16(ECDSA).u16(SHA256);
        parameters.u16(HASH_CHECK).u32(Handle::NULL.number()).sized(&[]);
    }

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<Signature, Problem> {
        Signature::read(parameters)
    }
}
