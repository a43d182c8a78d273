//! People and what they may do, for owners.

use std::sync::Arc;

use axum::{
    Form,
    extract::State,
    http::HeaderMap,
    response::{Redirect, Response},
};
use hedgerow_control::{Failure, Person, limits::LINK_LIFE_MS};
use hedgerow_policy::{PersonId, Role};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame::copyable,
    settings,
    visitor::{Trouble, Visitor},
    words,
};
use crate::{
    People,
    door::{Transport, digest},
};

const ROLES: [(Role, &str); 3] = [
    (Role::Owner, "Owner: everything, people and tokens too"),
    (Role::Operator, "Operator: claims, quarantines, retires devices"),
    (Role::Viewer, "Viewer: looks, changes nothing"),
];

fn choose_role(chosen: Role, label: &str) -> Markup {
    html! {
        label { span { (label) }
            select name="role" { @for (role, words) in ROLES { option value=(role.word()) selected[role == chosen] { (words) } } }
        }
    }
}

pub(super) async fn section(people: &People, visitor: &Visitor) -> Result<Markup, Trouble> {
    let known = people.control.people(&visitor.ctx).await?;
    Ok(html! {
        section.card {
            h2 { "People" }
            ul.rows { @for person in &known { (row(visitor, person)) } }
            details {
                summary { "Add a person" }
                form.stack method="post" action="/settings/people" {
                    label { "Name" input name="name" required maxlength="64" autocomplete="off" autocapitalize="none" spellcheck="false"; }
                    (choose_role(Role::Viewer, "Role"))
                    button { "Add and make a link" }
                }
            }
        }
    })
}

fn row(visitor: &Visitor, person: &Person) -> Markup {
    let id = person.id.0;
    html! {
        li {
            span { strong { (person.name) } " " span.hint { (person.role.word()) @if person.id == visitor.person.id { ", you" } } }
            details.confirm {
                summary aria-label={ "Change " (person.name) } { "Change" }
                form.stack method="post" action="/settings/people/role" {
                    input type="hidden" name="person" value=(id);
                    (choose_role(person.role, "Role"))
                    button { "Change the role" }
                }
                form method="post" action="/settings/people/remove" {
                    input type="hidden" name="person" value=(id);
                    p { "Taking " (person.name) " out signs them out everywhere at once. It can't be undone; the audit log keeps their number, not their name." }
                    button.danger { "Take " (person.name) " out" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct AddForm {
    name: String,
    role: String,
}

fn role(word: &str) -> Result<Role, Failure> {
    let wrong =
        || Failure::new(hedgerow_base::Fault::Invalid, "a role is owner, operator or viewer");
    Role::parse(word).ok_or_else(wrong)
}

pub(crate) async fn add(
    State(people): State<Arc<People>>,
    axum::Extension(transport): axum::Extension<Transport>,
    headers: HeaderMap,
    visitor: Visitor,
    Form(form): Form<AddForm>,
) -> Result<Response, Trouble> {
    let role = role(&form.role)?;
    let token = people.secret();
    let person =
        people.control.add_person(&visitor.ctx, form.name.trim(), role, digest(&token)).await?;
    let host = headers.get(axum::http::header::HOST).and_then(|host| host.to_str().ok());
    let scheme = if transport == Transport::Https { "https" } else { "http" };
    let link = format!("{scheme}://{}/sign-in#{token}", host.unwrap_or("localhost"));
    let main = html! {
        h1 { "A link for " (person.name) }
        p { strong { "It is shown only now." } " Give it to " (person.name) " by a way that nobody else reads. It works once, for " (words::stretch(LINK_LIFE_MS)) "." }
        @if transport == Transport::Local {
            p.hint { "This link opens on the hub's own machine only. For another one, make it from the hub's HTTPS address." }
        }
        p { (copyable(&link, "link")) }
        p { a.button href="/settings" { "To the settings" } }
    };
    Ok(settings::show(&people, &visitor, main))
}

#[derive(Deserialize)]
pub(crate) struct RoleForm {
    person: i64,
    role: String,
}

pub(crate) async fn set_role(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<RoleForm>,
) -> Result<Redirect, Trouble> {
    people.control.set_role(&visitor.ctx, PersonId(form.person), role(&form.role)?).await?;
    Ok(Redirect::to("/settings?done=role"))
}

#[derive(Deserialize)]
pub(crate) struct RemoveForm {
    person: i64,
}

pub(crate) async fn remove(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Form(form): Form<RemoveForm>,
) -> Result<Redirect, Trouble> {
    people.control.remove_person(&visitor.ctx, PersonId(form.person)).await?;
    Ok(Redirect::to("/settings?done=person-removed"))
}
