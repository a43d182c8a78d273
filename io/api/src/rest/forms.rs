//! Reading what came in, so that what is wrong with it is said as a problem.

use std::{fmt, marker::PhantomData};

use axum::{
    extract::{FromRequest, FromRequestParts, Json, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use hedgerow_base::{DeviceId, Fault, Timestamp};
use hedgerow_control::Failure;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use crate::problem::Refused;

/// A body in JSON: an object. What reads one would take a list of its members, too.
pub(crate) struct Body<T>(pub(crate) T);

/// A body that may be any JSON.
pub(crate) struct Anything(pub(crate) Value);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        json::<S, Object<T>>(request, state).await.map(|Object(body)| Self(body))
    }
}

impl<S: Send + Sync> FromRequest<S> for Anything {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        json(request, state).await.map(Self)
    }
}

async fn json<S: Send + Sync, T: DeserializeOwned>(
    request: Request,
    state: &S,
) -> Result<T, Refused> {
    match Json::<T>::from_request(request, state).await {
        Ok(Json(body)) => Ok(body),
        Err(rejection) => {
            let status = match rejection.status() {
                StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                other => other,
            };
            Err(Refused::invalid(rejection.body_text()).with_status(status))
        }
    }
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

/// The query of a URL.
pub(crate) struct Ask<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Refused::invalid(rejection.body_text())),
        }
    }
}

/// The device in a path. What is no id names no device.
pub(crate) struct Id(pub(crate) DeviceId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(Failure::absent("device").into());
        };
        text.parse().map(Self).map_err(|_| Failure::absent("device").into())
    }
}

/// The revision that an editor saw, from `If-Match`; what is no tag of ours is no revision.
pub(crate) fn seen(headers: &HeaderMap) -> Result<i64, Refused> {
    let tag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    let Some(tag) = tag else {
        let reason = "send the ETag that you saw as If-Match, so that nobody's edit is lost";
        return Err(Refused::invalid(reason).with_status(StatusCode::PRECONDITION_REQUIRED));
    };
    Ok(tag.trim_matches('"').parse().unwrap_or(-1))
}

/// What is well-formed JSON and yet can't be, such as names that a profile does not have: no schema says all
/// of that.
pub(crate) fn unprocessable(failure: Failure) -> Refused {
    match failure.fault {
        Fault::Invalid => Refused::from(failure).with_status(StatusCode::UNPROCESSABLE_ENTITY),
        _ => failure.into(),
    }
}

/// Refuses an edit of what somebody else has changed since.
pub(crate) fn refuse_stale(seen: i64, now: i64) -> Result<(), Refused> {
    if seen == now {
        return Ok(());
    }
    let reason = "somebody else changed it in the meantime; look again";
    Err(Refused::invalid(reason).with_status(StatusCode::PRECONDITION_FAILED))
}

/// A moment: RFC 3339, or how long ago: `30s`, `15m`, `24h`, `7d`.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Refused> {
    if let Some(at) = Timestamp::parse(text) {
        return Ok(at);
    }
    let wrong = || {
        Refused::invalid(format!(
            "{text} is not a time; write 2026-01-31T12:00:00Z, or 15m for 15 minutes ago (s, m, h, d)"
        ))
    };
    let (number, unit) = text.split_at_checked(text.len().wrapping_sub(1)).ok_or_else(wrong)?;
    let number: i64 =
        number.parse().ok().filter(|n| (0..=1_000_000).contains(n)).ok_or_else(wrong)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    Ok(now.plus_ms(-number * unit_ms))
}

/// A whole number; JSON has no other kind of number, so 60.0 is one too.
pub(crate) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Whole(i64),
        Float(f64),
    }
    match Option::<Number>::deserialize(from)? {
        None => Ok(None),
        Some(Number::Whole(whole)) => Ok(Some(whole)),
        Some(Number::Float(float)) if float.fract() == 0.0 && float.abs() < 9e15 =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
            Ok(Some(float as i64))
        }
        Some(Number::Float(_)) => Err(D::Error::custom("not a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_says_what_it_saw() {
        let with = |tag: &str| -> HeaderMap {
            [(header::IF_MATCH, tag.parse().unwrap())].into_iter().collect()
        };
        assert_eq!(seen(&with("\"7\"")).unwrap(), 7);
        assert_eq!(seen(&with("*")).unwrap(), -1);
        let status = |refused: Refused| refused.into_parts().1;
        assert_eq!(status(seen(&HeaderMap::new()).unwrap_err()), StatusCode::PRECONDITION_REQUIRED);
        assert_eq!(status(refuse_stale(6, 7).unwrap_err()), StatusCode::PRECONDITION_FAILED);
        assert!(refuse_stale(7, 7).is_ok());
    }

    #[test]
    fn a_list_of_members_is_no_object() {
        #[derive(Debug, Deserialize)]
        struct Cause {
            #[serde(default)]
            reason: String,
        }
        let read = |text| serde_json::from_str::<Object<Cause>>(text).map(|Object(cause)| cause);
        assert_eq!(read("{\"reason\": \"sold\"}").unwrap().reason, "sold");
        assert_eq!(read("{}").unwrap().reason, "");
        for other in ["[]", "[\"sold\"]", "null", "1", "\"sold\""] {
            let error = read(other).unwrap_err().to_string();
            assert!(error.contains("expected an object"), "{other}: {error}");
        }
    }

    #[test]
    fn moments_are_absolute_or_ago() {
        let now = Timestamp::from_secs(1_000_000);
        assert_eq!(moment("15m", now).unwrap(), now.plus_ms(-900_000));
        assert_eq!(moment("1970-01-01T00:00:01Z", now).unwrap(), Timestamp::from_secs(1));
        for text in ["", "m", "15", "15y", "-1m", "1000001s", "é", "1é"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
    }
}
