//! Topics: what is retained, level by level, and messages as they come by.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use hedgerow_base::DeviceId;
use hedgerow_plane::{Admitted, Level, RetainedMessage, RetainedPage};
use hedgerow_policy::{Actor, Peer};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    broker::{Tab, tabs},
    devices::escaped,
    frame::{Frame, Place, show},
    visitor::{Trouble, Visitor, sentence},
    words::{self, many},
};
use crate::{
    People,
    limits::{LEVEL_NAMES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_CHARS, PAYLOAD_LINES, TOPIC_ROWS},
    onlooker::rights,
    payload::{Payload, visible},
    problem::Refused,
    rest::forms::Ask,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicQuery {
    /// The level that the tree begins at: empty, or with a slash at its end.
    #[serde(default)]
    at: String,
    filter: Option<String>,
    /// The topic after which the list of messages goes on.
    after: Option<String>,
    /// The topic after which a level goes on.
    from: Option<String>,
}

fn peer(visitor: &Visitor) -> Result<Peer, Trouble> {
    match visitor.ctx.actor {
        Actor::Peer(peer) => Ok(peer),
        Actor::Hub(..) | Actor::Claimant(..) | Actor::Lapsed(_) => Err(Refused::unknown().into()),
    }
}

/// What the visitor may see at all.
fn session(people: &People, visitor: &Visitor) -> Result<Admitted, Trouble> {
    Ok(rights(&people.plane, peer(visitor)?, "#", visitor.now())?)
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Ask(query): Ask<TopicQuery>,
) -> Result<Response, Trouble> {
    people.control.look_at_broker(&visitor.ctx).await?;
    let filter = query.filter.as_deref().filter(|filter| !filter.is_empty()).unwrap_or("#");
    let session = session(&people, &visitor)?;
    let may_see = |topic: &str| people.plane.may_receive(&session, topic);
    let judged = rights(&people.plane, peer(&visitor)?, filter, visitor.now());
    let at_most = (TOPIC_ROWS, PAYLOAD_BYTES_MAX);
    let kept = match &judged {
        Ok(_) => people.broker.retained(filter, query.after.as_deref(), at_most, &may_see),
        Err(_) => RetainedPage::default(),
    };
    let from = query.from.as_deref();
    let level = people.broker.level(&query.at, from, LEVEL_NAMES_MAX, &may_see);
    let frame = Frame {
        people: &people,
        visitor: &visitor,
        title: "Topics",
        place: Place::Broker,
        scripts: &["topics.js"],
    };
    let tree = tree(&people, &visitor, &query.at, &level).await;
    Ok(frame.page(html! {
        h1 { "Topics" }
        (tabs(Tab::Topics))
        form.filter action="/broker/topics" {
            label { "Topic filter" input type="search" name="filter" maxlength="512" value=(filter) autocapitalize="none" autocomplete="off" spellcheck="false" aria-describedby="filter-hint"; }
            button.primary { "Watch" }
        }
        p.hint #filter-hint { code { "+" } " stands for one level, " code { "#" } " for all that follow: " code { "things/+/properties/#" } }
        @if let Err(failure) = &judged { p.wrong role="alert" { (sentence(&failure.reason)) } }
        div.explorer {
            section.card #tree {
                h2 { "Levels" }
                @if !query.at.is_empty() { (crumbs(&query.at)) }
                (tree)
            }
            div.stretch {
                @if judged.is_ok() { (live(filter)) }
                @if judged.is_ok() { (retained(filter, &kept, query.after.is_some())) }
            }
        }
    }))
}

/// One level below another, for a page that is open.
pub(crate) async fn level(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Ask(query): Ask<TopicQuery>,
) -> Result<Response, Trouble> {
    people.control.look_at_broker(&visitor.ctx).await?;
    let session = session(&people, &visitor)?;
    let may_see = |topic: &str| people.plane.may_receive(&session, topic);
    let from = query.from.as_deref();
    let level = people.broker.level(&query.at, from, LEVEL_NAMES_MAX, &may_see);
    Ok(show(tree(&people, &visitor, &query.at, &level).await))
}

/// A name as it can be seen; a level may be without one.
fn named(name: &str) -> String {
    if name.is_empty() { "(empty)".into() } else { visible(name, false) }
}

fn watching(filter: &str) -> String {
    format!("/broker/topics?filter={}", escaped(filter))
}

async fn tree(people: &People, visitor: &Visitor, at: &str, level: &Level) -> Markup {
    let mut devices = Vec::new();
    if at == "things/" {
        for name in level.branches.keys() {
            if let Ok(id) = name.parse::<DeviceId>()
                && let Ok(device) = people.control.device(&visitor.ctx, id).await
            {
                devices.push((name, device.name));
            }
        }
    }
    let device = |name: &str| devices.iter().find(|(id, _)| ***id == *name).map(|(_, name)| name);
    html! {
        @if at.is_empty() && level.branches.is_empty() {
            p.hint data-none { "No topic has a message yet. Topics appear here as messages come by." }
        }
        @if !at.is_empty() { p.hint { a href=(watching(&format!("{at}#"))) { "Watch all of " bdi { (visible(at, false)) } } } }
        ul.tree data-path=(at) {
            @for (name, branch) in &level.branches {
                @if branch.has_message {
                    li data-leaf=(name) { a href=(watching(&format!("{at}{name}"))) { bdi { (named(name)) } } }
                }
                @if branch.has_more {
                    @let path = format!("{at}{name}/");
                    li data-branch=(name) {
                        details hx-get={ "/broker/topics/level?at=" (escaped(&path)) } hx-trigger="toggle once" hx-target="find .below" hx-swap="innerHTML" {
                            summary { bdi { (named(name)) } "/" @if let Some(device) = device(name) { " " span.hint { (device) } } }
                            div.below { a href={ "/broker/topics?at=" (escaped(&path)) } { "Open this level" } }
                        }
                    }
                }
            }
        }
        @if let Some(next) = &level.next {
            p { a href={ "/broker/topics?at=" (escaped(at)) "&from=" (escaped(next)) } { "More of this level" } }
        }
    }
}

/// The way to a level.
fn crumbs(at: &str) -> Markup {
    let mut path = String::new();
    let levels: Vec<_> = at
        .split_inclusive('/')
        .map(|level| {
            path.push_str(level);
            (path.clone(), named(level.trim_end_matches('/')))
        })
        .collect();
    html! {
        p {
            a href="/broker/topics" { "All" }
            @for (path, name) in &levels { " / " a href={ "/broker/topics?at=" (escaped(path)) } { bdi { (name) } } }
        }
    }
}

fn live(filter: &str) -> Markup {
    html! {
        section #watch data-filter=(filter) {
            div.heading {
                h2 { "Live" }
                div.acts #watch-acts hidden {
                    button type="button" #pause aria-pressed="false" { "Pause" }
                    button type="button" #clear { "Clear" }
                }
            }
            p.hint.live #watch-state role="status" { "Live messages need scripts; reload the page for newer retained ones." }
            ol.messages #messages aria-label="Messages as they come by" {}
        }
    }
}

fn retained(filter: &str, page: &RetainedPage, is_later: bool) -> Markup {
    html! {
        section {
            h2 { "Retained" }
            @if page.items.is_empty() && page.next.is_none() {
                p.hint { "No topic that fits has a message that stays." }
            } @else {
                ol.messages aria-label="Retained messages" { @for message in &page.items { (message_item(message)) } }
            }
            @if is_later || page.next.is_some() {
                nav.pages aria-label="Pages" {
                    @if is_later { a.button href=(watching(filter)) { "First page" } }
                    @if let Some(next) = &page.next { a.button rel="next" href={ (watching(filter)) "&after=" (escaped(next)) } { "Next page" } }
                }
            }
        }
    }
}

/// A payload; a long one waits to be opened.
fn payload_part(shown: &str) -> Markup {
    let lines = shown.lines().count();
    let characters = shown.chars().count();
    let is_long = lines > PAYLOAD_LINES || characters > PAYLOAD_CHARS;
    let length = if lines > PAYLOAD_LINES {
        many(lines as u64, "line")
    } else {
        many(characters as u64, "character")
    };
    html! {
        @if is_long {
            details { summary { "Show " (length) } pre.payload { (shown) } }
        } @else { pre.payload { (shown) } }
    }
}

fn message_item(message: &RetainedMessage) -> Markup {
    let RetainedMessage { topic, payload, bytes, qos } = message;
    let payload = Payload::of(payload, *bytes);
    let shown = payload.shown();
    html! {
        li {
            div.message-head {
                code { bdi { (visible(topic, false)) } }
                span.hint { "QoS " (qos) ", retained, " (words::bytes(*bytes as u64)) @if payload.is_cut { ", cut here" } }
            }
            (payload_part(&shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_up_to_so_many_lines_and_characters() {
        let is_open = |shown: &str| !payload_part(shown).into_string().contains("<details");
        assert!(
            is_open(&"a\n".repeat(PAYLOAD_LINES)) && !is_open(&"a\n".repeat(PAYLOAD_LINES + 1))
        );
        assert!(is_open(&"ä".repeat(PAYLOAD_CHARS)) && !is_open(&"ä".repeat(PAYLOAD_CHARS + 1)));
    }

    #[test]
    fn what_strangers_say_is_no_markup() {
        let hostile = "<script>alert(1)</script>\u{202e}";
        let message = RetainedMessage {
            topic: format!("a/{hostile}").into(),
            payload: hostile.as_bytes().into(),
            bytes: hostile.len(),
            qos: 0,
        };
        let shown = message_item(&message).into_string();
        assert!(!shown.contains("<script") && !shown.contains('\u{202e}'), "{shown}");
        assert_eq!(shown.matches("&lt;script&gt;").count(), 2);
        let path = crumbs("a/<b>/");
        assert!(!path.into_string().contains("<b>"));
        assert_eq!(watching("a/+/#&x=1"), "/broker/topics?filter=a%2F%2B%2F%23%26x%3D1");
    }
}
