//! How sessions begin, change hands, wait for their client, and end.
//!
//! 1. A CONNECT names a session ([`Shard::connect`]). If another shard has it, the connection goes there.
//!    If another connection has it, that one ends, and the subscriptions pass to the new one.
//! 2. The session opens ([`Shard::open`]): subscriptions that are no longer allowed end.
//! 3. The connection ends ([`Shard::detach`]). The session is parked, or ends with it.
//! 4. A parked session's will speaks when its delay has passed; it ends when it expires.

use std::{rc::Rc, rc::Weak, sync::Arc};

use hedgerow_base::{Fault, Timestamp};
use hedgerow_mqtt::{Closed, KeptWill, QoS, ReasonCode, Server, Session, topic};

use crate::{
    directory::SessionKey,
    gate::{Gate, Message, Outcome, SessionChange, Verdict},
    link::{Away, Link, State},
    mail::{LeftWill, Letter, Outlived},
    reasons,
    shard::Shard,
    shares::Member,
};

/// A session whose client is back, and the will of its last connection if that is to be said.
type TakenOver<G> = (Option<Session>, Option<(Rc<Link<G>>, Box<KeptWill>)>);

impl<G: Gate> Shard<G> {
    /// An admitted client has named its session: it is let in, unless another shard has the session; which
    /// one, and the connection goes there.
    pub(crate) fn connect(
        &self,
        link: &Rc<Link<G>>,
        key: Arc<SessionKey>,
        now: Timestamp,
    ) -> Option<usize> {
        let shard = self.common.directory.claim(&key, self.index);
        link.state.borrow_mut().key = Some(Arc::clone(&key));
        if shard != self.index {
            return Some(shard);
        }
        let (session, will) = self.take_over(link, &key, now);
        self.open(link, session, now);
        // Said once the session is whole: it may be the client's own that hears it.
        if let Some((old, will)) = will {
            self.say_will(&old, &will, now);
        }
        None
    }

    pub(crate) fn post(&self, shard: usize, letter: Letter<G>) {
        if let Some(mailbox) = self.common.mailboxes.get(shard) {
            mailbox.post(letter);
        }
    }

    fn end_taken_over(link: &Rc<Link<G>>) {
        let mut state = link.state.borrow_mut();
        state.key = None;
        state.end(ReasonCode::SESSION_TAKEN_OVER, "taken-over", Fault::Conflict, None);
    }

    /// Takes a session, with its subscriptions, away from the link that has it, and ends its connection if
    /// there is one. Gives the session, and the will that is to be said.
    ///
    /// A client that is back before its will's delay has passed leaves the will unsaid, but for one that
    /// begins anew: then the session has ended, and the will speaks (MQTT 5.0, section 3.1.3.2.2).
    fn take_over(&self, heir: &Rc<Link<G>>, key: &SessionKey, now: Timestamp) -> TakenOver<G> {
        let Some(old) = self.sessions.borrow_mut().remove(key) else { return (None, None) };
        // Taken over once: it is in no list of sessions any more.
        let _ = old.heir.set(Rc::clone(heir));
        let ends = heir.state.borrow().server.is_clean_start();
        let parked = old.state.borrow_mut().away.take();
        if let Some(away) = parked {
            self.away.set(self.away.get() - 1);
            self.inherit_subscriptions(old.id, heir, &away.session);
            let will = away.will.filter(|_| ends).map(|(will, _)| (old, will));
            return (Some(away.session), will);
        }
        self.inherit_subscriptions(old.id, heir, old.state.borrow().server.session());
        self.tell_disconnected(&old, "taken-over", now);
        Self::end_taken_over(&old);
        let mut state = old.state.borrow_mut();
        let session =
            state.server.take_session_or_else(|session| self.drop_subscriptions(heir.id, session));
        // The will of a session that ends with its connection is said when that is put away.
        let Some((session, _)) = session else { return (None, None) };
        let will = state.server.take_will().filter(|will| ends || will.delay_s == 0);
        drop(state);
        (Some(session), will.map(|will| (old, will)))
    }

    /// First the new one, then the old one goes: what other shards send comes at any moment.
    fn inherit_subscriptions(&self, old: u64, heir: &Rc<Link<G>>, session: &Session) {
        self.add_subscriptions(heir, session);
        self.drop_subscriptions(old, session);
    }

    fn drop_subscriptions(&self, link: u64, session: &Session) {
        let mut router = self.router.borrow_mut();
        for (filter, _) in session.subscriptions() {
            router.remove(filter, link, &self.common.wanted, self.index);
        }
    }

    fn add_subscriptions(&self, link: &Rc<Link<G>>, session: &Session) {
        let mut router = self.router.borrow_mut();
        for (filter, options) in session.subscriptions() {
            router.add(filter, options, link, &self.common.wanted, self.index);
        }
    }

    /// The client of a session goes away: others in its shared subscriptions come first.
    fn leave_turn(&self, link: u64, session: &Session) {
        for (filter, options) in session.subscriptions() {
            if let Some(share) = topic::share(filter) {
                let member = Member { shard: self.index, link, options, is_here: false };
                self.common.wanted.shares.join(share, member);
                self.common.wanted.interest.touch();
            }
        }
    }

    /// Lets the client in with its session.
    fn open(&self, link: &Rc<Link<G>>, session: Option<Session>, now: Timestamp) {
        let mut guard = link.state.borrow_mut();
        let state = &mut *guard;
        let (Some(key), Some(admitted)) = (state.key.clone(), &state.admitted) else { return };
        let session = match session {
            Some(old) if state.server.is_clean_start() => {
                self.drop_subscriptions(link.id, &old);
                self.end_kept(&old);
                None
            }
            Some(mut session) => {
                self.narrow(link.id, admitted, &mut session);
                Some(session)
            }
            None => None,
        };
        let assigned = state.is_assigned.then_some(&*key.client_id);
        state.server.accept(session, assigned, state.out.own());
        let proof = state.server.will().and_then(|_| self.gate.proof_of(admitted));
        self.keep_session(state, &key, proof.as_deref());
        let Some(admitted) = &state.admitted else { return };
        state.half_open = None;
        state.since = self.clock.wall(now);
        self.gate.connected(admitted, &key.client_id, self.clock.wall(now));
        self.sessions.borrow_mut().insert(key, Rc::clone(link));
        state.wake();
        drop(guard);
        self.arm(link);
    }

    /// A session that outlives its connection outlives the hub too, where the gate keeps it.
    fn keep_session(&self, state: &mut State<G>, key: &SessionKey, proof: Option<&[u8]>) {
        let server = &mut state.server;
        let expiry_s = server.session_expiry_s();
        match (server.session().kept_as(), expiry_s > 0) {
            (None, false) => return,
            (None, true) if !self.gate.keeps_sessions() => return,
            (known, true) => {
                let session = known.unwrap_or_else(|| self.common.next_session());
                if known.is_none() {
                    server.session_mut().keep_as(Some(session));
                }
                let (owner, client_id) = (key.owner(), Arc::from(&*key.client_id));
                self.change(SessionChange::Open { session, owner, client_id, expiry_s });
                let will = server.will().zip(proof);
                let will = will.and_then(|(will, proof)| LeftWill::bytes(proof, will));
                state.is_will_kept = will.is_some();
                // There may be one of its last connection.
                if will.is_some() || known.is_some() {
                    self.change(SessionChange::Will { session, will });
                }
            }
            // It goes on for as long as this connection does.
            (Some(session), false) => {
                server.session_mut().keep_as(None);
                self.change(SessionChange::End { session });
            }
        }
        self.offer_silently();
    }

    /// A session is over: it leaves the disk as well.
    fn end_kept(&self, session: &Session) {
        if let Some(session) = session.kept_as() {
            self.change(SessionChange::End { session });
            self.offer_silently();
        }
    }

    /// A session that outlived the hub waits for its client again.
    pub(crate) fn restore(self: &Rc<Self>, outlived: Outlived) {
        let Outlived { key, session, until, seconds, will } = outlived;
        let now = self.clock.even();
        let link = Link::new(self.next_link_id(), Server::new(Arc::clone(&self.mqtt), now), None);
        link.state.borrow_mut().key = Some(Arc::clone(&key));
        let will = will.map(|LeftWill { will, proof }| {
            let state = &mut *link.state.borrow_mut();
            (state.proof, state.is_will_kept) = (Some(proof), true);
            let at = now.plus_ms(i64::from(will.delay_s) * 1000);
            (will, at)
        });
        self.sessions.borrow_mut().insert(key, Rc::clone(&link));
        self.add_subscriptions(&link, &session);
        let left_s = until
            .map_or(i64::from(seconds), |until| until.since_ms(self.clock.wall(now)).max(0) / 1000);
        self.park(&link, session, u32::try_from(left_s).unwrap_or(u32::MAX), will, now);
    }

    /// Takes out of a session what its standing no longer allows.
    fn narrow(&self, link: u64, admitted: &G::Admitted, session: &mut Session) {
        let refused: Vec<Box<str>> = session
            .subscriptions()
            .filter(|(filter, _)| self.gate.subscribe(admitted, topic::unshared(filter)).is_err())
            .map(|(filter, _)| filter.into())
            .collect();
        for filter in &refused {
            session.unsubscribe(filter);
            if let Some(session) = session.kept_as() {
                let filter = Arc::from(&**filter);
                self.change(SessionChange::Unsubscribe { session, filter });
            }
            self.router.borrow_mut().remove(filter, link, &self.common.wanted, self.index);
        }
        let dropped = session.retain(|topic| self.gate.may_receive(admitted, topic));
        self.counts.dropped_not_allowed.add(dropped as u64);
        self.tell_done(session);
        self.offer_silently();
    }

    /// Judges a session again, after the gate's revision moved. One whose client is away is judged when the
    /// client comes back; if it is a program whose token is gone, it never will.
    pub(crate) fn rejudge(&self, link: &Rc<Link<G>>, revision: u64, now: Timestamp) {
        let mut guard = link.state.borrow_mut();
        let state = &mut *guard;
        if state.revision == revision {
            return;
        }
        state.revision = revision;
        if let Some(away) = &mut state.away {
            let wall = self.clock.wall(now);
            let is_gone = state.key.as_ref().is_some_and(|key| {
                key.program().is_some_and(|of| !self.gate.knows_program(of, wall))
            });
            if is_gone {
                // Its will is judged by what is left of its rights.
                state.admitted.iter_mut().for_each(|held| drop(self.gate.rejudge(held, wall)));
                away.expires = now;
                drop(guard);
                self.away_is_due(link, now);
            }
            return;
        }
        if state.ended.is_some() {
            return;
        }
        let Some(mut admitted) = state.admitted.take() else { return };
        match self.gate.rejudge(&mut admitted, self.clock.wall(now)) {
            Verdict::Unchanged => {}
            Verdict::Narrowed => {
                state.narrowed = true;
                self.narrow(link.id, &admitted, state.server.session_mut());
            }
            Verdict::Ended(refusal) => {
                let reason = reasons::disconnect(refusal.fault);
                state.end(reason, "standing", refusal.fault, Some(&refusal.reason));
            }
        }
        state.admitted = Some(admitted);
    }

    /// The connection is over: parks the session or ends it, and lets the will speak.
    pub(crate) fn detach(&self, link: &Rc<Link<G>>, now: Timestamp) {
        let ended = link.state.borrow().ended;
        if let Some(closed) = ended {
            self.put_away(link, closed, now);
            // Counted when it is over: nothing goes to the session any more that it should not have.
            self.common.ledger.end(closed.why);
        }
    }

    fn put_away(&self, link: &Rc<Link<G>>, closed: Closed, now: Timestamp) {
        let mut state = link.state.borrow_mut();
        state.half_open = None;
        let will = if closed.will { state.server.take_will() } else { None };
        let key = state.key.clone().filter(|key| {
            let known = self.sessions.borrow().get(key).is_some_and(|known| known.id == link.id);
            known && state.away.is_none()
        });
        let Some(key) = key else {
            drop(state);
            // Never opened, or taken over.
            return will.into_iter().for_each(|will| self.say_will(link, &will, now));
        };
        drop(state);
        self.tell_disconnected(link, closed.why, now);
        let session = link.state.borrow_mut().server.take_session_or_else(|session| {
            self.drop_subscriptions(link.id, session);
            self.end_kept(session);
        });
        match session {
            Some((session, seconds)) if self.away.get() < self.settings().away_sessions_max => {
                let (late, at_once) = match will {
                    Some(will) if will.delay_s > 0 => {
                        let at = now.plus_ms(i64::from(will.delay_s) * 1000);
                        (Some((will, at)), None)
                    }
                    other => (None, other),
                };
                self.park(link, session, seconds, late, now);
                if let Some(will) = at_once {
                    self.say_will(link, &will, now);
                } else {
                    self.unkeep_will(link);
                }
            }
            other => {
                if let Some((session, _)) = other {
                    self.common.ledger.end("away-sessions-full");
                    self.end_kept(&session);
                    self.drop_subscriptions(link.id, &session);
                }
                self.forget(&key);
                will.into_iter().for_each(|will| self.say_will(link, &will, now));
            }
        }
    }

    fn forget(&self, key: &SessionKey) {
        self.sessions.borrow_mut().remove(key);
        self.common.directory.release(key);
    }

    fn tell_disconnected(&self, link: &Link<G>, why: &'static str, now: Timestamp) {
        let state = link.state.borrow();
        if let (Some(admitted), Some(key)) = (&state.admitted, &state.key) {
            self.gate.disconnected(admitted, &key.client_id, why, self.clock.wall(now));
        }
    }

    /// Keeps a session for its client, which is away.
    fn park(
        &self,
        link: &Rc<Link<G>>,
        session: Session,
        seconds: u32,
        will: Option<(Box<KeptWill>, Timestamp)>,
        now: Timestamp,
    ) {
        let expires = now.plus_ms(i64::from(seconds) * 1000);
        self.leave_turn(link.id, &session);
        if let Some(session) = session.kept_as() {
            let until = self.clock.wall(expires);
            self.change(SessionChange::Away { session, until });
            self.offer_silently();
        }
        let mut state = link.state.borrow_mut();
        state.since = self.clock.wall(now);
        state.away = Some(Box::new(Away { session, expires, will }));
        drop(state);
        self.away.set(self.away.get() + 1);
        self.arm(link);
    }

    /// The will's delay has passed, or the session has expired.
    pub(crate) fn away_is_due(&self, link: &Rc<Link<G>>, now: Timestamp) {
        let mut state = link.state.borrow_mut();
        let Some(away) = &mut state.away else { return };
        let is_expired = away.expires <= now;
        let will = away.will.take_if(|(_, at)| is_expired || *at <= now);
        let ended = if is_expired { state.away.take() } else { None };
        let key = state.key.clone();
        drop(state);
        if let Some(away) = &ended {
            self.away.set(self.away.get() - 1);
            self.drop_subscriptions(link.id, &away.session);
        }
        // First said, then forgotten: a hub that is killed in between says it again.
        if let Some((will, _)) = will {
            self.say_will(link, &will, now);
        }
        if let (Some(away), Some(key)) = (ended, key) {
            self.end_kept(&away.session);
            self.forget(&key);
            self.common.ledger.end("session-expired");
        } else {
            self.arm(link);
        }
    }

    /// The will that is on disk leaves it, if it is not to be said: with the next changes.
    fn unkeep_will(&self, link: &Rc<Link<G>>) {
        let state = &mut *link.state.borrow_mut();
        let Some(away) = state.away.as_ref().filter(|away| away.will.is_none()) else { return };
        if let Some(session) = away.session.kept_as()
            && std::mem::take(&mut state.is_will_kept)
        {
            self.change(SessionChange::Will { session, will: None });
            self.offer_silently();
        }
    }

    /// Publishes a will as its client would have: judged by what the client may do now.
    fn say_will(&self, link: &Rc<Link<G>>, will: &KeptWill, now: Timestamp) {
        let message = will.message();
        let state = link.state.borrow();
        let again = state
            .proof
            .as_ref()
            .and_then(|proof| self.gate.admit_again(proof, self.clock.wall(now)));
        let Some(admitted) = state.admitted.as_ref().or(again.as_ref()) else {
            drop(state);
            self.counts.messages_refused.add(1);
            return self.unkeep_will(link);
        };
        let (topic, payload) = (message.topic, message.payload);
        let needs_ack = message.qos != QoS::AtMostOnce;
        let asked = Message { topic, payload, needs_ack, retain: message.retain };
        let published = self.gate.publish(admitted, asked, self.clock.wall(now));
        drop(state);
        if matches!(published.outcome, Outcome::Refused(_)) {
            self.counts.messages_refused.add(1);
        }
        if published.route {
            self.retain(&message, now);
            let route = self.route(topic, &mut Weak::new());
            self.hand_out(&route, Some(link.id), &message, None, false, now);
        }
        // In one commit with what it leaves in sessions here.
        self.unkeep_will(link);
        self.offer_silently();
        self.post_outgoing();
    }
}
