//! The one task that writes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hedgerow_telemetry::{DeviceKey, Readings, SeriesId};
use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use crate::cipher::SealKey;

use super::{
    Order, Shared, catalog,
    error::{ReadingsError, While},
    journal::{self, JournalKey},
    limits::{GATHER_MS, RETRY_MS, TICK_SECONDS},
    pending::Group,
    sealing::Pages,
    tally::Counts,
};

pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) shared: Arc<Shared>,
    pub(super) key: JournalKey,
    /// Data keys by device: the row and the key.
    pub(super) data_keys: HashMap<DeviceKey, (i64, SealKey)>,
    pub(super) last_row: i64,
    pub(super) journal_bytes: usize,
    retry_ms: u64,
    /// When the last commit ended.
    committed: Instant,
}

impl Writer {
    /// Replays the journal.
    pub(super) async fn start(
        mut connection: SqliteConnection,
        shared: Arc<Shared>,
        sealed: &HashMap<SeriesId, i64>,
    ) -> Result<Self, ReadingsError> {
        let replayed = journal::replay(&mut connection, &shared, sealed).await?;
        let key = match JournalKey::newest(&mut connection, &shared).await? {
            Some(key) => key,
            None => {
                let mut transaction = connection.begin().await.while_doing("starting")?;
                let key = JournalKey::make(&mut transaction, &shared).await?;
                transaction.commit().await.while_doing("starting")?;
                key
            }
        };
        Ok(Self {
            connection,
            shared,
            key,
            data_keys: HashMap::new(),
            last_row: replayed.last,
            journal_bytes: replayed.bytes,
            retry_ms: RETRY_MS.0,
            committed: Instant::now(),
        })
    }

    /// Commits what is offered and does what is ordered, until it is closed or nobody can ask any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let period = Duration::from_secs(TICK_SECONDS);
        let mut tick = interval_at(Instant::now() + period, period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut spare = Vec::new();
        loop {
            tokio::select! {
                biased;
                order = inbox.recv() => {
                    self.take_waiting(&mut spare).await;
                    let Some(order) = order else { return };
                    if self.obey(order).await {
                        return;
                    }
                }
                _ = tick.tick() => self.look_around().await,
                () = self.shared.offered.notified() => self.take_waiting(&mut spare).await,
            }
        }
    }

    /// After a commit a moment ago, lets more readings join the next one: a commit costs what hundreds of
    /// readings do. One that comes alone is not delayed.
    async fn gather(&mut self) {
        sleep_until(self.committed + Duration::from_millis(GATHER_MS)).await;
    }

    /// Commits all that waits, and seals what became full. What is offered meanwhile has its own turn, so
    /// that readings that keep coming keep the writer from nothing else.
    async fn take_waiting(&mut self, spare: &mut Vec<u8>) {
        if self.shared.pending().is_empty() {
            return;
        }
        self.gather().await;
        let group = self.shared.pending().take(core::mem::take(spare));
        let Some(mut group) = group else { return };
        let committed = self.commit(&group).await;
        self.committed = Instant::now();
        self.settle(&group, committed).await;
        group.bytes.clear();
        *spare = group.bytes;
        if self.shared.head().is_sealing_due() {
            let _ = self.seal_due().await;
        }
    }

    async fn commit(&mut self, group: &Group) -> Result<(), ReadingsError> {
        let unsaved = self.shared.catalog().take_unsaved();
        let written = self.write(group, &unsaved).await;
        if written.is_err() {
            self.shared.catalog().put_back(unsaved);
        }
        self.last_row = written?;
        self.journal_bytes += group.bytes.len();
        Ok(())
    }

    async fn write(
        &mut self,
        group: &Group,
        unsaved: &[(DeviceKey, catalog::Known)],
    ) -> Result<i64, ReadingsError> {
        if unsaved.is_empty() {
            // One statement is a transaction of its own, at a third of the round trips.
            return self.key.append(&mut self.connection, &group.bytes, group.count).await;
        }
        let act = "committing readings";
        let mut transaction = self.connection.begin().await.while_doing(act)?;
        catalog::save(&mut transaction, unsaved).await.while_doing(act)?;
        let row = self.key.append(&mut transaction, &group.bytes, group.count).await?;
        transaction.commit().await.while_doing(act)?;
        Ok(row)
    }

    /// Puts committed readings into the head and says that they are stored; after a failure waits a
    /// little, so that a full disk does not turn into a busy loop.
    async fn settle(&mut self, group: &Group, committed: Result<(), ReadingsError>) {
        match committed {
            Ok(()) => {
                self.keep(group);
                Counts::add(&self.shared.counts.readings, group.count.into());
                Counts::add(&self.shared.counts.commits, 1);
                self.shared.commits.stored_up_to(group.ticket);
                self.retry_ms = RETRY_MS.0;
            }
            Err(_) => {
                Counts::add(&self.shared.counts.commits_failed, 1);
                self.shared.commits.failed(group.ticket);
                sleep(Duration::from_millis(self.retry_ms)).await;
                self.retry_ms = (self.retry_ms * 2).min(RETRY_MS.1);
            }
        }
    }

    fn keep(&self, group: &Group) {
        let (now, catalog) = (self.shared.now(), self.shared.catalog());
        let mut head = self.shared.head_mut();
        for reading in Readings::new(&group.bytes).flatten() {
            if !catalog.is_erased(reading.series) {
                head.push(&reading, now);
            }
        }
    }

    /// Does one order; tells whether it was the last.
    async fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Seal(answer) => drop(answer.send(self.seal_all().await)),
            Order::Expire(answer) => drop(answer.send(self.expire().await)),
            Order::Erase(device, answer) => drop(answer.send(self.erase(device).await)),
            Order::Close(answer) => {
                self.shared.pending().close();
                let mut spare = Vec::new();
                self.take_waiting(&mut spare).await;
                let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
                let closed = checkpoint.execute(&mut self.connection).await;
                drop(answer.send(closed.map(drop).while_doing("closing")));
                return true;
            }
        }
        false
    }

    async fn look_around(&mut self) {
        // A failure here is one of the disk, and commits tell of that; the next look tries again.
        let _ = self.seal_due().await;
        let _ = self.expire().await;
        let _ = self.give_back(Pages::Some).await;
    }
}
