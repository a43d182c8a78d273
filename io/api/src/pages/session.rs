//! One session of the broker, and ending it.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_plane::{Identity, SessionDetail, SessionName, SessionView, Subscribed, WillView};
use maud::{Markup, html};

use super::{
    broker::{called, place, waiting},
    frame::{Frame, Place, copyable},
    visitor::{Trouble, Visitor},
    words::{self, many},
};
use crate::{
    People,
    payload::{Payload, visible},
    rest::broker::find,
};

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    let found = find(&people, &visitor.ctx, &name).await?;
    let view = &found.view;
    let title = called(&view.name);
    let frame = Frame {
        people: &people,
        visitor: &visitor,
        title: &title,
        place: Place::Broker,
        scripts: &[],
    };
    let whose = whose(&people, &visitor, &view.name).await;
    Ok(frame.page(html! {
        p.crumbs { a href="/broker" { "Broker" } }
        div.heading {
            h1 { bdi { (title) } }
            @if visitor.owns() { div.acts { a.button href={ (place(&view.name)) "/end" } { "End the session" } } }
        }
        p.about { (words::presence(view.is_connected)) " " (state(&visitor, view)) }
        @if let Some(slow) = view.slow {
            p.warning role="status" {
                strong { "It does not keep up. " }
                (waiting(view)) " waiting since " (words::moment(slow.since, visitor.now())) ", "
                (many(slow.dropped, "message")) " missed since then."
            }
        }
        div.cards.halves {
            (identity(view, &whose))
            (queue(&people, view))
        }
        (subscriptions(&found.subscriptions))
        @if let Some(will) = &found.will { (will_card(will)) }
    }))
}

fn state(visitor: &Visitor, view: &SessionView) -> Markup {
    let since = words::moment(view.since, visitor.now());
    html! {
        span.hint {
            @if view.is_connected { "Since " (since) "." }
            @else {
                "Its client went " (since) "; messages wait for it"
                @if let Some(until) = view.until { ", and the session ends " (words::moment(until, visitor.now())) }
                "."
            }
        }
    }
}

/// Whose it is, with a link to where more is known.
async fn whose(people: &People, visitor: &Visitor, name: &SessionName) -> Markup {
    match name.identity {
        Identity::Device(_, id) => match people.control.device(&visitor.ctx, id).await {
            Ok(device) => html! { "Device " a href={ "/devices/" (id) } { (device.name) } },
            Err(_) => html! { "Device " (copyable(&id.to_string(), "id")) },
        },
        Identity::Token(_, number) => {
            // Only owners may read the tokens.
            let tokens = people.control.tokens(&visitor.ctx).await.unwrap_or_default();
            let named = tokens.iter().find(|token| token.id == number);
            html! {
                "Token " (number)
                @if let Some(token) = named { ", " a href="/settings" { (token.name) } }
            }
        }
        Identity::Person(_, person) if person == visitor.person.id => html! { "You, looking on" },
        Identity::Person(_, person) => html! { "Person " (person.0) ", looking on" },
        Identity::LoopbackTester => html! { "A tester on this machine" },
    }
}

fn identity(view: &SessionView, whose: &Markup) -> Markup {
    let over = match view.transport {
        Some("tls") => "TLS",
        Some("websocket") => "WebSocket",
        Some("plain") => "Plain TCP on this machine",
        Some("inside") => "Within the hub",
        Some(other) => other,
        None => "Not here since the hub started",
    };
    html! {
        section.card {
            h2 { "Who" }
            dl.facts {
                dt { "Whose" } dd { (whose) }
                dt { "Protocol" } dd { @match view.version { Some(version) => { "MQTT " (version) }, None => "Not known" } ", " (over) }
                @if let Some(from) = view.from { dt { "From" } dd { code { (from) } } }
                dt { "May be silent" } dd { @match view.silence_s_max { Some(s) => (words::stretch(s * 1000)), None => "For ever" } }
                dt { "Outlives its connection" } dd { @if view.expiry_s == 0 { "No" } @else { (words::stretch(i64::from(view.expiry_s) * 1000)) } }
                dt { "Will" } dd { @if view.has_will { "Yes" } @else { "No" } }
            }
        }
    }
}

fn queue(people: &People, view: &SessionView) -> Markup {
    let limits = (people.meters)().broker_limits;
    let of = |now: usize, most: usize| html! { (words::grouped(now as u64)) span.unit { " of " (words::grouped(most as u64)) } };
    let bytes = |now: usize, most: usize| html! { (words::bytes(now as u64)) span.unit { " of " (words::bytes(most as u64)) } };
    html! {
        section.card {
            h2 { "Messages" }
            dl.facts {
                dt { "From it" } dd.num { (words::grouped(view.messages_in)) }
                dt { "To it" } dd.num { (words::grouped(view.messages_out)) }
                dt { "Missed" } dd.num { (words::grouped(view.dropped)) }
                dt { "Queue" } dd.num { (of(view.queued, limits.queued)) ", " (bytes(view.queued_bytes, limits.queued_bytes)) }
                dt { "Not acknowledged" } dd.num { (of(view.in_flight, limits.in_flight)) }
                dt { "Not read yet" } dd.num { (bytes(view.out_bytes, limits.out_bytes)) }
            }
        }
    }
}

fn subscriptions(all: &[Subscribed]) -> Markup {
    html! {
        section {
            h2 #subscriptions { "Subscriptions" span.count { (all.len()) } }
            @if all.is_empty() { p.hint { "It asks for no messages." } } @else {
                table.stacked aria-labelledby="subscriptions" {
                    thead { tr { th scope="col" { "Topic filter" } th scope="col" { "QoS, at most" } th scope="col" { "Options" } } }
                    tbody { @for one in all { tr {
                        th scope="row" { code { bdi { (visible(&one.filter, false)) } } }
                        td { "QoS " (one.qos) }
                        td.hint { (options(one)) }
                    } } }
                }
            }
        }
    }
}

fn options(one: &Subscribed) -> String {
    let mut said = Vec::new();
    if one.no_local {
        said.push("without its own messages".to_owned());
    }
    if one.retain_as_published {
        said.push("retain mark as published".to_owned());
    }
    match one.retain_handling {
        1 => said.push("retained messages when new".to_owned()),
        2 => said.push("no retained messages".to_owned()),
        _ => {}
    }
    said.extend(one.identifier.map(|number| format!("identifier {number}")));
    said.join(", ")
}

fn will_card(will: &WillView) -> Markup {
    let payload = Payload::of(&will.payload, will.payload.len());
    html! {
        section.card {
            h2 { "Its will" }
            p.hint { "Said for it when it goes without a word"
                @if will.delay_s > 0 { ", after " (words::stretch(i64::from(will.delay_s) * 1000)) } "." }
            dl.facts {
                dt { "Topic" } dd { code { bdi { (visible(&will.topic, false)) } } }
                dt { "How" } dd { "QoS " (will.qos) @if will.retain { ", retained" } }
                dt { "Message" } dd { pre.payload tabindex="0" aria-label="Message" { (payload.shown()) } }
            }
        }
    }
}

pub(crate) async fn ask_end(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    let SessionDetail { view, subscriptions, .. } = find(&people, &visitor.ctx, &name).await?;
    let title = called(&view.name);
    let frame = Frame {
        people: &people,
        visitor: &visitor,
        title: &title,
        place: Place::Broker,
        scripts: &[],
    };
    Ok(frame.page(html! {
        p.crumbs { a href=(place(&view.name)) { "Session" } }
        section.card.question {
            h1 { "End the session of " bdi { (title) } "?" }
            p { "This is about 1 session. Its connection is closed. It has "
                (many(subscriptions.len() as u64, "subscription")) " and " (many(view.queued as u64, "message")) " waiting; both are gone with it." }
            p { strong { "This can't be undone, but the client may connect again at once, with an empty session." } }
            p.hint { "To keep a device out, put it in quarantine or retire it; to keep a program out, take its token away." }
            form method="post" action={ (place(&view.name)) "/end" } {
                div.row {
                    button.danger { "End the session" }
                    a.button href=(place(&view.name)) { "Leave it as it is" }
                }
            }
        }
    }))
}

pub(crate) async fn end(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    let found = find(&people, &visitor.ctx, &name).await?;
    people.control.end_session(&visitor.ctx, found.view.name).await?;
    Ok(Redirect::to("/broker?done=end").into_response())
}
