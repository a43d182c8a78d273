//! The journal's rows: written, replayed, and written anew.

use std::collections::{BTreeSet, HashMap};

use hedgerow_base::Timestamp;
use hedgerow_telemetry::{
    Batch, Head, SeriesId,
    journal::{block_header, open_block},
};
use sqlx::{Row, SqliteConnection};

use crate::cipher::{NONCE_BYTES, Place, SealKey};

use super::{
    Shared,
    error::{ReadingsError, While},
    limits::SNAPSHOT_BLOCK_BYTES,
};

const BLOCK: &str = "a journal block";
const KEY: &str = "a journal key";

/// The key that blocks are sealed under now.
pub(super) struct JournalKey {
    pub(super) id: i64,
    pub(super) made: Timestamp,
    key: SealKey,
}

impl JournalKey {
    /// Makes a new one in the database.
    pub(super) async fn make(
        connection: &mut SqliteConnection,
        shared: &Shared,
    ) -> Result<Self, ReadingsError> {
        let (made, act) = (shared.now(), "making a journal key");
        // The wrapped key names its row, so the row comes first.
        let inserted = sqlx::query("INSERT INTO journal_key (wrapped, made_ms) VALUES (x'', ?)")
            .bind(made.as_ms())
            .execute(&mut *connection)
            .await
            .while_doing(act)?;
        let id = inserted.last_insert_rowid();
        let (key, wrapped) = shared.master.make(Place(KEY, id, 0))?;
        sqlx::query("UPDATE journal_key SET wrapped = ? WHERE id = ?")
            .bind(wrapped)
            .bind(id)
            .execute(connection)
            .await
            .while_doing(act)?;
        Ok(Self { id, made, key })
    }

    /// The newest one, if there is any.
    pub(super) async fn newest(
        connection: &mut SqliteConnection,
        shared: &Shared,
    ) -> Result<Option<Self>, ReadingsError> {
        let row =
            sqlx::query("SELECT id, wrapped, made_ms FROM journal_key ORDER BY id DESC LIMIT 1")
                .fetch_optional(connection)
                .await
                .while_doing("reading the journal key")?;
        let Some(row) = row else { return Ok(None) };
        let id = row.get("id");
        let wrapped: Vec<u8> = row.get("wrapped");
        let key = shared.master.unwrap(&wrapped, Place(KEY, id, 0))?;
        Ok(Some(Self { id, made: Timestamp::from_ms(row.get("made_ms")), key }))
    }

    /// Writes one row and tells its number. `room` is memory to be used.
    pub(super) async fn append(
        &self,
        connection: &mut SqliteConnection,
        readings: &[u8],
        count: u32,
    ) -> Result<i64, ReadingsError> {
        let mut block = Vec::with_capacity(NONCE_BYTES + 32 + readings.len());
        block.resize(NONCE_BYTES, 0);
        block.extend_from_slice(&block_header(readings, count));
        block.extend_from_slice(readings);
        self.key.seal(&mut block, Place(BLOCK, self.id, 0))?;
        let inserted = sqlx::query("INSERT INTO journal (key, readings, block) VALUES (?, ?, ?)")
            .bind(self.id)
            .bind(i64::from(count))
            .bind(block)
            .execute(connection)
            .await
            .while_doing("writing the journal")?;
        Ok(inserted.last_insert_rowid())
    }

    /// Writes the unsealed readings anew under this key, but for those of `without`.
    pub(super) async fn snapshot(
        &self,
        connection: &mut SqliteConnection,
        shared: &Shared,
        without: &[SeriesId],
    ) -> Result<Extent, ReadingsError> {
        let blocks = blocks(&shared.head(), without);
        let mut written = Extent { last: 0, bytes: 0 };
        for batch in blocks {
            written.bytes += batch.as_bytes().len();
            written.last = self.append(connection, batch.as_bytes(), batch.len()).await?;
        }
        Ok(written)
    }
}

fn blocks(head: &Head, without: &[SeriesId]) -> Vec<Batch> {
    let without: BTreeSet<_> = without.iter().collect();
    let mut blocks = vec![Batch::default()];
    let kept = head.series().filter(|series| !without.contains(series));
    for reading in kept.flat_map(|series| head.readings(series)) {
        if let Some(batch) = blocks.last_mut() {
            batch.push(reading);
            if batch.as_bytes().len() >= SNAPSHOT_BLOCK_BYTES {
                blocks.push(Batch::default());
            }
        }
    }
    blocks.retain(|batch| !batch.is_empty());
    blocks
}

/// How much of the journal there is.
pub(super) struct Extent {
    /// The last row; 0 when there is none.
    pub(super) last: i64,
    /// Bytes of its rows.
    pub(super) bytes: usize,
}

/// Puts the readings of the journal into the head, but for those that are sealed already.
pub(super) async fn replay(
    connection: &mut SqliteConnection,
    shared: &Shared,
    sealed: &HashMap<SeriesId, i64>,
) -> Result<Extent, ReadingsError> {
    let act = "replaying the journal";
    let last: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'journal'")
            .fetch_optional(&mut *connection)
            .await
            .while_doing(act)?;
    let mut keys: HashMap<i64, SealKey> = HashMap::new();
    for row in sqlx::query("SELECT id, wrapped FROM journal_key")
        .fetch_all(&mut *connection)
        .await
        .while_doing(act)?
    {
        let (id, wrapped): (i64, Vec<u8>) = (row.get("id"), row.get("wrapped"));
        keys.insert(id, shared.master.unwrap(&wrapped, Place(KEY, id, 0))?);
    }
    let (mut at, mut bytes) = (0, 0);
    loop {
        let row =
            sqlx::query("SELECT id, key, block FROM journal WHERE id > ? ORDER BY id LIMIT 1")
                .bind(at)
                .fetch_optional(&mut *connection)
                .await
                .while_doing(act)?;
        let Some(row) = row else { break };
        at = row.get("id");
        let (key, mut block): (i64, Vec<u8>) = (row.get("key"), row.get("block"));
        bytes += block.len();
        let key = keys.get(&key).ok_or(ReadingsError::Damaged("the journal's row", at))?;
        replay_block(shared, key.open(&mut block, place_of(&row))?, at, sealed)?;
    }
    Ok(Extent { last: last.unwrap_or(0), bytes })
}

fn place_of(row: &sqlx::sqlite::SqliteRow) -> Place {
    Place(BLOCK, row.get("key"), 0)
}

fn replay_block(
    shared: &Shared,
    block: &[u8],
    row: i64,
    sealed: &HashMap<SeriesId, i64>,
) -> Result<(), ReadingsError> {
    let damaged = |_| ReadingsError::Damaged("the journal's row", row);
    let (readings, _) = open_block(block).map_err(damaged)?;
    let (now, mut head) = (shared.now(), shared.head_mut());
    for reading in readings {
        let reading = reading.map_err(damaged)?;
        // A series without a row was erased.
        if sealed.get(&reading.series).is_some_and(|through| *through < row) {
            head.push(&reading, now);
        }
    }
    Ok(())
}
