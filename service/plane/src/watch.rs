//! Looking on: live values for pages and programs, within this process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use hedgerow_base::{DeviceId, Fault, TenantId};
use hedgerow_telemetry::DeviceKey;

use crate::{
    Bus, LiveValue, Refusal,
    commits::lock,
    limits::{WATCH_QUEUE_MAX, WATCHERS_MAX},
};

/// The device in a topic `things/{id}/…`.
pub(crate) fn device_of(topic: &str) -> Option<DeviceId> {
    let (id, _) = topic.strip_prefix("things/")?.split_once('/')?;
    id.parse().ok()
}

/// What a watcher looks on at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// Every device of a tenant.
    Tenant(TenantId),
    /// One device.
    Device(TenantId, DeviceId),
}

/// The bus within one process.
#[derive(Debug, Default)]
pub struct LocalBus {
    watching: AtomicUsize,
    queues: Mutex<HashMap<Watched, Vec<Weak<Queue>>>>,
}

#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    values: VecDeque<LiveValue>,
    dropped: u64,
    waker: Option<Waker>,
}

/// One who looks on. Values that it does not fetch in time are dropped, the oldest first.
#[derive(Debug)]
pub struct Watcher {
    queue: Arc<Queue>,
    bus: Arc<LocalBus>,
}

impl LocalBus {
    /// Begins to look on.
    ///
    /// # Errors
    /// A [`Refusal`] of the fault `TooMuch` past [`WATCHERS_MAX`].
    pub fn watch(self: &Arc<Self>, what: Watched) -> Result<Watcher, Refusal> {
        let mut queues = lock(&self.queues);
        if self.watching.load(Ordering::Acquire) >= WATCHERS_MAX {
            let advice = "too many look on at once; close a page and try again";
            return Err(Refusal::new(Fault::TooMuch, "watchers", advice));
        }
        let queue = Arc::new(Queue::default());
        queues.entry(what).or_default().push(Arc::downgrade(&queue));
        self.watching.fetch_add(1, Ordering::AcqRel);
        Ok(Watcher { queue, bus: Arc::clone(self) })
    }
}

impl Bus for LocalBus {
    fn is_watched(&self, device: &DeviceKey) -> bool {
        if self.watching.load(Ordering::Acquire) == 0 {
            return false;
        }
        let queues = lock(&self.queues);
        queues.contains_key(&Watched::Tenant(device.tenant))
            || queues.contains_key(&Watched::Device(device.tenant, device.id))
    }

    fn carry(&self, live: LiveValue) {
        let DeviceKey { tenant, id: device, .. } = live.device;
        let queues = lock(&self.queues);
        for what in [Watched::Tenant(tenant), Watched::Device(tenant, device)] {
            let watchers = queues.get(&what).into_iter().flatten();
            watchers.filter_map(Weak::upgrade).for_each(|queue| queue.push(live.clone()));
        }
    }
}

impl Queue {
    fn push(&self, live: LiveValue) {
        let mut waiting = lock(&self.0);
        if waiting.values.len() == WATCH_QUEUE_MAX {
            waiting.values.pop_front();
            waiting.dropped += 1;
        }
        waiting.values.push_back(live);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }
}

impl Watcher {
    /// The next value, or the promise to wake the task when there is one.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<LiveValue> {
        let mut waiting = lock(&self.queue.0);
        match waiting.values.pop_front() {
            Some(live) => Poll::Ready(live),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for the next value.
    pub async fn next(&mut self) -> LiveValue {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// How many values were dropped so far because this watcher was slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        lock(&self.queue.0).dropped
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut queues = lock(&self.bus.queues);
        queues.retain(|_, watchers| {
            watchers.retain(|queue| !std::ptr::eq(queue.as_ptr(), Arc::as_ptr(&self.queue)));
            !watchers.is_empty()
        });
        self.bus.watching.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_base::{Incarnation, Timestamp};
    use hedgerow_model::Value;

    use super::*;

    const DEVICE: DeviceId = DeviceId::from_bytes([1; 16]);

    fn live(device: DeviceId, number: i64) -> LiveValue {
        let key =
            DeviceKey { tenant: TenantId::FIRST, id: device, incarnation: Incarnation::FIRST };
        let at = Timestamp::from_secs(number);
        let value = Value::Integer(number);
        LiveValue { device: key, name: "load1".into(), at, value, is_alone: true }
    }

    fn poll(watcher: &mut Watcher) -> Poll<LiveValue> {
        watcher.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_watcher_gets_its_device_and_no_other() {
        let bus = Arc::new(LocalBus::default());
        let mut one = bus.watch(Watched::Device(TenantId::FIRST, DEVICE)).unwrap();
        let mut all = bus.watch(Watched::Tenant(TenantId::FIRST)).unwrap();
        let mut others = bus.watch(Watched::Tenant(TenantId(2))).unwrap();
        bus.carry(live(DEVICE, 1));
        bus.carry(live(DeviceId::from_bytes([2; 16]), 2));
        assert_eq!(poll(&mut one), Poll::Ready(live(DEVICE, 1)));
        assert_eq!(poll(&mut one), Poll::Pending);
        assert!(poll(&mut all).is_ready() && poll(&mut all).is_ready());
        assert_eq!(poll(&mut others), Poll::Pending, "another tenant sees nothing");
        let other = live(DeviceId::from_bytes([2; 16]), 2).device;
        assert!(bus.is_watched(&other), "by the one who watches all");
        drop(all);
        assert!(bus.is_watched(&live(DEVICE, 1).device) && !bus.is_watched(&other));
    }

    #[test]
    fn a_slow_watcher_loses_the_oldest_and_knows_how_many() {
        let bus = Arc::new(LocalBus::default());
        let mut watcher = bus.watch(Watched::Tenant(TenantId::FIRST)).unwrap();
        let most = i64::try_from(WATCH_QUEUE_MAX).unwrap();
        (0..most).for_each(|number| bus.carry(live(DEVICE, number)));
        assert_eq!(watcher.dropped(), 0);
        bus.carry(live(DEVICE, most));
        assert_eq!(watcher.dropped(), 1);
        assert_eq!(poll(&mut watcher), Poll::Ready(live(DEVICE, 1)));
    }

    #[test]
    fn watchers_have_a_limit_and_leave_when_dropped() {
        let bus = Arc::new(LocalBus::default());
        let key = live(DEVICE, 0).device;
        let what = Watched::Tenant(TenantId::FIRST);
        let watchers: Vec<_> = (0..WATCHERS_MAX).map(|_| bus.watch(what).unwrap()).collect();
        assert_eq!(bus.watch(what).unwrap_err().fault, Fault::TooMuch);
        assert!(bus.is_watched(&key));
        drop(watchers);
        assert!(!bus.is_watched(&key));
        assert!(lock(&bus.queues).is_empty());
    }
}
