//! Asking a device to make itself known, and what it answers.
//!
//! 1. Look on at its values, so that no answer is missed.
//! 2. Ask. Whoever may not is told so; what can't be (away, its standing) is said on its page.
//! 3. Wait a moment for the answer, and go back to its page with what came of it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_base::{Fault, Timestamp};
use hedgerow_control::{Failure, ports::LastValue};
use hedgerow_model::Value;
use hedgerow_plane::{Watched, Watcher};
use maud::{Markup, html};
use tokio::time::timeout;

use super::{
    device,
    visitor::{Trouble, Visitor, sentence},
    words,
};
use crate::{People, limits::ANSWER_TIME_MAX, rest::forms::Id};

/// The action, as profiles name it.
pub(super) const ACTION: &str = "identify";
/// The series of its answers.
const ANSWERS: &str = "result/identify";

pub(crate) async fn ask(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let watched = Watched::Device(device.key.tenant, id);
    let watching = people.bus.watch(watched);
    let mut watcher = watching.map_err(|refusal| Failure::new(refusal.fault, refusal.reason))?;
    if let Err(failure) = people.control.invoke(&visitor.ctx, id, ACTION, b"{}").await {
        if !visitor.operates() || failure.fault == Fault::Broken {
            return Err(failure.into());
        }
        let said =
            html! { p.warning role="status" { "It was not asked. " (sentence(&failure.reason)) } };
        let page = device::live(&people, &visitor, &device, said).await?;
        return Ok((StatusCode::CONFLICT, page).into_response());
    }
    let answer = timeout(ANSWER_TIME_MAX, answer(&mut watcher)).await;
    let done = if answer.is_ok() { "answered" } else { "unanswered" };
    Ok(Redirect::to(&format!("/devices/{id}?done={done}")).into_response())
}

async fn answer(watcher: &mut Watcher) -> Value {
    loop {
        let live = watcher.next().await;
        if &*live.name == ANSWERS {
            return live.value;
        }
    }
}

/// What it said beyond that it did.
fn in_words(answer: &Value) -> Markup {
    match answer {
        Value::Boolean(true) => html! {},
        Value::Text(text) if &**text == "true" => html! {},
        said => html! { ": " (words::value(said, "")) },
    }
}

/// What came of it, on the device's page; the answer is what the hub stored.
pub(super) fn outcome(done: Option<&str>, last: &[LastValue], now: Timestamp) -> Markup {
    let stored = last.iter().find(|one| one.series == ANSWERS);
    html! {
        @match (done, stored) {
            (Some("answered"), Some(one)) => {
                p.notice role="status" { "It was asked to identify itself and answered " (words::moment(one.at, now)) (in_words(&one.value)) "." }
            }
            (Some("answered"), None) => { p.notice role="status" { "It was asked to identify itself and answered." } }
            (Some("unanswered"), _) => {
                p.warning role="status" { "It was asked to identify itself and did not answer within " (ANSWER_TIME_MAX.as_secs()) " seconds. If an answer comes later, it stands under " em { "Also reported" } "." }
            }
            (Some(_) | None, _) => {}
        }
    }
}
