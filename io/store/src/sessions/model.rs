//! The store against a few maps in memory.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_plane::{Durability, SessionNumber, StoredMessage, StoredSession};
use proptest::prelude::*;

use super::{
    tests::{House, NOW, decided},
    *,
};

/// What a store should keep.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<SessionNumber, Kept>,
    retained: BTreeMap<Box<str>, Box<[u8]>>,
    begun: SessionNumber,
    /// The newest message; it waits in a session after the other.
    message: Option<Arc<[u8]>>,
}

struct Kept {
    stored: StoredSession,
    subscriptions: BTreeMap<Box<str>, Box<[u8]>>,
    taken: BTreeSet<u16>,
    last: u64,
}

/// One step: what is done, and three numbers to choose by.
type Step = (u8, u8, u8, u8);

impl Model {
    fn stored(&self) -> StoredSessions {
        let sessions = self.sessions.values().map(|kept| StoredSession {
            subscriptions: kept.subscriptions.clone().into_iter().collect(),
            taken: kept.taken.iter().copied().collect(),
            ..kept.stored.clone()
        });
        let retained = self.retained.clone().into_iter().collect();
        StoredSessions { sessions: sessions.collect(), retained }
    }

    /// Does what a step says, when that is valid now, and tells the change.
    fn step(&mut self, (act, one, two, three): Step) -> Option<SessionChange> {
        match act % 16 {
            0 => return Some(self.begin(one)),
            1 => return Some(self.retain(one, two)),
            2 => {
                let topic = topic(one);
                self.retained.remove(&*topic);
                return Some(SessionChange::Unretain { topic });
            }
            3 => self.message = None,
            _ => {}
        }
        let nth = usize::from(one).checked_rem(self.sessions.len())?;
        let session = *self.sessions.keys().nth(nth)?;
        if act % 16 == 4 && two > 200 {
            self.sessions.remove(&session);
            return Some(SessionChange::End { session });
        }
        let newest = self.message.get_or_insert_with(|| vec![three; usize::from(two) * 40].into());
        let message = Arc::clone(newest);
        let kept = self.sessions.get_mut(&session)?;
        kept.step(act % 16, two, three, message)
    }

    fn begin(&mut self, expiry: u8) -> SessionChange {
        self.begun += 1;
        let (session, expiry_s) = (self.begun, u32::from(expiry));
        let stored = StoredSession {
            session,
            owner: [expiry; 9].into(),
            client_id: format!("client {session}").into(),
            expiry_s,
            until: None,
            will: None,
            subscriptions: Vec::new(),
            queue: Vec::new(),
            taken: Vec::new(),
        };
        let opened = reopened(&stored);
        let (subscriptions, taken) = Default::default();
        self.sessions.insert(session, Kept { stored, subscriptions, taken, last: 0 });
        opened
    }

    fn retain(&mut self, one: u8, two: u8) -> SessionChange {
        let (topic, message) = (topic(one), vec![two; usize::from(two)]);
        self.retained.insert((*topic).into(), message.clone().into());
        SessionChange::Retain { topic, message: message.into() }
    }
}

impl Kept {
    fn step(&mut self, act: u8, two: u8, three: u8, message: Arc<[u8]>) -> Option<SessionChange> {
        let session = self.stored.session;
        match act {
            5 => {
                let until = NOW.plus_ms(i64::from(two) + 1);
                self.stored.until = Some(until);
                Some(SessionChange::Away { session, until })
            }
            6 => {
                self.stored.until = None;
                Some(reopened(&self.stored))
            }
            14 => {
                let will: Option<Arc<[u8]>> = (!two.is_multiple_of(3)).then_some(message);
                self.stored.will = will.as_ref().map(|will| will.to_vec().into());
                Some(SessionChange::Will { session, will })
            }
            7 => {
                let filter = topic(two);
                self.subscriptions.insert((*filter).into(), [three].into());
                Some(SessionChange::Subscribe { session, filter, options: [three].into() })
            }
            8 => {
                let filter = topic(two);
                self.subscriptions.remove(&*filter);
                Some(SessionChange::Unsubscribe { session, filter })
            }
            9 => self
                .taken
                .insert(two.into())
                .then_some(SessionChange::Take { session, packet: two.into() }),
            10 => {
                let packet = *self.taken.iter().nth(usize::from(two) % 4)?;
                self.taken.remove(&packet);
                Some(SessionChange::Forget { session, packet })
            }
            11 | 12 => {
                let place = usize::from(two).checked_rem(self.stored.queue.len())?;
                let order = self.stored.queue.remove(place).order;
                Some(SessionChange::Done { session, order })
            }
            13 => {
                let place = usize::from(two).checked_rem(self.stored.queue.len())?;
                let waits = self.stored.queue.get_mut(place)?;
                waits.message.take()?;
                Some(SessionChange::Release { session, order: waits.order })
            }
            _ => {
                self.last += 1 + u64::from(three % 2);
                let (order, options): (_, Box<[u8]>) = (self.last, [two, three].into());
                let stored = Some((*message).into());
                let waits = StoredMessage { order, options: options.clone(), message: stored };
                self.stored.queue.push(waits);
                Some(SessionChange::Queue { session, order, options, message })
            }
        }
    }
}

fn reopened(stored: &StoredSession) -> SessionChange {
    SessionChange::Open {
        session: stored.session,
        owner: stored.owner.clone().into(),
        client_id: stored.client_id.clone().into(),
        expiry_s: stored.expiry_s,
    }
}

fn topic(number: u8) -> Arc<str> {
    format!("t/{}", number % 5).into()
}

/// What comes after some steps.
#[derive(Clone, Copy, Debug)]
enum Boundary {
    /// The commit is not waited for.
    Offer,
    Commit,
    Close,
    Kill,
}

fn boundary() -> impl Strategy<Value = Boundary> {
    use Boundary::{Close, Commit, Kill, Offer};
    prop_oneof![4 => Just(Offer), 4 => Just(Commit), 1 => Just(Close), 1 => Just(Kill)]
}

async fn run(parts: Vec<(Vec<Step>, Boundary)>) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut house = House::new();
    let (mut store, _) = house.open().await;
    for (steps, boundary) in parts {
        let changes = steps.into_iter().filter_map(|step| model.step(step)).collect();
        let ticket = store.offer(changes).unwrap();
        if matches!(boundary, Boundary::Commit | Boundary::Kill) {
            prop_assert_eq!(decided(&store, ticket).await, Durability::Stored);
            counted(&store, &model)?;
        }
        match boundary {
            Boundary::Offer | Boundary::Commit => continue,
            Boundary::Close => store.close().await.unwrap(),
            Boundary::Kill => house = house.killed(),
        }
        let found;
        (store, found) = house.open().await;
        prop_assert_eq!(found, model.stored());
        counted(&store, &model)?;
        prop_assert_eq!(house.stray_bodies().await, 0);
    }
    store.close().await.unwrap();
    prop_assert_eq!(house.open().await.1, model.stored());
    Ok(())
}

fn counted(store: &SessionsStore, model: &Model) -> Result<(), TestCaseError> {
    let counts = store.counts();
    let counted = (counts.sessions, counts.waiting, counts.retained);
    let waiting: usize = model.sessions.values().map(|kept| kept.stored.queue.len()).sum();
    let there = (model.sessions.len() as u64, waiting as u64, model.retained.len() as u64);
    prop_assert_eq!(counted, there);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn changes_in_any_commits_leave_what_they_leave_in_memory(
        parts in proptest::collection::vec(
            (proptest::collection::vec(any::<Step>(), 0..60), boundary()), 1..16)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(parts))?;
    }
}
