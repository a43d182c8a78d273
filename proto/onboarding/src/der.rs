//! As much of DER (X.690) as onboarding needs: a writer for values that we build, a reader that walks
//! values made by others. Definite lengths only, tags of one byte only.

use alloc::vec::Vec;
use core::fmt;

use crate::limits::DER_BYTES_MAX;

/// Universal and context tags, as their identifier byte.
pub mod tag {
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING.
    pub const OCTET_STRING: u8 = 0x04;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// ENUMERATED.
    pub const ENUMERATED: u8 = 0x0a;
    /// UTF8String.
    pub const UTF8_STRING: u8 = 0x0c;
    /// UTCTime.
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime.
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// SEQUENCE.
    pub const SEQUENCE: u8 = 0x30;
    /// SET.
    pub const SET: u8 = 0x31;
    /// `[0]`, constructed.
    pub const CONTEXT_0: u8 = 0xa0;
    /// `[1]`, constructed.
    pub const CONTEXT_1: u8 = 0xa1;
    /// `[2]`, constructed.
    pub const CONTEXT_2: u8 = 0xa2;
    /// `[6]`, primitive: uniformResourceIdentifier in a GeneralName.
    pub const URI: u8 = 0x86;
}

/// One value: tag, length, and the parts one after the other.
#[must_use]
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(len + 6);
    out.push(tag);
    write_len(&mut out, len);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// A SEQUENCE of ready-made values.
#[must_use]
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(tag::SEQUENCE, parts)
}

/// A BIT STRING of whole bytes.
#[must_use]
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    value(tag::BIT_STRING, &[&[0], bytes])
}

fn write_len(out: &mut Vec<u8>, len: usize) {
    let bytes = len.to_be_bytes();
    let skip = bytes.iter().take_while(|byte| **byte == 0).count();
    match len {
        0..=127 => out.extend_from_slice(bytes.get(bytes.len() - 1..).unwrap_or_default()),
        _ => {
            let significant = bytes.get(skip..).unwrap_or_default();
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(0));
            out.extend_from_slice(significant);
        }
    }
}

/// The bytes are not DER of the expected shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotDer;

impl fmt::Display for NotDer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not DER of the expected shape")
    }
}

impl core::error::Error for NotDer {}

/// Walks the values in a buffer, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    ///
    /// # Errors
    /// [`NotDer`] when the buffer is longer than [`DER_BYTES_MAX`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, NotDer> {
        if bytes.len() > DER_BYTES_MAX { Err(NotDer) } else { Ok(Self(bytes)) }
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Takes the next value of any tag: the tag, its contents, and the whole of it.
    ///
    /// # Errors
    /// [`NotDer`] when the length is not minimal, indefinite, or beyond the buffer.
    pub fn any(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), NotDer> {
        let tag = *self.0.first().ok_or(NotDer)?;
        let first = *self.0.get(1).ok_or(NotDer)?;
        let (head, len) = match first {
            0..=127 => (2, usize::from(first)),
            0x81..=0x83 => self.long_len(usize::from(first & 0x7f))?,
            _ => return Err(NotDer),
        };
        let end = head + len;
        let whole = self.0.get(..end).ok_or(NotDer)?;
        let contents = self.0.get(head..end).ok_or(NotDer)?;
        self.0 = self.0.get(end..).ok_or(NotDer)?;
        Ok((tag, contents, whole))
    }

    fn long_len(&self, count: usize) -> Result<(usize, usize), NotDer> {
        let bytes = self.0.get(2..2 + count).ok_or(NotDer)?;
        let len = bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let is_minimal = len > 127 && bytes.first() != Some(&0);
        if is_minimal { Ok((2 + count, len)) } else { Err(NotDer) }
    }

    /// Takes the next value, which must have `tag`; gives its contents.
    ///
    /// # Errors
    /// [`NotDer`] when the tag differs or [`Self::any`] fails.
    pub fn take(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        let (found, contents, _) = self.any()?;
        if found == tag { Ok(contents) } else { Err(NotDer) }
    }

    /// Takes the next value, which must have `tag`, and walks into it.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn enter(&mut self, tag: u8) -> Result<Self, NotDer> {
        self.take(tag).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn lengths_are_written_shortest() {
        for (len, head) in [
            (0usize, vec![4u8, 0]),
            (127, vec![4, 127]),
            (128, vec![4, 0x81, 128]),
            (256, vec![4, 0x82, 1, 0]),
            (60_000, vec![4, 0x82, 0xea, 0x60]),
        ] {
            let contents = vec![7u8; len];
            let written = value(tag::OCTET_STRING, &[&contents]);
            assert!(written.starts_with(&head), "{len}");
            assert_eq!(Reader::new(&written).unwrap().take(tag::OCTET_STRING).unwrap(), contents);
        }
    }

    #[test]
    fn lengths_that_are_not_minimal_indefinite_or_too_long_are_refused() {
        for bytes in [
            &[4u8, 0x81, 5, 1, 2, 3, 4, 5][..],
            &[4, 0x80, 0, 0],
            &[4, 0x82, 0, 200],
            &[4, 5, 1],
            &[4],
            &[4, 0x84, 0, 0, 0, 1, 1],
        ] {
            assert!(Reader::new(bytes).unwrap().any().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_buffer_one_byte_over_the_limit_is_refused() {
        assert!(Reader::new(&vec![0; DER_BYTES_MAX]).is_ok());
        assert!(Reader::new(&vec![0; DER_BYTES_MAX + 1]).is_err());
    }
}
