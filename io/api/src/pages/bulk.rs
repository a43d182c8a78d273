//! What a person does to several devices: first what it means and for how many, then the act, one device
//! after the other, each with a record of its own.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_base::{DeviceId, Fault};
use hedgerow_control::{Cause, Edit, Failure};
use hedgerow_registry::{Device, Step};
use maud::{Markup, html};

use super::{
    frame::{Frame, Place},
    visitor::{Trouble, Visitor, sentence},
    words::{self, many},
};
use crate::{People, limits::TABLE_ROWS, problem::Refused};

/// An act on several devices, and what has to be said before and after it.
struct Bulk {
    word: &'static str,
    /// On the button below the table.
    short: &'static str,
    title: &'static str,
    means: &'static str,
    undo: &'static str,
    button: &'static str,
    did: &'static str,
    /// The step of a device's life that it is, if it is one.
    step: Option<Step>,
}

const BULKS: [Bulk; 4] = [
    Bulk {
        word: "quarantine",
        short: "Quarantine",
        title: "Quarantine",
        means: "Each may then only report its state, attest, update and be wiped. Readings that it sends are refused. Open sessions are narrowed at once.",
        undo: "This can be undone: release them when they are well.",
        button: "Quarantine",
        did: "in quarantine now",
        step: Some(Step::Quarantine),
    },
    Bulk {
        word: "release",
        short: "Release",
        title: "Release",
        means: "Each may then do again what its profile allows. Open sessions are widened at once.",
        undo: "This can be undone: put them in quarantine again.",
        button: "Release",
        did: "out of quarantine now",
        step: Some(Step::Release),
    },
    Bulk {
        word: "group",
        short: "Group",
        title: "Group",
        means: "Each is taken out of the group that it is in and put into this one. Nothing changes for the devices themselves.",
        undo: "Which groups they were in before is not kept.",
        button: "Set the group of",
        did: "in their new group",
        step: None,
    },
    Bulk {
        word: "label",
        short: "Label",
        title: "Label",
        means: "Each gets this label; one of the same kind is replaced. Nothing changes for the devices themselves.",
        undo: "Which labels of this kind they had before is not kept.",
        button: "Label",
        did: "labelled",
        step: None,
    },
];

/// The words and the devices in a form or a URL.
struct Asked {
    bulk: &'static Bulk,
    ids: Vec<DeviceId>,
    pairs: Vec<(String, String)>,
}

impl Asked {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Trouble> {
        let word = pairs.iter().find(|(key, _)| key == "act").map(|(_, word)| word.as_str());
        let bulk = BULKS.iter().find(|bulk| Some(bulk.word) == word);
        let bulk = bulk.ok_or_else(|| Refused::invalid("there is no such act"))?;
        let ids = pairs.iter().filter(|(key, _)| key == "id").map(|(_, id)| id.parse());
        let mut ids: Vec<DeviceId> =
            ids.collect::<Result<_, _>>().map_err(|_| Failure::absent("device"))?;
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(Refused::invalid("no device is ticked; go back and tick some").into());
        }
        if ids.len() > TABLE_ROWS as usize {
            let reason = format!("up to {TABLE_ROWS} devices at once: one page of the table");
            return Err(Failure::new(Fault::TooMuch, reason).into());
        }
        Ok(Self { bulk, ids, pairs })
    }

    fn said(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim()).unwrap_or_default()
    }
}

/// What is below the table: the acts, and how many are ticked.
pub(super) fn bar(rows: usize) -> Markup {
    html! {
        form.bulk #bulk action="/devices/bulk" {
            button.tick-all.quiet type="button" data-tick-all aria-pressed="false" { "Tick all " (rows) }
            span.hint #ticked role="status" { "Tick devices to act on several." }
            div.acts {
                @for bulk in &BULKS { button name="act" value=(bulk.word) { (bulk.short) } }
            }
        }
    }
}

/// The box of a row.
pub(super) fn tick(device: &Device) -> Markup {
    html! {
        td.tick { input type="checkbox" name="id" value=(device.key.id) form="bulk" aria-label={ "Tick " (device.name) }; }
    }
}

pub(crate) async fn ask(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    people.control.may_edit_devices(&visitor.ctx).await?;
    let asked = Asked::read(pairs)?;
    let (mut able, mut unable) = (Vec::new(), Vec::new());
    for id in &asked.ids {
        let device = people.control.device(&visitor.ctx, *id).await?;
        let is_able = asked.bulk.step.is_none_or(|step| device.state.after(step).is_ok());
        if is_able { able.push(device) } else { unable.push(device) }
    }
    Ok(page(&people, &visitor, asked.bulk.title, question(asked.bulk, &able, &unable)))
}

fn page(people: &People, visitor: &Visitor, title: &str, main: Markup) -> Response {
    let frame = Frame { people, visitor, title, place: Place::Devices, scripts: &[] };
    frame.page(html! {
        p.crumbs { a href="/devices" { "Devices" } }
        (main)
    })
}

fn question(bulk: &Bulk, able: &[Device], unable: &[Device]) -> Markup {
    let count = many(able.len() as u64, "device");
    html! {
        h1 { (bulk.title) " " (count) "?" }
        section.card.question {
            (names(able))
            @if !able.is_empty() {
                p { "This is about " (count) ". " (bulk.means) }
                p { strong { (bulk.undo) } }
            }
            @if !unable.is_empty() {
                p { "Not possible where " (if unable.len() == 1 { "it is" } else { "they are" }) " now; left as " (if unable.len() == 1 { "it is" } else { "they are" }) ":" }
                ul.names { @for device in unable { li { (device.name) " " span.hint { (words::state(device.state)) } } } }
            }
            form.stack method="post" action="/devices/bulk" {
                input type="hidden" name="act" value=(bulk.word);
                @for device in able { input type="hidden" name="id" value=(device.key.id); }
                @if !able.is_empty() { (fields(bulk)) }
                div.row {
                    @if !able.is_empty() { button.primary { (bulk.button) " " (count) } }
                    a.button href="/devices" { "Leave them as they are" }
                }
            }
        }
    }
}

fn names(devices: &[Device]) -> Markup {
    html! {
        @if !devices.is_empty() {
            ul.names aria-label="The devices" {
                @for device in devices { li { a href={ "/devices/" (device.key.id) } { (device.name) } } }
            }
        }
    }
}

/// What has to be written for an act.
fn fields(bulk: &Bulk) -> Markup {
    html! {
        @match bulk.word {
            "group" => { label { "The group (empty: none)" input name="group" maxlength="80" autocomplete="off"; } }
            "label" => {
                label { "What kind of label" input name="key" required maxlength="63" pattern="[a-z0-9._\\-]+" placeholder="room" title="Small letters, digits, dot, line, hyphen" autocomplete="off" autocapitalize="none"; }
                label { "Its value" input name="value" required maxlength="63" placeholder="kitchen" autocomplete="off"; }
            }
            _ => { label { "Why, for their timelines (may stay empty)" input name="reason" maxlength="500" autocomplete="off"; } }
        }
    }
}

pub(crate) async fn act(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    people.control.may_edit_devices(&visitor.ctx).await?;
    let asked = Asked::read(pairs)?;
    let cause = Cause::new(asked.said("reason"))?;
    let mut failed = Vec::new();
    for id in &asked.ids {
        if let Err(failure) = one(&people, &visitor, &asked, *id, &cause).await {
            if matches!(failure.fault, Fault::Broken | Fault::Unavailable) {
                return Err(failure.into());
            }
            let device = people.control.device(&visitor.ctx, *id).await;
            failed.push((device.map_or_else(|_| id.to_string(), |device| device.name), failure));
        }
    }
    let done = asked.ids.len() - failed.len();
    if failed.is_empty() {
        let to = format!("/devices?done={}&count={done}", asked.bulk.word);
        return Ok(Redirect::to(&to).into_response());
    }
    let page = page(&people, &visitor, asked.bulk.title, partly(asked.bulk, done, &failed));
    Ok((StatusCode::CONFLICT, page).into_response())
}

async fn one(
    people: &People,
    visitor: &Visitor,
    asked: &Asked,
    id: DeviceId,
    cause: &Cause,
) -> Result<Device, Failure> {
    let (control, ctx) = (&people.control, &visitor.ctx);
    match asked.bulk.word {
        "quarantine" => return control.quarantine(ctx, id, cause).await,
        "release" => return control.release(ctx, id, cause).await,
        _ => {}
    }
    let device = control.device(ctx, id).await?;
    let mut edit = Edit { revision: device.revision, ..Edit::default() };
    if asked.bulk.word == "group" {
        let group = asked.said("group");
        edit.group = Some((!group.is_empty()).then(|| group.to_owned()));
    } else {
        let (key, value) = (asked.said("key"), asked.said("value"));
        let others = device.labels.iter().filter(|label| label.key() != key);
        let others = others.map(|label| (label.key().to_owned(), label.value().to_owned()));
        edit.labels = Some(others.chain([(key.to_owned(), value.to_owned())]).collect());
    }
    control.edit_device(ctx, id, edit).await
}

fn partly(bulk: &Bulk, done: usize, failed: &[(String, Failure)]) -> Markup {
    html! {
        h1 { (outcome(bulk, done as u64)) }
        section.card.question {
            p.wrong role="alert" { "With " (many(failed.len() as u64, "device")) " it did not work:" }
            ul.names { @for (name, failure) in failed { li { strong { (name) } " " (sentence(&failure.reason)) } } }
            div.row { a.button href="/devices" { "To the devices" } }
        }
    }
}

fn outcome(bulk: &Bulk, done: u64) -> String {
    format!("{} {} {}.", many(done, "device"), if done == 1 { "is" } else { "are" }, bulk.did)
}

/// What was done, as the table says it afterwards.
pub(super) fn said(done: Option<&str>, count: Option<u64>) -> Option<String> {
    let bulk = BULKS.iter().find(|bulk| Some(bulk.word) == done)?;
    Some(outcome(bulk, count?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(act: &str, ids: impl Iterator<Item = u32>) -> Vec<(String, String)> {
        let id = |number: u32| {
            let id = DeviceId::from_bytes(u128::from(number).to_be_bytes());
            ("id".to_owned(), id.to_string())
        };
        [("act".to_owned(), act.to_owned())].into_iter().chain(ids.map(id)).collect()
    }

    #[test]
    fn a_page_of_devices_may_be_ticked_and_not_one_more() {
        let read = |act, count| Asked::read(pairs(act, 0..count));
        assert_eq!(read("group", TABLE_ROWS).ok().map(|asked| asked.ids.len()), Some(50));
        let refused = |act, count| read(act, count).err().map(|trouble| trouble.failure.fault);
        assert_eq!(refused("group", TABLE_ROWS + 1), Some(Fault::TooMuch));
        assert_eq!(refused("group", 0), Some(Fault::Invalid));
        assert_eq!(refused("erase", 1), Some(Fault::Invalid));
    }

    #[test]
    fn a_device_that_is_named_twice_counts_once() {
        let asked = Asked::read(pairs("label", [7, 7, 8].into_iter())).ok();
        assert_eq!(asked.map(|asked| asked.ids.len()), Some(2));
    }

    #[test]
    fn what_was_done_is_said_with_its_count() {
        let say = |done, count| said(Some(done), count);
        assert_eq!(say("label", Some(1)).as_deref(), Some("1 device is labelled."));
        assert_eq!(say("quarantine", Some(3)).as_deref(), Some("3 devices are in quarantine now."));
        assert_eq!((say("<b>", Some(3)), say("label", None)), (None, None));
    }
}
