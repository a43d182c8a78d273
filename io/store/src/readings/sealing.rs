//! From the head into chunks.

use hedgerow_telemetry::{DeviceKey, SeriesId, Summary, seal};
use sqlx::{Connection, Row, SqliteConnection};

use crate::cipher::{NONCE_BYTES, Place, SealKey};

use super::{
    Shared,
    error::{ReadingsError, While},
    journal::{Extent, JournalKey},
    limits::{JOURNAL_BYTES_MAX, JOURNAL_KEY_MS_MAX, KEYS_CACHED_MAX, SEALED_PER_TURN},
    writer::Writer,
};

pub(super) const CHUNK: &str = "a chunk";
pub(super) const DATA_KEY: &str = "a data key";

/// A chunk before it is encrypted.
struct Sealed {
    series: SeriesId,
    owner: DeviceKey,
    summary: Summary,
    body: Vec<u8>,
}

/// What happens to the journal along with a sealing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    /// It stays.
    Keep,
    /// What is unsealed is written anew under a new key; all rows before and their keys go.
    Renew,
}

/// How many free pages are given back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// Few enough that commits wait only milliseconds.
    Some,
    /// All of them.
    All,
}

impl Writer {
    /// Seals what is due, a part in each turn, and renews the journal when it is long or its key old.
    pub(super) async fn seal_due(&mut self) -> Result<(), ReadingsError> {
        let now = self.shared.now();
        let mut due = self.shared.head().due(now);
        due.truncate(SEALED_PER_TURN);
        let is_long = self.journal_bytes > JOURNAL_BYTES_MAX.max(2 * self.shared.head().bytes());
        let is_old = now.since_ms(self.key.made) >= JOURNAL_KEY_MS_MAX && self.journal_bytes > 0;
        let journal = if is_long || is_old { Journal::Renew } else { Journal::Keep };
        if due.is_empty() && journal == Journal::Keep {
            return Ok(());
        }
        self.seal(due, journal, None).await
    }

    /// Seals everything, and leaves no journal.
    pub(super) async fn seal_all(&mut self) -> Result<(), ReadingsError> {
        let all: Vec<_> = self.shared.head().series().collect();
        self.seal(all, Journal::Renew, None).await?;
        self.give_back(Pages::All).await
    }

    /// Gives free pages back to the file system.
    pub(super) async fn give_back(&mut self, pages: Pages) -> Result<(), ReadingsError> {
        let statement = match pages {
            Pages::Some => "PRAGMA incremental_vacuum(512)",
            Pages::All => "PRAGMA incremental_vacuum",
        };
        let vacuum = sqlx::query(statement).fetch_all(&mut self.connection);
        vacuum.await.while_doing("giving pages back").map(drop)
    }

    /// Seals `due` in one transaction with what happens to the journal, and with the erasure of a device.
    pub(super) async fn seal(
        &mut self,
        due: Vec<SeriesId>,
        journal: Journal,
        erased: Option<(DeviceKey, &[SeriesId])>,
    ) -> Result<(), ReadingsError> {
        let sealed = self.seal_at_once(due, journal, erased).await;
        if sealed.is_err() {
            // Keys that were made in the transaction went with it.
            self.data_keys.clear();
        }
        sealed
    }

    async fn seal_at_once(
        &mut self,
        due: Vec<SeriesId>,
        journal: Journal,
        erased: Option<(DeviceKey, &[SeriesId])>,
    ) -> Result<(), ReadingsError> {
        let chunks = self.pack(&due).await?;
        let act = "sealing readings";
        let mut transaction = self.connection.begin().await.while_doing(act)?;
        for chunk in chunks {
            let device = chunk.owner;
            if !self.data_keys.contains_key(&device) {
                if self.data_keys.len() >= KEYS_CACHED_MAX {
                    self.data_keys.clear();
                }
                let key = data_key(&mut transaction, &self.shared, device).await?;
                self.data_keys.insert(device, key);
            }
            if let Some((id, key)) = self.data_keys.get(&device) {
                insert(&mut transaction, chunk, *id, key, self.last_row).await?;
            }
        }
        let mut gone = due;
        if let Some((device, series)) = erased {
            super::erase::delete(&mut transaction, device, self.shared.now()).await?;
            gone.extend_from_slice(series);
        }
        let renewed = match journal {
            Journal::Keep => None,
            Journal::Renew => Some(renew(&mut transaction, &self.shared, &gone).await?),
        };
        transaction.commit().await.while_doing(act)?;
        self.shared.head_mut().forget(&gone);
        if let Some((key, extent)) = renewed {
            (self.key, self.journal_bytes) = (key, extent.bytes);
            self.last_row = self.last_row.max(extent.last);
        }
        Ok(())
    }

    /// Packs series into chunks, off the runtime's threads: it is work for the processor.
    async fn pack(&self, due: &[SeriesId]) -> Result<Vec<Sealed>, ReadingsError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let (shared, due) = (std::sync::Arc::clone(&self.shared), due.to_vec());
        let packed = tokio::task::spawn_blocking(move || pack(&shared, &due));
        packed.await.map_err(|_| ReadingsError::Closed)?
    }
}

fn pack(shared: &Shared, due: &[SeriesId]) -> Result<Vec<Sealed>, ReadingsError> {
    let mut chunks = Vec::with_capacity(due.len());
    for series in due {
        let Some(owner) = shared.catalog().owner(*series) else { continue };
        let head = shared.head();
        let Some(points) = head.points(*series) else { continue };
        let (summary, body) = seal(points)?;
        chunks.push(Sealed { series: *series, owner, summary, body });
    }
    Ok(chunks)
}

async fn insert(
    connection: &mut SqliteConnection,
    chunk: Sealed,
    key_id: i64,
    key: &SealKey,
    through: i64,
) -> Result<(), ReadingsError> {
    let (series, first) = (super::catalog::row(chunk.series.0), chunk.summary.first.as_ms());
    let mut body = Vec::with_capacity(NONCE_BYTES + chunk.body.len() + 16);
    body.resize(NONCE_BYTES, 0);
    body.extend_from_slice(&chunk.body);
    key.seal(&mut body, Place(CHUNK, series, first))?;
    let act = "writing a chunk";
    sqlx::query(
        "INSERT INTO chunk (tenant, series, key, first_ms, last_ms, readings, body)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(i64::from(chunk.owner.tenant.0))
    .bind(series)
    .bind(key_id)
    .bind(first)
    .bind(chunk.summary.last.as_ms())
    .bind(i64::from(chunk.summary.count))
    .bind(body)
    .execute(&mut *connection)
    .await
    .while_doing(act)?;
    sqlx::query("UPDATE series SET sealed_journal = ? WHERE id = ?")
        .bind(through)
        .bind(series)
        .execute(connection)
        .await
        .while_doing(act)?;
    Ok(())
}

/// The data key of a device, made when there is none.
async fn data_key(
    connection: &mut SqliteConnection,
    shared: &Shared,
    device: DeviceKey,
) -> Result<(i64, SealKey), ReadingsError> {
    let act = "fetching a data key";
    if let Some((id, wrapped)) = find_data_key(connection, device).await.while_doing(act)? {
        return Ok((id, shared.master.unwrap(&wrapped, Place(DATA_KEY, id, 0))?));
    }
    let inserted = sqlx::query(
        "INSERT INTO data_key (tenant, device, incarnation, wrapped, made_ms)
         VALUES (?, ?, ?, x'', ?)",
    )
    .bind(i64::from(device.tenant.0))
    .bind(device.id.as_bytes().to_vec())
    .bind(i64::from(device.incarnation.0))
    .bind(shared.now().as_ms())
    .execute(&mut *connection)
    .await
    .while_doing(act)?;
    let id = inserted.last_insert_rowid();
    let (key, wrapped) = shared.master.make(Place(DATA_KEY, id, 0))?;
    sqlx::query("UPDATE data_key SET wrapped = ? WHERE id = ?")
        .bind(wrapped)
        .bind(id)
        .execute(connection)
        .await
        .while_doing(act)?;
    Ok((id, key))
}

/// The row and the wrapped data key of a device.
pub(super) async fn find_data_key(
    connection: &mut SqliteConnection,
    device: DeviceKey,
) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, wrapped FROM data_key WHERE tenant = ? AND device = ? AND incarnation = ?",
    )
    .bind(i64::from(device.tenant.0))
    .bind(device.id.as_bytes().to_vec())
    .bind(i64::from(device.incarnation.0))
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.get("id"), row.get("wrapped"))))
}

/// A new journal key with what is unsealed under it; every row before, and every key, is deleted.
async fn renew(
    connection: &mut SqliteConnection,
    shared: &Shared,
    gone: &[SeriesId],
) -> Result<(JournalKey, Extent), ReadingsError> {
    let act = "renewing the journal";
    let mut run = async |statement| sqlx::query(statement).execute(&mut *connection).await;
    // The blocks need no overwriting, since their key goes; the keys do.
    run("PRAGMA secure_delete = OFF").await.while_doing(act)?;
    let deleted = run("DELETE FROM journal").await;
    run("PRAGMA secure_delete = ON").await.while_doing(act)?;
    deleted.while_doing(act)?;
    run("DELETE FROM journal_key").await.while_doing(act)?;
    let key = JournalKey::make(connection, shared).await?;
    let extent = key.snapshot(connection, shared, gone).await?;
    Ok((key, extent))
}
