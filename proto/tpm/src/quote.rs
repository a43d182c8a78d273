use alloc::vec::Vec;

use crate::{
    Auth, Command, Handle, Pcrs, Problem, Reader, Signature, Writer,
    limits::{ATTEST_BYTES_MAX, NONCE_BYTES_MAX},
    object::{ECDSA, SHA256},
};

/// TPM_GENERATED_VALUE: what a restricted key signs begins with it if the TPM wrote it, and never else.
const GENERATED: u32 = 0xff54_4347;
/// TPM_ST_ATTEST_QUOTE.
const ATTEST_QUOTE: u16 = 0x8018;
/// Bytes of a name: an algorithm and the largest digest.
const NAME_BYTES_MAX: usize = 66;
/// Bytes of the longest digest.
const DIGEST_BYTES_MAX: usize = 64;

/// TPM2_Quote: what is in registers, signed. Proof of anything only by a key for
/// [`crate::Use::Attestation`].
#[derive(Clone, Copy, Debug)]
pub struct Quote<'a> {
    key: Handle,
    auth: &'a Auth,
    nonce: &'a [u8],
    pcrs: Pcrs,
}

impl<'a> Quote<'a> {
    /// Of these registers, by a loaded key with its authValue. The nonce is the asker's: it comes back as
    /// part of what is signed.
    ///
    /// # Errors
    /// When the nonce has more than [`NONCE_BYTES_MAX`].
    pub fn of(key: Handle, auth: &'a Auth, nonce: &'a [u8], pcrs: Pcrs) -> Result<Self, Problem> {
        if nonce.len() > NONCE_BYTES_MAX {
            return Err(Problem::TooLong("a nonce"));
        }
        Ok(Self { key, auth, nonce, pcrs })
    }
}

/// A quote as the TPM gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// What was signed, byte for byte: TPMS_ATTEST.
    pub attest: Vec<u8>,
    /// ECDSA over its SHA-256.
    pub signature: Signature,
}

impl Command for Quote<'_> {
    const CODE: u32 = 0x158;
    const IS_AUTHORIZED: bool = true;
    type Answer = Quoted;

    fn handle(&self) -> Option<Handle> {
        Some(self.key)
    }

    fn auth(&self) -> &Auth {
        self.auth
    }

    fn write(&self, parameters: &mut Writer) {
        parameters.sized(self.nonce).u16(ECDSA).u16(SHA256);
        self.pcrs.write(parameters);
    }

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<Quoted, Problem> {
        let attest = parameters.sized(ATTEST_BYTES_MAX)?.to_vec();
        Ok(Quoted { attest, signature: Signature::read(parameters)? })
    }
}

/// What a quote says (TPMS_ATTEST with TPMS_QUOTE_INFO). Whether it was signed, and by whom, is for the
/// reader to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attest {
    /// Qualified name of the key that signed.
    pub signer: Vec<u8>,
    /// The asker's nonce.
    pub nonce: Vec<u8>,
    /// Milliseconds for which the TPM had power since it was cleared.
    pub clock_ms: u64,
    /// How often the machine was started since then.
    pub reset_count: u32,
    /// How often the TPM was shut down and taken up again since the last of those starts.
    pub restart_count: u32,
    /// Whether the clock never said more than it says now.
    pub is_clock_safe: bool,
    /// The TPM's firmware, as its maker counts.
    pub firmware_version: u64,
    /// Which registers.
    pub pcrs: Pcrs,
    /// SHA-256 over their values, one after the other.
    pub pcr_digest: [u8; 32],
}

impl Attest {
    /// Reads what was signed.
    ///
    /// # Errors
    /// When it is no quote that a TPM made, or is cut.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() > ATTEST_BYTES_MAX {
            return Err(Problem::Malformed("it is longer than allowed"));
        }
        let mut reader = Reader::new(bytes);
        if reader.u32()? != GENERATED || reader.u16()? != ATTEST_QUOTE {
            return Err(Problem::Unexpected("no quote of a TPM"));
        }
        let attest = Self {
            signer: reader.sized(NAME_BYTES_MAX)?.to_vec(),
            nonce: reader.sized(NONCE_BYTES_MAX)?.to_vec(),
            clock_ms: reader.u64()?,
            reset_count: reader.u32()?,
            restart_count: reader.u32()?,
            is_clock_safe: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Problem::Malformed("neither yes nor no")),
            },
            firmware_version: reader.u64()?,
            pcrs: Pcrs::read(&mut reader)?,
            pcr_digest: reader
                .sized(DIGEST_BYTES_MAX)?
                .try_into()
                .map_err(|_| Problem::Unexpected("a digest of another length"))?,
        };
        reader.end().map(|()| attest)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn a_nonce_has_a_limit() {
        let (auth, bytes) = (Auth::EMPTY, [0; NONCE_BYTES_MAX + 1]);
        let of = |len| Quote::of(Handle::NULL, &auth, &bytes[..len], Pcrs::default());
        assert!(of(NONCE_BYTES_MAX).is_ok());
        assert!(of(NONCE_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn a_quote_has_a_limit_and_is_nothing_else() {
        let problem = |bytes: &[u8]| Attest::from_bytes(bytes).unwrap_err();
        assert!(matches!(problem(&[0; ATTEST_BYTES_MAX]), Problem::Unexpected(_)));
        assert!(matches!(problem(&[0; ATTEST_BYTES_MAX + 1]), Problem::Malformed(_)));
        // TPM_ST_ATTEST_CERTIFY; not generated by a TPM.
        for head in
            [vec![0xff, 0x54, 0x43, 0x47, 0x80, 0x17], vec![0, 0x54, 0x43, 0x47, 0x80, 0x18]]
        {
            assert!(matches!(problem(&head), Problem::Unexpected(_)));
        }
    }
}
