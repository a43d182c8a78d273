use alloc::vec::Vec;

use crate::{
    Problem, Reader, Writer,
    limits::{PRIVATE_BYTES_MAX, PUBLIC_BYTES_MAX},
};

/// TPM_ALG_AES.
const AES: u16 = 0x0006;
/// TPM_ALG_SHA256.
pub(crate) const SHA256: u16 = 0x000b;
/// TPM_ALG_NULL.
const NULL: u16 = 0x0010;
/// TPM_ALG_ECDSA.
pub(crate) const ECDSA: u16 = 0x0018;
/// TPM_ALG_ECC.
const ECC: u16 = 0x0023;
/// TPM_ALG_CFB.
const CFB: u16 = 0x0043;
/// TPM_ECC_NIST_P256.
const P256: u16 = 0x0003;

/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA: made in the TPM, bound to it, and no
/// victim of somebody else's wrong passwords.
const BOUND: u32 = 0x0002 | 0x0010 | 0x0020 | 0x0040 | 0x0400;
/// restricted.
const RESTRICTED: u32 = 0x0001_0000;
/// decrypt.
const DECRYPT: u32 = 0x0002_0000;
/// sign.
const SIGN: u32 = 0x0004_0000;

/// Bytes of a coordinate on P-256.
const COORDINATE: usize = 32;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The parent of others: the TCG's storage root key on P-256 (TPM v2.0 Provisioning Guidance, section
    /// 7.5.1), AES-128-CFB inside.
    Storage,
    /// ECDSA with SHA-256 over any digest.
    Signing,
    /// ECDSA with SHA-256 over what the TPM itself says: it signs nothing that looks like that and comes
    /// from elsewhere.
    Attestation,
}

impl Use {
    const fn attributes(self) -> u32 {
        match self {
            Self::Storage => BOUND | RESTRICTED | DECRYPT,
            Self::Signing => BOUND | SIGN,
            Self::Attestation => BOUND | RESTRICTED | SIGN,
        }
    }
}

/// A point on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Big-endian.
    pub x: [u8; COORDINATE],
    /// Big-endian.
    pub y: [u8; COORDINATE],
}

impl Point {
    /// As SEC 1 writes it uncompressed: 4, x, y.
    #[must_use]
    pub fn uncompressed(&self) -> [u8; 65] {
        let mut out = [4; 65];
        let bytes = self.x.iter().chain(&self.y);
        out.iter_mut().skip(1).zip(bytes).for_each(|(to, from)| *to = *from);
        out
    }
}

/// The public area of a key (TPMT_PUBLIC) of one of the kinds that are made here: on P-256, named by
/// SHA-256, bound to its TPM, used by authValue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// What it is for.
    pub purpose: Use,
    /// The public point; of a template, zeros.
    pub point: Point,
}

impl Public {
    /// What a key of this kind is made after. The zeros belong to the TCG's template of the storage root
    /// key: other ones, or none, give another key.
    #[must_use]
    pub const fn template(purpose: Use) -> Self {
        let zero = [0; COORDINATE];
        Self { purpose, point: Point { x: zero, y: zero } }
    }

    /// TPM2B_PUBLIC without its size.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u16(ECC).u16(SHA256).u32(self.purpose.attributes()).sized(&[]);
        match self.purpose {
            Use::Storage => out.u16(AES).u16(128).u16(CFB).u16(NULL),
            Use::Signing | Use::Attestation => out.u16(NULL).u16(ECDSA).u16(SHA256),
        };
        out.u16(P256).u16(NULL).sized(&self.point.x).sized(&self.point.y).finish()
    }

    /// Reads what [`Self::to_bytes`] writes.
    ///
    /// # Errors
    /// When it is cut, or a key of another kind.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        let other = Err(Problem::Unexpected("a key of another kind"));
        if bytes.len() > PUBLIC_BYTES_MAX {
            return Err(Problem::Malformed("a public area is longer than allowed"));
        }
        let mut reader = Reader::new(bytes);
        if reader.u16()? != ECC || reader.u16()? != SHA256 {
            return other;
        }
        let attributes = reader.u32()?;
        let purposes = [Use::Storage, Use::Signing, Use::Attestation];
        let purpose = purposes.into_iter().find(|purpose| purpose.attributes() == attributes);
        let Some(purpose) = purpose else { return other };
        if !reader.sized(COORDINATE)?.is_empty() {
            return other;
        }
        let algorithms: &[u16] = match purpose {
            Use::Storage => &[AES, 128, CFB, NULL, P256, NULL],
            Use::Signing | Use::Attestation => &[NULL, ECDSA, SHA256, P256, NULL],
        };
        for algorithm in algorithms {
            if reader.u16()? != *algorithm {
                return other;
            }
        }
        let point = Point { x: coordinate(&mut reader)?, y: coordinate(&mut reader)? };
        reader.end()?;
        Ok(Self { purpose, point })
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.sized(&self.to_bytes());
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        Self::from_bytes(reader.sized(PUBLIC_BYTES_MAX)?)
    }
}

/// A TPM2B_ECC_PARAMETER; some TPMs leave leading zeros out.
pub(crate) fn coordinate(reader: &mut Reader<'_>) -> Result<[u8; COORDINATE], Problem> {
    let bytes = reader.sized(COORDINATE)?;
    let mut out = [0; COORDINATE];
    out.iter_mut().rev().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
    Ok(out)
}

/// TPM2B_PRIVATE: a private key, encrypted by its parent. No secret: no other TPM can open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Private(Vec<u8>);

impl Private {
    /// As a TPM gave it, without the size.
    ///
    /// # Errors
    /// When it has more than [`PRIVATE_BYTES_MAX`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() > PRIVATE_BYTES_MAX {
            return Err(Problem::TooLong("a private area"));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Without the size.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn the_storage_template_is_the_tcgs() {
        let mut expected = vec![0, 0x23, 0, 0x0b, 0, 3, 4, 0x72, 0, 0];
        expected.extend([0, 6, 0, 0x80, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10]);
        expected.extend([[0, 32].as_slice(), &[0; 32], &[0, 32], &[0; 32]].concat());
        assert_eq!(Public::template(Use::Storage).to_bytes(), expected);
    }

    #[test]
    fn a_key_that_could_leave_its_tpm_is_not_taken() {
        let good = Public::template(Use::Signing).to_bytes();
        for purpose in [Use::Storage, Use::Signing, Use::Attestation] {
            let template = Public::template(purpose);
            assert_eq!(Public::from_bytes(&template.to_bytes()), Ok(template));
        }
        // fixedTPM, fixedParent, sensitiveDataOrigin, noDA; decrypt; another curve.
        for (at, bit) in [(7, 0x02), (7, 0x10), (7, 0x20), (6, 0x04), (5, 0x02), (17, 0x07)] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            assert!(Public::from_bytes(&bad).is_err(), "byte {at}, bit {bit:x}");
        }
    }

    #[test]
    fn leading_zeros_that_were_left_out_come_back() {
        let bytes = Writer::default().sized(&[1, 2]).finish();
        let read = coordinate(&mut Reader::new(&bytes)).unwrap();
        assert_eq!((read[29], read[30], read[31]), (0, 1, 2));
        let long = Writer::default().sized(&[1; 33]).finish();
        assert!(coordinate(&mut Reader::new(&long)).is_err());
    }

    #[test]
    fn private_and_public_areas_have_limits() {
        assert!(Private::from_bytes(&[0; PRIVATE_BYTES_MAX]).is_ok());
        assert!(Private::from_bytes(&[0; PRIVATE_BYTES_MAX + 1]).is_err());
        let problem = |len| Public::from_bytes(&vec![0; len]).unwrap_err();
        assert!(matches!(problem(PUBLIC_BYTES_MAX), Problem::Unexpected(_)));
        assert!(matches!(problem(PUBLIC_BYTES_MAX + 1), Problem::Malformed(_)));
    }

    #[test]
    fn a_point_is_written_as_sec_1_says() {
        let point = Point { x: [1; 32], y: [2; 32] };
        let bytes = point.uncompressed();
        assert_eq!((bytes[0], bytes[1], bytes[32], bytes[33], bytes[64]), (4, 1, 1, 2, 2));
    }
}
