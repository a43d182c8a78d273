//! What was kept, read at the start.

use std::collections::BTreeMap;

use hedgerow_base::Timestamp;
use hedgerow_plane::{SessionNumber, StoredMessage, StoredSession, StoredSessions};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    apply::Growth,
    bodies::{Bodies, MESSAGE, WILL, topic_place},
    error::{SessionsError, While},
    limits::ROWS_READ_AT_ONCE,
    rows::row,
};
use crate::cipher::Place;

const ACT: &str = "reading what was kept";

type Found = BTreeMap<SessionNumber, StoredSession>;

/// Everything that was kept, and how many rows were dropped because they are damaged.
pub(super) struct Loaded {
    pub(super) stored: StoredSessions,
    pub(super) dropped: u64,
}

/// 1. Sessions that ended before `now` go, but for those whose will was not said, and whatever belongs to
///    none.
/// 2. The rest is read; what can't be opened is dropped, with a warning.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    bodies: &Bodies,
    now: Timestamp,
) -> Result<Loaded, SessionsError> {
    let mut transaction = connection.begin().await.while_doing(ACT)?;
    purge(&mut transaction, now).await.while_doing("removing sessions that ended")?;
    let mut found = sessions(&mut transaction).await.while_doing(ACT)?;
    subscriptions(&mut transaction, &mut found).await.while_doing(ACT)?;
    taken(&mut transaction, &mut found).await.while_doing(ACT)?;
    let mut dropped = wills(&mut transaction, bodies, &mut found).await.while_doing(ACT)?;
    dropped += waiting(&mut transaction, bodies, &mut found).await.while_doing(ACT)?;
    let mut retained = Vec::new();
    dropped += retain(&mut transaction, bodies, &mut retained).await.while_doing(ACT)?;
    transaction.commit().await.while_doing(ACT)?;
    let stored = StoredSessions { sessions: found.into_values().collect(), retained };
    Ok(Loaded { stored, dropped })
}

async fn purge(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM session WHERE until_ms <= ? AND number NOT IN (SELECT session FROM will)",
    )
    .bind(now.as_ms())
    .execute(&mut *connection)
    .await?;
    for statement in [
        "DELETE FROM waiting WHERE session NOT IN (SELECT number FROM session)",
        "DELETE FROM subscription WHERE session NOT IN (SELECT number FROM session)",
        "DELETE FROM taken WHERE session NOT IN (SELECT number FROM session)",
        "DELETE FROM will WHERE session NOT IN (SELECT number FROM session)",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn sessions(connection: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    let rows = sqlx::query("SELECT number, owner, client_id, expiry_s, until_ms FROM session");
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.iter().map(session).map(|session| (session.session, session)).collect())
}

fn session(row: &SqliteRow) -> StoredSession {
    StoredSession {
        session: number(row.get("number")),
        owner: row.get::<Vec<u8>, _>("owner").into(),
        client_id: row.get::<String, _>("client_id").into(),
        expiry_s: u32::try_from(row.get::<i64, _>("expiry_s")).unwrap_or(0),
        until: row.get::<Option<i64>, _>("until_ms").map(Timestamp::from_ms),
        will: None,
        subscriptions: Vec::new(),
        queue: Vec::new(),
        taken: Vec::new(),
    }
}

async fn subscriptions(
    connection: &mut SqliteConnection,
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query("SELECT session, filter, options FROM subscription ORDER BY 1, 2");
    for row in rows.fetch_all(connection).await? {
        if let Some(session) = found.get_mut(&number(row.get("session"))) {
            let (filter, options): (String, Vec<u8>) = (row.get("filter"), row.get("options"));
            session.subscriptions.push((filter.into(), options.into()));
        }
    }
    Ok(())
}

async fn taken(connection: &mut SqliteConnection, found: &mut Found) -> Result<(), sqlx::Error> {
    let rows = sqlx::query("SELECT session, packet FROM taken ORDER BY 1, 2");
    for row in rows.fetch_all(connection).await? {
        let packet = u16::try_from(row.get::<i64, _>("packet"));
        if let (Some(session), Ok(packet)) = (found.get_mut(&number(row.get("session"))), packet) {
            session.taken.push(packet);
        }
    }
    Ok(())
}

async fn wills(
    connection: &mut SqliteConnection,
    bodies: &Bodies,
    found: &mut Found,
) -> Result<u64, sqlx::Error> {
    let mut dropped = 0;
    for row in sqlx::query("SELECT session, body FROM will").fetch_all(&mut *connection).await? {
        let (session, sealed): (i64, Vec<u8>) = (row.get("session"), row.get("body"));
        let will = bodies.open_body(sealed, Place(WILL, session, 0));
        if will.is_none() {
            let error = SessionsError::DamagedWill(number(session));
            tracing::warn!(%error, "a will is dropped");
            sqlx::query("DELETE FROM will WHERE session = ?")
                .bind(session)
                .execute(&mut *connection)
                .await?;
            dropped += 1;
        }
        if let Some(session) = found.get_mut(&number(session)) {
            session.will = will;
        }
    }
    Ok(dropped)
}

/// A part at a time, so that bodies are not in memory twice.
async fn waiting(
    connection: &mut SqliteConnection,
    bodies: &Bodies,
    found: &mut Found,
) -> Result<u64, sqlx::Error> {
    let (mut after, mut damaged) = ((i64::MIN, i64::MIN), Vec::new());
    loop {
        let rows = sqlx::query(
            "SELECT session, ord, options, message, body
             FROM waiting LEFT JOIN message ON message.id = waiting.message
             WHERE (session, ord) > (?, ?) ORDER BY session, ord LIMIT ?",
        );
        let rows = rows.bind(after.0).bind(after.1).bind(ROWS_READ_AT_ONCE);
        let rows = rows.fetch_all(&mut *connection).await?;
        for row in &rows {
            after = (row.get("session"), row.get("ord"));
            let Some(session) = found.get_mut(&number(after.0)) else { continue };
            match message(row, bodies) {
                Some(message) => session.queue.push(message),
                None => damaged.push((number(after.0), number(after.1))),
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    for session in found.values_mut() {
        session.queue.sort_unstable_by_key(|message| message.order);
    }
    for (session, order) in &damaged {
        let error = SessionsError::DamagedMessage(*session, *order);
        tracing::warn!(%error, "a message that waited is dropped");
        sqlx::query("DELETE FROM waiting WHERE session = ? AND ord = ?")
            .bind(row(*session))
            .bind(row(*order))
            .execute(&mut *connection)
            .await?;
    }
    Ok(damaged.len() as u64)
}

/// What waits in a row, unless it is damaged.
fn message(row: &SqliteRow, bodies: &Bodies) -> Option<StoredMessage> {
    let message = match row.get::<Option<i64>, _>("message") {
        Some(id) => {
            let sealed = row.get::<Option<Vec<u8>>, _>("body")?;
            Some(bodies.open_body(sealed, Place(MESSAGE, id, 0))?)
        }
        None => None,
    };
    let (order, options): (i64, Vec<u8>) = (row.get("ord"), row.get("options"));
    Some(StoredMessage { order: number(order), options: options.into(), message })
}

async fn retain(
    connection: &mut SqliteConnection,
    bodies: &Bodies,
    retained: &mut Vec<(Box<str>, Box<[u8]>)>,
) -> Result<u64, sqlx::Error> {
    let mut dropped = 0;
    let rows = sqlx::query("SELECT topic, message FROM retained ORDER BY topic");
    for row in rows.fetch_all(&mut *connection).await? {
        let (topic, sealed): (String, Vec<u8>) = (row.get("topic"), row.get("message"));
        if let Some(body) = bodies.open_body(sealed, topic_place(&topic)) {
            retained.push((topic.into(), body));
            continue;
        }
        let error = SessionsError::DamagedRetained(topic.as_str().into());
        tracing::warn!(%error, "a retained message is dropped");
        sqlx::query("DELETE FROM retained WHERE topic = ?")
            .bind(topic)
            .execute(&mut *connection)
            .await?;
        dropped += 1;
    }
    Ok(dropped)
}

/// How much there is, counted anew.
pub(super) async fn count(connection: &mut SqliteConnection) -> Result<Growth, sqlx::Error> {
    let counts = sqlx::query_as(
        "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM waiting),
                (SELECT count(*) FROM retained)",
    );
    let (sessions, waiting, retained) = counts.fetch_one(connection).await?;
    Ok(Growth { sessions, waiting, retained })
}

const fn number(row: i64) -> SessionNumber {
    row.cast_unsigned()
}
