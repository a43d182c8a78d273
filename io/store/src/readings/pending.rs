//! What waits for the next commit.

use hedgerow_plane::Ticket;
use hedgerow_telemetry::Batch;

use super::limits::PENDING_BYTES_MAX;

/// Readings that were offered and not taken by the writer yet. All of them share the next ticket.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    count: u32,
    taken: u64,
    is_closed: bool,
}

/// What one commit holds.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
    pub(super) ticket: Ticket,
}

impl Pending {
    /// Takes the readings; tells the ticket, and whether nothing waited before.
    pub(super) fn offer(&mut self, batch: &Batch) -> Result<(Ticket, bool), &'static str> {
        if self.is_closed {
            return Err("the hub is stopping; send again in a moment");
        }
        if self.bytes.len() + batch.as_bytes().len() > PENDING_BYTES_MAX {
            return Err("the hub's disk is full or too slow; send again later");
        }
        let was_empty = self.count == 0;
        self.bytes.extend_from_slice(batch.as_bytes());
        self.count += batch.len();
        Ok((Ticket(self.taken + 1), was_empty))
    }

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Everything that waits; `spare` is used for what comes next.
    pub(super) fn take(&mut self, spare: Vec<u8>) -> Option<Group> {
        if self.count == 0 {
            return None;
        }
        self.taken += 1;
        let bytes = core::mem::replace(&mut self.bytes, spare);
        Some(Group { bytes, count: core::mem::take(&mut self.count), ticket: Ticket(self.taken) })
    }

    /// Refuses what is offered from now on.
    pub(super) const fn close(&mut self) {
        self.is_closed = true;
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_base::Timestamp;
    use hedgerow_model::ValueRef;
    use hedgerow_telemetry::{Reading, SeriesId};

    use super::*;

    fn batch(text: &str) -> Batch {
        let mut batch = Batch::default();
        let at = Timestamp::from_ms(0);
        batch.push(Reading { series: SeriesId(1), at, value: ValueRef::Text(text) });
        batch
    }

    #[test]
    fn what_is_offered_together_shares_a_ticket() {
        let mut pending = Pending::default();
        assert_eq!(pending.offer(&batch("a")), Ok((Ticket(1), true)));
        assert_eq!(pending.offer(&batch("b")), Ok((Ticket(1), false)));
        let group = pending.take(Vec::new()).unwrap();
        assert_eq!((group.ticket, group.count), (Ticket(1), 2));
        assert!(pending.take(Vec::new()).is_none());
        assert_eq!(pending.offer(&batch("c")), Ok((Ticket(2), true)));
    }

    #[test]
    fn offers_past_the_limit_are_refused_until_some_were_taken() {
        let mut pending = Pending::default();
        let overhead = batch("").as_bytes().len() + 3;
        let exact = batch(&"x".repeat(PENDING_BYTES_MAX - overhead));
        assert_eq!(exact.as_bytes().len(), PENDING_BYTES_MAX);
        assert!(pending.offer(&exact).is_ok());
        assert!(pending.offer(&batch("")).is_err());
        pending.take(Vec::new());
        assert!(pending.offer(&batch("")).is_ok());
        pending.close();
        assert!(pending.offer(&batch("")).is_err());
    }
}
