//! Is everything all right; if not, what, since when, and what to do.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::Response,
};
use hedgerow_base::Timestamp;
use hedgerow_control::ports::Counts;
use hedgerow_policy::Standing;
use hedgerow_registry::{Device, Filter, Page, State as Life, limits::PAGE_MAX};
use maud::{Markup, html};

use super::{
    chart::{self, Hour},
    device::Done,
    frame::{Frame, Place, notice, show},
    visitor::{Trouble, Visitor},
    words::{self, many},
};
use crate::{
    People,
    limits::{OVERVIEW_DEVICES_MAX, OVERVIEW_NAMED_MAX},
};

const DAY_MS: i64 = 86_400_000;
/// Certificates with fewer days left should have been renewed: that happens at two thirds of 30 days.
const LATE_DAYS: i64 = 7;

/// Certificates by the days that they have left.
#[derive(Default)]
struct Ends {
    over: u64,
    late: u64,
    soon: u64,
    fine: u64,
    is_cut: bool,
}

impl Ends {
    fn add(&mut self, device: &Device, now: Timestamp) {
        if matches!(device.state, Life::Retired | Life::Erased) || device.standing == Standing::Cut
        {
            return;
        }
        let Some(held) = device.certificate else { return };
        let left = held.not_after.since_ms(now);
        match left {
            left if left <= 0 => self.over += 1,
            left if left < LATE_DAYS * DAY_MS => self.late += 1,
            left if left < 2 * LATE_DAYS * DAY_MS => self.soon += 1,
            _ => self.fine += 1,
        }
    }
}

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
    let ends = ends(&people, &visitor).await?;
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
        h1.state { (sentence(counts, &ends)) }
        @if counts.devices <= 1 && visitor.operates() { (first_steps(&people, counts, has_key)) }
        (wants(&wanting, &ends, counts, has_key))
        div.cards {
            (numbers(&people, &visitor, counts))
            (certificates(&ends))
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
fn sentence(counts: Counts, ends: &Ends) -> String {
    let Counts { devices, connected, below_full, .. } = counts;
    if devices == 0 {
        return "No device yet.".into();
    }
    let (away, whole) = (devices.saturating_sub(connected), many(devices, "device"));
    let troubled = below_full + ends.over;
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

async fn ends(people: &People, visitor: &Visitor) -> Result<Ends, Trouble> {
    let (mut ends, mut seen, mut after) = (Ends::default(), 0, None);
    loop {
        let page = Page { after, size: PAGE_MAX };
        let found = people.control.devices(&visitor.ctx, &Filter::default(), page).await?;
        seen += found.items.len();
        found.items.iter().for_each(|device| ends.add(device, visitor.now()));
        after = found.next;
        if after.is_none() {
            return Ok(ends);
        }
        if seen >= OVERVIEW_DEVICES_MAX {
            ends.is_cut = true;
            return Ok(ends);
        }
    }
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

fn wants(wanting: &[Wanting], ends: &Ends, counts: Counts, has_key: bool) -> Markup {
    let is_calm =
        wanting.is_empty() && ends.over + ends.late == 0 && has_key && counts.claims_open == 0;
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
                    @if ends.over > 0 { li { span { strong { (many(ends.over, "certificate")) } " ended before it was renewed; such a device has to be claimed anew." } } }
                    @if ends.late > 0 { li { span { strong { (many(ends.late, "certificate")) } " should have been renewed by now and ends within 7 days." } } }
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

fn certificates(ends: &Ends) -> Markup {
    let bars = [("ended", ends.over), ("< 7", ends.late), ("7–13", ends.soon), ("14+", ends.fine)];
    let bars = bars.map(|(word, number)| (word.to_owned(), number));
    html! {
        section.card {
            h2 { "Certificates by days left" }
            (chart::bars("Certificates by days left", &bars))
            @if ends.is_cut { p.hint { "Of the first " (words::grouped(OVERVIEW_DEVICES_MAX as u64)) " devices." } }
        }
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
        let say = |counts| sentence(counts, &Ends::default());
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
