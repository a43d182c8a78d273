use alloc::vec::Vec;

use crate::{
    Command, Handle, Problem, Reader, Writer,
    limits::{RANDOM_BYTES_MAX, VALUES_MAX},
    object::ECDSA,
};

/// TPM2_CC_GetCapability.
const GET_CAPABILITY: u32 = 0x17a;
/// TPM_CAP_ALGS.
const ALGORITHMS: u32 = 0;
/// TPM_CAP_TPM_PROPERTIES.
const PROPERTIES: u32 = 6;
/// TPM_CAP_ECC_CURVES.
const ECC_CURVES: u32 = 8;
/// TPM_PT_MANUFACTURER.
const MANUFACTURER: u32 = 0x105;
/// TPM_ECC_NIST_P256.
const P256: u16 = 3;

/// TPM2_GetRandom: is there a TPM, and is it well?
#[derive(Clone, Copy, Debug)]
pub struct GetRandom(u16);

impl GetRandom {
    /// So many bytes; a TPM may give fewer.
    ///
    /// # Errors
    /// When it is more than [`RANDOM_BYTES_MAX`].
    pub fn of(len: usize) -> Result<Self, Problem> {
        let fits = len <= RANDOM_BYTES_MAX;
        let len = u16::try_from(len).ok().filter(|_| fits);
        len.map(Self).ok_or(Problem::TooLong("a wish for random bytes"))
    }
}

/// Random bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(pub Vec<u8>);

impl Command for GetRandom {
    const CODE: u32 = 0x17b;
    type Answer = Random;

    fn write(&self, parameters: &mut Writer) {
        parameters.u16(self.0);
    }

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<Random, Problem> {
        parameters.sized(RANDOM_BYTES_MAX).map(|bytes| Random(bytes.to_vec()))
    }
}

/// Writes what TPM2_GetCapability asks for.
fn ask(parameters: &mut Writer, capability: u32, first: u32, count: u32) {
    parameters.u32(capability).u32(first).u32(count);
}

/// Reads up to the values: how many there are.
fn values(parameters: &mut Reader<'_>, capability: u32) -> Result<usize, Problem> {
    // moreData.
    parameters.u8()?;
    if parameters.u32()? != capability {
        return Err(Problem::Unexpected("another capability"));
    }
    let count = usize::try_from(parameters.u32()?).unwrap_or(usize::MAX);
    if count > VALUES_MAX {
        return Err(Problem::Malformed("it has more values than fit"));
    }
    Ok(count)
}

/// TPM2_GetCapability of TPM_PT_MANUFACTURER.
#[derive(Clone, Copy, Debug)]
pub struct GetManufacturer;

/// Who made the TPM: four characters of the TCG's vendor list, `INTC` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manufacturer(pub [u8; 4]);

impl core::fmt::Display for Manufacturer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let shown = self.0.iter().filter(|byte| byte.is_ascii_alphanumeric());
        shown.map(|byte| char::from(*byte)).try_for_each(|c| write!(f, "{c}"))
    }
}

impl Command for GetManufacturer {
    const CODE: u32 = GET_CAPABILITY;
    type Answer = Manufacturer;

    fn write(&self, parameters: &mut Writer) {
        ask(parameters, PROPERTIES, MANUFACTURER, 1);
    }

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<Manufacturer, Problem> {
        if values(parameters, PROPERTIES)? != 1 || parameters.u32()? != MANUFACTURER {
            return Err(Problem::Unexpected("another property"));
        }
        Ok(Manufacturer(parameters.u32()?.to_be_bytes()))
    }
}

/// TPM2_GetCapability of the elliptic curves.
#[derive(Clone, Copy, Debug)]
pub struct GetCurves;

/// The elliptic curves that a TPM knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curves(Vec<u16>);

impl Curves {
    /// Whether NIST P-256 is among them.
    #[must_use]
    pub fn has_p256(&self) -> bool {
        self.0.contains(&P256)
    }
}

impl Command for GetCurves {
    const CODE: u32 = GET_CAPABILITY;
    type Answer = Curves;

    fn write(&self, parameters: &mut Writer) {
        ask(parameters, ECC_CURVES, 0, 128);
    }

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<Curves, Problem> {
        let count = values(parameters, ECC_CURVES)?;
        (0..count).map(|_| parameters.u16()).collect::<Result<_, _>>().map(Curves)
    }
}

/// TPM2_GetCapability of ECDSA among the algorithms.
#[derive(Clone, Copy, Debug)]
pub struct GetEcdsa;

impl Command for GetEcdsa {
    const CODE: u32 = GET_CAPABILITY;
    type Answer = bool;

    fn write(&self, parameters: &mut Writer) {
        ask(parameters, ALGORITHMS, u32::from(ECDSA), 1);
    }

    /// The first algorithm from ECDSA on: itself, if the TPM has it.
    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<bool, Problem> {
        let mut has_it = false;
        for _ in 0..values(parameters, ALGORITHMS)? {
            has_it |= parameters.u16()? == ECDSA;
            parameters.u32()?;
        }
        Ok(has_it)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::{answer, command};

    #[test]
    fn random_bytes_have_a_limit() {
        assert!(GetRandom::of(RANDOM_BYTES_MAX).is_ok());
        assert!(GetRandom::of(RANDOM_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn the_manufacturer_is_asked_for_by_its_property() {
        let asked = [0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 6, 0, 0, 1, 5, 0, 0, 0, 1];
        assert_eq!(command(&GetManufacturer).unwrap(), asked);
        let mut said = std::vec![0x80, 1, 0, 0, 0, 27, 0, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 1];
        said.extend([0, 0, 1, 5, b'I', b'B', b'M', 0]);
        assert_eq!(answer::<GetManufacturer>(&said).unwrap().to_string(), "IBM");
        said[22] = 6;
        assert!(answer::<GetManufacturer>(&said).is_err());
    }

    /// An answer of so many curves, the last of which is P-256.
    fn curves(count: u32) -> Vec<u8> {
        let mut out = Writer::default();
        out.u16(0x8001).u32(19 + 2 * count).u32(0).u8(0).u32(ECC_CURVES).u32(count);
        for at in 1..=count {
            out.u16(if at == count { P256 } else { 4 });
        }
        out.finish()
    }

    #[test]
    fn a_tpm_without_p256_is_known_as_one() {
        assert!(answer::<GetCurves>(&curves(3)).unwrap().has_p256());
        let mut without = curves(1);
        *without.last_mut().unwrap() = 0x10;
        assert!(!answer::<GetCurves>(&without).unwrap().has_p256());
    }

    #[test]
    fn values_have_a_limit() {
        let most = VALUES_MAX as u32;
        assert!(answer::<GetCurves>(&curves(most)).is_ok());
        assert!(answer::<GetCurves>(&curves(most + 1)).is_err());
    }
}
