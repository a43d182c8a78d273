use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_base::Fault;
use hedgerow_control::Failure;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong (RFC 9457), as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem: `urn:hedgerow:problem:` and the kind.
    #[serde(rename = "type")]
    kind_uri: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, why, and what to do.
    detail: String,
    /// The kind in one word: denied, absent, conflict, invalid, too-much, unavailable, broken.
    kind: &'static str,
}

/// The one table from faults to HTTP.
pub(crate) const fn status_of(fault: Fault) -> StatusCode {
    match fault {
        Fault::Denied => StatusCode::FORBIDDEN,
        Fault::Absent => StatusCode::NOT_FOUND,
        Fault::Conflict => StatusCode::CONFLICT,
        Fault::Invalid => StatusCode::BAD_REQUEST,
        Fault::TooMuch => StatusCode::TOO_MANY_REQUESTS,
        Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Broken => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(crate) const fn title_of(fault: Fault) -> &'static str {
    match fault {
        Fault::Denied => "Not allowed",
        Fault::Absent => "Not found",
        Fault::Conflict => "Not possible as things are",
        Fault::Invalid => "The request is wrong",
        Fault::TooMuch => "Too much",
        Fault::Unavailable => "Not available now",
        Fault::Broken => "The hub failed",
    }
}

/// A refusal on its way to whoever asked.
#[derive(Debug)]
pub(crate) struct Refused(Failure, StatusCode);

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = status_of(failure.fault);
        Self(failure, status)
    }
}

impl Refused {
    /// Nobody is signed in.
    pub(crate) fn unknown() -> Self {
        let reason = "sign in, or send a token as `Authorization: Bearer`";
        Self(Failure::new(Fault::Denied, reason), StatusCode::UNAUTHORIZED)
    }

    /// The request can't be understood.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Failure::new(Fault::Invalid, reason).into()
    }

    /// For whoever says it in another form than problem+json.
    pub(crate) fn into_parts(self) -> (Failure, StatusCode) {
        (self.0, self.1)
    }

    /// Another status than the table's, where HTTP has a better word.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.1 = status;
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(failure, status) = self;
        // What broke inside is for the log; whoever asked can't mend it.
        let detail = if failure.fault == Fault::Broken {
            tracing::error!(%failure, "a request failed by our own fault");
            "the hub failed; its log says more".to_owned()
        } else {
            failure.reason
        };
        let problem = Problem {
            kind_uri: format!("urn:hedgerow:problem:{}", failure.fault.word()),
            title: title_of(failure.fault),
            status: status.as_u16(),
            detail,
            kind: failure.fault.word(),
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"hedgerow\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if failure.fault.may_pass_later() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_faults_say_nothing_of_the_inside() {
        let response = Refused::from(Failure::new(Fault::Broken, "table x is corrupt"));
        let response = response.into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn what_may_pass_later_says_when() {
        let response = Refused::from(Failure::new(Fault::TooMuch, "x")).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        let response = Refused::unknown().into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
