use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hedgerow_base::Timestamp;
use hedgerow_control::{Control, Failure, ListOf};

use crate::{limits::CRL_KEEP_MS, ocsp::Words};

#[derive(Debug, Default)]
struct Kept {
    /// How often something was revoked: a list that was begun before is not kept.
    revocations: u64,
    /// When a list was made, and the list.
    lists: BTreeMap<ListOf, (Timestamp, Vec<u8>)>,
}

/// The signed lists that are given out, each made anew when something was revoked or it gets old. There are
/// as many as CAs. The words on single certificates are with them.
#[derive(Default)]
pub struct RevocationLists {
    lists: Mutex<Kept>,
    pub(crate) words: Words,
}

impl fmt::Debug for RevocationLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevocationLists(..)")
    }
}

impl RevocationLists {
    /// Something was revoked: the next one who asks gets a new list.
    pub fn forget(&self) {
        let mut kept = self.kept();
        kept.revocations += 1;
        kept.lists.clear();
        drop(kept);
        self.words.forget();
    }

    /// The list of one CA in DER.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn current(
        &self,
        control: &Control,
        of: ListOf,
        now: Timestamp,
    ) -> Result<Vec<u8>, Failure> {
        let (before, known) = {
            let kept = self.kept();
            (kept.revocations, kept.lists.get(&of).cloned())
        };
        if let Some((made, list)) = known
            && (0..CRL_KEEP_MS).contains(&now.since_ms(made))
        {
            return Ok(list);
        }
        let list = control.revocation_list(of, now).await?;
        let mut kept = self.kept();
        if kept.revocations == before {
            kept.lists.insert(of, (now, list.clone()));
        }
        Ok(list)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
