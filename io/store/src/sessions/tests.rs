use std::{path::PathBuf, task::Poll};

use hedgerow_base::Secret;
use hedgerow_plane::{Durability, SessionNumber, StoredMessage, StoredSession};
use sqlx::{SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::*;

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A data directory.
pub(super) struct House {
    pub(super) folder: TempDir,
}

impl House {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(super) fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(self.folder.path().join("sessions.db"))
    }

    pub(super) async fn open(&self) -> (SessionsStore, StoredSessions) {
        self.open_as(1, NOW).await.unwrap()
    }

    async fn open_as(
        &self,
        key: u8,
        now: Timestamp,
    ) -> Result<(SessionsStore, StoredSessions), SessionsError> {
        SessionsStore::open(self.folder.path(), master(key), now).await
    }

    /// What is found after a kill.
    pub(super) async fn found(&self) -> StoredSessions {
        let killed = self.killed();
        let (store, found) = killed.open().await;
        store.close().await.unwrap();
        found
    }

    /// Another house with the files as they are now: what `kill -9` leaves.
    pub(super) fn killed(&self) -> Self {
        let folder = TempDir::new().unwrap();
        for file in self.files() {
            std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        Self { folder }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        self.files().iter().any(|file| {
            let content = std::fs::read(file).unwrap();
            content.windows(bytes.len()).any(|window| window == bytes)
        })
    }

    async fn connection(&self) -> SqliteConnection {
        self.options().connect().await.unwrap()
    }

    async fn change(&self, statement: &'static str) {
        sqlx::query(statement).execute(&mut self.connection().await).await.unwrap();
    }

    /// Bodies that wait at other than the places that they count.
    pub(super) async fn stray_bodies(&self) -> i64 {
        let stray = "SELECT count(*) FROM message WHERE places !=
                     (SELECT count(*) FROM waiting WHERE waiting.message = message.id)";
        sqlx::query_scalar(stray).fetch_one(&mut self.connection().await).await.unwrap()
    }

    /// Rows of: session, subscription, message, waiting, taken, retained.
    async fn rows(&self) -> [i64; 6] {
        let mut connection = self.connection().await;
        let mut rows = [0; 6];
        let statements = [
            "SELECT count(*) FROM session",
            "SELECT count(*) FROM subscription",
            "SELECT count(*) FROM message",
            "SELECT count(*) FROM waiting",
            "SELECT count(*) FROM taken",
            "SELECT count(*) FROM retained",
        ];
        for (rows, statement) in rows.iter_mut().zip(statements) {
            *rows = sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap();
        }
        rows
    }
}

fn master(key: u8) -> MasterKey {
    MasterKey::new(&Secret::new([key; 32])).unwrap()
}

pub(super) async fn decided(store: &SessionsStore, ticket: Ticket) -> Durability {
    std::future::poll_fn(|context| {
        store.commits().wake_on_next(context.waker());
        match store.commits().state(ticket) {
            Durability::Waiting => Poll::Pending,
            other => Poll::Ready(other),
        }
    })
    .await
}

async fn keep(store: &SessionsStore, changes: Vec<SessionChange>) {
    let ticket = store.offer(changes).unwrap();
    assert_eq!(decided(store, ticket).await, Durability::Stored);
}

fn open(session: SessionNumber) -> SessionChange {
    let client_id = format!("client {session}").into();
    SessionChange::Open { session, owner: [7; 4].into(), client_id, expiry_s: 60 }
}

fn subscribe(session: SessionNumber, filter: &str, options: u8) -> SessionChange {
    SessionChange::Subscribe { session, filter: filter.into(), options: [options].into() }
}

fn unsubscribe(session: SessionNumber, filter: &str) -> SessionChange {
    SessionChange::Unsubscribe { session, filter: filter.into() }
}

fn queue(session: SessionNumber, order: u64, message: &str) -> SessionChange {
    shared(session, order, &message.as_bytes().into())
}

fn shared(session: SessionNumber, order: u64, message: &Arc<[u8]>) -> SessionChange {
    let options = [1, 2].into();
    SessionChange::Queue { session, order, options, message: Arc::clone(message) }
}

fn release(session: SessionNumber, order: u64) -> SessionChange {
    SessionChange::Release { session, order }
}

fn done(session: SessionNumber, order: u64) -> SessionChange {
    SessionChange::Done { session, order }
}

fn take(session: SessionNumber, packet: u16) -> SessionChange {
    SessionChange::Take { session, packet }
}

fn forget(session: SessionNumber, packet: u16) -> SessionChange {
    SessionChange::Forget { session, packet }
}

fn retain(topic: &str, message: &str) -> SessionChange {
    SessionChange::Retain { topic: topic.into(), message: message.as_bytes().into() }
}

fn waits(order: u64, message: Option<&str>) -> StoredMessage {
    let message = message.map(|message| message.as_bytes().into());
    StoredMessage { order, options: [1, 2].into(), message }
}

fn stored(session: SessionNumber) -> StoredSession {
    StoredSession {
        session,
        owner: [7; 4].into(),
        client_id: format!("client {session}").into(),
        expiry_s: 60,
        until: None,
        will: None,
        subscriptions: Vec::new(),
        queue: Vec::new(),
        taken: Vec::new(),
    }
}

#[tokio::test]
async fn everything_kept_comes_back_in_order_after_a_kill_and_after_a_close() {
    let house = House::new();
    let (store, found) = house.open().await;
    assert_eq!(found, StoredSessions::default());
    let until = NOW.plus_ms(1);
    keep(&store, vec![open(2), open(1), subscribe(1, "b/#", 2), subscribe(1, "a", 1)]).await;
    keep(&store, vec![queue(1, 9, "nine"), queue(1, 10, "ten"), take(1, 500), take(1, 3)]).await;
    keep(&store, vec![retain("t/2", "two"), retain("t/1", "old"), retain("t/1", "one")]).await;
    keep(&store, vec![release(1, 9), SessionChange::Away { session: 2, until }]).await;
    let mut one = stored(1);
    one.subscriptions = vec![("a".into(), [1].into()), ("b/#".into(), [2].into())];
    one.queue = vec![waits(9, None), waits(10, Some("ten"))];
    one.taken = vec![3, 500];
    let two = StoredSession { until: Some(until), ..stored(2) };
    let retained = [("t/1", "one"), ("t/2", "two")];
    let retained = retained.map(|(topic, body)| (topic.into(), body.as_bytes().into())).into();
    let expected = StoredSessions { sessions: vec![one, two], retained };
    assert_eq!(house.found().await, expected, "after a kill");
    store.close().await.unwrap();
    assert_eq!(house.files().len(), 1, "the log is gone");
    assert_eq!(house.open().await.1, expected, "after a close");
}

#[tokio::test]
async fn sessions_whose_end_has_come_are_removed_with_all_they_had() {
    let house = House::new();
    let (store, _) = house.open().await;
    for session in [1, 2] {
        let until = NOW.plus_ms(i64::try_from(session).unwrap() * 1000);
        let of = vec![open(session), subscribe(session, "a", 1), queue(session, 1, "message")];
        keep(&store, of).await;
        keep(&store, vec![take(session, 1), SessionChange::Away { session, until }]).await;
    }
    store.close().await.unwrap();
    let (store, found) = house.open_as(1, NOW.plus_ms(1000)).await.unwrap();
    assert_eq!(found.sessions.iter().map(|session| session.session).collect::<Vec<_>>(), [2]);
    assert_eq!(house.rows().await, [1, 1, 1, 1, 1, 0]);
    assert_eq!((store.counts().sessions, store.counts().waiting), (1, 1));
}

fn will(session: SessionNumber, will: Option<&str>) -> SessionChange {
    SessionChange::Will { session, will: will.map(|will| will.as_bytes().into()) }
}

#[tokio::test]
async fn a_will_waits_for_its_hub_even_when_its_session_has_ended() {
    let house = House::new();
    let (store, _) = house.open().await;
    keep(&store, vec![open(1), will(1, Some("old")), will(1, Some("my last words"))]).await;
    keep(&store, vec![open(2), will(2, Some("unsaid"))]).await;
    keep(&store, vec![open(3), will(3, Some("said")), open(4)]).await;
    let away = |session| SessionChange::Away { session, until: NOW };
    keep(&store, vec![away(1), away(2), away(3), away(4), will(2, None)]).await;
    keep(&store, vec![SessionChange::End { session: 3 }, open(5), will(5, None)]).await;
    let (words, until) = (b"my last words".as_slice(), Some(NOW));
    let one = StoredSession { until, will: Some(words.into()), ..stored(1) };
    assert_eq!(house.found().await.sessions, [one.clone(), stored(5)]);
    store.close().await.unwrap();
    assert!(!house.holds(words), "it is sealed");
    assert_eq!(house.open().await.1.sessions, [one, stored(5)], "and after a close");
    house.change("UPDATE will SET body = x'00'").await;
    let (store, found) = house.open().await;
    assert_eq!(store.counts().dropped, 1);
    assert_eq!(found.sessions[0].will, None);
}

#[tokio::test]
async fn a_client_that_comes_back_has_no_end() {
    let house = House::new();
    let (store, _) = house.open().await;
    let away = SessionChange::Away { session: 1, until: NOW };
    keep(&store, vec![open(1), away]).await;
    keep(&store, vec![open(1)]).await;
    assert_eq!(house.found().await.sessions, [stored(1)]);
    assert_eq!(store.counts().sessions, 1);
}

#[tokio::test]
async fn what_is_done_in_the_commit_that_queues_it_is_never_written() {
    let house = House::new();
    let (store, _) = house.open().await;
    keep(&store, vec![open(1)]).await;
    let both = |order| [queue(1, order, "message"), done(1, order)];
    keep(&store, (0..1000).flat_map(both).chain([queue(1, 1000, "stays")]).collect()).await;
    let id = sqlx::query_scalar::<_, i64>("SELECT id FROM message");
    assert_eq!(id.fetch_one(&mut house.connection().await).await.unwrap(), 1, "it is the first");
    assert_eq!(house.rows().await, [1, 0, 1, 1, 0, 0]);
    keep(&store, vec![queue(1, 1001, "released"), release(1, 1001)]).await;
    assert_eq!(house.rows().await, [1, 0, 1, 2, 0, 0], "its body is not written");
    let queue = [waits(1000, Some("stays")), waits(1001, None)];
    assert_eq!(house.found().await.sessions[0].queue, queue);
    keep(&store, vec![done(1, 1000), done(1, 1001)]).await;
    assert_eq!(house.rows().await, [1, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_session_that_ends_leaves_nothing() {
    let house = House::new();
    let (store, _) = house.open().await;
    let all = || {
        let (subscribe, queue) = (subscribe(1, "a", 1), queue(1, 1, "message"));
        vec![open(1), subscribe, queue, take(1, 1)]
    };
    let end = SessionChange::End { session: 1 };
    keep(&store, all().into_iter().chain([end.clone()]).collect()).await;
    assert_eq!(house.rows().await, [0; 6], "within a commit");
    keep(&store, all()).await;
    assert_eq!(house.rows().await, [1, 1, 1, 1, 1, 0]);
    keep(&store, vec![queue(1, 2, "another"), take(1, 2), end]).await;
    assert_eq!(house.rows().await, [0; 6], "and from the disk");
    let counts = store.counts();
    assert_eq!((counts.sessions, counts.waiting, counts.pending), (0, 0, 0));
}

#[tokio::test]
async fn changes_of_a_session_keep_their_order() {
    let house = House::new();
    let (store, _) = house.open().await;
    let twice = [subscribe(1, "a", 1), unsubscribe(1, "a"), subscribe(1, "a", 2)];
    let gone = [subscribe(1, "b", 1), unsubscribe(1, "b"), take(1, 1), forget(1, 1)];
    let again = [take(1, 2), forget(1, 2), take(1, 2)];
    let changes = || twice.iter().chain(&gone).chain(&again).cloned();
    let unretain = SessionChange::Unretain { topic: "t".into() };
    for round in 0..3 {
        let kept = match round {
            0 => [open(1)].into_iter().chain(changes()).collect(),
            1 => vec![subscribe(1, "b", 9), take(1, 1), retain("t", "x")],
            _ => changes().chain([unretain.clone()]).collect(),
        };
        keep(&store, kept).await;
    }
    let found = house.found().await;
    assert_eq!(found.sessions[0].subscriptions, [("a".into(), [2].into())]);
    assert_eq!((&*found.sessions[0].taken, found.retained.len()), (&[2][..], 0));
}

#[tokio::test]
async fn a_message_for_many_sessions_is_written_once_and_goes_with_the_last() {
    let house = House::new();
    let (store, _) = house.open().await;
    let message: Arc<[u8]> = b"to all".to_vec().into();
    keep(&store, (0..1000).map(open).collect()).await;
    keep(&store, (0..1000).map(|session| shared(session, 5, &message)).collect()).await;
    assert_eq!(house.rows().await, [1000, 0, 1, 1000, 0, 0]);
    assert!(house.found().await.sessions.iter().all(|s| s.queue == [waits(5, Some("to all"))]));
    keep(&store, (0..998).map(|session| done(session, 5)).collect()).await;
    assert_eq!(house.rows().await, [1000, 0, 1, 2, 0, 0]);
    keep(&store, vec![release(998, 5)]).await;
    assert_eq!(house.rows().await, [1000, 0, 1, 2, 0, 0], "one waits still");
    keep(&store, vec![SessionChange::End { session: 999 }]).await;
    assert_eq!(house.rows().await, [999, 0, 0, 1, 0, 0]);
    assert_eq!(store.counts().waiting, 1);
}

#[tokio::test]
async fn commits_of_thousands_are_kept_whole() {
    let house = House::new();
    let (store, _) = house.open().await;
    keep(&store, (1..=7).map(open).collect()).await;
    let many = (0..7777u64).map(|at| queue(at % 7 + 1, at, &format!("message {at}")));
    keep(&store, many.collect()).await;
    keep(&store, (0..6000u64).map(|at| done(at % 7 + 1, at)).collect()).await;
    let topics = (0..3000).map(|at| retain(&format!("t/{at:04}"), &format!("body {at}")));
    keep(&store, topics.collect()).await;
    let found = house.found().await;
    assert_eq!(found.retained.len(), 3000);
    for (at, (topic, body)) in found.retained.iter().enumerate() {
        assert_eq!((&**topic, &**body), (&*format!("t/{at:04}"), format!("body {at}").as_bytes()));
    }
    for (session, stored) in (1..).zip(&found.sessions) {
        let orders = (6000..7777u64).filter(|at| at % 7 + 1 == session);
        let queue: Vec<_> = orders.map(|at| waits(at, Some(&format!("message {at}")))).collect();
        assert_eq!(stored.queue, queue);
    }
    let counts = store.counts();
    assert_eq!((counts.sessions, counts.waiting, counts.retained), (7, 1777, 3000));
    assert_eq!((counts.commits, counts.commits_failed), (4, 0));
}

#[tokio::test]
async fn as_much_as_may_wait_is_kept_and_one_more_is_refused() {
    let house = House::new();
    let (store, _) = house.open().await;
    let too_many = vec![done(1, 1); limits::PENDING_CHANGES_MAX + 1];
    let refused = store.offer(too_many).unwrap_err();
    assert_eq!((refused.fault, refused.word), (Fault::Unavailable, "store-full"));
    keep(&store, vec![open(1); limits::PENDING_CHANGES_MAX]).await;
    assert_eq!(house.rows().await[0], 1);
}

#[tokio::test]
async fn a_full_disk_fails_tickets_and_what_failed_is_kept_when_there_is_room() {
    let house = House::new();
    let options = house.options().pragma("max_page_count", "40");
    let (store, _) = SessionsStore::open_with(options, master(1), NOW).await.unwrap();
    keep(&store, vec![open(1), open(2), retain("t", "before")]).await;
    let long = "x".repeat(20_000);
    let mut order = 0;
    loop {
        let ticket = store.offer(vec![queue(1, order, &long)]).unwrap();
        match decided(&store, ticket).await {
            Durability::Stored => order += 1,
            other => break assert_eq!(other, Durability::Failed),
        }
        assert!(order < 100, "40 pages of 4 KiB are full some day");
    }
    assert!(order > 0);
    let meanwhile = vec![queue(2, 1, "small"), queue(2, 2, "brief"), retain("t", "after")];
    let ticket = store.offer(meanwhile).unwrap();
    assert_eq!(decided(&store, ticket).await, Durability::Failed, "it goes with what failed");
    assert_eq!(store.counts().pending, 6, "two sessions with three messages, and a topic");
    assert_eq!(u64::try_from(house.rows().await[3]).unwrap(), order, "nothing of it is there");
    keep(&store, vec![done(1, 0), done(2, 2)]).await;
    let found = house.found().await;
    let orders: Vec<_> = found.sessions[0].queue.iter().map(|message| message.order).collect();
    assert_eq!(orders, (1..=order).collect::<Vec<_>>(), "the one that failed is there");
    assert_eq!(found.sessions[1].queue, [waits(1, Some("small"))]);
    assert_eq!(&*found.retained[0].1, b"after");
    let counts = store.counts();
    assert_eq!((counts.sessions, counts.waiting, counts.retained), (2, order + 1, 1));
    assert!((2..).contains(&counts.commits_failed) && counts.pending == 0, "{counts:?}");
}

#[tokio::test]
async fn what_failed_is_tried_again_without_being_asked() {
    let house = House::new();
    let (store, _) = house.open().await;
    keep(&store, vec![open(1)]).await;
    house.change("ALTER TABLE waiting RENAME TO elsewhere").await;
    let ticket = store.offer(vec![queue(1, 1, "message")]).unwrap();
    assert_eq!(decided(&store, ticket).await, Durability::Failed);
    house.change("ALTER TABLE elsewhere RENAME TO waiting").await;
    while store.counts().pending > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(house.found().await.sessions[0].queue, [waits(1, Some("message"))]);
    assert_eq!(store.commits().state(ticket), Durability::Failed, "publishers were told so");
}

#[tokio::test]
async fn a_commit_that_failed_but_landed_can_be_written_again() {
    let house = House::new();
    let (store, _) = house.open().await;
    store.close().await.unwrap();
    let mut connection = house.connection().await;
    let mut bodies = Bodies::open(&mut connection, &master(1)).await.unwrap();
    let message: Arc<[u8]> = b"both".to_vec().into();
    let mut plan = plan::Plan::default();
    let changes = [open(1), open(2), shared(1, 1, &message), shared(2, 1, &message)];
    let more = [queue(1, 2, "one"), queue(1, 3, "done"), take(1, 1), subscribe(1, "a", 1)];
    changes.into_iter().chain(more).for_each(|change| plan.absorb(change));
    for attempt in 0..3 {
        let rows = rows::Rows::of(&plan, &mut bodies).unwrap();
        writer::commit(&mut connection, rows).await.unwrap();
        let messages = if attempt == 0 { 3 } else { 1 };
        assert_eq!(house.rows().await, [2, 1, messages, messages + 1, 1, 0]);
        plan.set_tried();
        plan.absorb(done(1, 3));
        plan.absorb(release(1, 2));
        plan.absorb(done(1, 2));
    }
    let found = house.found().await;
    let queues: Vec<_> = found.sessions.iter().map(|session| session.queue.clone()).collect();
    assert_eq!(queues, [[waits(1, Some("both"))], [waits(1, Some("both"))]]);
}

#[tokio::test]
async fn nothing_of_a_message_is_readable_on_the_disk() {
    let house = House::new();
    let (store, _) = house.open().await;
    keep(&store, vec![open(1), queue(1, 1, "a word to look for"), subscribe(1, "a/filter", 1)])
        .await;
    keep(&store, vec![retain("a/topic", "a word to look for")]).await;
    assert!(!house.holds(b"a word to look for"));
    assert!(house.holds(b"a/filter") && house.holds(b"a/topic"), "while these are");
    store.close().await.unwrap();
    assert!(!house.holds(b"a word to look for"));
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let house = House::new();
    house.open().await.0.close().await.unwrap();
    let refused = house.open_as(2, NOW).await.unwrap_err();
    assert!(matches!(refused, SessionsError::Cipher(_)), "{refused}");
    assert!(house.open_as(1, NOW).await.is_ok());
}

#[tokio::test]
async fn damaged_and_exchanged_bodies_are_dropped_and_the_rest_is_kept() {
    let house = House::new();
    let (store, _) = house.open().await;
    let bodies = ["one", "two", "three", "four"];
    keep(&store, vec![open(1)]).await;
    for (order, body) in (1..).zip(bodies) {
        keep(&store, vec![queue(1, order, body), retain(body, body)]).await;
    }
    store.close().await.unwrap();
    let exchange = "WITH old AS MATERIALIZED (SELECT id, body FROM message)
                    UPDATE message SET body = old.body FROM old
                    WHERE message.id IN (1, 2) AND old.id = 3 - message.id";
    house.change(exchange).await;
    house.change("UPDATE message SET body = zeroblob(length(body)) WHERE id = 3").await;
    house.change("UPDATE retained SET topic = 'five' WHERE topic = 'four'").await;
    let (store, found) = house.open().await;
    assert_eq!(found.sessions[0].queue, [waits(4, Some("four"))]);
    let topics: Vec<_> = found.retained.iter().map(|(topic, _)| &**topic).collect();
    assert_eq!(topics, ["one", "three", "two"]);
    assert_eq!(store.counts().dropped, 4);
    assert_eq!(house.rows().await, [1, 0, 1, 1, 0, 3]);
    store.close().await.unwrap();
    assert_eq!(house.open().await.0.counts().dropped, 0, "they are gone");
}

#[tokio::test]
async fn a_closed_store_refuses_what_comes_later() {
    let house = House::new();
    let (store, _) = house.open().await;
    let ticket = store.offer(vec![open(1)]).unwrap();
    store.close().await.unwrap();
    assert_eq!(store.commits().state(ticket), Durability::Stored, "what waited is stored");
    assert_eq!(store.offer(vec![open(2)]).unwrap_err().fault, Fault::Unavailable);
    assert!(matches!(store.close().await, Err(SessionsError::Closed)));
    assert_eq!(house.open().await.1.sessions, [stored(1)]);
}

#[tokio::test]
async fn changes_that_keep_coming_do_not_keep_the_store_from_closing() {
    let house = House::new();
    let (store, _) = house.open().await;
    let flood = tokio::spawn({
        let store = store.clone();
        async move {
            while store.offer(vec![open(1)]).is_ok() {
                tokio::task::yield_now().await;
            }
        }
    });
    while store.commits().state(Ticket(3)) == Durability::Waiting {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let closed = tokio::time::timeout(Duration::from_secs(10), store.close()).await;
    closed.expect("it is closed").unwrap();
    flood.await.unwrap();
}

#[tokio::test]
async fn commits_leave_each_other_time_to_gather() {
    const COMMITS: u32 = 20;
    let house = House::new();
    let (store, _) = house.open().await;
    let begun = std::time::Instant::now();
    for session in 0..u64::from(COMMITS) {
        keep(&store, vec![open(session)]).await;
    }
    let pauses = Duration::from_millis(limits::GATHER_MS) * (COMMITS - 1);
    assert!(begun.elapsed() >= pauses, "{:?} for {COMMITS} commits", begun.elapsed());
    assert_eq!(store.counts().commits, u64::from(COMMITS));
}

#[tokio::test]
async fn rows_are_found_by_their_keys() {
    let house = House::new();
    house.open().await.0.close().await.unwrap();
    let mut connection = house.connection().await;
    for (head, tail) in apply::KEYED {
        let columns =
            if head.contains("given(") { "VALUES (1, 2), (3, 4)" } else { "VALUES (1), (2)" };
        let question = format!("EXPLAIN QUERY PLAN {head}{columns}{tail}");
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(question)).fetch_all(&mut connection).await.unwrap();
        let scans = ["session", "waiting", "subscription", "taken", "retained"]
            .iter()
            .any(|table| plan.iter().any(|line| line.3 == format!("SCAN {table}")));
        assert!(!scans, "{head}: {plan:?}");
    }
}
