use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    task::Poll,
};

use hedgerow_base::{DeviceId, Incarnation, Secret, TenantId, Timestamp};
use hedgerow_model::{Kind, ValueRef, double};
use hedgerow_plane::{Durability, Readings, Ticket};
use hedgerow_store::{
    MasterKey, ReadingsStore,
    readings::{Clock, Query},
};
use hedgerow_telemetry::{Batch, DeviceKey, Range, Reading, SeriesSpec};
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::disk;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DEVICE: DeviceKey = DeviceKey {
    tenant: TenantId::FIRST,
    id: DeviceId::from_bytes([7; 16]),
    incarnation: Incarnation::FIRST,
};

fn spec() -> SeriesSpec {
    SeriesSpec { name: "cpu".into(), kind: Kind::Number, retention_days: 30 }
}

async fn open(folder: &Path, file_system: Option<&'static str>) -> ReadingsStore {
    let mut options = SqliteConnectOptions::new().filename(folder.join("telemetry.db"));
    if let Some(name) = file_system {
        options = options.vfs(name);
    }
    let master = MasterKey::new(&Secret::new([1; 32])).unwrap();
    let clock: Clock = Arc::new(|| NOW);
    ReadingsStore::open_with(options, master, clock).await.unwrap()
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

/// How many of the readings, numbered from 0, are there from the first on without a gap; every value is
/// what was sent.
async fn found(left: &BTreeMap<String, Vec<u8>>) -> i64 {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in left {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let store = open(folder.path(), None).await;
    let range = Range { from: Timestamp::from_ms(0), to: Timestamp::from_ms(i64::MAX) };
    let query = Query { device: DEVICE, name: "cpu", range };
    let readings = store.readings(query, usize::MAX).await.unwrap();
    store.close().await.unwrap();
    for (number, (at, value)) in (0..).zip(&readings) {
        assert_eq!((at.since_ms(NOW) / 1000, value.borrow()), (number, value_of(number)));
    }
    i64::try_from(readings.len()).unwrap()
}

fn value_of(number: i64) -> ValueRef<'static> {
    ValueRef::Number(double(number % 100) / 10.0)
}

/// A cut as it was taken: what is left, how many readings were acknowledged before, how many offered.
struct Cut {
    left: BTreeMap<String, Vec<u8>>,
    acknowledged: i64,
    offered: i64,
}

/// Power is cut after every `stride`-th write and sync of a run in which readings are committed, sealed,
/// and the journal renewed. What was acknowledged before is found after each; of what was not, any
/// beginning may be there, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_in_a_power_cut() {
    disk::register();
    let folder = TempDir::new().unwrap();
    let acknowledged = Arc::new(AtomicI64::new(0));
    let offered = Arc::new(AtomicI64::new(0));
    let cuts = Arc::new(Mutex::new(Vec::new()));
    let store = open(folder.path(), Some(disk::NAME)).await;
    let (seen, sent, taken) = (Arc::clone(&acknowledged), Arc::clone(&offered), Arc::clone(&cuts));
    let place = folder.path().to_owned();
    let mut number = 0u64;
    disk::watch(folder.path(), move || {
        number += 1;
        let stride = 3;
        if !number.is_multiple_of(stride) {
            return;
        }
        // What was acknowledged is read first: it must be in what is left, whatever comes after.
        let acknowledged = seen.load(Ordering::SeqCst);
        let seed = number.is_multiple_of(2).then_some(number);
        let left = disk::cut(&place, seed);
        let offered = sent.load(Ordering::SeqCst);
        taken.lock().unwrap().push(Cut { left, acknowledged, offered });
    });
    let cpu = store.series(DEVICE, &[spec()])[0];
    let mut next = 0;
    for round in 0..40 {
        let mut batch = Batch::default();
        let count = [1, 7, 90][round % 3];
        for number in next..next + count {
            let at = NOW.plus_ms(number * 1000);
            batch.push(Reading { series: cpu, at, value: value_of(number) });
        }
        next += count;
        offered.store(next, Ordering::SeqCst);
        let ticket = store.offer(&batch).unwrap();
        assert_eq!(decided(&store, ticket).await, Durability::Stored);
        acknowledged.store(next, Ordering::SeqCst);
        if round % 9 == 8 {
            store.seal().await.unwrap();
        }
    }
    store.close().await.unwrap();
    disk::look_away(folder.path());
    let cuts = std::mem::take(&mut *cuts.lock().unwrap());
    assert!(cuts.len() >= 40, "{} cuts", cuts.len());
    let mut most = 0;
    for (number, cut) in cuts.iter().enumerate() {
        let found = found(&cut.left).await;
        let allowed = cut.acknowledged..=cut.offered;
        assert!(allowed.contains(&found), "cut {number}: {found} readings of {allowed:?}");
        most = most.max(cut.acknowledged);
    }
    assert!(most > 1000, "the cuts reach beyond the first chunk");
}
