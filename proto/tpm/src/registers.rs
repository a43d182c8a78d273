use alloc::vec::Vec;

use crate::{Command, Handle, Problem, Reader, Writer, limits::DIGESTS_MAX, object::SHA256};

/// Bytes of a selection among the 24 registers of a PC.
const SELECT_BYTES: u8 = 3;
/// Bytes of SHA-256.
const DIGEST: usize = 32;
/// Bytes of the longest digest.
const DIGEST_BYTES_MAX: usize = 64;

/// Some of the 24 platform configuration registers, of the bank of SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcrs(u32);

impl Pcrs {
    /// These registers.
    ///
    /// # Errors
    /// When there is no register of a number.
    pub fn of(numbers: &[u8]) -> Result<Self, Problem> {
        let unknown = Problem::TooLong("the number of a register");
        numbers
            .iter()
            .try_fold(0, |set, number| {
                let is_one = u32::from(*number) < u32::from(SELECT_BYTES) * 8;
                is_one.then(|| set | (1 << number)).ok_or(unknown)
            })
            .map(Self)
    }

    /// Their numbers, in order.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..SELECT_BYTES * 8).filter(move |number| self.0 & (1 << number) != 0)
    }

    /// TPML_PCR_SELECTION.
    pub(crate) fn write(self, out: &mut Writer) {
        let [one, two, three, _] = self.0.to_le_bytes();
        out.u32(1).u16(SHA256).u8(SELECT_BYTES).bytes(&[one, two, three]);
    }

    /// Reads a TPML_PCR_SELECTION of this bank alone; no bank at all selects none.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let other = Problem::Unexpected("registers of another bank");
        match reader.u32()? {
            0 => return Ok(Self::default()),
            1 => {}
            _ => return Err(other),
        }
        if reader.u16()? != SHA256 {
            return Err(other);
        }
        let len = reader.u8()?;
        let mut set = 0;
        for (at, byte) in reader.bytes(usize::from(len))?.iter().enumerate() {
            match at {
                0..=2 => set |= u32::from(*byte) << (8 * at),
                _ if *byte != 0 => return Err(Problem::Unexpected("registers that no PC has")),
                _ => {}
            }
        }
        Ok(Self(set))
    }
}

/// TPM2_PCR_Read.
#[derive(Clone, Copy, Debug)]
pub struct PcrRead(pub Pcrs);

/// What is in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrValues {
    /// Goes up with every change of any register.
    pub update_counter: u32,
    /// Which were read: a TPM gives the first eight of those asked for.
    pub read: Pcrs,
    /// One value a register, in the order of their numbers.
    pub values: Vec<[u8; DIGEST]>,
}

impl Command for PcrRead {
    const CODE: u32 = 0x17e;
    type Answer = PcrValues;

    fn write(&self, parameters: &mut Writer) {
        self.0.write(parameters);
    }

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<PcrValues, Problem> {
        let update_counter = parameters.u32()?;
        let read = Pcrs::read(parameters)?;
        let count = usize::try_from(parameters.u32()?).unwrap_or(usize::MAX);
        if count > DIGESTS_MAX {
            return Err(Problem::Malformed("it has more digests than allowed"));
        }
        if count != read.numbers().count() {
            return Err(Problem::Unexpected("other registers than it names"));
        }
        let wrong = |_| Problem::Unexpected("a digest of another length");
        let value = |_| parameters.sized(DIGEST_BYTES_MAX)?.try_into().map_err(wrong);
        let values = (0..count).map(value).collect::<Result<_, _>>()?;
        Ok(PcrValues { update_counter, read, values })
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::answer;

    #[test]
    fn registers_are_numbered_to_23() {
        assert_eq!(Pcrs::of(&[23, 0, 7]).unwrap().numbers().collect::<Vec<_>>(), [0, 7, 23]);
        assert!(Pcrs::of(&[24]).is_err());
        assert!(Pcrs::of(&[255]).is_err());
    }

    #[test]
    fn a_selection_reads_as_it_is_written() {
        for numbers in [&[][..], &[0], &[7, 8, 15, 16, 23]] {
            let pcrs = Pcrs::of(numbers).unwrap();
            let mut out = Writer::default();
            pcrs.write(&mut out);
            assert_eq!(Pcrs::read(&mut Reader::new(&out.finish())), Ok(pcrs));
        }
        let read = |bytes: &[u8]| Pcrs::read(&mut Reader::new(bytes));
        assert_eq!(read(&[0, 0, 0, 0]), Ok(Pcrs::default()));
        assert!(read(&[0, 0, 0, 1, 0, 4, 3, 1, 0, 0]).is_err(), "SHA-1");
        assert!(read(&[0, 0, 0, 1, 0, 0x0b, 4, 1, 0, 0, 0]).is_ok());
        assert!(read(&[0, 0, 0, 1, 0, 0x0b, 4, 1, 0, 0, 1]).is_err(), "register 24");
    }

    #[test]
    fn digests_have_a_limit_and_are_as_many_as_the_registers() {
        let said = |registers: u8, digests: u32| {
            let mut body = Writer::default();
            let numbers: Vec<u8> = (0..registers).collect();
            Pcrs::of(&numbers).unwrap().write(body.u32(1));
            body.u32(digests);
            (0..digests).for_each(|_| {
                body.sized(&[1; DIGEST]);
            });
            let body = body.finish();
            let size = u32::try_from(body.len() + 10).unwrap();
            answer::<PcrRead>(&Writer::default().u16(0x8001).u32(size).u32(0).bytes(&body).finish())
        };
        let most = DIGESTS_MAX as u8;
        assert_eq!(said(most, u32::from(most)).unwrap().values, vec![[1; DIGEST]; DIGESTS_MAX]);
        assert!(said(most + 1, u32::from(most) + 1).is_err());
        assert!(said(2, 1).is_err());
    }
}
