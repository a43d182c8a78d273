use std::{
    path::PathBuf,
    sync::atomic::{AtomicI64, Ordering},
    task::Poll,
};

use hedgerow_base::{DeviceId, Incarnation, Secret, TenantId};
use hedgerow_model::{Kind, Value, ValueRef};
use hedgerow_plane::Durability;
use hedgerow_telemetry::{Range, Reading};
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn device(number: u8) -> DeviceKey {
    DeviceKey {
        tenant: TenantId::FIRST,
        id: DeviceId::from_bytes([number; 16]),
        incarnation: Incarnation::FIRST,
    }
}

fn specs() -> Vec<SeriesSpec> {
    let spec = |name: &str, kind| SeriesSpec { name: name.into(), kind, retention_days: 30 };
    vec![spec("cpu", Kind::Number), spec("state", Kind::Text), spec("open", Kind::Boolean)]
}

/// A data directory, and a clock that stands until it is moved.
struct House {
    folder: TempDir,
    now_ms: Arc<AtomicI64>,
}

impl House {
    fn new() -> Self {
        let now_ms = Arc::new(AtomicI64::new(NOW.as_ms()));
        Self { folder: TempDir::new().unwrap(), now_ms }
    }

    fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now_ms);
        Arc::new(move || Timestamp::from_ms(now.load(Ordering::SeqCst)))
    }

    fn later(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    async fn open(&self) -> ReadingsStore {
        self.open_as(1).await.unwrap()
    }

    async fn open_as(&self, key: u8) -> Result<ReadingsStore, ReadingsError> {
        let master = MasterKey::new(&Secret::new([key; 32])).unwrap();
        ReadingsStore::open(self.folder.path(), master, self.clock()).await
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Another house with the files as they are now: what `kill -9` leaves.
    fn killed(&self) -> Self {
        let folder = TempDir::new().unwrap();
        for file in self.files() {
            std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        Self { folder, now_ms: Arc::clone(&self.now_ms) }
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        self.files().iter().any(|file| {
            let content = std::fs::read(file).unwrap();
            content.windows(bytes.len()).any(|window| window == bytes)
        })
    }
}

async fn decided(store: &ReadingsStore, ticket: Ticket) -> Durability {
    std::future::poll_fn(|context| {
        store.commits().wake_on_next(context.waker());
        match store.commits().state(ticket) {
            Durability::Waiting => Poll::Pending,
            other => Poll::Ready(other),
        }
    })
    .await
}

fn offer(store: &ReadingsStore, series: SeriesId, points: &[(i64, ValueRef<'_>)]) -> Ticket {
    let mut batch = Batch::default();
    for (second, value) in points {
        batch.push(Reading { series, at: NOW.plus_ms(second * 1000), value: *value });
    }
    store.offer(&batch).unwrap()
}

async fn keep(store: &ReadingsStore, series: SeriesId, points: &[(i64, ValueRef<'_>)]) {
    let ticket = offer(store, series, points);
    assert_eq!(decided(store, ticket).await, Durability::Stored);
}

fn numbers(seconds: std::ops::Range<i64>) -> Vec<(i64, ValueRef<'static>)> {
    seconds.map(|at| (at, ValueRef::Number(hedgerow_model::double(at % 1000) / 10.0))).collect()
}

/// Waits until the writer has done what follows a commit: it obeys orders only then.
async fn settled(store: &ReadingsStore) {
    store.expire().await.unwrap();
}

const EVER: Range = Range { from: Timestamp::from_ms(0), to: Timestamp::from_ms(i64::MAX) };

async fn read(store: &ReadingsStore, device: DeviceKey, name: &str) -> Vec<(i64, Value)> {
    let query = Query { device, name, range: EVER };
    let readings = store.readings(query, usize::MAX).await.unwrap();
    readings.into_iter().map(|(at, value)| (at.since_ms(NOW) / 1000, value)).collect()
}

fn expected(seconds: std::ops::Range<i64>) -> Vec<(i64, Value)> {
    numbers(seconds).into_iter().map(|(at, value)| (at, value.to_value())).collect()
}

#[tokio::test]
async fn what_is_stored_survives_a_kill_at_every_stage() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    keep(&store, cpu, &numbers(0..700)).await;
    let in_journal = house.killed();
    keep(&store, cpu, &numbers(700..1500)).await;
    settled(&store).await;
    let in_chunk_and_journal = house.killed();
    keep(&store, cpu, &numbers(1500..1600)).await;
    store.seal().await.unwrap();
    let in_chunks = house.killed();
    for (house, count) in [(in_journal, 700), (in_chunk_and_journal, 1500), (in_chunks, 1600)] {
        let store = house.open().await;
        assert_eq!(read(&store, device(1), "cpu").await, expected(0..count));
        let cpu_again = store.series(device(1), &specs())[0];
        assert_eq!(cpu_again, cpu, "the series is found again");
    }
}

#[tokio::test]
async fn sealed_readings_are_not_replayed_again() {
    let house = House::new();
    let store = house.open().await;
    let series = store.series(device(1), &specs());
    keep(&store, series[0], &numbers(0..1024)).await;
    keep(&store, series[2], &[(0, ValueRef::Boolean(true))]).await;
    settled(&store).await;
    assert_eq!(store.unsealed().series, 1, "the full series was sealed");
    let killed = house.killed();
    let again = killed.open().await;
    assert_eq!(again.unsealed(), store.unsealed());
}

#[tokio::test]
async fn a_reading_sent_again_is_not_stored_twice() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    keep(&store, cpu, &numbers(0..1100)).await;
    store.seal().await.unwrap();
    keep(&store, cpu, &numbers(500..1200)).await;
    assert_eq!(read(&store, device(1), "cpu").await, expected(0..1200));
    store.seal().await.unwrap();
    assert_eq!(read(&store, device(1), "cpu").await, expected(0..1200));
    let query = Query {
        device: device(1),
        name: "cpu",
        range: Range { from: NOW, to: NOW.plus_ms(1_200_000) },
    };
    let buckets = store.buckets(query, 600_000).await.unwrap();
    assert_eq!(buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [600, 600]);
}

#[tokio::test]
async fn the_value_stored_later_counts() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    keep(&store, cpu, &[(0, ValueRef::Number(1.0)), (5, ValueRef::Number(1.0))]).await;
    store.seal().await.unwrap();
    keep(&store, cpu, &[(-5, ValueRef::Number(2.0)), (5, ValueRef::Number(2.0))]).await;
    store.seal().await.unwrap();
    let stored: Vec<_> = read(&store, device(1), "cpu").await.into_iter().map(|(_, v)| v).collect();
    assert_eq!(stored, [Value::Number(2.0), Value::Number(1.0), Value::Number(2.0)]);
    let query = Query {
        device: device(1),
        name: "cpu",
        range: Range { from: NOW, to: NOW.plus_ms(10_000) },
    };
    assert_eq!(store.buckets(query, 10_000).await.unwrap()[0].sum, 3.0);
}

#[tokio::test]
async fn buckets_are_the_same_before_and_after_sealing() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    for start in (0..5000).step_by(500) {
        keep(&store, cpu, &numbers(start..start + 500)).await;
    }
    let range = Range { from: NOW.plus_ms(100_000), to: NOW.plus_ms(4_900_000) };
    let query = Query { device: device(1), name: "cpu", range };
    let before = store.buckets(query, 1_600_000).await.unwrap();
    store.seal().await.unwrap();
    assert_eq!(store.unsealed().series, 0);
    let after = store.buckets(query, 1_600_000).await.unwrap();
    assert_eq!(before.iter().map(|bucket| bucket.count).sum::<u64>(), 4800);
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(
            (one.count, one.minimum, one.maximum),
            (other.count, other.minimum, other.maximum)
        );
        assert!((one.sum - other.sum).abs() < 1e-6);
    }
}

#[tokio::test]
async fn last_values_come_from_memory_and_from_chunks() {
    let house = House::new();
    let store = house.open().await;
    let series = store.series(device(1), &specs());
    keep(&store, series[0], &numbers(0..10)).await;
    keep(&store, series[1], &[(3, ValueRef::Text("on"))]).await;
    store.seal().await.unwrap();
    keep(&store, series[1], &[(4, ValueRef::Text("off"))]).await;
    keep(&store, series[0], &[(5, ValueRef::Number(77.0))]).await;
    let last = store.last_values(device(1)).await.unwrap();
    let seen: Vec<_> =
        last.iter().map(|l| (&*l.name, l.at.since_ms(NOW), l.value.clone())).collect();
    let off = Value::Text("off".into());
    assert_eq!(seen, [("cpu", 9000, Value::Number(0.9)), ("state", 4000, off)]);
    assert_eq!(store.last_values(device(2)).await.unwrap(), []);
}

#[tokio::test]
async fn a_device_sees_its_own_readings_only() {
    let house = House::new();
    let store = house.open().await;
    let one = store.series(device(1), &specs())[0];
    let other = store.series(device(2), &specs())[0];
    assert_ne!(one, other);
    keep(&store, one, &numbers(0..3)).await;
    assert_eq!(read(&store, device(2), "cpu").await, []);
    assert_eq!(read(&store, device(1), "state").await, []);
    let resold = DeviceKey { incarnation: Incarnation(2), ..device(1) };
    assert_eq!(read(&store, resold, "cpu").await, []);
    let foreign = DeviceKey { tenant: TenantId(2), ..device(1) };
    assert_eq!(read(&store, foreign, "cpu").await, []);
}

#[tokio::test]
async fn a_property_of_another_type_is_another_series() {
    let house = House::new();
    let store = house.open().await;
    let number = store.series(device(1), &specs())[0];
    let spec = SeriesSpec { name: "cpu".into(), kind: Kind::Text, retention_days: 30 };
    let text = store.series(device(1), &[spec])[0];
    assert_ne!(number, text);
    keep(&store, number, &[(1, ValueRef::Number(1.0))]).await;
    keep(&store, text, &[(2, ValueRef::Text("two"))]).await;
    let last = store.last_values(device(1)).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].value, Value::Text("two".into()));
    assert_eq!(read(&store, device(1), "cpu").await.len(), 2);
}

#[tokio::test]
async fn nothing_readable_is_on_the_disk() {
    let house = House::new();
    let store = house.open().await;
    let state = store.series(device(1), &specs())[1];
    keep(&store, state, &[(0, ValueRef::Text("a word to look for"))]).await;
    assert!(!house.holds(b"a word to look for"), "not in the journal");
    store.seal().await.unwrap();
    assert!(!house.holds(b"a word to look for"), "not in a chunk");
    assert!(house.holds(b"state"), "while names are");
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let house = House::new();
    house.open().await.close().await.unwrap();
    let refused = house.open_as(2).await.unwrap_err();
    assert!(matches!(refused, ReadingsError::Cipher(_)), "{refused}");
    assert!(house.open_as(1).await.is_ok());
}

#[tokio::test]
async fn an_erased_device_leaves_neither_readings_nor_key() {
    let house = House::new();
    let store = house.open().await;
    let (one, other) = (store.series(device(1), &specs()), store.series(device(2), &specs()));
    keep(&store, one[0], &numbers(0..1100)).await;
    keep(&store, other[0], &numbers(0..1100)).await;
    let (id, wrapped) = wrapped_key(&store, device(1)).await.unwrap();
    assert!(house.holds(&wrapped), "the key {id} is there before");
    store.erase(device(1)).await.unwrap();
    assert!(!house.holds(&wrapped), "no copy of the key is left in any file");
    assert_eq!(tombstones(&store).await, 1);
    assert_eq!(read(&store, device(1), "cpu").await, []);
    assert_eq!(store.series_of(device(1)), []);
    assert_eq!(read(&store, device(2), "cpu").await, expected(0..1100), "others keep theirs");
    let killed = house.killed();
    let again = killed.open().await;
    assert_eq!(read(&again, device(1), "cpu").await, []);
    assert_eq!(read(&again, device(2), "cpu").await, expected(0..1100));
    store.erase(device(1)).await.unwrap();
}

#[tokio::test]
async fn what_comes_for_an_erased_device_is_dropped() {
    let house = House::new();
    let store = house.open().await;
    let old = store.series(device(1), &specs())[0];
    keep(&store, old, &numbers(0..5)).await;
    store.erase(device(1)).await.unwrap();
    keep(&store, old, &numbers(5..9)).await;
    assert_eq!(store.unsealed().series, 0);
    let killed = house.killed();
    assert_eq!(killed.open().await.unsealed().series, 0);
    let new = store.series(device(1), &specs())[0];
    assert!(new > old, "numbers of series are never used again");
}

async fn wrapped_key(store: &ReadingsStore, device: DeviceKey) -> Option<(i64, Vec<u8>)> {
    let mut connection = store.readers.acquire().await.unwrap();
    sealing::find_data_key(&mut connection, device).await.unwrap()
}

async fn tombstones(store: &ReadingsStore) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM tombstone");
    count.fetch_one(&store.readers).await.unwrap()
}

async fn rows(store: &ReadingsStore, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&store.readers).await.unwrap()
}

#[tokio::test]
async fn the_journal_and_its_key_go_when_their_readings_are_sealed() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    keep(&store, cpu, &numbers(0..10)).await;
    let key_before = rows(&store, "SELECT id FROM journal_key").await;
    store.seal().await.unwrap();
    assert_eq!(rows(&store, "SELECT count(*) FROM journal").await, 0);
    assert!(rows(&store, "SELECT id FROM journal_key").await > key_before);
    keep(&store, cpu, &numbers(10..20)).await;
    let killed = house.killed();
    let again = killed.open().await;
    assert_eq!(read(&again, device(1), "cpu").await, expected(0..20));
}

#[tokio::test]
async fn the_journal_is_written_anew_after_an_hour_and_keeps_what_is_unsealed() {
    let house = House::new();
    let store = house.open().await;
    let series = store.series(device(1), &specs());
    keep(&store, series[0], &numbers(0..10)).await;
    house.later(limits::JOURNAL_KEY_MS_MAX);
    keep(&store, series[2], &[(0, ValueRef::Boolean(true))]).await;
    keep(&store, series[0], &numbers(10..1030)).await;
    settled(&store).await;
    assert_eq!(rows(&store, "SELECT count(*) FROM journal").await, 1, "one row with the rest");
    assert_eq!(rows(&store, "SELECT count(*) FROM journal_key").await, 1);
    let killed = house.killed();
    let again = killed.open().await;
    assert_eq!(again.unsealed(), store.unsealed());
    assert_eq!(read(&again, device(1), "open").await, [(0, Value::Boolean(true))]);
    assert_eq!(read(&again, device(1), "cpu").await, expected(0..1030));
}

#[tokio::test]
async fn a_long_journal_is_written_anew_and_not_before() {
    let house = House::new();
    let store = house.open().await;
    let series = store.series(device(1), &specs());
    let long = "x".repeat(1 << 20);
    let fill = async |from: i64| keep(&store, series[0], &numbers(from..from + 1024)).await;
    for _ in 0..limits::JOURNAL_BYTES_MAX >> 20 {
        keep(&store, series[1], &[(0, ValueRef::Text(&long))]).await;
    }
    let rows_before = rows(&store, "SELECT count(*) FROM journal").await;
    fill(0).await;
    settled(&store).await;
    assert_eq!(rows(&store, "SELECT count(*) FROM journal").await, 1, "{rows_before} rows before");
    fill(1024).await;
    settled(&store).await;
    assert_eq!(rows(&store, "SELECT count(*) FROM journal").await, 2, "one row is not long");
    let killed = house.killed();
    let again = killed.open().await;
    assert_eq!(again.unsealed(), store.unsealed());
    assert_eq!(read(&again, device(1), "state").await, [(0, Value::Text(long.into()))]);
}

#[tokio::test]
async fn readings_older_than_their_retention_are_deleted() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    keep(&store, cpu, &numbers(0..10)).await;
    store.seal().await.unwrap();
    let days = 30 * 86_400_000;
    house.later(days + 9000);
    assert_eq!(store.expire().await.unwrap(), 0, "the last reading is just old enough to stay");
    house.later(1);
    assert_eq!(store.expire().await.unwrap(), 1);
    assert_eq!(read(&store, device(1), "cpu").await, []);
    let tally = Tally { readings: 10, commits: 1, commits_failed: 0, chunks_expired: 1 };
    assert_eq!(store.tally(), tally);
}

#[tokio::test]
async fn readings_that_keep_coming_do_not_keep_the_store_from_its_other_work() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    let flood = tokio::spawn({
        let store = store.clone();
        async move {
            for at in 0.. {
                offer(&store, cpu, &numbers(at..at + 1));
                tokio::task::yield_now().await;
            }
        }
    });
    while store.commits().state(Ticket(3)) == Durability::Waiting {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let patience = Duration::from_secs(10);
    let expired = tokio::time::timeout(patience, store.expire()).await;
    assert_eq!(expired.expect("the order is obeyed").unwrap(), 0);
    flood.abort();
}

#[tokio::test]
async fn a_shorter_retention_is_taken_over() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    let mut shorter = specs();
    shorter[0].retention_days = 1;
    assert_eq!(store.series(device(1), &shorter)[0], cpu);
    keep(&store, cpu, &numbers(0..10)).await;
    store.seal().await.unwrap();
    house.later(2 * 86_400_000);
    assert_eq!(store.expire().await.unwrap(), 1);
}

#[tokio::test]
async fn a_full_disk_fails_tickets_and_recovers_by_itself() {
    let house = House::new();
    let options = SqliteConnectOptions::new()
        .filename(house.folder.path().join("telemetry.db"))
        .pragma("max_page_count", "40");
    let master = MasterKey::new(&Secret::new([1; 32])).unwrap();
    let store = ReadingsStore::open_with(options, master, house.clock()).await.unwrap();
    let state = store.series(device(1), &specs())[1];
    let long = "x".repeat(60_000);
    let mut stored = 0;
    let failed = loop {
        let ticket = offer(&store, state, &[(stored, ValueRef::Text(&long))]);
        match decided(&store, ticket).await {
            Durability::Stored => stored += 1,
            other => break other,
        }
        assert!(stored < 100, "40 pages of 8 KiB are full some day");
    };
    assert_eq!(failed, Durability::Failed);
    assert!(stored > 0);
    assert_eq!(read(&store, device(1), "state").await.len(), usize::try_from(stored).unwrap());
    store.erase(device(1)).await.unwrap();
    let state = store.series(device(1), &specs())[1];
    keep(&store, state, &[(0, ValueRef::Text(&long))]).await;
}

#[tokio::test]
async fn a_damaged_journal_is_not_taken_for_a_whole_one() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    keep(&store, cpu, &numbers(0..10)).await;
    store.close().await.unwrap();
    let options = SqliteConnectOptions::new().filename(house.folder.path().join("telemetry.db"));
    let mut connection = options.connect().await.unwrap();
    sqlx::query("UPDATE journal SET block = zeroblob(length(block))")
        .execute(&mut connection)
        .await
        .unwrap();
    drop(connection);
    assert!(house.open_as(1).await.is_err());
}

#[tokio::test]
async fn a_closed_store_refuses_what_comes_later() {
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    let ticket = offer(&store, cpu, &numbers(0..10));
    store.close().await.unwrap();
    assert_eq!(store.commits().state(ticket), Durability::Stored, "what waited is stored");
    let mut batch = Batch::default();
    batch.push(Reading { series: cpu, at: NOW, value: ValueRef::Number(1.0) });
    assert_eq!(store.offer(&batch).unwrap_err().fault, Fault::Unavailable);
    assert!(matches!(store.seal().await, Err(ReadingsError::Closed)));
    assert_eq!(read(&house.open().await, device(1), "cpu").await, expected(0..10));
}

#[tokio::test]
async fn many_series_are_sealed_a_part_in_each_turn() {
    let house = House::new();
    let store = house.open().await;
    let count = limits::SEALED_PER_TURN + 1;
    let specs: Vec<_> = (0..count)
        .map(|at| SeriesSpec {
            name: format!("p{at}").into(),
            kind: Kind::Boolean,
            retention_days: 1,
        })
        .collect();
    let mut batch = Batch::default();
    for series in store.series(device(1), &specs).iter() {
        for second in 0..1024 {
            let at = NOW.plus_ms(second * 1000);
            batch.push(Reading { series: *series, at, value: ValueRef::Boolean(true) });
        }
    }
    let ticket = store.offer(&batch).unwrap();
    assert_eq!(decided(&store, ticket).await, Durability::Stored);
    let cpu = store.series(device(2), &specs)[0];
    while store.unsealed().series > 1 {
        keep(&store, cpu, &[(0, ValueRef::Boolean(true))]).await;
    }
    assert_eq!(read(&store, device(1), "p256").await.len(), 1024);
}

#[tokio::test]
async fn commits_leave_each_other_time_to_gather() {
    const COMMITS: u32 = 40;
    let house = House::new();
    let store = house.open().await;
    let cpu = store.series(device(1), &specs())[0];
    let begun = std::time::Instant::now();
    for second in 0..i64::from(COMMITS) {
        keep(&store, cpu, &numbers(second..second + 1)).await;
    }
    // The least that the pauses between them take; how long commits take does not matter.
    let pauses = Duration::from_millis(limits::GATHER_MS) * (COMMITS - 1);
    assert!(begun.elapsed() >= pauses, "{:?} for {COMMITS} commits", begun.elapsed());
    assert_eq!(read(&store, device(1), "cpu").await, expected(0..i64::from(COMMITS)));
}
