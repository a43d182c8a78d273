use alloc::vec::Vec;

use crate::Problem;

/// Writes big-endian fields, one after the other.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A BYTE.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// A UINT16.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A UINT32.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A TPM2B: the size, then the bytes. What is longer than a UINT16 can say is cut; that makes a command
    /// that is over its limit by far, and never leaves.
    pub fn sized(&mut self, bytes: &[u8]) -> &mut Self {
        let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(size).bytes(bytes.get(..usize::from(size)).unwrap_or_default())
    }

    /// What was written.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }
}

/// Reads big-endian fields, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

const CUT: Problem = Problem::Malformed("it ends too early");

impl<'a> Reader<'a> {
    /// Over these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (head, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*head)
    }

    /// A BYTE.
    ///
    /// # Errors
    /// When there is none left.
    pub fn u8(&mut self) -> Result<u8, Problem> {
        self.array().map(u8::from_be_bytes)
    }

    /// A UINT16.
    ///
    /// # Errors
    /// When there is none left.
    pub fn u16(&mut self) -> Result<u16, Problem> {
        self.array().map(u16::from_be_bytes)
    }

    /// A UINT32.
    ///
    /// # Errors
    /// When there is none left.
    pub fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_be_bytes)
    }

    /// A UINT64.
    ///
    /// # Errors
    /// When there is none left.
    pub fn u64(&mut self) -> Result<u64, Problem> {
        self.array().map(u64::from_be_bytes)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// When there are fewer left.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Problem> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(CUT)?;
        self.0 = rest;
        Ok(head)
    }

    /// The bytes of a TPM2B.
    ///
    /// # Errors
    /// When there are fewer left than it says, or it says more than `max`.
    pub fn sized(&mut self, max: usize) -> Result<&'a [u8], Problem> {
        let len = usize::from(self.u16()?);
        if len > max {
            return Err(Problem::Malformed("a part is longer than allowed"));
        }
        self.bytes(len)
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// When something is.
    pub const fn end(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::Malformed("it goes on too long")) }
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_or_goes_on_is_refused() {
        let bytes = Writer::default().u8(1).u16(0x0203).u32(0x0405_0607).sized(b"ab").finish();
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 0, 2, b'a', b'b']);
        for cut in 0..=bytes.len() {
            let mut reader = Reader::new(&bytes[..cut]);
            let read = (|| {
                let numbers = (reader.u8()?, reader.u16()?, reader.u32()?);
                Ok::<_, Problem>((numbers, reader.sized(2)?))
            })();
            assert_eq!(read.is_ok(), cut == bytes.len(), "{cut}");
        }
        assert!(Reader::new(&[0]).end().is_err());
        assert!(Reader::new(&[]).end().is_ok());
    }

    #[test]
    fn a_part_has_a_limit() {
        let bytes = Writer::default().sized(b"abc").finish();
        assert!(Reader::new(&bytes).sized(3).is_ok());
        assert!(Reader::new(&bytes).sized(2).is_err());
    }
}
