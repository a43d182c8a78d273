//! Reading and verifying the audit log.

use hedgerow_base::{Fault, TenantId};
use hedgerow_tlog::{Checkpoint, Frontier, Hash, NodeId, Note, consistency, leaf_hash};

use crate::{
    Control, Ctx, Failure,
    gate::action,
    limits::PAGE_MAX,
    ports::{AuditFilter, AuditRecord},
};

action!(
    /// A person reads the audit log.
    ReadAudit = "audit.read", role Viewer, scope READ
);

/// Records fetched at a time while the whole log is verified.
const VERIFY_BATCH: u32 = 1000;

/// A stretch of the audit log, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// Records.
    pub items: Vec<AuditRecord>,
    /// Where the next page begins.
    pub next: Option<u64>,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Records read.
    pub records: u64,
    /// Checkpoints whose root was found again.
    pub checkpoints: u64,
    /// What does not fit, in the order of the log; empty when all is well.
    pub problems: Vec<String>,
}

/// That a log contains an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofOfGrowth {
    /// The newest signed checkpoint.
    pub checkpoint: String,
    /// RFC 9162 consistency proof from the asked size to it.
    pub proof: Vec<Hash>,
}

impl Control {
    /// Records of the audit log.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn audit(
        &self,
        ctx: &Ctx,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<AuditPage, Failure> {
        let permit = self.permit::<ReadAudit>(ctx).await?;
        let limit = limit.clamp(1, PAGE_MAX);
        let mut items = self.store.audit(permit.tenant(), filter, limit + 1).await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_cut = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| is_cut).map(|record| record.index);
        Ok(AuditPage { items, next })
    }

    /// The newest signed checkpoint, as it was signed.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn newest_checkpoint(&self, ctx: &Ctx) -> Result<Option<String>, Failure> {
        let permit = self.permit::<ReadAudit>(ctx).await?;
        self.store.checkpoint(permit.tenant()).await
    }

    /// Reads the whole log again: every record against its hash, every place against its number, every
    /// checkpoint against the tree and its signature. `open` verifies a note's signature.
    ///
    /// # Errors
    /// Not allowed, or the store can't be used; what is wrong with the log is in [`Verified::problems`].
    pub async fn verify_audit(
        &self,
        ctx: &Ctx,
        open: impl Fn(&Note) -> Result<Checkpoint, String> + Send,
    ) -> Result<Verified, Failure> {
        let permit = self.permit::<ReadAudit>(ctx).await?;
        let tenant = permit.tenant();
        let mut found = Verified { records: 0, checkpoints: 0, problems: Vec::new() };
        let (mut log, mut marks) = (Frontier::default(), Checkpoints::new(self, tenant));
        loop {
            let batch = self.store.audit_from(tenant, log.size(), VERIFY_BATCH).await?;
            if batch.is_empty() {
                // A record and the checkpoint over it are one commit: one that came since the last look has
                // both, and a log that was cut has the checkpoint alone.
                let grows = marks.is_beyond(log.size()).await?
                    && !self.store.audit_from(tenant, log.size(), 1).await?.is_empty();
                if grows {
                    continue;
                }
                break;
            }
            for record in batch {
                if record.index != log.size() {
                    let (wanted, got) = (log.size(), record.index);
                    found
                        .problems
                        .push(format!("record {wanted} is missing: the next one is {got}"));
                    return Ok(found);
                }
                let leaf = leaf_hash(record.record.as_bytes());
                if leaf != record.leaf {
                    found.problems.push(format!("record {} was changed", record.index));
                }
                log.append(leaf);
                found.records += 1;
                if let Some(note) = marks.at(log.size()).await? {
                    check_mark(&mut found, &log, &open(&note));
                }
            }
        }
        if let Some((size, note)) = marks.beyond(log.size()).await? {
            let signed = open(&note).is_ok();
            found.problems.push(format!(
                "the log was cut: a {} checkpoint speaks of {size} records and {} are there",
                if signed { "signed" } else { "badly signed" },
                log.size()
            ));
        } else if log.size() > 0 && marks.last != log.size() {
            found.problems.push(format!("no checkpoint covers the last of {} records", log.size()));
        }
        Ok(found)
    }

    /// The newest checkpoint, and that it contains the log of `from` records; `from` 0 gives no proof.
    ///
    /// # Errors
    /// When there is no checkpoint, `from` is beyond it, or nodes are missing.
    pub async fn growth(
        &self,
        tenant: TenantId,
        from: u64,
        size_of: impl Fn(&Note) -> Option<u64> + Send,
    ) -> Result<ProofOfGrowth, Failure> {
        let text = self.store.checkpoint(tenant).await?;
        let text = text.ok_or_else(|| Failure::absent("checkpoint"))?;
        let broken =
            |what: &str| Failure::new(Fault::Broken, format!("the audit log is damaged: {what}"));
        let size = size_of(&Note::from_text(text.clone())).ok_or_else(|| broken("checkpoint"))?;
        if from == 0 || from == size {
            return Ok(ProofOfGrowth { checkpoint: text, proof: Vec::new() });
        }
        if from > size {
            let reason =
                format!("the log has {size} records, not {from}: this is not the log that you saw");
            return Err(Failure::new(Fault::Conflict, reason));
        }
        // First which nodes the proof wants, then the nodes, then the proof.
        let mut wanted: Vec<NodeId> = Vec::new();
        consistency(from, size, |id| {
            wanted.push(id);
            Some([0; 32])
        });
        let nodes = self.store.audit_nodes(tenant, &wanted).await?;
        let look_up = |id| nodes.iter().find(|(node, _)| *node == id).map(|(_, hash)| *hash);
        let proof = consistency(from, size, look_up).ok_or_else(|| broken("nodes are missing"))?;
        Ok(ProofOfGrowth { checkpoint: text, proof })
    }
}

fn check_mark(found: &mut Verified, log: &Frontier, opened: &Result<Checkpoint, String>) {
    let size = log.size();
    match opened {
        Ok(said) if said.size == size && said.root == log.root() => found.checkpoints += 1,
        Ok(_) => found.problems.push(format!(
            "the first {size} records are not the ones that were signed: changed or reordered"
        )),
        Err(why) => found.problems.push(format!("the checkpoint over {size} records: {why}")),
    }
}

/// Walks the checkpoints beside the records.
struct Checkpoints<'a> {
    control: &'a Control,
    tenant: TenantId,
    waiting: std::collections::VecDeque<(u64, String)>,
    fetched_to: u64,
    is_done: bool,
    last: u64,
}

impl<'a> Checkpoints<'a> {
    const fn new(control: &'a Control, tenant: TenantId) -> Self {
        let waiting = std::collections::VecDeque::new();
        Self { control, tenant, waiting, fetched_to: 0, is_done: false, last: 0 }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        if self.waiting.is_empty() && !self.is_done {
            let from = self.fetched_to;
            let more = self.control.store.checkpoints(self.tenant, from, VERIFY_BATCH).await?;
            self.is_done = more.is_empty();
            self.fetched_to = more.last().map_or(from, |(size, _)| size + 1);
            self.waiting.extend(more);
        }
        Ok(())
    }

    async fn at(&mut self, size: u64) -> Result<Option<Note>, Failure> {
        self.fill().await?;
        match self.waiting.front() {
            Some((next, _)) if *next == size => {
                self.last = size;
                Ok(self.waiting.pop_front().map(|(_, text)| Note::from_text(text)))
            }
            Some(_) | None => Ok(None),
        }
    }

    async fn is_beyond(&mut self, size: u64) -> Result<bool, Failure> {
        self.fill().await?;
        Ok(self.waiting.back().is_some_and(|(last, _)| *last > size))
    }

    async fn beyond(&mut self, size: u64) -> Result<Option<(u64, Note)>, Failure> {
        self.fill().await?;
        let last = match self.waiting.back() {
            Some((last, _)) if *last > size => self.waiting.pop_back(),
            Some(_) | None => None,
        };
        Ok(last.map(|(size, text)| (size, Note::from_text(text))))
    }
}
