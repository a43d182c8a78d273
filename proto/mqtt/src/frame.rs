use crate::{Error, PacketKind};

/// One whole packet, cut out of a stream and not yet looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// All bytes of the packet, as they came.
    pub bytes: &'a [u8],
    /// The first byte: kind and flags.
    pub first: u8,
    /// What follows the remaining length.
    pub body: &'a [u8],
}

/// What the front of a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// A packet, and the bytes after it.
    Whole(Frame<'a>, &'a [u8]),
    /// At least this many bytes more are needed.
    More(usize),
}

/// Cuts the first packet off `bytes`. A packet of more than `max` bytes is refused as soon as its
/// length can be read, before anything is kept for it; so is a kind that doesn't exist.
///
/// # Errors
/// [`Error::Malformed`] for a reserved kind or a bad remaining length, [`Error::TooLarge`].
#[inline]
pub fn split(bytes: &[u8], max: usize) -> Result<Split<'_>, Error> {
    let [first, length @ ..] = bytes else { return Ok(Split::More(2)) };
    if *first < 0x10 {
        return Err(Error::Malformed("packet kind 0 is reserved"));
    }
    let (remaining, header) = match length {
        [] => return Ok(Split::More(1)),
        [one @ 0..0x80, ..] => (usize::from(*one), 2),
        _ => match long_length(length)? {
            Some((remaining, length_bytes)) => (remaining, 1 + length_bytes),
            None => return Ok(Split::More(1)),
        },
    };
    let total = header + remaining;
    if total > max {
        return Err(Error::TooLarge { bytes: total, max });
    }
    let Some((bytes, rest)) = bytes.split_at_checked(total) else {
        return Ok(Split::More(total - bytes.len()));
    };
    let body = bytes.get(header..).unwrap_or_default();
    Ok(Split::Whole(Frame { bytes, first: *first, body }, rest))
}

fn long_length(length: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    let mut value = 0usize;
    for (position, byte) in length.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            if *byte == 0 && position > 0 {
                return Err(Error::Malformed("the remaining length is longer than needed"));
            }
            return Ok(Some((value, position + 1)));
        }
    }
    if length.len() >= 4 {
        return Err(Error::Malformed("the remaining length has more than four bytes"));
    }
    Ok(None)
}

impl Frame<'_> {
    /// The kind in the upper half of the first byte.
    #[must_use]
    pub const fn kind(&self) -> PacketKind {
        PacketKind::from_nibble(self.first >> 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PACKET_BYTES_END;

    #[test]
    fn a_stream_is_cut_at_every_byte() {
        let stream = [0xC0, 0, 0xD0, 0];
        assert_eq!(split(&[], 64), Ok(Split::More(2)));
        assert_eq!(split(&stream[..1], 64), Ok(Split::More(1)));
        let Ok(Split::Whole(frame, rest)) = split(&stream, 64) else { panic!("no frame") };
        assert_eq!((frame.bytes, frame.kind(), rest.len()), (&stream[..2], PacketKind::PingReq, 2));
        assert_eq!(split(&[0x30, 5, 0], 64), Ok(Split::More(4)));
        assert_eq!(split(&[0x30, 0x80], 64), Ok(Split::More(1)));
    }

    #[test]
    fn a_packet_over_the_limit_is_refused_by_its_header_alone() {
        assert_eq!(split(&[0x30, 62], 64), Ok(Split::More(62)));
        assert_eq!(split(&[0x30, 63], 64), Err(Error::TooLarge { bytes: 65, max: 64 }));
        let huge = [0x30, 0xff, 0xff, 0xff, 0x7f];
        assert!(matches!(split(&huge, PACKET_BYTES_END), Ok(Split::More(_))));
        assert!(matches!(split(&huge, PACKET_BYTES_END - 1), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn a_fifth_length_byte_padding_and_kind_zero_are_malformed() {
        for bytes in [&[0x30, 0xff, 0xff, 0xff, 0xff, 1][..], &[0x30, 0x80, 0], &[0x00, 0]] {
            assert!(matches!(split(bytes, 1 << 20), Err(Error::Malformed(_))), "{bytes:?}");
        }
    }
}
