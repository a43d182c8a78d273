//! Who looks at a page, and what they get when it can't be shown.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_base::{Fault, Timestamp};
use hedgerow_control::{Ctx, Failure, Person};
use hedgerow_policy::Role;
use maud::html;

use super::frame;
use crate::{
    People,
    door::SignedIn,
    problem::{Refused, title_of},
};

/// A person who is signed in with a browser.
pub(crate) struct Visitor {
    /// For the control plane.
    pub(crate) ctx: Ctx,
    /// Who.
    pub(crate) person: Person,
    /// SHA-256 over the cookie.
    pub(crate) session: [u8; 32],
}

impl Visitor {
    /// The moment of the request.
    pub(crate) const fn now(&self) -> Timestamp {
        self.ctx.now
    }

    /// Whether to show what operators do. The control plane decides whether it is done.
    pub(crate) const fn operates(&self) -> bool {
        matches!(self.person.role, Role::Owner | Role::Operator)
    }

    /// Whether to show what owners do.
    pub(crate) const fn owns(&self) -> bool {
        matches!(self.person.role, Role::Owner)
    }
}

impl FromRequestParts<Arc<People>> for Visitor {
    type Rejection = Turned;

    async fn from_request_parts(parts: &mut Parts, people: &Arc<People>) -> Result<Self, Turned> {
        match SignedIn::from_request_parts(parts, people).await {
            Ok(SignedIn { ctx, person: Some(person), session: Some(session), .. }) => {
                Ok(Self { ctx, person, session })
            }
            Ok(_) => {
                let reason = "pages are for people; programs use /api/v1";
                Err(Turned::Trouble(Failure::new(Fault::Denied, reason).into()))
            }
            Err(refused) => {
                let (failure, status) = refused.into_parts();
                if status != StatusCode::UNAUTHORIZED {
                    return Err(Turned::Trouble(Trouble { failure, status }));
                }
                let from = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                let next = if parts.method == Method::GET { from } else { "/" };
                let is_part = parts.headers.contains_key("hx-request");
                Err(Turned::SignIn { next: next.to_owned(), is_part })
            }
        }
    }
}

/// Why somebody does not see a page.
pub(crate) enum Turned {
    /// They have to sign in first.
    SignIn { next: String, is_part: bool },
    /// Something else.
    Trouble(Trouble),
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        match self {
            Self::Trouble(trouble) => trouble.into_response(),
            Self::SignIn { next, is_part } => {
                let to = sign_in_url(&next);
                if is_part {
                    // A part of a page can't become the sign-in page: the whole page goes there.
                    let redirect = HeaderName::from_static("hx-redirect");
                    return (StatusCode::UNAUTHORIZED, [(redirect, to)]).into_response();
                }
                Redirect::to(&to).into_response()
            }
        }
    }
}

fn sign_in_url(next: &str) -> String {
    if next == "/" {
        return "/sign-in".into();
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let escaped: String = next
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("/sign-in?next={escaped}")
}

/// A place of this hub to go on to; anything else leads to the overview.
pub(crate) fn own_place(next: Option<&str>) -> &str {
    match next {
        Some(next)
            if next.starts_with('/')
                && !next.starts_with("//")
                && !next.contains(['\\', '\r', '\n', '\t']) =>
        {
            next
        }
        Some(_) | None => "/",
    }
}

/// A refusal as a page.
pub(crate) struct Trouble {
    pub(crate) failure: Failure,
    pub(crate) status: StatusCode,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Refused::from(failure).into()
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        let (failure, status) = refused.into_parts();
        Self { failure, status }
    }
}

/// A reason as a sentence.
pub(crate) fn sentence(reason: &str) -> String {
    let mut chars = reason.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if reason.ends_with(['.', '?']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self { failure, status } = self;
        let reason = if failure.fault == Fault::Broken {
            tracing::error!(%failure, "a page failed by our own fault");
            "The hub failed. Its log says more.".to_owned()
        } else {
            sentence(&failure.reason)
        };
        let page = frame::bare(
            title_of(failure.fault),
            &[],
            html! {
                h1 { (title_of(failure.fault)) }
                p { (reason) }
                p { a.button href="/" { "To the overview" } }
            },
        );
        let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        (status, html, page.into_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_house() {
        for wrong in ["https://evil", "//evil", "/\\evil", "/a\\b", "/\t/evil", "javascript:x", ""]
        {
            assert_eq!(own_place(Some(wrong)), "/", "{wrong}");
        }
        assert_eq!(own_place(Some("/devices?q=a")), "/devices?q=a");
        assert_eq!(own_place(None), "/");
    }

    #[test]
    fn where_one_wanted_to_go_survives_the_sign_in() {
        assert_eq!(sign_in_url("/"), "/sign-in");
        assert_eq!(sign_in_url("/devices?q=a&b"), "/sign-in?next=/devices%3Fq%3Da%26b");
    }

    #[test]
    fn reasons_are_said_as_sentences() {
        assert_eq!(sentence("there is no such device"), "There is no such device.");
        assert_eq!(sentence(""), ".");
    }
}
