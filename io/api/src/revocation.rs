use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hedgerow_base::Timestamp;
use hedgerow_control::{Control, Failure, ListOf, Lists};
use hedgerow_identity::revocation::Base;

use crate::{limits::CRL_KEEP_MS, ocsp::Words};

#[derive(Default)]
struct Kept {
    /// How often something was revoked: a list that was begun before is not kept.
    revocations: u64,
    /// When a list was made, and the list with its delta.
    lists: BTreeMap<ListOf, (Timestamp, Lists)>,
    /// What deltas add to; these outlast a revocation.
    bases: BTreeMap<ListOf, Arc<Base>>,
}

/// The signed lists that are given out, each made anew when something was revoked or it gets old. There are
/// as many as CAs. The words on single certificates are with them.
#[derive(Default)]
pub struct RevocationLists {
    lists: Mutex<Kept>,
    /// One is made at a time: a list of a higher number must not have read less than one of a lower.
    making: tokio::sync::Mutex<()>,
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

    /// The list of one CA, and its delta, which will be found at `freshest`.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn current(
        &self,
        control: &Control,
        of: ListOf,
        freshest: &str,
        now: Timestamp,
    ) -> Result<Lists, Failure> {
        if let Some(lists) = self.known(of, now) {
            return Ok(lists);
        }
        let _turn = self.making.lock().await;
        if let Some(lists) = self.known(of, now) {
            return Ok(lists);
        }
        let (before, base) = {
            let kept = self.kept();
            (kept.revocations, kept.bases.get(&of).cloned())
        };
        let lists = control.revocation_lists(of, base, freshest.to_owned(), now).await?;
        let mut kept = self.kept();
        kept.bases.insert(of, Arc::clone(&lists.base));
        if kept.revocations == before {
            kept.lists.insert(of, (now, lists.clone()));
        }
        Ok(lists)
    }

    fn known(&self, of: ListOf, now: Timestamp) -> Option<Lists> {
        let (made, lists) = self.kept().lists.get(&of).cloned()?;
        (0..CRL_KEEP_MS).contains(&now.since_ms(made)).then_some(lists)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
