//! Rows into the database, many in a statement.

use std::{mem::take, sync::Arc};

use hedgerow_base::Timestamp;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated};

use super::{limits::ROWS_PER_STATEMENT, rows::Rows};

/// By how much a commit changes what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) sessions: i64,
    pub(super) waiting: i64,
    pub(super) retained: i64,
}

/// What stands before the rows and after them. Pairs are looked for in a table of their own: in a plain
/// list of pairs SQLite may read all of the table for each.
pub(super) type Statement = (&'static str, &'static str);

const ENDED: [Statement; 5] = [
    ("DELETE FROM session WHERE number IN (", ")"),
    ("DELETE FROM waiting WHERE session IN (", ")"),
    ("DELETE FROM subscription WHERE session IN (", ")"),
    ("DELETE FROM taken WHERE session IN (", ")"),
    UNWILLED,
];
const UNWILLED: Statement = ("DELETE FROM will WHERE session IN (", ")");
const WILLS: Statement = (
    "INSERT INTO will (session, body) ",
    " ON CONFLICT (session) DO UPDATE SET body = excluded.body",
);
const DONE: Statement =
    ("WITH given(s, o) AS (", ") DELETE FROM waiting WHERE (session, ord) IN given");
const RELEASED: Statement =
    ("WITH given(s, o) AS (", ") UPDATE waiting SET message = NULL WHERE (session, ord) IN given");
const UNSUBSCRIBED: Statement =
    ("WITH given(s, f) AS (", ") DELETE FROM subscription WHERE (session, filter) IN given");
const FORGOTTEN: Statement =
    ("WITH given(s, p) AS (", ") DELETE FROM taken WHERE (session, packet) IN given");
const UNRETAINED: Statement = ("DELETE FROM retained WHERE topic IN (", ")");
const KNOWN_SESSIONS: Statement = ("SELECT count(*) FROM session WHERE number IN (", ")");
const OPENED: Statement = (
    "INSERT INTO session (number, owner, client_id, expiry_s, until_ms) ",
    " ON CONFLICT (number) DO UPDATE SET owner = excluded.owner, client_id = excluded.client_id,
      expiry_s = excluded.expiry_s, until_ms = excluded.until_ms",
);
const AWAY: Statement = (
    "WITH given(s, until) AS (",
    ") UPDATE session SET until_ms = given.until FROM given WHERE session.number = given.s",
);
const SUBSCRIBED: Statement = (
    "INSERT INTO subscription (session, filter, options) ",
    " ON CONFLICT (session, filter) DO UPDATE SET options = excluded.options",
);
const MESSAGES: Statement = ("INSERT INTO message (id, places, body) ", "");
const WAITING: Statement = (
    "INSERT INTO waiting (session, ord, options, message) ",
    " ON CONFLICT (session, ord) DO UPDATE SET options = excluded.options,
      message = excluded.message",
);
const TAKEN: Statement = ("INSERT INTO taken (session, packet) ", " ON CONFLICT DO NOTHING");
const KNOWN_TOPICS: Statement = ("SELECT count(*) FROM retained WHERE topic IN (", ")");
const RETAINED: Statement = (
    "INSERT INTO retained (topic, message) ",
    " ON CONFLICT (topic) DO UPDATE SET message = excluded.message",
);

/// Every statement that looks for rows.
#[cfg(test)]
pub(super) const KEYED: [Statement; 13] = {
    let [session, waiting, subscription, taken, will] = ENDED;
    let changed = [DONE, RELEASED, UNSUBSCRIBED, FORGOTTEN, UNRETAINED, AWAY];
    let [done, released, unsubscribed, forgotten, unretained, away] = changed;
    [
        session,
        waiting,
        subscription,
        taken,
        will,
        done,
        released,
        unsubscribed,
        forgotten,
        unretained,
        away,
        KNOWN_SESSIONS,
        KNOWN_TOPICS,
    ]
};

/// Writes the rows. What goes comes first, so that what comes finds room on a full disk.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    mut rows: Rows<'_>,
) -> Result<Growth, sqlx::Error> {
    let mut pen = Pen { connection, growth: Growth::default() };
    pen.end(&rows.ended).await?;
    pen.shrink(&mut rows).await?;
    pen.grow(&mut rows).await?;
    pen.retain(&mut rows).await?;
    Ok(pen.growth)
}

struct Pen<'c> {
    connection: &'c mut SqliteConnection,
    growth: Growth,
}

impl Pen<'_> {
    async fn end(&mut self, sessions: &[i64]) -> Result<(), sqlx::Error> {
        let [session, waiting, subscription, taken, will] = ENDED;
        self.growth.sessions -= self.write(sessions.to_vec(), session, one).await?;
        self.growth.waiting -= self.write(sessions.to_vec(), waiting, one).await?;
        self.write(sessions.to_vec(), subscription, one).await?;
        self.write(sessions.to_vec(), taken, one).await?;
        self.write(sessions.to_vec(), will, one).await?;
        Ok(())
    }

    async fn shrink(&mut self, rows: &mut Rows<'_>) -> Result<(), sqlx::Error> {
        self.growth.waiting -= self.write(take(&mut rows.done), DONE, two).await?;
        self.write(take(&mut rows.released), RELEASED, two).await?;
        self.write(take(&mut rows.unsubscribed), UNSUBSCRIBED, |mut fields, (session, filter)| {
            fields.push_bind(session).push_bind(Arc::clone(filter));
        })
        .await?;
        self.write(take(&mut rows.forgotten), FORGOTTEN, two).await?;
        self.write(take(&mut rows.unwilled), UNWILLED, one).await?;
        self.growth.retained -= self.write(take(&mut rows.unretained), UNRETAINED, text).await?;
        Ok(())
    }

    async fn grow(&mut self, rows: &mut Rows<'_>) -> Result<(), sqlx::Error> {
        let numbers = rows.opened.iter().map(|(session, _)| *session).collect();
        self.growth.sessions -= self.count(numbers, KNOWN_SESSIONS, one).await?;
        let opened = self.write(take(&mut rows.opened), OPENED, |mut fields, (session, opened)| {
            fields.push_bind(session).push_bind(opened.owner.to_vec());
            fields.push_bind(Arc::clone(&opened.client_id)).push_bind(i64::from(opened.expiry_s));
            fields.push_bind(opened.until.map(Timestamp::as_ms));
        });
        self.growth.sessions += opened.await?;
        self.write(take(&mut rows.away), AWAY, two).await?;
        self.write(take(&mut rows.wills), WILLS, |mut fields, (session, body)| {
            fields.push_bind(session).push_bind(body);
        })
        .await?;
        let subscribed = take(&mut rows.subscribed);
        self.write(subscribed, SUBSCRIBED, |mut fields, (session, filter, options)| {
            fields.push_bind(session).push_bind(Arc::clone(filter)).push_bind(options.to_vec());
        })
        .await?;
        self.write(take(&mut rows.messages), MESSAGES, |mut fields, (id, places, body)| {
            fields.push_bind(id).push_bind(places).push_bind(body);
        })
        .await?;
        let waiting = take(&mut rows.waiting);
        let waiting = self.write(waiting, WAITING, |mut fields, (session, order, how, message)| {
            fields.push_bind(session).push_bind(order).push_bind(how.to_vec()).push_bind(message);
        });
        self.growth.waiting += waiting.await?;
        self.write(take(&mut rows.taken), TAKEN, two).await?;
        Ok(())
    }

    async fn retain(&mut self, rows: &mut Rows<'_>) -> Result<(), sqlx::Error> {
        let topics = rows.retained.iter().map(|(topic, _)| *topic).collect();
        self.growth.retained -= self.count(topics, KNOWN_TOPICS, text).await?;
        let retained = self.write(take(&mut rows.retained), RETAINED, |mut fields, row| {
            fields.push_bind(Arc::clone(row.0)).push_bind(row.1);
        });
        self.growth.retained += retained.await?;
        Ok(())
    }

    /// Runs a statement for all rows; tells how many it changed.
    async fn write<T>(
        &mut self,
        rows: Vec<T>,
        (head, tail): Statement,
        mut fields: impl FnMut(Fields<'_>, T),
    ) -> Result<i64, sqlx::Error> {
        let (mut rows, mut changed) = (rows.into_iter(), 0);
        while let Some(size) = part(rows.len()) {
            let mut query = QueryBuilder::new(head);
            query.push_values(rows.by_ref().take(size), &mut fields).push(tail);
            changed += query.build().execute(&mut *self.connection).await?.rows_affected();
        }
        Ok(changed.cast_signed())
    }

    /// Runs a question for all rows; tells the sum of the answers.
    async fn count<T>(
        &mut self,
        rows: Vec<T>,
        (head, tail): Statement,
        mut fields: impl FnMut(Fields<'_>, T),
    ) -> Result<i64, sqlx::Error> {
        let (mut rows, mut sum) = (rows.into_iter(), 0);
        while let Some(size) = part(rows.len()) {
            let mut query = QueryBuilder::new(head);
            query.push_values(rows.by_ref().take(size), &mut fields).push(tail);
            let answer = query.build_query_scalar::<i64>();
            sum += answer.fetch_one(&mut *self.connection).await?;
        }
        Ok(sum)
    }
}

type Fields<'f> = Separated<'f, Sqlite, &'static str>;

fn one(mut fields: Fields<'_>, number: i64) {
    fields.push_bind(number);
}

fn two(mut fields: Fields<'_>, (session, number): (i64, i64)) {
    fields.push_bind(session).push_bind(number);
}

fn text(mut fields: Fields<'_>, text: &Arc<str>) {
    fields.push_bind(Arc::clone(text));
}

/// How many of the rows that are left the next statement takes: a power of two.
fn part(left: usize) -> Option<usize> {
    let size = 1 << left.checked_ilog2()?;
    Some(size.min(ROWS_PER_STATEMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_parted_into_few_sizes() {
        let sizes = |mut left: usize| {
            let mut sizes = Vec::new();
            while let Some(size) = part(left) {
                sizes.push(size);
                left -= size;
            }
            sizes
        };
        assert_eq!(sizes(0), []);
        assert_eq!(sizes(70), [64, 4, 2]);
        assert_eq!(sizes(ROWS_PER_STATEMENT), [ROWS_PER_STATEMENT]);
        assert_eq!(sizes(ROWS_PER_STATEMENT + 1), [ROWS_PER_STATEMENT, 1]);
    }
}
