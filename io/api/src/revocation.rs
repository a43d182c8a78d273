use std::sync::{Mutex, PoisonError};

use hedgerow_base::Timestamp;
use hedgerow_control::{Control, Failure};

use crate::limits::CRL_KEEP_MS;

/// The signed list that is given out, made anew when something was revoked or it gets old.
#[derive(Debug, Default)]
pub struct RevocationList(Mutex<Option<(Timestamp, Vec<u8>)>>);

impl RevocationList {
    /// Something was revoked: the next one who asks gets a new list.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The list in DER.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn current(&self, control: &Control, now: Timestamp) -> Result<Vec<u8>, Failure> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((made, list)) = kept
            && (0..CRL_KEEP_MS).contains(&now.since_ms(made))
        {
            return Ok(list);
        }
        let list = control.revocation_list(now).await?;
        let kept = Some((now, list.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(list)
    }
}
