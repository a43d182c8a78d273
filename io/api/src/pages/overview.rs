//! Is everything all right; if not, what, since when, and what to do.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::Response,
};
use hedgerow_control::{
    limits::LATE_DAYS,
    ports::{Counts, Keys},
};
use hedgerow_policy::Standing;
use hedgerow_registry::{Device, Filter, KeyStorage, Page, State as Life};
use maud::{Markup, html};

use super::{
    chart::{self, Hour},
    device::Done,
    frame::{Frame, Place, notice, show},
    visitor::{Trouble, Visitor},
    words::{self, many},
};
use crate::{People, limits::OVERVIEW_NAMED_MAX};

/// A device that wants a person, and why.
struct Wanting {
    device: Device,
    why: &'static str,
}

pub(crate) async fn page(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Query(query): Query<Done>,
) -> Result<Response, Trouble> {
    let counts = people.control.counts(&visitor.ctx).await?;
    let keys = people.control.keys(&visitor.ctx).await?;
    let wanting = wanting(&people, &visitor).await?;
    let has_key = visitor.person.password.is_some()
        || !people.control.passkeys(visitor.person.id).await?.is_empty();
    let said = match query.done.as_deref() {
        Some("passkey") => Some("Your passkey is kept. Sign in with it from now on."),
        Some("password") => Some("Your password is set. Sign in with it from now on."),
        Some(_) | None => None,
    };
    let main = html! {
        (notice(said))
        h1.state { (sentence(counts, keys.ended)) }
        @if counts.devices <= 1 && visitor.operates() { (first_steps(&people, counts, has_key)) }
        (wants(&wanting, &keys, counts, has_key))
        div.cards {
            (numbers(&people, &visitor, counts))
            (certificates(&keys))
        }
    };
    let frame = Frame {
        people: &people,
        visitor: &visitor,
        title: "Overview",
        place: Place::Overview,
        scripts: &[],
    };
    Ok(frame.page(main))
}

/// One sentence of state.
fn sentence(counts: Counts, ended: u64) -> String {
    let Counts { devices, connected, below_full, .. } = counts;
    if devices == 0 {
        return "No device yet.".into();
    }
    let (away, whole) = (devices.saturating_sub(connected), many(devices, "device"));
    let troubled = below_full + ended;
    match (troubled, away) {
        (0, 0) if devices == 1 => "Your device is connected and trusted.".into(),
        (0, 0) => format!("All {whole} are connected and trusted."),
        (0, away) if devices == 1 && away == 1 => {
            "Your device is trusted but not connected.".into()
        }
        (0, away) => format!("All {whole} are trusted; {} not connected.", are(away)),
        (troubled, 0) => format!("Of {whole}, {} less than full standing.", have(troubled)),
        (troubled, away) => format!(
            "Of {whole}, {} less than full standing and {} not connected.",
            have(troubled),
            are(away)
        ),
    }
}

fn are(number: u64) -> String {
    format!("{} {}", words::grouped(number), if number == 1 { "is" } else { "are" })
}

fn have(number: u64) -> String {
    format!("{} {}", words::grouped(number), if number == 1 { "has" } else { "have" })
}

async fn wanting(people: &People, visitor: &Visitor) -> Result<Vec<Wanting>, Trouble> {
    let mut wanting = Vec::new();
    for standing in [Standing::Cut, Standing::Remediate, Standing::Restricted] {
        let filter = Filter { standing: Some(standing), ..Filter::default() };
        // Retired devices are cut too, and want nobody: more are fetched than are named.
        let page = Page { after: None, size: 10 * OVERVIEW_NAMED_MAX };
        let found = people.control.devices(&visitor.ctx, &filter, page).await?;
        let is_here = |device: &Device| !matches!(device.state, Life::Retired | Life::Erased);
        wanting.extend(found.items.into_iter().filter(is_here).map(|device| Wanting {
            why: words::because(device.standing, device.because),
            device,
        }));
    }
    wanting.truncate(usize::try_from(OVERVIEW_NAMED_MAX).unwrap_or(usize::MAX));
    Ok(wanting)
}

fn wants(wanting: &[Wanting], keys: &Keys, counts: Counts, has_key: bool) -> Markup {
    let is_calm =
        wanting.is_empty() && keys.ended + keys.late == 0 && has_key && counts.claims_open == 0;
    html! {
        section {
            h2 { "What wants a person" }
            @if is_calm { p.hint { "Nothing." } } @else {
                ul.rows {
                    @if !has_key { li { span { strong { "You have no passkey and no password." } " When this browser is signed out, only a new link lets you in." } a.button href="/settings" { "Set one" } } }
                    @for one in wanting {
                        li {
                            span { (words::standing(one.device.standing)) " " a href={ "/devices/" (one.device.key.id) } { (one.device.name) } " " span.hint { (one.why) } }
                            a.button href={ "/devices/" (one.device.key.id) "/timeline" } aria-label={ "Timeline of " (one.device.name) } { "Timeline" }
                        }
                    }
                    @let more = counts.below_full.saturating_sub(wanting.len() as u64);
                    @if more > 0 {
                        li {
                            span { strong { (many(more, "more device")) } " with less than full standing." }
                            span.acts { @for word in ["cut", "remediate", "restricted"] { a href={ "/devices?standing=" (word) } { (word) } } }
                        }
                    }
                    @if keys.ended > 0 { li { span { strong { (many(keys.ended, "certificate")) } " ended before it was renewed; such a device has to be claimed anew." } a.button href="/devices?days_left=0" { "Show" } } }
                    @if keys.late > 0 { li { span { strong { (many(keys.late, "certificate")) } " should have been renewed by now and ends within " (LATE_DAYS) " days." } a.button href={ "/devices?days_left=" (LATE_DAYS) } { "Show" } } }
                    @if counts.claims_open > 0 { li { span { strong { (many(counts.claims_open, "claim code")) } " still open: no device has used it yet." } a.button href="/claim" { "Show" } } }
                }
            }
        }
    }
}

fn first_steps(people: &People, counts: Counts, has_key: bool) -> Markup {
    let step = |is_done: bool, title: &str, body: Markup| {
        html! {
            li class=(if is_done { "done" } else { "open" }) {
                strong { (title) } " " span.hint { (if is_done { "Done." } else { "To do." }) }
                div { (body) }
            }
        }
    };
    let has_machine = counts.devices > 0;
    html! {
        section.card {
            h2 { "Three steps" }
            ol.steps {
                (step(has_machine, "This machine is a device", html! {
                    @if has_machine { "It has its own key and certificate and sends its readings. " a href="/devices" { "Look at them" } "." }
                    @else { "Start the hub with " code { "hedgerow up --with-agent" } ", and this machine enrols itself." }
                }))
                (step(has_key, "You can come back", html! {
                    @if has_key { "You have a passkey or a password." }
                    @else { "Make a passkey or set a password in the " a href="/settings" { "settings" } "." }
                }))
                (step(counts.devices > 1, "The next device", html! {
                    a href="/claim" { "Claim it" } ": the code lets it in, once. Devices enrol at " code { (people.devices_url) } "."
                }))
            }
        }
    }
}

/// The part of the page that is fetched again and again: what is counted anyway.
pub(crate) async fn moving(
    State(people): State<Arc<People>>,
    visitor: Visitor,
) -> Result<Response, Trouble> {
    let counts = people.control.counts(&visitor.ctx).await?;
    Ok(show(numbers(&people, &visitor, counts)))
}

fn numbers(people: &People, visitor: &Visitor, counts: Counts) -> Markup {
    let Counts { devices, connected, .. } = counts;
    let refusals: Vec<_> = people.plane.denials().filter(|(_, count)| *count > 0).collect();
    let hour = Hour::new(&people.plane.pulse().minutes(), visitor.now());
    html! {
        div.numbers #numbers hx-get="/overview/numbers" hx-trigger="every 30s" hx-swap="outerHTML" {
            section.card {
                h2 { a href="/devices?connected=true" { "Connected" } }
                p.value { (words::grouped(connected)) span.unit { " of " (words::grouped(devices)) } }
                (hour.chart("Connected devices", |minute| minute.connected))
            }
            section.card {
                h2 { "Readings a minute" }
                (hour.newest(|minute| minute.readings))
                (hour.chart("Readings a minute", |minute| minute.readings))
            }
            section.card {
                h2 { "Refused a minute" }
                (hour.newest(|minute| minute.refusals))
                (hour.chart("Refused a minute", |minute| minute.refusals))
                @if refusals.is_empty() { p.hint { "Since the hub started every device sent only what it may." } } @else {
                    p.hint { "Since the hub started:" }
                    ul.plain { @for (word, count) in &refusals { li { (words::refusal(word)) " " span.num { (words::grouped(*count)) } } } }
                }
            }
        }
    }
}

fn certificates(keys: &Keys) -> Markup {
    let bars =
        [("ended", keys.ended), ("< 7", keys.late), ("7–13", keys.soon), ("14+", keys.later)];
    let bars = bars.map(|(word, number)| (word.to_owned(), number));
    html! {
        section.card {
            h2 { "Certificates by days left" }
            (chart::bars("Certificates by days left", &bars))
            ul.plain { @for (word, count) in &keys.storage {
                li { a href={ "/devices?key_storage=" (word) } { (kept_in(KeyStorage::parse(word))) } " " span.num { (words::grouped(*count)) } }
            } }
        }
    }
}

const fn kept_in(storage: KeyStorage) -> &'static str {
    match storage {
        KeyStorage::Unknown => "Key, nobody said where",
        KeyStorage::SealedFile => "Key in a sealed file",
        KeyStorage::Tpm => "Key in a TPM",
        KeyStorage::Token => "Key in a token",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(devices: u64, connected: u64, below_full: u64) -> Counts {
        Counts { devices, connected, below_full, claims_open: 0 }
    }

    #[test]
    fn the_state_is_said_in_one_sentence() {
        let say = |counts| sentence(counts, 0);
        assert_eq!(say(counts(0, 0, 0)), "No device yet.");
        assert_eq!(say(counts(1, 1, 0)), "Your device is connected and trusted.");
        assert_eq!(say(counts(214, 214, 0)), "All 214 devices are connected and trusted.");
        assert_eq!(say(counts(3, 2, 0)), "All 3 devices are trusted; 1 is not connected.");
        assert_eq!(say(counts(3, 3, 1)), "Of 3 devices, 1 has less than full standing.");
        assert_eq!(
            say(counts(5, 3, 2)),
            "Of 5 devices, 2 have less than full standing and 2 are not connected."
        );
    }
}
