//! What a client asks for beside messages, answered when what was asked for is on disk.

use hedgerow_mqtt::{Later, ReasonCode, Subscribe, SubscriptionOptions, Unsubscribe, topic};

use super::Connection;
use crate::{
    gate::{Gate, Refusal, SessionChange, Ticket},
    link::{Replay, State},
    reasons,
    shard::Shard,
};

impl<G: Gate, S> Connection<G, S> {
    pub(super) fn subscribe(&self, subscribe: &Subscribe<'_>) {
        let (link, shard) = (&self.link, &self.shard);
        let mut answer = Vec::new();
        let mut state = link.state.borrow_mut();
        let State { server, admitted, replays, .. } = &mut *state;
        let Some(admitted) = admitted else { return };
        let kept_as = server.session().kept_as();
        let mut router = shard.router.borrow_mut();
        let judge = |filter: &str, options: SubscriptionOptions, is_new| {
            let refused = |refusal: Refusal| reasons::suback(refusal.fault);
            shard.gate.subscribe(admitted, topic::unshared(filter)).map_err(refused)?;
            router.add(filter, options, link, &shard.common.wanted, shard.index);
            let wants_retained = match options.retain_handling {
                0 => true,
                1 => is_new,
                _ => false,
            };
            if let Some(session) = kept_as {
                let (filter, options) = (filter.into(), options.to_bytes().into());
                shard.change(SessionChange::Subscribe { session, filter, options });
            }
            if wants_retained && !topic::is_shared(filter) {
                replays.retain(|replay| *replay.filter != *filter);
                replays.push_back(Replay { filter: filter.into(), options, after: None });
            }
            Ok(())
        };
        if let Some(why) = server.subscribe(subscribe, judge, &mut answer) {
            shard.common.ledger.refusal(why);
        }
        drop((router, state));
        self.answer_kept(answer);
    }

    pub(super) fn unsubscribe(&self, unsubscribe: &Unsubscribe<'_>) {
        let (link, shard) = (&self.link, &self.shard);
        let mut answer = Vec::new();
        let mut state = link.state.borrow_mut();
        let State { server, replays, .. } = &mut *state;
        let kept_as = server.session().kept_as();
        let mut router = shard.router.borrow_mut();
        let gone = |filter: &str| {
            if let Some(session) = kept_as {
                let filter = filter.into();
                shard.change(SessionChange::Unsubscribe { session, filter });
            }
            replays.retain(|replay| *replay.filter != *filter);
            router.remove(filter, link.id, &shard.common.wanted, shard.index);
        };
        server.unsubscribe(unsubscribe, gone, &mut answer);
        drop((router, state));
        self.answer_kept(answer);
    }

    /// Tells the disk of a change in the session, and answers when it is there.
    pub(super) fn tell_and_answer(&self, answer: Later, change: impl FnOnce(u64) -> SessionChange) {
        let kept_as = self.link.state.borrow().server.session().kept_as();
        if let Some(session) = kept_as {
            self.shard.change(change(session));
        }
        self.answer_when_kept(answer);
    }

    /// Answers with packets when what they promise is on disk.
    fn answer_kept(&self, answer: Vec<u8>) {
        self.answer_when_kept(Later::Bytes(answer.into()));
    }

    fn answer_when_kept(&self, answer: Later) {
        let offered = self.shard.offer();
        let state = &mut *self.link.state.borrow_mut();
        match offered {
            Ok(ticket) => {
                let nothing = Shard::<G>::session_ticket(Ticket(0));
                let ticket = ticket.map_or(nothing, Shard::<G>::session_ticket);
                state.server.answer_later(answer, ticket);
                // With nothing to wait for it leaves at once, unless something was to be said before.
                let known = |one| (one == nothing).then_some(ReasonCode::SUCCESS);
                state.server.settle(known, state.out.own());
            }
            Err(refusal) => {
                let (reason, fault) = (reasons::disconnect(refusal.fault), refusal.fault);
                state.end(reason, "storage-full", fault, Some(&refusal.reason));
            }
        }
        let waits = state.server.unacknowledged() > 0;
        if waits {
            self.shard.unsettled_state(&self.link, state);
        }
    }
}
