use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hedgerow_control::{Person, limits::LINK_LIFE_MS};
use hedgerow_policy::{PersonId, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::forms::Body;
use crate::{
    People,
    door::{SignedIn, digest},
    problem::{Problem, Refused},
};

/// What a person may do.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoleWord {
    /// Everything, people and tokens included.
    Owner,
    /// Devices: claim, quarantine, release, retire.
    Operator,
    /// Look, change nothing.
    Viewer,
}

impl RoleWord {
    const fn role(self) -> Role {
        match self {
            Self::Owner => Role::Owner,
            Self::Operator => Role::Operator,
            Self::Viewer => Role::Viewer,
        }
    }
}

/// Somebody who shall sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonRequest {
    /// What they sign in with.
    #[schema(pattern = r"^[\w.@+-]{1,64}$")]
    name: String,
    /// What they may do.
    role: RoleWord,
}

/// What to change about a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonEdit {
    /// What they may do from now on.
    role: RoleWord,
}

/// Somebody with an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonView {
    /// Their number; the audit log names them by it.
    id: i64,
    /// What they sign in with.
    name: String,
    /// What they may do: owner, operator, viewer.
    role: &'static str,
    /// Whether they have a password.
    has_password: bool,
    /// Until when the account is locked after failed sign-ins.
    locked_until: Option<String>,
}

/// A person who was just added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonMade {
    /// Who.
    person: PersonView,
    /// Where they sign in the first time, below the hub's address; shown once, works once.
    link: String,
    /// How many seconds it works.
    expires_in: i64,
}

/// People.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonList {
    /// Oldest first.
    items: Vec<PersonView>,
    /// Always null.
    next: Option<String>,
}

fn view(person: &Person) -> PersonView {
    PersonView {
        id: person.id.0,
        name: person.name.clone(),
        role: person.role.word(),
        has_password: person.password.is_some(),
        locked_until: person.locked_until.map(|at| at.to_string()),
    }
}

/// The number in a path; nobody has a negative one.
fn number(text: &str) -> PersonId {
    PersonId(text.parse().unwrap_or(-1))
}

/// People with an account.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", responses(
    (status = 200, description = "People", body = PersonList),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(people): State<Arc<People>>,
    who: SignedIn,
) -> Result<Json<PersonList>, Refused> {
    let found = people.control.people(&who.ctx).await?;
    Ok(Json(PersonList { items: found.iter().map(view).collect(), next: None }))
}

/// Adds a person, who signs in the first time by a link that works once.
#[utoipa::path(post, path = "/api/v1/people", tag = "people", request_body = PersonRequest, responses(
    (status = 201, description = "The person; the link is shown once", body = PersonMade),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Body(request): Body<PersonRequest>,
) -> Result<Response, Refused> {
    let secret = people.secret();
    let (name, role) = (request.name.as_str(), request.role.role());
    let person = people.control.add_person(&who.ctx, name, role, digest(&secret)).await?;
    let link = format!("/sign-in#{secret}");
    let made = PersonMade { person: view(&person), link, expires_in: LINK_LIFE_MS / 1000 };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Changes what a person may do; the last owner stays one.
#[utoipa::path(patch, path = "/api/v1/people/{id}", tag = "people", request_body = PersonEdit,
    params(("id" = i64, Path, description = "The person's number")), responses(
    (status = 204, description = "It holds from their next request on"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_role(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(id): Path<String>,
    Body(edit): Body<PersonEdit>,
) -> Result<StatusCode, Refused> {
    people.control.set_role(&who.ctx, number(&id), edit.role.role()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a person out and signs them out everywhere; the last owner stays.
#[utoipa::path(delete, path = "/api/v1/people/{id}", tag = "people",
    params(("id" = i64, Path, description = "The person's number")), responses(
    (status = 204, description = "They can't sign in any more"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    people.control.remove_person(&who.ctx, number(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
