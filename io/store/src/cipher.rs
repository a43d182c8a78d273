//! AES-256-GCM: the master key wraps the keys of the databases, those seal what is in the rows.
//!
//! What is sealed is the nonce, the ciphertext and the tag in a row. The additional data name the place
//! that it belongs to, so that rows can't be exchanged.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use hedgerow_base::Secret;
use zeroize::Zeroize;

/// Bytes of a nonce, which stand before what is sealed.
pub(crate) const NONCE_BYTES: usize = NONCE_LEN;

/// A key does not open what it closed: the wrong master key, or damage. Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherError(pub(crate) &'static str);

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be opened: the master key is another one, or it is damaged", self.0)
    }
}

impl std::error::Error for CipherError {}

/// The key that wraps the keys of the databases. It comes from outside the data directory.
pub struct MasterKey(SealKey);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// Takes 256 bits over.
    ///
    /// # Errors
    /// [`CipherError`] when the cipher refuses them, which it has no reason to.
    pub fn new(secret: &Secret<32>) -> Result<Self, CipherError> {
        SealKey::new(secret.expose()).map(Self)
    }

    /// A new key, and the same wrapped for the database.
    pub(crate) fn make(&self, place: Place) -> Result<(SealKey, Vec<u8>), CipherError> {
        let mut bytes = [0u8; 32];
        rand::fill(&mut bytes).map_err(|_| CipherError("the random source"))?;
        let mut wrapped = vec![0; NONCE_BYTES];
        wrapped.extend_from_slice(&bytes);
        let key = SealKey::new(&bytes);
        bytes.zeroize();
        self.0.seal(&mut wrapped, place)?;
        Ok((key?, wrapped))
    }

    pub(crate) fn unwrap(&self, wrapped: &[u8], place: Place) -> Result<SealKey, CipherError> {
        let mut bytes = wrapped.to_vec();
        let key = SealKey::new(self.0.open(&mut bytes, place)?);
        bytes.zeroize();
        key
    }
}

/// What a sealed thing is and where it belongs: a word, and up to two numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(pub(crate) &'static str, pub(crate) i64, pub(crate) i64);

impl Place {
    fn aad(self) -> Aad<Vec<u8>> {
        let mut name = Vec::with_capacity(self.0.len() + 16);
        name.extend_from_slice(self.0.as_bytes());
        name.extend_from_slice(&self.1.to_be_bytes());
        name.extend_from_slice(&self.2.to_be_bytes());
        Aad::from(name)
    }
}

/// A key that seals rows.
pub(crate) struct SealKey(RandomizedNonceKey);

impl SealKey {
    fn new(bytes: &[u8]) -> Result<Self, CipherError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        key.map(Self).map_err(|_| CipherError("a key"))
    }

    /// Seals what stands after the first [`NONCE_BYTES`] of `bytes`, and puts nonce and tag to it.
    pub(crate) fn seal(&self, bytes: &mut Vec<u8>, place: Place) -> Result<(), CipherError> {
        let broken = || CipherError(place.0);
        let plain = bytes.get_mut(NONCE_BYTES..).ok_or_else(broken)?;
        let sealed = self.0.seal_in_place_separate_tag(place.aad(), plain);
        let (nonce, tag) = sealed.map_err(|_| broken())?;
        let room = bytes.get_mut(..NONCE_BYTES).ok_or_else(broken)?;
        room.copy_from_slice(nonce.as_ref());
        bytes.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens what [`SealKey::seal`] made, in place.
    pub(crate) fn open<'b>(
        &self,
        sealed: &'b mut [u8],
        place: Place,
    ) -> Result<&'b [u8], CipherError> {
        let broken = || CipherError(place.0);
        let (nonce, body) = sealed.split_first_chunk_mut::<NONCE_BYTES>().ok_or_else(broken)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, place.aad(), body).map_err(|_| broken())?;
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::new(&Secret::new([byte; 32])).unwrap()
    }

    #[test]
    fn a_key_opens_what_it_sealed_at_its_place_and_nothing_else() {
        let (key, wrapped) = master(1).make(Place("journal key", 1, 0)).unwrap();
        let mut sealed = vec![0; NONCE_BYTES];
        sealed.extend_from_slice(b"readings");
        key.seal(&mut sealed, Place("a chunk", 7, 8)).unwrap();
        assert!(!sealed.windows(8).any(|window| window == b"readings"));
        let again = master(1).unwrap(&wrapped, Place("journal key", 1, 0)).unwrap();
        let open =
            |sealed: &[u8], place| again.open(&mut sealed.to_vec(), place).map(<[u8]>::to_vec);
        assert_eq!(open(&sealed, Place("a chunk", 7, 8)).unwrap(), b"readings");
        assert!(open(&sealed, Place("a chunk", 7, 9)).is_err(), "another place");
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(open(&damaged, Place("a chunk", 7, 8)).is_err());
        assert!(open(&sealed[..NONCE_BYTES - 1], Place("a chunk", 7, 8)).is_err());
    }

    #[test]
    fn another_master_key_unwraps_nothing() {
        let (_, wrapped) = master(1).make(Place("data key", 1, 0)).unwrap();
        assert!(master(2).unwrap(&wrapped, Place("data key", 1, 0)).is_err());
        assert!(master(1).unwrap(&wrapped, Place("data key", 2, 0)).is_err());
    }
}
