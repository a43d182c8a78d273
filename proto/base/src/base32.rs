//! Crockford base32: the alphabet of device ids and claim codes.
//!
//! Written in lower case by [`encode`]; read in either case, with `o` taken for 0 and `i`, `l` for 1,
//! as its author asks (<https://www.crockford.com/base32.html>), since people read codes aloud.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters needed for `bytes` bytes.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Writes `bytes` into `out`, most significant bits first, the last character padded with zero bits.
/// Returns the written text, or `None` when `out` is shorter than [`encoded_len`].
pub fn encode<'a>(bytes: &[u8], out: &'a mut [u8]) -> Option<&'a str> {
    let len = encoded_len(bytes.len());
    let out = out.get_mut(..len)?;
    let (mut window, mut bits, mut rest) = (0u32, 0u32, bytes.iter());
    for slot in &mut *out {
        if bits < 5 {
            window = (window << 8) | u32::from(rest.next().copied().unwrap_or(0));
            bits += 8;
        }
        bits -= 5;
        *slot = *ALPHABET.get((window >> bits & 31) as usize)?;
    }
    core::str::from_utf8(out).ok()
}

/// Reads `text` into the whole of `out`. `None` when a character is foreign, the length differs from
/// what `out` needs, or padding bits are set: every value has one spelling, but for case and look-alikes.
#[must_use]
pub fn decode(text: &str, out: &mut [u8]) -> Option<()> {
    if text.len() != encoded_len(out.len()) {
        return None;
    }
    let (mut window, mut bits, mut slots) = (0u32, 0u32, out.iter_mut());
    for character in text.bytes() {
        window = (window << 5) | u32::from(value(character)?);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *slots.next()? = (window >> bits & 0xff) as u8;
        }
    }
    (window & ((1 << bits) - 1) == 0).then_some(())
}

fn value(character: u8) -> Option<u8> {
    let lower = match character.to_ascii_lowercase() {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|known| *known == lower).and_then(|at| u8::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_survives_a_round_trip() {
        for len in 0..40u8 {
            let bytes: std::vec::Vec<u8> = (0..len).map(|i| i.wrapping_mul(37)).collect();
            let mut text = [0u8; 64];
            let text = encode(&bytes, &mut text).unwrap();
            let mut back = std::vec![0u8; bytes.len()];
            decode(text, &mut back).unwrap();
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn look_alikes_and_capitals_are_read() {
        let (mut plain, mut typed) = ([0u8; 5], [0u8; 5]);
        decode("01abcdef", &mut plain).unwrap();
        decode("OLABCDEF", &mut typed).unwrap();
        assert_eq!(plain, typed);
    }

    #[test]
    fn foreign_characters_wrong_lengths_and_set_padding_are_refused() {
        let mut out = [0u8; 1];
        assert_eq!(decode("u0", &mut out), None);
        assert_eq!(decode("0", &mut out), None);
        assert_eq!(decode("000", &mut out), None);
        assert_eq!(decode("01", &mut out), None, "the two padding bits of one byte must be zero");
        assert_eq!(decode("04", &mut out), Some(()));
    }

    #[test]
    fn a_short_buffer_is_not_written_past() {
        assert_eq!(encode(&[1, 2, 3], &mut [0u8; 4]), None);
    }
}
