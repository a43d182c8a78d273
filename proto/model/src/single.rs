//! A payload that is one value of one property: bare JSON, as in `21.5`, `true` or `"text"`.

use alloc::borrow::Cow;

use crate::{
    json::{Next, NotJson, Scanner},
    limits::{PACK_BYTES_MAX, PACK_DEPTH_MAX},
    value::ValueRef,
};

/// A single value; text is borrowed unless it has escapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Single<'a> {
    /// True or false.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(Cow<'a, str>),
}

impl<'a> Single<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`NotJson`] when it is not one boolean, number or string in JSON.
    pub fn parse(payload: &'a [u8]) -> Result<Self, NotJson> {
        let mut scan = Scanner::new(text(payload)?);
        let value = match scan.kind()? {
            Next::True | Next::False => Self::Boolean(scan.boolean()?),
            Next::Number => Self::Number(scan.number()?),
            Next::String => Self::Text(scan.string()?),
            Next::Object | Next::Array | Next::Null => {
                return scan.fail("a single number, true, false or string is needed");
            }
        };
        scan.end()?;
        Ok(value)
    }

    /// The value, borrowed.
    #[must_use]
    pub fn borrow(&self) -> ValueRef<'_> {
        match self {
            Self::Boolean(truth) => ValueRef::Boolean(*truth),
            Self::Number(number) => ValueRef::Number(*number),
            Self::Text(text) => ValueRef::Text(text),
        }
    }
}

/// The payload as text, when it is one JSON value of any kind: what events and states carry.
///
/// # Errors
/// [`NotJson`] says where it stops being JSON.
pub fn any_json(payload: &[u8]) -> Result<&str, NotJson> {
    let text = text(payload)?;
    let mut scan = Scanner::new(text);
    scan.skip(PACK_DEPTH_MAX)?;
    scan.end()?;
    Ok(text)
}

fn text(payload: &[u8]) -> Result<&str, NotJson> {
    if payload.len() > PACK_BYTES_MAX {
        return Err(NotJson { at: PACK_BYTES_MAX, why: "the payload is too long" });
    }
    core::str::from_utf8(payload)
        .map_err(|error| NotJson { at: error.valid_up_to(), why: "not UTF-8" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_values_are_read() {
        assert_eq!(Single::parse(b"21.5"), Ok(Single::Number(21.5)));
        assert_eq!(Single::parse(b" true\n"), Ok(Single::Boolean(true)));
        assert_eq!(Single::parse(b"\"a\\u0062\"").unwrap().borrow(), ValueRef::Text("ab"));
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for payload in [&b""[..], b"NaN", b"null", b"{}", b"[1]", b"1 2", b"\xff", b"tru"] {
            assert!(Single::parse(payload).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn events_carry_any_json_within_the_limits() {
        assert_eq!(any_json(b"{\"a\":[1]}"), Ok("{\"a\":[1]}"));
        assert!(any_json(b"{").is_err());
        let mut longest = std::vec![b' '; PACK_BYTES_MAX - 1];
        longest.push(b'1');
        assert!(any_json(&longest).is_ok());
        longest.push(b' ');
        assert!(any_json(&longest).is_err());
    }
}
