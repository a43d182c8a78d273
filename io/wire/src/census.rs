//! Looking at sessions and retained messages. Each shard is asked by a letter, and answers with a page at most;
//! nothing is kept for the sake of it.

use std::{fmt, ops::Bound, rc::Rc, sync::Arc, time::Duration};

use hedgerow_base::{Fault, TenantId};
use hedgerow_listen::server::now;
use hedgerow_mqtt::{KeptWill, ReasonCode, Session, SubscriptionOptions, Version};
use hedgerow_plane::{
    Answer, AskedSessions, Broker, Level, MaySee, RetainedMessage, RetainedPage, SessionDetail,
    SessionName, SessionPage, SessionView, Slow, Subscribed, Which, WillView,
};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    directory::SessionKey,
    gate::Gate,
    limits::{ANSWER_MS_MAX, SESSIONS_PAGE_MAX, SESSIONS_SCAN_MAX, SLOW_NAMED_MAX},
    link::State,
    mail::Letter,
    shard::{Common, Shard},
};

/// Looks at sessions and retained messages, from elsewhere; it does not keep the shards running.
pub struct Census<G: Gate>(Arc<Common<G>>);

impl<G: Gate> Clone for Census<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<G: Gate> fmt::Debug for Census<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Census").field("shards", &self.0.mailboxes.len()).finish_non_exhaustive()
    }
}

/// What one shard found.
struct Found {
    items: Vec<SessionView>,
    /// How far it looked, when it did not get to its last session.
    up_to: Option<SessionName>,
}

impl<G: Gate> Census<G> {
    pub(crate) const fn new(common: Arc<Common<G>>) -> Self {
        Self(common)
    }

    /// Topics that have a message, and the bytes of these.
    #[must_use]
    pub fn retained_size(&self) -> (usize, usize) {
        self.0.retained.size()
    }

    /// Ends a session: its connection, its subscriptions, and what waits in it. Says whether there was one.
    pub async fn end(&self, name: SessionName) -> bool {
        let key = Arc::new(SessionKey::from(name));
        self.ask(move |shard| shard.end_by_hand(&key)).await.contains(&true)
    }

    /// Asks every shard; one that does not answer in time is left out.
    async fn ask<T: Send + 'static>(
        &self,
        act: impl Fn(&Rc<Shard<G>>) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let mut told = Vec::new();
        for mailbox in &self.0.mailboxes {
            let (tell, hear) = oneshot::channel();
            let act = act.clone();
            mailbox.post(Letter::Run(Box::new(move |shard| drop(tell.send(act(shard))))));
            told.push(hear);
        }
        let mut answers = Vec::new();
        let patience = Duration::from_millis(ANSWER_MS_MAX);
        for hear in told {
            if let Ok(Ok(answer)) = timeout(patience, hear).await {
                answers.push(answer);
            }
        }
        answers
    }

    async fn page(&self, mut asked: AskedSessions) -> SessionPage {
        let size = asked.size.clamp(1, SESSIONS_PAGE_MAX);
        asked.size = size;
        asked.find = asked.find.map(|find| find.to_lowercase().into());
        let found = self.ask(move |shard| shard.page(&asked)).await;
        // Beyond the first of those who stopped early nobody knows what is missing.
        let known_up_to = found.iter().filter_map(|one| one.up_to.clone()).min();
        let mut items: Vec<_> = found.into_iter().flat_map(|one| one.items).collect();
        items.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        if let Some(up_to) = &known_up_to {
            items.retain(|view| view.name <= *up_to);
        }
        let is_cut = items.len() > size;
        items.truncate(size);
        let next = if is_cut { items.last().map(|view| view.name.clone()) } else { known_up_to };
        SessionPage { items, next }
    }
}

impl<G: Gate> Broker for Census<G> {
    fn sessions(&self, asked: AskedSessions) -> Answer<'_, SessionPage> {
        Box::pin(self.page(asked))
    }

    fn slow(&self, tenant: TenantId) -> Answer<'_, Vec<SessionView>> {
        Box::pin(async move {
            let found = self.ask(move |shard| shard.slow_ones(tenant)).await;
            let mut all: Vec<_> = found.into_iter().flatten().collect();
            all.sort_by_key(|view| view.slow.map(|slow| slow.since));
            all.truncate(SLOW_NAMED_MAX);
            all
        })
    }

    fn session(&self, name: SessionName) -> Answer<'_, Option<SessionDetail>> {
        Box::pin(async move {
            let key = Arc::new(SessionKey::from(name));
            self.ask(move |shard| shard.detail(&key)).await.into_iter().flatten().next()
        })
    }

    fn retained(
        &self,
        filter: &str,
        after: Option<&str>,
        at_most: (usize, usize),
        may_see: &MaySee<'_>,
    ) -> RetainedPage {
        let (size, payload_bytes) = at_most;
        let page = self.0.retained.seen(filter, after, size, (now(), may_see));
        let items = page.messages.iter().map(|(kept, qos)| {
            let payload = kept.payload();
            RetainedMessage {
                topic: kept.topic().into(),
                payload: payload.get(..payload_bytes).unwrap_or(payload).into(),
                bytes: payload.len(),
                qos: *qos as u8,
            }
        });
        RetainedPage { items: items.collect(), next: page.last }
    }

    fn level(&self, prefix: &str, after: Option<&str>, size: usize, may_see: &MaySee<'_>) -> Level {
        self.0.retained.level(prefix, after, size, (now(), may_see))
    }
}

impl<G: Gate> Shard<G> {
    fn page(&self, asked: &AskedSessions) -> Found {
        let sessions = self.sessions.borrow();
        let after = asked.after.clone().map(SessionKey::from);
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Found { items: Vec::new(), up_to: None };
        let range = sessions.range::<SessionKey, _>((from, Bound::Unbounded));
        for (looked_at, (key, link)) in range.enumerate() {
            // One more than asked for says that there are more.
            if found.items.len() > asked.size || looked_at >= SESSIONS_SCAN_MAX {
                return found;
            }
            let name = key.name();
            let state = link.state.borrow();
            if is_wanted(asked, &name, state.away.is_none()) {
                found.items.push(self.view(&name, &state));
            }
            found.up_to = Some(name);
        }
        found.up_to = None;
        found
    }

    fn slow_ones(&self, tenant: TenantId) -> Vec<SessionView> {
        let crowded = self.crowded.borrow();
        let views = crowded.iter().filter_map(|link| {
            let state = link.state.borrow();
            let name = state.key.as_ref()?.name();
            let is_slow = state.crowd.as_ref().is_some_and(|crowd| crowd.is_slow);
            (is_slow && name.is_of(tenant)).then(|| self.view(&name, &state))
        });
        views.take(SLOW_NAMED_MAX).collect()
    }

    fn detail(&self, key: &SessionKey) -> Option<SessionDetail> {
        let sessions = self.sessions.borrow();
        let state = sessions.get(key)?.state.borrow();
        let subscriptions = state.kept_session().subscriptions().map(subscribed).collect();
        let will = match &state.away {
            Some(away) => away.will.as_ref().map(|(will, _)| &**will),
            None => state.server.will(),
        };
        let view = self.view(&key.name(), &state);
        Some(SessionDetail { view, subscriptions, will: will.map(will_view) })
    }

    fn view(&self, name: &SessionName, state: &State<G>) -> SessionView {
        let (session, server) = (state.kept_session(), &state.server);
        let away = state.away.as_ref();
        let was_here = state.admitted.is_some();
        let crowd = state.crowd.as_ref().filter(|crowd| crowd.is_slow);
        SessionView {
            name: name.clone(),
            is_connected: away.is_none(),
            since: state.since,
            until: away.map(|away| self.clock.wall(away.expires)),
            version: was_here.then(|| version(server.version())),
            transport: state.came.over,
            from: state.came.from,
            silence_s_max: server.silence_s_max(),
            expiry_s: server.session_expiry_s(),
            heard: was_here.then(|| self.clock.wall(server.heard())),
            subscriptions: session.subscription_count(),
            queued: session.queued(),
            queued_bytes: session.queued_bytes(),
            in_flight: if away.is_some() { 0 } else { session.in_flight() },
            out_bytes: state.out.waiting(),
            messages_in: state.tally.messages_in,
            messages_out: state.tally.messages_out,
            dropped: state.tally.dropped,
            has_will: away.map_or(server.will().is_some(), |away| away.will.is_some()),
            slow: crowd.map(|crowd| Slow {
                since: self.clock.wall(crowd.since),
                dropped: state.tally.dropped.saturating_sub(crowd.dropped_before),
            }),
        }
    }

    fn end_by_hand(&self, key: &SessionKey) -> bool {
        let Some(link) = self.sessions.borrow().get(key).map(Rc::clone) else { return false };
        let now = self.clock.even();
        let mut state = link.state.borrow_mut();
        if let Some(away) = &mut state.away {
            away.expires = now;
            drop(state);
            self.away_is_due(&link, now);
            return true;
        }
        state.server.forget_session();
        let told = Some("somebody who looks after the hub ended the session");
        let reason = ReasonCode::ADMINISTRATIVE_ACTION;
        state.end(reason, "ended-by-hand", Fault::Denied, told);
        true
    }
}

impl<G: Gate> State<G> {
    /// The session, wherever it is.
    fn kept_session(&self) -> &Session {
        self.away.as_ref().map_or_else(|| self.server.session(), |away| &away.session)
    }
}

fn is_wanted(asked: &AskedSessions, name: &SessionName, is_connected: bool) -> bool {
    let is_fitting = match asked.which {
        Which::All => true,
        Which::Connected => is_connected,
        Which::Away => !is_connected,
    };
    let has = |find: &str| name.to_string().to_lowercase().contains(find);
    is_fitting && name.is_of(asked.tenant) && asked.find.as_deref().is_none_or(has)
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

fn subscribed((filter, options): (&str, SubscriptionOptions)) -> Subscribed {
    Subscribed {
        filter: filter.into(),
        qos: options.qos as u8,
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        retain_handling: options.retain_handling,
        identifier: options.identifier,
    }
}

fn will_view(will: &KeptWill) -> WillView {
    let message = will.message();
    WillView {
        topic: message.topic.into(),
        payload: message.payload.into(),
        qos: message.qos as u8,
        retain: message.retain,
        delay_s: will.delay_s,
    }
}
