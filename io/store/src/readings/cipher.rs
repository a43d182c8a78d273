//! AES-256-GCM: the master key wraps data keys and journal keys, those seal chunks and blocks.
//!
//! What is sealed is the nonce, the ciphertext and the tag in a row. The additional data name the place
//! that it belongs to, so that rows can't be exchanged.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use hedgerow_base::Secret;
use zeroize::Zeroize;

use super::error::ReadingsError;

/// Bytes of a nonce, which stand before what is sealed.
pub(super) const NONCE_BYTES: usize = NONCE_LEN;

/// The key that wraps the keys of the readings' store. It comes from outside the data directory.
pub struct MasterKey(SealKey);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// Takes 256 bits over.
    ///
    /// # Errors
    /// [`ReadingsError::Cipher`] when the cipher refuses them, which it has no reason to.
    pub fn new(secret: &Secret<32>) -> Result<Self, ReadingsError> {
        SealKey::new(secret.expose()).map(Self)
    }

    /// A new key, and the same wrapped for the database.
    pub(super) fn make(&self, place: Place) -> Result<(SealKey, Vec<u8>), ReadingsError> {
        let mut bytes = [0u8; 32];
        rand::fill(&mut bytes).map_err(|_| ReadingsError::Cipher("the random source"))?;
        let mut wrapped = vec![0; NONCE_BYTES];
        wrapped.extend_from_slice(&bytes);
        let key = SealKey::new(&bytes);
        bytes.zeroize();
        self.0.seal(&mut wrapped, place)?;
        Ok((key?, wrapped))
    }

    pub(super) fn unwrap(&self, wrapped: &[u8], place: Place) -> Result<SealKey, ReadingsError> {
        let mut bytes = wrapped.to_vec();
        let key = SealKey::new(self.0.open(&mut bytes, place)?);
        bytes.zeroize();
        key
    }
}

/// What a sealed thing is and where it belongs: a word, and up to two numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) &'static str, pub(super) i64, pub(super) i64);

impl Place {
    fn aad(self) -> Aad<Vec<u8>> {
        let mut name = Vec::with_capacity(self.0.len() + 16);
        name.extend_from_slice(self.0.as_bytes());
        name.extend_from_slice(&self.1.to_be_bytes());
        name.extend_from_slice(&self.2.to_be_bytes());
        Aad::from(name)
    }
}

/// A key for chunks or blocks.
pub(super) struct SealKey(RandomizedNonceKey);

impl SealKey {
    fn new(bytes: &[u8]) -> Result<Self, ReadingsError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        key.map(Self).map_err(|_| ReadingsError::Cipher("a key"))
    }

    /// Seals what stands after the first [`NONCE_BYTES`] of `bytes`, and puts nonce and tag to it.
    pub(super) fn seal(&self, bytes: &mut Vec<u8>, place: Place) -> Result<(), ReadingsError> {
        let broken = || ReadingsError::Cipher(place.0);
        let plain = bytes.get_mut(NONCE_BYTES..).ok_or_else(broken)?;
        let sealed = self.0.seal_in_place_separate_tag(place.aad(), plain);
        let (nonce, tag) = sealed.map_err(|_| broken())?;
        let room = bytes.get_mut(..NONCE_BYTES).ok_or_else(broken)?;
        room.copy_from_slice(nonce.as_ref());
        bytes.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens what [`SealKey::seal`] made, in place.
    pub(super) fn open<'b>(
        &self,
        sealed: &'b mut [u8],
        place: Place,
    ) -> Result<&'b [u8], ReadingsError> {
        let broken = || ReadingsError::Cipher(place.0);
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
