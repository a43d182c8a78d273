//! The pages: server-rendered, usable without scripts but for what is live.
//!
//! A page route reads who asks, asks the control plane, and renders. Every route stands in [`routes`],
//! from which the router is made, so that a test can try each of them without rights.

mod act;
mod assets;
mod audit;
mod broker;
mod bulk;
mod chart;
mod claim;
mod columns;
mod device;
mod devices;
mod frame;
mod history;
mod identify;
mod identity;
mod keys;
mod names;
mod overview;
mod passkeys;
mod people;
mod public;
#[cfg(test)]
mod refusals;
mod session;
mod settings;
mod sign_in;
mod tokens;
mod topics;
mod visitor;
mod weak;
mod words;
mod write;

use std::sync::Arc;

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

pub use passkeys::Passkeys;

use crate::People;

/// Who may come to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Anybody: it shows nothing of the house.
    Open,
    /// Whoever is signed in.
    SignedIn,
}

/// Every page, its door, and what answers.
fn routes() -> Vec<(&'static str, Door, MethodRouter<Arc<People>>)> {
    use Door::{Open, SignedIn};
    vec![
        ("/sign-in", Open, get(sign_in::page).post(sign_in::enter)),
        ("/passkey/sign-in/begin", Open, post(passkeys::begin_sign_in)),
        ("/passkey/sign-in/finish", Open, post(passkeys::finish_sign_in)),
        ("/assets/{hash}/{name}", Open, get(assets::serve)),
        ("/ca.pem", Open, get(public::ca)),
        ("/security", Open, get(public::security)),
        ("/.well-known/security.txt", Open, get(public::security_text)),
        ("/sign-out", SignedIn, post(sign_in::leave)),
        ("/welcome", SignedIn, get(keys::welcome)),
        ("/passkey/new/begin", SignedIn, post(passkeys::begin_new)),
        ("/passkey/new/finish", SignedIn, post(passkeys::finish_new)),
        ("/", SignedIn, get(overview::page)),
        ("/overview/numbers", SignedIn, get(overview::moving)),
        ("/devices", SignedIn, get(devices::page)),
        ("/devices/bulk", SignedIn, get(bulk::ask).post(bulk::act)),
        ("/devices/columns", SignedIn, post(columns::choose)),
        ("/devices/{id}", SignedIn, get(device::page)),
        ("/devices/{id}/history", SignedIn, get(history::page)),
        ("/devices/{id}/identity", SignedIn, get(identity::page)),
        ("/devices/{id}/permissions", SignedIn, get(identity::permissions)),
        ("/devices/{id}/timeline", SignedIn, get(identity::timeline)),
        ("/devices/{id}/identify", SignedIn, post(identify::ask)),
        ("/devices/{id}/write", SignedIn, post(write::write)),
        ("/devices/{id}/name", SignedIn, post(act::name)),
        ("/devices/{id}/quarantine", SignedIn, get(act::ask_quarantine).post(act::quarantine)),
        ("/devices/{id}/release", SignedIn, get(act::ask_release).post(act::release)),
        ("/devices/{id}/retire", SignedIn, get(act::ask_retire).post(act::retire)),
        ("/devices/{id}/revoke", SignedIn, get(act::ask_revoke).post(act::revoke)),
        ("/devices/{id}/password", SignedIn, get(weak::ask_password).post(weak::change_password)),
        ("/broker", SignedIn, get(broker::page)),
        ("/broker/numbers", SignedIn, get(broker::moving)),
        ("/broker/sessions/{name}", SignedIn, get(session::page)),
        ("/broker/sessions/{name}/end", SignedIn, get(session::ask_end).post(session::end)),
        ("/broker/topics", SignedIn, get(topics::page)),
        ("/broker/topics/level", SignedIn, get(topics::level)),
        ("/claim", SignedIn, get(claim::page).post(claim::create)),
        ("/claim/names", SignedIn, get(names::part)),
        ("/claim/weak", SignedIn, get(weak::page).post(weak::admit)),
        ("/claim/withdraw", SignedIn, post(claim::withdraw)),
        ("/audit", SignedIn, get(audit::page)),
        ("/audit/verify", SignedIn, post(audit::verify)),
        ("/settings", SignedIn, get(settings::page)),
        ("/settings/password", SignedIn, post(keys::set_password)),
        ("/settings/passkey/remove", SignedIn, post(keys::remove_passkey)),
        ("/settings/people", SignedIn, post(people::add)),
        ("/settings/people/role", SignedIn, post(people::set_role)),
        ("/settings/people/remove", SignedIn, post(people::remove)),
        ("/settings/tokens", SignedIn, post(tokens::create)),
        ("/settings/tokens/remove", SignedIn, post(tokens::remove)),
    ]
}

/// The routes of the pages.
pub(crate) fn router() -> Router<Arc<People>> {
    let pages = routes()
        .into_iter()
        .fold(Router::new(), |router, (path, _, methods)| router.route(path, methods));
    pages.fallback(public::nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reviewed by hand: what anybody may see.
    const OPEN: [&str; 7] = [
        "/sign-in",
        "/passkey/sign-in/begin",
        "/passkey/sign-in/finish",
        "/assets/{hash}/{name}",
        "/ca.pem",
        "/security",
        "/.well-known/security.txt",
    ];

    #[test]
    fn no_page_is_open_that_was_not_reviewed() {
        let open: Vec<_> =
            routes().iter().filter(|route| route.1 == Door::Open).map(|route| route.0).collect();
        assert_eq!(open, OPEN);
    }
}
