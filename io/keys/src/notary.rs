use hedgerow_base::TenantId;
use hedgerow_control::{Failure, ports};
use hedgerow_tlog::{Checkpoint, Hash, Note};

use crate::{LogKey, verify_log_signature};

/// Signs checkpoints of the hub's audit logs.
#[derive(Debug)]
pub struct Notary {
    key: LogKey,
    hub: String,
}

impl Notary {
    /// Signs for the hub of this name, which must be unique to it.
    #[must_use]
    pub const fn new(key: LogKey, hub: String) -> Self {
        Self { key, hub }
    }

    /// The name of a tenant's log.
    #[must_use]
    pub fn origin(&self, tenant: TenantId) -> String {
        format!("hedgerow/{}/{tenant}", self.hub)
    }

    /// The key by which signatures are checked.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        self.key.public_key()
    }

    /// Checks a note of a tenant's log.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn open(&self, tenant: TenantId, note: &Note) -> Result<Checkpoint, String> {
        let verify = |m: &[u8], s: &[u8]| verify_log_signature(self.public_key(), m, s);
        let opened = note.open(&self.origin(tenant), self.public_key(), verify);
        opened.map_err(|problem| problem.to_string())
    }
}

impl ports::Notary for Notary {
    fn checkpoint(&self, tenant: TenantId, size: u64, root: Hash) -> Result<Note, Failure> {
        let checkpoint = Checkpoint { origin: self.origin(tenant), size, root };
        let sign = |message: &[u8]| self.key.sign(message).map_err(Failure::from);
        Note::sign(&checkpoint, self.key.public_key(), sign)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_control::ports::Notary as _;

    use super::*;
    use crate::{KeyFile, SealingKey};

    #[test]
    fn a_checkpoint_is_believed_by_its_own_tenant_alone() {
        let directory = tempfile::tempdir().unwrap();
        let sealing = SealingKey::from_file(&directory.path().join("elsewhere/seal")).unwrap();
        let file = KeyFile::new(directory.path(), "log");
        let notary = Notary::new(LogKey::open_or_make(&file, &sealing).unwrap(), "hub".into());
        let note = notary.checkpoint(TenantId::FIRST, 3, [7; 32]).unwrap();
        assert_eq!(notary.open(TenantId::FIRST, &note).unwrap().size, 3);
        assert!(notary.open(TenantId(2), &note).is_err());
    }
}
