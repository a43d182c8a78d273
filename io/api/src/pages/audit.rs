//! Who did what, and that the log is whole.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use hedgerow_base::{TenantId, Timestamp};
use hedgerow_control::{
    Verified,
    ports::{AuditFilter, AuditRecord},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    devices::escaped,
    frame::{Frame, Place},
    visitor::{Trouble, Visitor},
    words,
};
use crate::{People, problem::Refused, rest::forms::Ask};

/// Records in one page.
const RECORDS: u32 = 100;

#[derive(Default, Deserialize)]
pub(crate) struct AuditQuery {
    before: Option<u64>,
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
}

impl AuditQuery {
    fn filter(&self) -> Result<AuditFilter, Refused> {
        if self.before.is_some_and(|before| i64::try_from(before).is_err()) {
            return Err(Refused::invalid(
                "that place is past the end of any log; begin at the newest",
            ));
        }
        let said = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
        };
        let (actor, action, subject) = (said(&self.actor), said(&self.action), said(&self.subject));
        Ok(AuditFilter { before: self.before, actor, action, subject })
    }
}

/// Names of people by their number in records, as far as the visitor may know them.
type Names = BTreeMap<String, String>;

async fn names(people: &People, visitor: &Visitor) -> Names {
    let me = format!("person:{}", visitor.person.id.0);
    let mut names = Names::new();
    if visitor.owns() {
        let known = people.control.people(&visitor.ctx).await.unwrap_or_default();
        names.extend(known.into_iter().map(|one| (format!("person:{}", one.id.0), one.name)));
    }
    names.insert(me, format!("{} (you)", visitor.person.name));
    names
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Ask(query): Ask<AuditQuery>,
) -> Result<Response, Trouble> {
    render(&people, &visitor, &query, None).await
}

pub(crate) async fn verify(
    State(people): State<Arc<People>>,
    visitor: Visitor,
) -> Result<Response, Trouble> {
    let tenant = visitor.ctx.actor.tenant().unwrap_or(TenantId::FIRST);
    let open = |note: &hedgerow_tlog::Note| (people.open_note)(tenant, note);
    let found = people.control.verify_audit(&visitor.ctx, open).await?;
    render(&people, &visitor, &AuditQuery::default(), Some(&found)).await
}

async fn render(
    people: &People,
    visitor: &Visitor,
    query: &AuditQuery,
    found: Option<&Verified>,
) -> Result<Response, Trouble> {
    let page = people.control.audit(&visitor.ctx, &query.filter()?, RECORDS).await?;
    let note = people.control.newest_checkpoint(&visitor.ctx).await?;
    let names = names(people, visitor).await;
    let main = html! {
        h1 { "Audit" }
        (integrity(note.as_deref(), found))
        (filter(query))
        @if page.items.is_empty() { div.empty { h2 { "No record fits" } p { a.button href="/audit" { "Show all records" } } } }
        @else { (table(visitor, &names, &page.items)) }
        @if let Some(next) = page.next {
            nav.pages aria-label="Pages" { a.button rel="next" href=(next_url(query, next)) { "Earlier" } }
        }
    };
    let frame = Frame { people, visitor, title: "Audit", place: Place::Audit, scripts: &[] };
    Ok(frame.page(main))
}

fn next_url(query: &AuditQuery, next: u64) -> String {
    let pairs = [("actor", &query.actor), ("action", &query.action), ("subject", &query.subject)];
    let said = pairs.iter().filter_map(|(key, value)| {
        value.as_ref().filter(|v| !v.is_empty()).map(|v| format!("&{key}={}", escaped(v)))
    });
    format!("/audit?before={next}{}", said.collect::<String>())
}

/// Proof of integrity, in one line.
fn integrity(note: Option<&str>, found: Option<&Verified>) -> Markup {
    let size = note.and_then(|note| note.lines().nth(1)).and_then(|line| line.parse::<u64>().ok());
    html! {
        div.integrity #integrity role="status" {
            @match found {
                None => p {
                    @match size {
                        Some(size) => { "The newest signed checkpoint covers " strong { (words::many(size, "record")) } "." },
                        None => "There is no checkpoint yet.",
                    }
                },
                Some(found) if found.problems.is_empty() => p.sound {
                    (words::shape("full")) " The log is whole: " (words::many(found.records, "record")) " and "
                    (words::many(found.checkpoints, "signed checkpoint")) " were read again and fit."
                },
                Some(found) => div.wrong {
                    p { strong { "The log does not fit. " } "Somebody changed it, or a disk failed. Keep a copy of the data directory before you do anything else." }
                    ul { @for problem in &found.problems { li { (problem) } } }
                },
            }
            form method="post" action="/audit/verify" hx-post="/audit/verify" hx-target="#integrity" hx-select="#integrity" hx-swap="outerHTML" {
                button { "Verify now" }
            }
        }
    }
}

fn filter(query: &AuditQuery) -> Markup {
    let field = |name: &str, label: &str, hint: &str, value: &Option<String>| {
        html! {
            label { span { (label) } input name=(name) value=(value.as_deref().unwrap_or_default()) placeholder=(hint) maxlength="100" autocapitalize="none" spellcheck="false"; }
        }
    };
    html! {
        form.filter.row action="/audit" {
            (field("actor", "Who", "person:…", &query.actor))
            (field("action", "What", "device.", &query.action))
            (field("subject", "To what", "device:…", &query.subject))
            button { "Filter" }
        }
    }
}

fn table(visitor: &Visitor, names: &Names, records: &[AuditRecord]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Records" {
            table.audit {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "To what" } th scope="col" { "Details" } th.num scope="col" { "Record" } } }
                tbody { @for record in records { (row(visitor, names, record)) } }
            }
        }
    }
}

fn row(visitor: &Visitor, names: &Names, record: &AuditRecord) -> Markup {
    let said: Value = serde_json::from_str(&record.record).unwrap_or_default();
    let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default();
    let at = Timestamp::parse(text("at"));
    let is_denied = text("effect") == "denied";
    let detail = said.get("detail").and_then(Value::as_object);
    html! {
        tr {
            td.num { @if let Some(at) = at { (words::moment(at, visitor.now())) } }
            td { (named(names, text("actor"))) }
            td { (text("action")) @if is_denied { " " span.mark.cut { (words::shape("cut")) "refused" } } }
            td { (named(names, text("subject"))) }
            td.break { @for (key, value) in detail.into_iter().flatten() { span.pair { (key) ": " (value.as_str().unwrap_or_default()) } " " } }
            td.num { (record.index) }
        }
    }
}

/// Somebody or something in a record, as people call it, with a way to it.
fn named(names: &Names, who: &str) -> Markup {
    if let Some(name) = names.get(who) {
        return html! { span title=(who) { (name) } };
    }
    if let Some(id) = who.strip_prefix("device:") {
        return html! { a href={ "/devices/" (id) } title=(who) { "device " (id.chars().take(8).collect::<String>()) "…" } };
    }
    html! { span { (who) } }
}
