//! A plan as rows, each kind for one statement.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use hedgerow_plane::SessionNumber;

use super::{
    bodies::{Bodies, MESSAGE, WILL, topic_place},
    error::SessionsError,
    plan::{Opened, Plan, Record, SessionPlan, Waits},
};
use crate::cipher::Place;

/// The rows that a plan deletes, changes and writes.
#[derive(Default)]
pub(super) struct Rows<'p> {
    pub(super) ended: Vec<i64>,
    pub(super) done: Vec<(i64, i64)>,
    pub(super) released: Vec<(i64, i64)>,
    pub(super) unsubscribed: Vec<(i64, &'p Arc<str>)>,
    pub(super) forgotten: Vec<(i64, i64)>,
    pub(super) unretained: Vec<&'p Arc<str>>,
    pub(super) opened: Vec<(i64, &'p Opened)>,
    pub(super) away: Vec<(i64, i64)>,
    pub(super) unwilled: Vec<i64>,
    pub(super) wills: Vec<(i64, Vec<u8>)>,
    pub(super) subscribed: Vec<(i64, &'p Arc<str>, &'p [u8])>,
    pub(super) waiting: Vec<(i64, i64, &'p [u8], Option<i64>)>,
    pub(super) messages: Vec<(i64, i64, Vec<u8>)>,
    pub(super) taken: Vec<(i64, i64)>,
    pub(super) retained: Vec<(&'p Arc<str>, Vec<u8>)>,
}

impl<'p> Rows<'p> {
    /// Seals the bodies of the plan and gives them numbers.
    pub(super) fn of(plan: &'p Plan, bodies: &mut Bodies) -> Result<Self, SessionsError> {
        let (mut rows, mut shared) = (Self::default(), Shared::default());
        for (session, planned) in &plan.sessions {
            let session = row(*session);
            rows.session(session, planned, &mut shared, bodies);
            match &planned.will {
                Some(Some(will)) => {
                    rows.wills.push((session, bodies.seal(will, Place(WILL, session, 0))?));
                }
                Some(None) => rows.unwilled.push(session),
                None => {}
            }
        }
        for (id, (places, message)) in shared.places {
            let sealed = bodies.seal(message, Place(MESSAGE, id, 0))?;
            rows.messages.push((id, places, sealed));
        }
        for (topic, message) in &plan.retained {
            match message {
                Some(message) => {
                    let sealed = bodies.seal(message, topic_place(topic))?;
                    rows.retained.push((topic, sealed));
                }
                None => rows.unretained.push(topic),
            }
        }
        Ok(rows)
    }

    fn session(
        &mut self,
        session: i64,
        planned: &'p SessionPlan,
        shared: &mut Shared<'p>,
        bodies: &mut Bodies,
    ) {
        if planned.has_ended {
            self.ended.push(session);
        }
        match &planned.record {
            Record::Written(opened) => self.opened.push((session, opened)),
            Record::Away(until) => self.away.push((session, until.as_ms())),
            Record::Unchanged => {}
        }
        for (filter, options) in &planned.subscriptions {
            match options {
                Some(options) => self.subscribed.push((session, filter, options)),
                None => self.unsubscribed.push((session, filter)),
            }
        }
        for (order, place) in &planned.queue {
            let order = row(*order);
            match place {
                Waits::New(options, message) => {
                    let message = message.as_ref().map(|message| shared.number(message, bodies));
                    self.waiting.push((session, order, options, message));
                }
                Waits::Released => self.released.push((session, order)),
                Waits::Done => self.done.push((session, order)),
            }
        }
        for (packet, is_taken) in &planned.taken {
            let rows = if *is_taken { &mut self.taken } else { &mut self.forgotten };
            rows.push((session, i64::from(*packet)));
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ended.is_empty()
            && self.done.is_empty()
            && self.released.is_empty()
            && self.unsubscribed.is_empty()
            && self.forgotten.is_empty()
            && self.unretained.is_empty()
            && self.opened.is_empty()
            && self.away.is_empty()
            && self.unwilled.is_empty()
            && self.wills.is_empty()
            && self.subscribed.is_empty()
            && self.waiting.is_empty()
            && self.taken.is_empty()
            && self.retained.is_empty()
    }
}

/// Messages of a plan by where they are in memory: one that waits in many sessions is one.
#[derive(Default)]
struct Shared<'p> {
    numbers: HashMap<*const u8, i64>,
    /// By number: at how many places each waits.
    places: BTreeMap<i64, (i64, &'p [u8])>,
}

impl<'p> Shared<'p> {
    fn number(&mut self, message: &'p Arc<[u8]>, bodies: &mut Bodies) -> i64 {
        let id = *self.numbers.entry(message.as_ptr()).or_insert_with(|| bodies.number());
        self.places.entry(id).or_insert((0, message)).0 += 1;
        id
    }
}

/// An unsigned number as the signed one with the same bits.
pub(super) const fn row(number: SessionNumber) -> i64 {
    number.cast_signed()
}
