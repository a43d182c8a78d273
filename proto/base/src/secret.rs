use core::fmt;

use zeroize::Zeroize;

/// Bytes that are erased when dropped and never printed.
///
/// Comparison takes the same time wherever the bytes differ.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over; the caller's copy is the caller's to erase.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes, named so that every use can be found.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0u8, |all, (a, b)| all | (a ^ b));
        core::hint::black_box(differing) == 0
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> Clone for Secret<N> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        assert_eq!(std::format!("{:?}", Secret::new([7u8; 4])), "Secret(..)");
    }

    #[test]
    fn secrets_are_equal_only_in_every_byte() {
        assert_eq!(Secret::new([1, 2, 3]), Secret::new([1, 2, 3]));
        assert_ne!(Secret::new([1, 2, 3]), Secret::new([1, 2, 4]));
        assert_ne!(Secret::new([0, 2, 3]), Secret::new([1, 2, 3]));
    }
}
