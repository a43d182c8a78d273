use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use hedgerow_base::{Secret, Timestamp};
use hedgerow_plane::{Durability, SessionChange, Sessions, StoredSessions, Ticket};
use hedgerow_store::{MasterKey, SessionsStore};
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::disk;

/// Messages that wait at one time.
const WINDOW: u64 = 30;
const SESSIONS: u64 = 3;

async fn open(folder: &Path, file_system: Option<&'static str>) -> (SessionsStore, StoredSessions) {
    let mut options = SqliteConnectOptions::new().filename(folder.join("sessions.db"));
    if let Some(name) = file_system {
        options = options.vfs(name);
    }
    let master = MasterKey::new(&Secret::new([1; 32])).unwrap();
    SessionsStore::open_with(options, master, Timestamp::from_ms(0)).await.unwrap()
}

async fn decided(store: &SessionsStore, ticket: Ticket) -> Durability {
    std::future::poll_fn(|context| {
        store.commits().wake_on_next(context.waker());
        match store.commits().state(ticket) {
            Durability::Waiting => Poll::Pending,
            other => Poll::Ready(other),
        }
    })
    .await
}

fn body(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(1 + usize::try_from(number % 90).unwrap())
}

/// What the messages up to `last` change: each waits in all sessions until `WINDOW` newer ones are there,
/// and each number is retained in place of the one before.
fn changes(numbers: std::ops::RangeInclusive<u64>) -> Vec<SessionChange> {
    let last = *numbers.end();
    let mut changes = Vec::new();
    for number in numbers {
        let message: Arc<[u8]> = body(number).into();
        for session in 1..=SESSIONS {
            let (options, message) = ([1].into(), Arc::clone(&message));
            changes.push(SessionChange::Queue { session, order: number, options, message });
            if let Some(order) = number.checked_sub(WINDOW) {
                changes.push(SessionChange::Done { session, order });
            }
        }
    }
    changes.push(SessionChange::Retain { topic: "last".into(), message: body(last).into() });
    changes
}

/// The last message that is found. Those that waited with it are there, and nothing else.
async fn found(left: &BTreeMap<String, Vec<u8>>) -> u64 {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in left {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let (store, found) = open(folder.path(), None).await;
    let dropped = store.counts().dropped;
    store.close().await.unwrap();
    assert_eq!(dropped, 0);
    let Some((_, retained)) = found.retained.first() else {
        assert!(found.sessions.iter().all(|session| session.queue.is_empty()));
        return 0;
    };
    let last = u64::from_be_bytes(retained[..8].try_into().unwrap());
    assert_eq!(found.sessions.len() as u64, SESSIONS);
    for session in &found.sessions {
        let waits: Vec<_> = session.queue.iter().map(|message| message.order).collect();
        let first = last.saturating_sub(WINDOW - 1).max(1);
        assert_eq!(waits, (first..=last).collect::<Vec<_>>());
        for message in &session.queue {
            assert_eq!(message.message.as_deref(), Some(&*body(message.order)));
        }
    }
    last
}

/// A cut as it was taken: what is left, the last message acknowledged before, the last one offered.
struct Cut {
    left: BTreeMap<String, Vec<u8>>,
    acknowledged: u64,
    offered: u64,
}

/// Power is cut after every third write and sync. What was acknowledged before is found after each; of
/// what was not, whole commits may be there, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_of_a_session_is_lost_in_a_power_cut() {
    disk::register();
    let folder = TempDir::new().unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let offered = Arc::new(AtomicU64::new(0));
    let cuts = Arc::new(Mutex::new(Vec::new()));
    let (store, _) = open(folder.path(), Some(disk::NAME)).await;
    let sessions = (1..=SESSIONS).map(|session| SessionChange::Open {
        session,
        owner: [1].into(),
        client_id: "client".into(),
        expiry_s: 1,
    });
    let ticket = store.offer(sessions.collect()).unwrap();
    assert_eq!(decided(&store, ticket).await, Durability::Stored);
    let (seen, sent, taken) = (Arc::clone(&acknowledged), Arc::clone(&offered), Arc::clone(&cuts));
    let place = folder.path().to_owned();
    let mut number = 0u64;
    disk::watch(folder.path(), move || {
        number += 1;
        if !number.is_multiple_of(3) {
            return;
        }
        // What was acknowledged is read first: it must be in what is left, whatever comes after.
        let acknowledged = seen.load(Ordering::SeqCst);
        let left = disk::cut(&place, number.is_multiple_of(2).then_some(number));
        let offered = sent.load(Ordering::SeqCst);
        taken.lock().unwrap().push(Cut { left, acknowledged, offered });
    });
    let mut next = 1;
    for round in 0..40 {
        let last = next + [0, 6, 50][round % 3];
        offered.store(last, Ordering::SeqCst);
        let ticket = store.offer(changes(next..=last)).unwrap();
        assert_eq!(decided(&store, ticket).await, Durability::Stored);
        acknowledged.store(last, Ordering::SeqCst);
        next = last + 1;
    }
    store.close().await.unwrap();
    disk::look_away(folder.path());
    let cuts = std::mem::take(&mut *cuts.lock().unwrap());
    assert!(cuts.len() >= 100, "{} cuts", cuts.len());
    for (number, cut) in cuts.iter().enumerate() {
        let found = found(&cut.left).await;
        let allowed = cut.acknowledged..=cut.offered;
        assert!(allowed.contains(&found), "cut {number}: {found} of {allowed:?}");
    }
}
