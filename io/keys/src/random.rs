use aws_lc_rs::rand;

use crate::KeyError;

/// The operating system's random generator, by way of the cryptographic library.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl SystemRandom {
    /// Random bytes fit for keys.
    ///
    /// # Errors
    /// When the generator fails, which a program can't go on from.
    pub fn bytes<const N: usize>(self) -> Result<[u8; N], KeyError> {
        let mut bytes = [0; N];
        rand::fill(&mut bytes).map_err(|_| KeyError::Crypto("get random bytes"))?;
        Ok(bytes)
    }
}

#[cfg(feature = "hub")]
impl hedgerow_control::ports::Random for SystemRandom {
    #[expect(clippy::expect_used, reason = "without randomness nothing may go on")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the operating system gives random bytes");
    }
}
