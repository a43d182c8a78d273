//! Which columns the table of devices has: those of the URL, else those that this browser chose, else the
//! usual ones.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_base::Timestamp;
use hedgerow_registry::Device;
use maud::{Markup, html};

use super::{
    devices::presence,
    visitor::{Visitor, own_place},
    words,
};
use crate::{
    People,
    door::{Transport, cookie},
};

/// The cookie that remembers the choice. It says nothing of the house.
const COOKIE: &str = "hedgerow-columns";
/// As long as browsers keep one: 400 days.
const KEPT_S: u32 = 400 * 86_400;

/// A column beside the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Standing,
    Connection,
    Heard,
    State,
    Profile,
    Certificate,
    Group,
    Labels,
    Id,
}

/// Every column, its word in URLs, its title, and whether a telephone shows it unless asked to.
const ALL: [(Column, &str, &str, bool); 9] = [
    (Column::Standing, "standing", "Standing", true),
    (Column::Connection, "connection", "Connection", true),
    (Column::Heard, "heard", "Last heard", true),
    (Column::State, "state", "State", false),
    (Column::Profile, "profile", "Profile", false),
    (Column::Certificate, "certificate", "Certificate ends", false),
    (Column::Group, "group", "Group", false),
    (Column::Labels, "labels", "Labels", false),
    (Column::Id, "id", "Id", false),
];
const USUAL: &str = "standing.connection.heard.state.profile.certificate";

/// The columns of a table, in their fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    shown: [bool; ALL.len()],
    /// Somebody chose them, so narrow screens show all of them.
    is_chosen: bool,
}

impl Columns {
    pub(super) fn of(said: Option<&str>, headers: &HeaderMap) -> Self {
        let chosen = said.or_else(|| cookie(headers, COOKIE));
        let shown =
            ALL.map(|(_, word, ..)| chosen.unwrap_or(USUAL).split('.').any(|one| one == word));
        Self { shown, is_chosen: chosen.is_some() }
    }

    /// Each column that is shown, its title, and whether narrow screens show it as it is.
    fn each(&self) -> impl Iterator<Item = (Column, &'static str, bool)> {
        let shown = ALL.iter().zip(self.shown).filter(|(_, is_shown)| *is_shown);
        shown.map(|((column, _, title, is_vital), _)| (*column, *title, *is_vital))
    }

    /// What is not vital is left out on narrow screens, unless somebody chose it.
    const fn is_wide_only(&self, is_vital: bool) -> bool {
        !is_vital && !self.is_chosen
    }

    /// The heads of the columns.
    pub(super) fn heads(&self) -> Markup {
        html! {
            @for (_, title, is_vital) in self.each() {
                th.wide[self.is_wide_only(is_vital)] scope="col" { (title) }
            }
        }
    }

    /// A device's cells.
    pub(super) fn cells(&self, people: &People, now: Timestamp, device: &Device) -> Markup {
        html! {
            @for (column, title, is_vital) in self.each() {
                td.wide[self.is_wide_only(is_vital)].num[column == Column::Heard] data-title=[(!is_vital).then_some(title)] {
                    (cell(people, now, device, column))
                }
            }
        }
    }

    /// Where one chooses. `back` is the table as it stands.
    pub(super) fn choice(&self, back: &str) -> Markup {
        html! {
            details.columns {
                summary { "Columns" }
                form method="post" action="/devices/columns" {
                    input type="hidden" name="back" value=(back);
                    div.ticks {
                        @for ((_, word, title, _), is_shown) in ALL.iter().zip(self.shown) {
                            label.check { input type="checkbox" name="column" value=(word) checked[is_shown]; (title) }
                        }
                    }
                    div.row {
                        button { "Show these" }
                        @if self.is_chosen { button name="usual" value="true" { "The usual ones" } }
                    }
                }
            }
        }
    }
}

fn cell(people: &People, now: Timestamp, device: &Device, column: Column) -> Markup {
    let (is_connected, heard) = presence(people, device);
    let moment = |at: Option<Timestamp>, none: &str| {
        html! { @match at { Some(at) => (words::moment(at, now)), None => span.hint { (none) } } }
    };
    match column {
        Column::Standing => html! {
            (words::standing(device.standing))
            @if device.password.is_some() { " " (words::weak()) }
        },
        Column::Connection => words::presence(is_connected),
        Column::Heard => moment(heard, "never"),
        Column::State => html! { (words::state(device.state)) },
        Column::Profile => html! { (device.profile) },
        Column::Certificate => moment(device.certificate.map(|held| held.not_after), "none"),
        Column::Group => html! { (device.group.as_deref().unwrap_or("–")) },
        Column::Labels => html! {
            @for label in &device.labels { span.pair { (label.key()) ": " span.said { (label.value()) } } " " }
        },
        Column::Id => html! { code { (device.key.id) } },
    }
}

/// Remembers a choice in this browser and goes back to the table.
pub(crate) async fn choose(
    State(_): State<Arc<People>>,
    _: Visitor,
    Extension(transport): Extension<Transport>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let values = |name: &'static str| pairs.iter().filter(move |(key, _)| key == name);
    let known = ALL.iter().map(|(_, word, ..)| *word);
    let chosen: Vec<_> =
        known.filter(|word| values("column").any(|(_, value)| value == word)).collect();
    let is_usual = values("usual").next().is_some();
    // The name alone is a choice as well.
    let value = if chosen.is_empty() { "name".to_owned() } else { chosen.join(".") };
    let kept_s = if is_usual { 0 } else { KEPT_S };
    let secure = if transport == Transport::Https { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={value}; Path=/devices; Max-Age={kept_s}; HttpOnly; SameSite=Strict{secure}"
    );
    let back = own_place(values("back").next().map(|(_, value)| value.as_str()));
    ([(header::SET_COOKIE, cookie)], Redirect::to(back)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(columns: &Columns) -> Vec<&'static str> {
        columns.each().map(|(_, title, _)| title).collect()
    }

    #[test]
    fn the_url_comes_before_the_browser_and_that_before_the_usual_ones() {
        let mut headers = HeaderMap::new();
        assert_eq!(titles(&Columns::of(None, &headers)).len(), 6);
        headers.insert(header::COOKIE, "a=b; hedgerow-columns=id.standing".parse().unwrap());
        assert_eq!(titles(&Columns::of(None, &headers)), ["Standing", "Id"]);
        assert_eq!(titles(&Columns::of(Some("labels"), &headers)), ["Labels"]);
    }

    #[test]
    fn words_that_no_column_has_are_passed_over() {
        let headers = HeaderMap::new();
        assert_eq!(titles(&Columns::of(Some("name"), &headers)), [""; 0]);
        assert_eq!(titles(&Columns::of(Some("<b>.group..x"), &headers)), ["Group"]);
    }
}
