use crate::Error;

const SHORT: Error = Error::Malformed("the packet ends inside a field");

/// Reads fields off the front of a packet's body.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    pub(crate) fn short(&mut self) -> Result<u16, Error> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*head))
    }

    pub(crate) fn word(&mut self) -> Result<u32, Error> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*head))
    }

    /// A variable byte integer: at most four bytes, and no more than the value needs.
    pub(crate) fn variable(&mut self) -> Result<u32, Error> {
        let mut value = 0u32;
        for position in 0..4u32 {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                if byte == 0 && position > 0 {
                    return Err(Error::Malformed("a variable byte integer is longer than needed"));
                }
                return Ok(value);
            }
        }
        Err(Error::Malformed("a variable byte integer has more than four bytes"))
    }

    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Error> {
        let len = self.short()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 string without U+0000 (MQTT 5.0 section 1.5.4; 3.1.1 section 1.5.3).
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        let bytes = self.binary()?;
        let text = core::str::from_utf8(bytes)
            .map_err(|_| Error::Malformed("a string is not well-formed utf-8"))?;
        if bytes.contains(&0) {
            return Err(Error::Malformed("a string contains the null character"));
        }
        Ok(text)
    }
}

/// Where packets are written: a `Vec<u8>`, or a [`Fixed`] slice where there is no allocator.
pub trait Buffer {
    /// Appends all of `bytes` or nothing.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when they don't fit.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

#[cfg(feature = "alloc")]
impl Buffer for alloc::vec::Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// A buffer over a borrowed slice.
#[derive(Debug)]
pub struct Fixed<'b> {
    slice: &'b mut [u8],
    len: usize,
}

impl<'b> Fixed<'b> {
    /// An empty buffer that fills `slice` from its start.
    pub const fn new(slice: &'b mut [u8]) -> Self {
        Self { slice, len: 0 }
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.slice.get(..self.len).unwrap_or_default()
    }

    /// What was written, for as long as the slice lives.
    #[must_use]
    pub fn into_written(self) -> &'b [u8] {
        self.slice.get(..self.len).unwrap_or_default()
    }

    /// Forgets what was written.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
}

impl Buffer for Fixed<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.len.checked_add(bytes.len()).ok_or(Error::NoRoom)?;
        self.slice.get_mut(self.len..end).ok_or(Error::NoRoom)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }
}

/// Measures instead of writing.
pub(crate) struct Measure(pub(crate) usize);

impl Buffer for Measure {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(())
    }
}

pub(crate) fn put_variable(value: usize, out: &mut impl Buffer) -> Result<(), Error> {
    if value > 268_435_455 {
        return Err(Error::NoRoom);
    }
    let [.., low] = value.to_be_bytes();
    if value < 0x80 {
        return out.put(&[low]);
    }
    let (mut bytes, mut rest) = ([0u8; 4], value);
    let len = variable_len(value);
    for (slot, position) in bytes.iter_mut().zip(1..) {
        let [.., low] = rest.to_be_bytes();
        *slot = if position < len { low | 0x80 } else { low };
        rest >>= 7;
    }
    out.put(bytes.get(..len).unwrap_or_default())
}

/// Bytes that [`put_variable`] writes.
pub(crate) const fn variable_len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

pub(crate) fn put_binary(bytes: &[u8], out: &mut impl Buffer) -> Result<(), Error> {
    let len = u16::try_from(bytes.len()).map_err(|_| Error::NoRoom)?;
    out.put(&len.to_be_bytes())?;
    out.put(bytes)
}
