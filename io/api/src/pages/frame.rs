//! What is around every page: rail, top bar, and the head with its scripts.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{assets::url, visitor::Visitor};
use crate::People;

/// Where in the rail a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Devices,
    Claim,
    Audit,
    Broker,
    Settings,
}

/// A page's frame.
pub(crate) struct Frame<'a> {
    pub(crate) people: &'a People,
    pub(crate) visitor: &'a Visitor,
    pub(crate) title: &'a str,
    pub(crate) place: Place,
    /// Beside those of every page.
    pub(crate) scripts: &'a [&'a str],
}

/// What every page of a signed-in person needs of htmx: nothing but requests to ourselves.
const HTMX: &str = r#"{"includeIndicatorCSS":false,"mode":"same-origin","history":true}"#;

struct Entry {
    place: Place,
    href: &'static str,
    word: &'static str,
    icon: &'static str,
}

const ENTRIES: [Entry; 4] = [
    Entry {
        place: Place::Overview,
        href: "/",
        word: "Overview",
        icon: "M3 10 10 4l7 6v7H3zM8 17v-5h4v5",
    },
    Entry {
        place: Place::Devices,
        href: "/devices",
        word: "Devices",
        icon: "M5 5h10v10H5zM8 2v3M12 2v3M8 15v3M12 15v3M2 8h3M2 12h3M15 8h3M15 12h3",
    },
    Entry { place: Place::Claim, href: "/claim", word: "Claim", icon: "M10 4v12M4 10h12" },
    Entry { place: Place::Audit, href: "/audit", word: "Audit", icon: "M4 5h12M4 10h12M4 15h8" },
];
const BROKER: Entry = Entry {
    place: Place::Broker,
    href: "/broker",
    word: "Broker",
    icon: "M10 10h.01M6.5 6.5a5 5 0 0 0 0 7M13.5 6.5a5 5 0 0 1 0 7M4 4a8.5 8.5 0 0 0 0 12M16 4a8.5 8.5 0 0 1 0 12",
};
const SETTINGS: Entry = Entry {
    place: Place::Settings,
    href: "/settings",
    word: "Settings",
    icon: "M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4",
};

fn icon(path: &str) -> Markup {
    html! { svg.icon viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" { path d=(path) {} } }
}

fn head(title: &str, scripts: &[&str]) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="htmx-config" content=(HTMX);
            title { (title) " · Hedgerow" }
            link rel="icon" href=(url("icon.svg"));
            script src=(url("theme.js")) {}
            @if scripts.contains(&"uplot.js") { link rel="stylesheet" href=(url("uplot.css")); }
            link rel="stylesheet" href=(url("style.css"));
            @for script in scripts { script defer src=(url(script)) {} }
            script defer src=(url("hedgerow.js")) {}
        }
    }
}

/// A page without rail: for those who are not signed in, and for refusals.
pub(crate) fn bare(title: &str, scripts: &[&str], main: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, scripts))
            body.bare {
                header.brand { (mark()) span { "Hedgerow" } }
                main #main { (main) }
            }
        }
    }
}

/// What should not stay so, on every page.
pub(crate) fn warning(people: &People) -> Markup {
    html! {
        @if let Some(warning) = &people.warning {
            p.warning role="status" { strong { "Insecure: " } (warning) }
        }
    }
}

fn mark() -> Markup {
    PreEscaped(
        r#"<svg class="logo" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><path d="M3 20v-7a4 4 0 0 1 8 0v7M13 20v-9a4 4 0 0 1 8 0v9M1 20h22"/></svg>"#
            .into(),
    )
}

impl Frame<'_> {
    /// The whole page.
    pub(crate) fn page(self, main: Markup) -> Response {
        let mut scripts = vec!["htmx.js"];
        scripts.extend(self.scripts);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                (head(self.title, &scripts))
                body {
                    a.skip href="#main" { "Skip to content" }
                    (self.rail())
                    (self.top())
                    main #main tabindex="-1" {
                        (warning(self.people))
                        (main)
                    }
                }
            }
        };
        show(page)
    }

    fn rail(&self) -> Markup {
        let link = |entry: &Entry, class: &str| {
            let current = (entry.place == self.place).then_some("page");
            html! {
                li class=(class) {
                    a href=(entry.href) aria-current=[current] { (icon(entry.icon)) span { (entry.word) } }
                }
            }
        };
        let entries = ENTRIES.iter().filter(|e| e.place != Place::Claim || self.visitor.operates());
        html! {
            nav.rail aria-label="Main" {
                a.brand href="/" { (mark()) span { "Hedgerow" } }
                ul {
                    @for entry in entries { (link(entry, "")) }
                    (link(&BROKER, "wide"))
                    (link(&SETTINGS, "wide"))
                    li.narrow {
                        details.more {
                            summary { (icon("M4 10h.01M10 10h.01M16 10h.01")) span { "More" } }
                            div.menu {
                                a href="/broker" { "Broker" }
                                a href="/settings" { "Settings" }
                                (sign_out())
                            }
                        }
                    }
                }
            }
        }
    }

    fn top(&self) -> Markup {
        html! {
            header.top {
                form.search action="/devices" role="search" {
                    input type="search" name="q" id="search" placeholder="Search devices"
                        aria-label="Search devices" aria-keyshortcuts="/" maxlength="200";
                    kbd aria-hidden="true" { "/" }
                }
                div.me {
                    button.quiet type="button" data-theme-switch hidden { "Theme" }
                    span.who {
                        (self.visitor.person.name) " "
                        @if self.visitor.person.name != self.visitor.person.role.word() {
                            span.role { (self.visitor.person.role.word()) }
                        }
                    }
                    span.wide { (sign_out()) }
                }
            }
        }
    }
}

fn sign_out() -> Markup {
    html! { form method="post" action="/sign-out" { button.quiet { "Sign out" } } }
}

/// A rendered page as an answer.
pub(crate) fn show(page: Markup) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

/// What was just done.
pub(crate) fn notice(sentence: Option<&str>) -> Markup {
    html! { @if let Some(sentence) = sentence { p.notice role="status" { (sentence) } } }
}

/// A text to be copied: an id, a code.
pub(crate) fn copyable(text: &str, label: &str) -> Markup {
    html! {
        span.copy {
            code { (text) }
            button.quiet type="button" data-copy=(text) aria-label={ "Copy " (label) } hidden { "Copy" }
        }
    }
}
