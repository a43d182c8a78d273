//! Bodies of messages: sealed under the key of this database, each for its place.

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::{Connection, SqliteConnection};

use super::error::{SessionsError, While};
use crate::cipher::{MasterKey, NONCE_BYTES, Place, SealKey};

const KEY: &str = "the sessions' key";
pub(super) const MESSAGE: &str = "a message that waits";
const RETAINED: &str = "a retained message";
pub(super) const WILL: &str = "a will";

/// The key of the bodies, and the numbers that they are given.
pub(super) struct Bodies {
    key: SealKey,
    last: i64,
}

impl Bodies {
    /// Unwraps the key of the database, or makes one.
    pub(super) async fn open(
        connection: &mut SqliteConnection,
        master: &MasterKey,
    ) -> Result<Self, SessionsError> {
        let act = "fetching the key";
        let wrapped: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT wrapped FROM body_key WHERE id = 1")
                .fetch_optional(&mut *connection)
                .await
                .while_doing(act)?;
        let key = match wrapped {
            Some(wrapped) => master.unwrap(&wrapped, Place(KEY, 1, 0))?,
            None => {
                let (key, wrapped) = master.make(Place(KEY, 1, 0))?;
                let mut transaction = connection.begin().await.while_doing(act)?;
                sqlx::query("INSERT INTO body_key (id, wrapped) VALUES (1, ?)")
                    .bind(wrapped)
                    .execute(&mut *transaction)
                    .await
                    .while_doing(act)?;
                transaction.commit().await.while_doing(act)?;
                key
            }
        };
        let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM message")
            .fetch_one(connection)
            .await
            .while_doing(act)?;
        Ok(Self { key, last: last.unwrap_or(0) })
    }

    /// A number that no body has. It is never given again, even when the commit fails.
    pub(super) const fn number(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    pub(super) fn seal(&self, body: &[u8], place: Place) -> Result<Vec<u8>, SessionsError> {
        let mut sealed = Vec::with_capacity(NONCE_BYTES + body.len() + 16);
        sealed.resize(NONCE_BYTES, 0);
        sealed.extend_from_slice(body);
        self.key.seal(&mut sealed, place)?;
        Ok(sealed)
    }

    /// The body, unless it is damaged.
    pub(super) fn open_body(&self, mut sealed: Vec<u8>, place: Place) -> Option<Box<[u8]>> {
        self.key.open(&mut sealed, place).ok().map(Box::from)
    }
}

/// The place of a topic's message: half of the topic's hash.
pub(super) fn topic_place(topic: &str) -> Place {
    let hash = digest(&SHA256, topic.as_bytes());
    let mut halves = hash
        .as_ref()
        .chunks_exact(8)
        .map(|half| half.iter().fold(0i64, |number, byte| (number << 8) | i64::from(*byte)));
    Place(RETAINED, halves.next().unwrap_or(0), halves.next().unwrap_or(0))
}
