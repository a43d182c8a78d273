use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use hedgerow_base::Fault;
use hedgerow_control::{
    Failure,
    ports::{Passwords, Pending},
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use zeroize::Zeroizing;

use crate::{
    SystemRandom,
    limits::{PASSWORDS_AT_ONCE, PASSWORDS_WAITING_MAX},
};

/// Argon2id with the library's recommended cost (19 MiB, two passes), off the reactor, a few at a time.
#[derive(Debug)]
pub struct Argon2id {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Default for Argon2id {
    fn default() -> Self {
        let queue = Arc::new(Semaphore::new(PASSWORDS_AT_ONCE + PASSWORDS_WAITING_MAX));
        Self { places: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)), queue }
    }
}

impl Argon2id {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let stopped = || Failure::new(Fault::Unavailable, "the hub is stopping");
        let _queued = self.queue.try_acquire().map_err(|_| {
            Failure::new(Fault::TooMuch, "too many people sign in at once; try again in a moment")
        })?;
        let _place = self.places.acquire().await.map_err(|_| stopped())?;
        spawn_blocking(work).await.map_err(|_| stopped())?
    }
}

impl Passwords for Argon2id {
    fn hash(&self, password: String) -> Pending<'_, String> {
        let password = Zeroizing::new(password);
        Box::pin(self.run(move || hash(&password)))
    }

    fn verify(&self, password: String, phc: Option<String>) -> Pending<'_, bool> {
        let password = Zeroizing::new(password);
        Box::pin(self.run(move || {
            let Some(phc) = phc else {
                // As slow as a real one, so that time does not tell which names exist.
                return hash(&password).map(|_| false);
            };
            let phc = PasswordHash::new(&phc).map_err(broken)?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &phc).is_ok())
        }))
    }
}

fn hash(password: &str) -> Result<String, Failure> {
    let salt: [u8; 16] = SystemRandom.bytes()?;
    let hash: PasswordHash =
        Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(broken)?;
    Ok(hash.to_string())
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(Fault::Broken, format!("a password could not be hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_fits() {
        let passwords = Argon2id::default();
        let phc = passwords.hash("correct horse".into()).await.unwrap();
        assert!(phc.starts_with("$argon2id$"));
        assert!(passwords.verify("correct horse".into(), Some(phc.clone())).await.unwrap());
        assert!(!passwords.verify("correct horsf".into(), Some(phc)).await.unwrap());
        assert!(!passwords.verify("anything".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn one_sign_in_too_many_at_once_is_sent_away() {
        let passwords = Argon2id::default();
        let all = PASSWORDS_AT_ONCE + PASSWORDS_WAITING_MAX;
        let all = u32::try_from(all).unwrap();
        let held = passwords.queue.acquire_many(all).await.unwrap();
        let refused = passwords.verify("x".into(), None).await.unwrap_err();
        assert_eq!(refused.fault, Fault::TooMuch);
        drop(held);
        assert!(passwords.verify("x".into(), None).await.is_ok());
    }
}
