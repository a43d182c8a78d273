//! The broker: who does not keep up, how much goes through, what is refused, and its sessions.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use hedgerow_base::TenantId;
use hedgerow_plane::{Flow, Identity, SessionName, SessionView};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    chart::Hour,
    devices::escaped,
    frame::{Frame, Place, notice, show},
    visitor::{Trouble, Visitor},
    words::{self, many},
};
use crate::{
    Meters, People,
    limits::TABLE_ROWS,
    payload::visible,
    rest::{broker::SessionQuery, forms::Ask},
};

/// The tabs of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Sessions,
    Topics,
}

/// The head of each page of the broker.
pub(super) fn tabs(tab: Tab) -> Markup {
    let all =
        [(Tab::Sessions, "/broker", "Connections"), (Tab::Topics, "/broker/topics", "Topics")];
    html! {
        nav.tabs aria-label="Broker" {
            @for (one, path, word) in all {
                a href=(path) aria-current=[(one == tab).then_some("page")] { (word) }
            }
        }
    }
}

/// What a page of the table is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableQuery {
    q: Option<String>,
    connected: Option<bool>,
    after: Option<String>,
    done: Option<String>,
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Ask(query): Ask<TableQuery>,
) -> Result<Response, Trouble> {
    let tenant = people.control.look_at_broker(&visitor.ctx).await?;
    let TableQuery { q, connected, after, done } = query;
    let query = SessionQuery { q, connected, after, limit: Some(TABLE_ROWS) };
    let found = people.broker.sessions(query.asked(tenant)?).await;
    let frame = Frame {
        people: &people,
        visitor: &visitor,
        title: "Broker",
        place: Place::Broker,
        scripts: &[],
    };
    let is_narrowed = query.q.is_some() || query.connected.is_some() || query.after.is_some();
    let said = (done.as_deref() == Some("end")).then_some("The session is over.");
    Ok(frame.page(html! {
        (notice(said))
        (moving_part(&people, &visitor, tenant).await)
        h2 #sessions-head { "Sessions" }
        div.tools {
            form.filter action="/broker" {
                label.hidden for="q" { "Search sessions by device, client or token" }
                input #q type="search" name="q" maxlength="200" placeholder="Device id, client or token:4"
                    value=(query.q.as_deref().unwrap_or_default())
                    hx-get="/broker" hx-trigger="input changed delay:200ms" hx-target="#list"
                    hx-select="#list" hx-swap="outerHTML" hx-push-url="true" hx-include="closest form";
                @if let Some(is) = query.connected { input type="hidden" name="connected" value=(is); }
                button.plainly { "Search" }
            }
        }
        div #list {
            (chips(&query))
            @if found.items.is_empty() && found.next.is_none() { (empty(is_narrowed)) } @else {
                (table(&visitor, &found.items))
                (pages(&query, found.next.as_ref()))
            }
        }
    }))
}

/// What is fetched again and again.
pub(crate) async fn moving(
    State(people): State<Arc<People>>,
    visitor: Visitor,
) -> Result<Response, Trouble> {
    let tenant = people.control.look_at_broker(&visitor.ctx).await?;
    Ok(show(moving_part(&people, &visitor, tenant).await))
}

async fn moving_part(people: &People, visitor: &Visitor, tenant: TenantId) -> Markup {
    let slow = people.broker.slow(tenant).await;
    let meters = (people.meters)();
    html! {
        div.stretch #moving hx-get="/broker/numbers" hx-trigger="every 10s" hx-swap="outerHTML" {
            h1.state { (sentence(&meters, slow.len())) }
            (tabs(Tab::Sessions))
            @if !slow.is_empty() { (slow_ones(visitor, &slow)) }
            div.cards { (numbers(people, visitor, &meters)) }
        }
    }
}

fn sentence(meters: &Meters, slow: usize) -> String {
    let open = meters.mqtt_connections.saturating_sub(meters.mqtt_half_open);
    let open = many(open as u64, "connection");
    match slow {
        0 => format!("{open}; everybody keeps up."),
        1 => format!("{open}; 1 subscriber does not keep up."),
        slow => format!("{open}; {slow} subscribers do not keep up."),
    }
}

fn slow_ones(visitor: &Visitor, slow: &[SessionView]) -> Markup {
    html! {
        section {
            h2 { "Subscribers that do not keep up" }
            p.hint { "More waits for them than half of what may. What is over that is dropped, or refused to wait. Look whether the client hangs, has a slow link, or subscribed to more than it needs." }
            ul.rows {
                @for view in slow {
                    li {
                        span {
                            a href=(place(&view.name)) { bdi { (called(&view.name)) } } " "
                            span.hint {
                                (waiting(view)) " waiting"
                                @if let Some(slow) = view.slow {
                                    " since " (words::moment(slow.since, visitor.now()))
                                    @if slow.dropped > 0 { ", " (many(slow.dropped, "message")) " missed" }
                                }
                            }
                        }
                        a.button href=(place(&view.name)) aria-label={ "Look at " (called(&view.name)) } { "Look" }
                    }
                }
            }
        }
    }
}

/// What waits for a client, in words.
pub(super) fn waiting(view: &SessionView) -> String {
    let (messages, bytes) = (view.queued as u64, view.out_bytes + view.queued_bytes);
    format!("{} and {}", many(messages, "message"), words::bytes(bytes as u64))
}

/// A value beside the most that it may be.
fn of(now: u64, most: usize) -> Markup {
    html! { p.value { (words::grouped(now)) span.unit { " of " (words::grouped(most as u64)) } } }
}

fn numbers(people: &People, visitor: &Visitor, meters: &Meters) -> Markup {
    let hour = Hour::new(&people.plane.pulse().minutes(), visitor.now());
    let rate = people.flows.a_second();
    let limits = &meters.broker_limits;
    html! {
        section.card {
            h2 { "Connections" }
            (of(meters.mqtt_connections as u64, limits.connections))
            (hour.chart("Connected devices", |minute| minute.connected))
            p.hint { "The chart counts devices only." }
            dl.facts { dt { "At the door" } dd { (words::grouped(meters.mqtt_half_open as u64)) " of " (words::grouped(limits.half_open as u64)) } }
        }
        section.card {
            h2 { "Messages in" }
            (a_second(rate, |flow| (flow.messages_in, flow.bytes_in)))
            (hour.chart("Messages from clients", |minute| minute.flow.messages_in))
        }
        section.card {
            h2 { "Messages out" }
            (a_second(rate, |flow| (flow.messages_out, flow.bytes_out)))
            (hour.chart("Messages to clients", |minute| minute.flow.messages_out))
        }
        section.card {
            h2 { "Not delivered" }
            (hour.newest(|minute| minute.flow.dropped))
            (hour.chart("Messages not delivered", |minute| minute.flow.dropped))
            (reasons(meters.messages_dropped.iter().copied(), words::missed, "Since the hub started everybody got everything."))
        }
        section.card {
            h2 { "Refused" }
            (hour.newest(|minute| minute.flow.refused))
            (hour.chart("Messages refused", |minute| minute.flow.refused))
            (reasons(people.plane.denials(), words::refusal, "Since the hub started nothing was refused."))
            (remedies(people.plane.denials().map(|(word, _)| word)))
        }
        section.card {
            h2 { a href="/broker/topics" { "Retained" } }
            (of(meters.retained, limits.retained))
            p.hint { "Topics with a message" }
            dl.facts {
                dt { "Room taken" } dd { (words::bytes(meters.retained_bytes)) " of " (words::bytes(limits.retained_bytes as u64)) }
                @if meters.not_retained > 0 { dt { "Not retained for want of room" } dd.num { (words::grouped(meters.not_retained)) } }
            }
        }
        section.card {
            h2 { "Queues" }
            p.value { (words::grouped(meters.messages_waiting)) span.unit { " waiting" } }
            p.hint { "In sessions that outlive their connection" }
            dl.facts {
                dt { "Clients away" } dd { (words::grouped(meters.sessions_away)) " of " (words::grouped(limits.sessions_away as u64)) }
                dt { "Most in a session" } dd { (words::grouped(limits.queued as u64)) ", " (words::bytes(limits.queued_bytes as u64)) }
                dt { "Sessions on disk" } dd.num { (words::grouped(meters.sessions_kept)) }
            }
        }
    }
}

fn a_second(rate: Option<Flow>, of: fn(Flow) -> (u64, u64)) -> Markup {
    html! {
        @match rate.map(of) {
            Some((messages, bytes)) => p.value { (words::grouped(messages)) span.unit { " a second, " (words::bytes(bytes)) } },
            None => p.value { span.hint { "Not known yet" } },
        }
    }
}

fn reasons<'w>(
    counted: impl Iterator<Item = (&'static str, u64)>,
    word: fn(&'w str) -> &'w str,
    none: &str,
) -> Markup {
    let counted: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
    html! {
        @if counted.is_empty() { p.hint { (none) } } @else {
            p.hint { "Since the hub started:" }
            ul.plain { @for (reason, count) in counted { li { (word(reason)) " " span.num { (words::grouped(count)) } } } }
        }
    }
}

/// What to do about refusals.
fn remedies(refused: impl Iterator<Item = &'static str>) -> Markup {
    let mut known: Vec<_> =
        refused.map(|word| (words::refusal(word), words::remedy(word))).collect();
    known.dedup();
    html! {
        @if !known.is_empty() {
            details {
                summary { "What to do" }
                dl.stack { @for (what, remedy) in known { div { dt { strong { (what) } } dd.plainly-said { (remedy) } } } }
            }
        }
    }
}

/// Where a session's page is.
pub(super) fn place(name: &SessionName) -> String {
    format!("/broker/sessions/{}", escaped(&name.to_string()))
}

/// What a client calls itself, as far as it can be seen.
pub(super) fn called(name: &SessionName) -> String {
    let shown = visible(&name.client_id, false);
    if shown.is_empty() { "(without a name)".into() } else { shown }
}

/// Whose a session is, in a few words.
fn whose(identity: Identity) -> Markup {
    match identity {
        Identity::Device(_, device) => html! { "Device " code { (device) } },
        Identity::Token(_, token) => html! { "Token " (token) },
        Identity::Person(..) => html! { "A person looks on" },
        Identity::LoopbackTester => html! { "Tester on this machine" },
    }
}

fn chips(query: &SessionQuery) -> Markup {
    let all = [(None, "All"), (Some(true), "Connected"), (Some(false), "Away")];
    let url = |connected: Option<bool>| {
        let q = query.q.as_deref().filter(|q| !q.is_empty()).map(|q| format!("q={}", escaped(q)));
        let connected = connected.map(|is| format!("connected={is}"));
        let pairs: Vec<_> = q.into_iter().chain(connected).collect();
        if pairs.is_empty() { "/broker".into() } else { format!("/broker?{}", pairs.join("&")) }
    };
    html! {
        ul.chips aria-label="Filters" {
            @for (connected, word) in all {
                li { a href=(url(connected)) aria-current=[(query.connected == connected).then_some("true")] { (word) } }
            }
        }
    }
}

fn table(visitor: &Visitor, sessions: &[SessionView]) -> Markup {
    html! {
        table.devices aria-labelledby="sessions-head" {
            thead { tr {
                th scope="col" { "Client" } th scope="col" { "State" } th scope="col" { "Since" }
                th.wide scope="col" { "Whose" } th.wide.num scope="col" { "Waiting" }
                th.wide.num scope="col" { "In" } th.wide.num scope="col" { "Out" } th.wide.num scope="col" { "Missed" }
            } }
            tbody { @for view in sessions { tr {
                th scope="row" { a href=(place(&view.name)) { bdi { (called(&view.name)) } } }
                td { (words::presence(view.is_connected)) }
                td.num { (words::moment(view.since, visitor.now())) }
                td.wide { (whose(view.name.identity)) }
                td.wide.num { (words::grouped(view.queued as u64)) }
                td.wide.num { (words::grouped(view.messages_in)) }
                td.wide.num { (words::grouped(view.messages_out)) }
                td.wide.num { (words::grouped(view.dropped)) }
            } } }
        }
    }
}

fn pages(query: &SessionQuery, next: Option<&SessionName>) -> Markup {
    let url = |after: &str| {
        let q = query.q.as_deref().map(|q| format!("&q={}", escaped(q))).unwrap_or_default();
        let connected = query.connected.map(|is| format!("&connected={is}")).unwrap_or_default();
        format!("/broker?after={}{q}{connected}", escaped(after))
    };
    html! {
        @if query.after.is_some() || next.is_some() {
            nav.pages aria-label="Pages" {
                @if query.after.is_some() { a.button href=(url("")) { "First page" } }
                @if let Some(next) = next { a.button rel="next" href=(url(&next.to_string())) { "Next page" } }
            }
        }
    }
}

fn empty(is_narrowed: bool) -> Markup {
    html! {
        div.empty {
            @if is_narrowed {
                h2 { "No session fits" }
                p { "Search for less, or take a filter away." }
                p { a.button href="/broker" { "Show all sessions" } }
            } @else {
                h2 { "Nobody is connected" }
                p { "A session appears here when a device or a program connects by MQTT. Devices do so with their certificates, programs with a token." }
                p { a.button href="/devices" { "Look at the devices" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_said_in_one_sentence() {
        let say =
            |open, slow| sentence(&Meters { mqtt_connections: open, ..Meters::default() }, slow);
        assert_eq!(say(1, 0), "1 connection; everybody keeps up.");
        assert_eq!(say(12_345, 1), "12,345 connections; 1 subscriber does not keep up.");
        assert_eq!(say(2, 2), "2 connections; 2 subscribers do not keep up.");
    }

    #[test]
    fn a_name_of_a_stranger_is_shown_for_what_it_is_and_leads_to_its_page() {
        let client_id = "<b>\u{202e}/a?b#c".into();
        let name = SessionName { identity: Identity::Token(TenantId::FIRST, 4), client_id };
        assert_eq!(called(&name), "<b>⟨U+202E⟩/a?b#c");
        assert_eq!(place(&name), "/broker/sessions/token%3A4%3A%3Cb%3E%E2%80%AE%2Fa%3Fb%23c");
    }
}
