//! The wire format of Protocol Buffers: fields of a message, borrowed.

use super::SparkplugError;

/// One field's content. Groups are long deprecated and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of one message, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// Bytes of the longest varint.
const VARINT_BYTES_MAX: usize = 10;

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field and its number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, SparkplugError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| SparkplugError::Broken)?;
        if number == 0 {
            return Err(SparkplugError::Broken);
        }
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| SparkplugError::Broken)?;
                Field::Bytes(self.take(len)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(SparkplugError::Broken),
        };
        Ok(Some((number, field)))
    }

    fn varint(&mut self) -> Result<u64, SparkplugError> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * u32::try_from(at).unwrap_or(u32::MAX);
            if shift == 63 && bits > 1 {
                return Err(SparkplugError::Broken);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(SparkplugError::Broken)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], SparkplugError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(SparkplugError::Broken)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SparkplugError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| SparkplugError::Broken)
    }
}
