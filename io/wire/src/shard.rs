use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    future::poll_fn,
    rc::{Rc, Weak},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use hedgerow_base::{Fault, Spent, Timestamp};
use hedgerow_listen::Sources;
use hedgerow_mqtt::{DeliveryOptions, Kept, Publish, QoS, ReasonCode, Version};
use tokio::task::{spawn_local, yield_now};

use crate::{
    Settings,
    clock::Clock,
    counters::{Ledger, ShardCounts},
    directory::{Directory, SessionKey},
    gate::Gate,
    keeping::{Keeping, Receipt},
    limits::{ALARM_MS_MAX, READ_BYTES, SPARE_BUFFERS_MAX, SPARE_BYTES_MAX, TICK_MS},
    link::{Encoded, Link, State, shared_from},
    mail::{Forward, Letter, Mailbox},
    retained::Retained,
    router::{Route, Router, Wanted},
    shares::{Member, Share},
};

/// What all shards share: read-mostly, or asked once a connection.
pub(crate) struct Common<G: Gate> {
    pub(crate) settings: Settings,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) connects: Mutex<Spent>,
    pub(crate) directory: Directory,
    pub(crate) wanted: Wanted,
    pub(crate) retained: Arc<Retained>,
    pub(crate) mailboxes: Box<[Mailbox<G>]>,
    /// The number of the last session that was kept.
    pub(crate) last_session: AtomicU64,
}

impl<G: Gate> Common<G> {
    /// Takes a place in this second's new connections, or says in how many milliseconds there is one.
    pub(crate) fn take_turn(&self, now: Timestamp) -> Result<(), i64> {
        let mut connects = self.connects.lock().unwrap_or_else(PoisonError::into_inner);
        connects.take(1, self.settings.connects, now)
    }

    /// A number for a session that is to be kept.
    pub(crate) fn next_session(&self) -> u64 {
        self.last_session.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// One thread's connections, sessions and routes. Nothing in it is locked, for nobody else sees it.
pub(crate) struct Shard<G: Gate> {
    pub(crate) index: usize,
    pub(crate) gate: G,
    pub(crate) common: Arc<Common<G>>,
    pub(crate) counts: Arc<ShardCounts>,
    pub(crate) mqtt: Arc<hedgerow_mqtt::Settings>,
    pub(crate) clock: Clock,
    /// By name, so that pages of them can be looked at.
    pub(crate) sessions: RefCell<BTreeMap<Arc<SessionKey>, Rc<Link<G>>>>,
    pub(crate) away: Cell<usize>,
    pub(crate) router: RefCell<Router<G>>,
    pub(crate) keeping: Keeping<G>,
    /// All connections read into it, one after the other.
    pub(crate) read_buffer: RefCell<Box<[u8]>>,
    spare: RefCell<Vec<Vec<u8>>>,
    scratch: RefCell<(Vec<u8>, Vec<u8>)>,
    outboxes: RefCell<Vec<Vec<Forward>>>,
    has_outgoing: Cell<bool>,
    alarms: RefCell<BinaryHeap<Reverse<Alarm<G>>>>,
    unsettled: RefCell<Vec<Rc<Link<G>>>>,
    /// Subscribers for whom much waits.
    pub(crate) crowded: RefCell<Vec<Rc<Link<G>>>>,
    settler: RefCell<Option<Waker>>,
    judged_revision: Cell<u64>,
    last_link: Cell<u64>,
    stopping: Cell<bool>,
    /// What outlived an earlier hub is back, here and in the other shards.
    pub(crate) is_whole: Cell<bool>,
}

struct Alarm<G: Gate> {
    at: Timestamp,
    id: u64,
    link: Weak<Link<G>>,
}

impl<G: Gate> PartialEq for Alarm<G> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.id) == (other.at, other.id)
    }
}
impl<G: Gate> Eq for Alarm<G> {}
impl<G: Gate> PartialOrd for Alarm<G> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<G: Gate> Ord for Alarm<G> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.id).cmp(&(other.at, other.id))
    }
}

impl<G: Gate> Shard<G> {
    pub(crate) fn new(index: usize, gate: G, common: Arc<Common<G>>) -> Rc<Self> {
        let counts = common.ledger.shards.get(index).cloned().unwrap_or_default();
        let outboxes = common.mailboxes.iter().map(|_| Vec::new()).collect();
        let mqtt = Arc::new(common.settings.mqtt.clone());
        let judged_revision = Cell::new(gate.revision());
        Rc::new(Self {
            index,
            gate,
            common,
            counts,
            mqtt,
            clock: Clock::new(),
            sessions: RefCell::default(),
            away: Cell::new(0),
            router: RefCell::default(),
            keeping: Keeping::default(),
            read_buffer: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
            spare: RefCell::default(),
            scratch: RefCell::default(),
            outboxes: RefCell::new(outboxes),
            has_outgoing: Cell::new(false),
            alarms: RefCell::default(),
            unsettled: RefCell::default(),
            crowded: RefCell::default(),
            settler: RefCell::default(),
            judged_revision,
            last_link: Cell::new(0),
            stopping: Cell::new(false),
            is_whole: Cell::new(false),
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.common.settings
    }

    pub(crate) fn next_link_id(&self) -> u64 {
        self.last_link.set(self.last_link.get() + 1);
        self.last_link.get()
    }

    /// The shard's life: letters, acknowledgements and ticks, until it is stopped.
    pub(crate) async fn run(self: Rc<Self>) {
        let shard = Rc::clone(&self);
        spawn_local(async move {
            loop {
                let Some(mailbox) = shard.common.mailboxes.get(shard.index) else { return };
                mailbox.collect().await.into_iter().for_each(|letter| shard.open_letter(letter));
                // What clients have acknowledged meanwhile is read before the next letters fill their
                // queues: a shard that never comes to rest looks at its sockets only now and then.
                yield_now().await;
            }
        });
        let shard = Rc::clone(&self);
        spawn_local(poll_fn(move |context| shard.settle(context)));
        let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
        let mut goodbye_ticks = 0;
        while goodbye_ticks < 4 {
            tick.tick().await;
            self.tick();
            if self.stopping.get() {
                goodbye_ticks += 1;
                let open = self.sessions.borrow().values().any(|link| {
                    let state = link.state.borrow();
                    state.away.is_none() && state.key.is_some()
                });
                if !open {
                    return;
                }
            }
        }
    }

    fn open_letter(self: &Rc<Self>, letter: Letter<G>) {
        match letter {
            Letter::Publish(messages) => self.hand_on(messages),
            Letter::Look => self.look(),
            Letter::Restore(outlived) => self.restore(*outlived),
            Letter::Run(act) => act(self),
            Letter::Stop => {
                self.stopping.set(true);
                for link in self.sessions.borrow().values() {
                    let mut state = link.state.borrow_mut();
                    if state.away.is_none() {
                        // Where else to go says more than that it is over here.
                        let sent_on = self.settings().sends_on();
                        let reason = sent_on.unwrap_or(ReasonCode::SERVER_SHUTTING_DOWN);
                        state.end(reason, "shutting-down", Fault::Unavailable, None);
                    }
                }
            }
        }
    }

    /// Hands out messages of another shard.
    fn hand_on(self: &Rc<Self>, messages: Vec<Forward>) {
        let (now, mut receipts) = (self.clock.even(), Vec::new());
        for Forward { message, qos, retain, only, mut receipt } in messages {
            let publish = Publish { qos, retain, ..message.message() };
            self.next_body();
            let lengths = self.lengths();
            if let Some((member, group)) = only {
                let kept = &mut Some(message.clone());
                if self.router.borrow().sharer(member.link).is_some() {
                    self.hand_to_member(&member, &publish, kept, now);
                } else if let Some(share) = self.common.wanted.shares.named(&group) {
                    // It left while the message was on its way: another one gets it.
                    self.share_one(&share, &publish, kept, &mut receipt, false, now);
                }
            } else {
                let route = self.route(publish.topic, &mut Weak::new());
                self.hand_to_targets(&route, None, &publish, None, now, Some(message.clone()));
            }
            if let Some(receipt) = receipt.as_ref().filter(|receipt| receipt.gathers()) {
                self.gather_for(receipt, lengths);
            }
            receipts.extend(receipt);
        }
        self.give_receipts(&receipts);
        self.post_outgoing();
    }

    /// Everything that is not urgent: the clock, deadlines, standings.
    fn tick(self: &Rc<Self>) {
        self.clock.correct();
        if !self.is_whole.get() {
            // A will that is due would not find all its subscribers.
            return;
        }
        let now = self.clock.even();
        // Taken out first: what rings may arm again, for the next tick.
        let due: Vec<_> = {
            let mut alarms = self.alarms.borrow_mut();
            std::iter::from_fn(|| {
                let is_due = alarms.peek().is_some_and(|Reverse(alarm)| alarm.at <= now);
                is_due.then(|| alarms.pop()).flatten()
            })
            .filter_map(|Reverse(alarm)| Some((alarm.link.upgrade()?, alarm.at)))
            .collect()
        };
        due.iter().for_each(|(link, at)| self.ring(link, *at, now));
        self.sweep_parts(now);
        self.look_for_slow_ones(now);
        self.counts.away.set(self.away.get());
        let revision = self.gate.revision();
        if self.judged_revision.replace(revision) != revision {
            let links: Vec<_> = self.sessions.borrow().values().cloned().collect();
            links.iter().for_each(|link| self.rejudge(link, revision, now));
        }
    }

    fn ring(self: &Rc<Self>, link: &Rc<Link<G>>, at: Timestamp, now: Timestamp) {
        let mut state = link.state.borrow_mut();
        if state.armed != Some(at) {
            // An earlier one was armed since, and has rung.
            return;
        }
        state.armed = None;
        let due = state.next_due(self.settings().stall_ms_max).is_some_and(|at| at <= now);
        if !due {
            drop(state);
            return self.arm(link);
        }
        // The connection's task, if there is one, looks at its deadlines in every turn.
        state.wake();
        let is_away = state.away.is_some();
        drop(state);
        if is_away {
            self.away_is_due(link, now);
        }
    }

    /// Sees to it that the link is looked at when its next deadline passes.
    pub(crate) fn arm(&self, link: &Rc<Link<G>>) {
        let mut state = link.state.borrow_mut();
        let Some(due) = state.next_due(self.settings().stall_ms_max) else { return };
        // Looked at once in a while even if nothing is due for hours: so alarms that an earlier one
        // has replaced do not gather.
        let at = due.min(self.clock.even().plus_ms(ALARM_MS_MAX));
        if state.armed.is_none_or(|armed| at < armed) {
            state.armed = Some(at);
            let alarm = Alarm { at, id: link.id, link: Rc::downgrade(link) };
            self.alarms.borrow_mut().push(Reverse(alarm));
        }
    }

    /// A buffer for messages that go out; the connection gives it back when it has none left.
    pub(crate) fn spare_buffer(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        let fits = (1..=SPARE_BYTES_MAX).contains(&buffer.capacity());
        if fits && spare.len() < SPARE_BUFFERS_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }

    #[inline]
    pub(crate) fn route(&self, topic: &str, memo: &mut Weak<Route<G>>) -> Rc<Route<G>> {
        self.router.borrow_mut().route(topic, memo, &self.common.wanted, self.index)
    }

    /// Hands a message to everybody on its route but, where they ask for it, its sender. Gives a receipt
    /// when the answer to it has to wait for other shards; with `gathers` they leave it to us to hand their
    /// changes over.
    #[inline]
    pub(crate) fn hand_out(
        &self,
        route: &Route<G>,
        from: Option<u64>,
        message: &Publish<'_>,
        raw: Option<(Version, &[u8])>,
        gathers: bool,
        now: Timestamp,
    ) -> Option<Arc<Receipt>> {
        let mut kept = self.hand_to_targets(route, from, message, raw, now, None);
        let mut receipt = None;
        if route.remote != 0 {
            let kept = kept.get_or_insert_with(|| Kept::new(message, now));
            let (qos, retain) = (message.qos, message.retain);
            if qos != QoS::AtMostOnce && self.gate.keeps_sessions() {
                let others = route.remote.count_ones() as usize;
                receipt = Some(Receipt::new(self.index, others, gathers));
            }
            self.has_outgoing.set(true);
            for (shard, outbox) in self.outboxes.borrow_mut().iter_mut().enumerate() {
                if route.remote & 1 << shard != 0 {
                    let (message, receipt) = (kept.clone(), receipt.clone());
                    outbox.push(Forward { message, qos, retain, only: None, receipt });
                }
            }
        }
        if !route.shares.is_empty() {
            receipt = self.share_out(route, message, kept, (receipt, gathers), now);
        }
        receipt
    }

    /// Hands a message to one member of each group on its route.
    #[cold]
    fn share_out(
        &self,
        route: &Route<G>,
        message: &Publish<'_>,
        mut kept: Option<Kept>,
        (mut receipt, gathers): (Option<Arc<Receipt>>, bool),
        now: Timestamp,
    ) -> Option<Arc<Receipt>> {
        for share in &route.shares {
            self.share_one(share, message, &mut kept, &mut receipt, gathers, now);
        }
        receipt
    }

    /// Hands a message to one member of a group.
    fn share_one(
        &self,
        share: &Share,
        message: &Publish<'_>,
        kept: &mut Option<Kept>,
        receipt: &mut Option<Arc<Receipt>>,
        gathers: bool,
        now: Timestamp,
    ) {
        let needs_receipt = message.qos != QoS::AtMostOnce && self.gate.keeps_sessions();
        for member in share.candidates() {
            if member.shard == self.index {
                if self.hand_to_member(member, message, kept, now) {
                    break;
                }
                continue;
            }
            let kept = kept.get_or_insert_with(|| Kept::new(message, now));
            if let Some(outbox) = self.outboxes.borrow_mut().get_mut(member.shard) {
                let receipt = needs_receipt.then(|| match &receipt {
                    Some(receipt) => receipt.one_more(),
                    None => Arc::clone(receipt.insert(Receipt::new(self.index, 1, gathers))),
                });
                let (message, qos, retain) = (kept.clone(), message.qos, message.retain);
                let only = Some((*member, Arc::clone(&share.name)));
                outbox.push(Forward { message, qos, retain, only, receipt });
                self.has_outgoing.set(true);
            }
            break;
        }
    }

    /// Says whether the member took the message.
    fn hand_to_member(
        &self,
        member: &Member,
        message: &Publish<'_>,
        kept: &mut Option<Kept>,
        now: Timestamp,
    ) -> bool {
        let Some(link) = self.router.borrow().sharer(member.link) else { return false };
        let qos = message.qos.min(member.options.qos);
        let options = DeliveryOptions {
            qos,
            retain: message.retain && member.options.retain_as_published,
            identifiers: member.options.identifier.map(|one| Arc::from([one.get()])),
        };
        if qos != QoS::AtMostOnce {
            let kept = kept.get_or_insert_with(|| Kept::new(message, now));
            return link.hand_kept(self, kept, &options, now);
        }
        let plain = Publish { dup: false, retain: false, qos, id: None, ..*message };
        let (mut v311, mut v5) = (Vec::new(), Vec::new());
        let mut encoded = Encoded {
            message: plain,
            raw: None,
            v311: &mut v311,
            v5: &mut v5,
            shared_from: shared_from(1),
            shared: None,
        };
        link.hand_now(self, &mut encoded, &options);
        member.is_here
    }

    #[inline]
    fn hand_to_targets(
        &self,
        route: &Route<G>,
        from: Option<u64>,
        message: &Publish<'_>,
        raw: Option<(Version, &[u8])>,
        now: Timestamp,
        mut kept: Option<Kept>,
    ) -> Option<Kept> {
        if route.targets.is_empty() {
            return kept;
        }
        let scratch = &mut *self.scratch.borrow_mut();
        scratch.0.clear();
        scratch.1.clear();
        let plain =
            Publish { dup: false, retain: false, qos: QoS::AtMostOnce, id: None, ..*message };
        let mut encoded = Encoded {
            message: plain,
            raw,
            v311: &mut scratch.0,
            v5: &mut scratch.1,
            shared_from: shared_from(route.targets.len()),
            shared: None,
        };
        for target in &route.targets {
            if target.no_local && from == Some(target.link.id) {
                continue;
            }
            let wanted = &target.options;
            let qos = message.qos.min(wanted.qos);
            let retain = message.retain && wanted.retain;
            let own;
            let options = if (qos, retain) == (wanted.qos, wanted.retain) {
                wanted
            } else {
                own = DeliveryOptions { qos, retain, identifiers: wanted.identifiers.clone() };
                &own
            };
            match qos {
                QoS::AtMostOnce => target.link.hand_now(self, &mut encoded, options),
                QoS::AtLeastOnce | QoS::ExactlyOnce => {
                    let kept = kept.get_or_insert_with(|| Kept::new(message, now));
                    target.link.hand_kept(self, kept, options, now);
                }
            }
        }
        kept
    }

    /// Posts what this turn produced for other shards: one letter each.
    #[inline]
    pub(crate) fn post_outgoing(&self) {
        if !self.has_outgoing.replace(false) {
            return;
        }
        for (outbox, mailbox) in
            self.outboxes.borrow_mut().iter_mut().zip(self.common.mailboxes.iter())
        {
            if !outbox.is_empty() {
                mailbox.post(Letter::Publish(std::mem::take(outbox)));
            }
        }
    }

    /// Acknowledgements of this link wait for the journal.
    pub(crate) fn unsettled(&self, link: &Rc<Link<G>>) {
        self.unsettled_state(link, &mut link.state.borrow_mut());
    }

    /// As [`Shard::unsettled`], for who has the link's state.
    pub(crate) fn unsettled_state(&self, link: &Rc<Link<G>>, state: &mut State<G>) {
        if !state.mark_unsettled() {
            return;
        }
        let mut unsettled = self.unsettled.borrow_mut();
        unsettled.push(Rc::clone(link));
        if unsettled.len() == 1 {
            self.look();
        }
    }

    /// Looks at what waits for the disk.
    pub(crate) fn look(&self) {
        if let Some(settler) = &*self.settler.borrow() {
            settler.wake_by_ref();
        }
    }

    fn settle(&self, context: &Context<'_>) -> Poll<()> {
        *self.settler.borrow_mut() = Some(context.waker().clone());
        self.hand_over_and_tell();
        let mut waiting = std::mem::take(&mut *self.unsettled.borrow_mut());
        if !waiting.is_empty() {
            // First the bell, then the look: a commit between the two rings it.
            self.gate.wake_on_next(context.waker());
            waiting.retain(|link| link.settle(self));
            self.unsettled.borrow_mut().append(&mut waiting);
        }
        Poll::Pending
    }
}
