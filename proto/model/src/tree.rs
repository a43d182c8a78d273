//! A JSON document as a tree, for documents that are read as a whole: profiles.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::json::{Next, NotJson, Scanner};

/// One JSON value. Members keep their order; a name that appears twice is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    Number(f64),
    String(Box<str>),
    Array(Vec<Json>),
    Object(Vec<(Box<str>, Json)>),
}

impl Json {
    pub(crate) fn parse(text: &str, depth: usize) -> Result<Self, NotJson> {
        let mut scan = Scanner::new(text);
        let value = value(&mut scan, depth)?;
        scan.end()?;
        Ok(value)
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

fn value(scan: &mut Scanner<'_>, depth: usize) -> Result<Json, NotJson> {
    Ok(match scan.kind()? {
        Next::Null => scan.literal("null").map(|()| Json::Null)?,
        Next::True | Next::False => Json::Boolean(scan.boolean()?),
        Next::Number => Json::Number(scan.number()?),
        Next::String => Json::String(scan.string()?.into()),
        Next::Array | Next::Object if depth == 0 => return scan.fail("nested too deeply"),
        Next::Array => {
            let (mut list, mut items) = (scan.open_array()?, Vec::new());
            while scan.item(&mut list)? {
                items.push(value(scan, depth - 1)?);
            }
            Json::Array(items)
        }
        Next::Object => {
            let (mut list, mut members) = (scan.open_object()?, Vec::new());
            while let Some(name) = scan.member(&mut list)? {
                members.push((Box::from(name), value(scan, depth - 1)?));
            }
            if repeats(&members) {
                return scan.fail("an object has a member twice");
            }
            Json::Object(members)
        }
    })
}

fn repeats(members: &[(Box<str>, Json)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair.first() == pair.last())
}

/// Appends one step to a JSON pointer (RFC 6901).
pub(crate) fn step(pointer: &str, name: &str) -> String {
    let mut longer = String::from(pointer);
    longer.push('/');
    for character in name.chars() {
        match character {
            '~' => longer.push_str("~0"),
            '/' => longer.push_str("~1"),
            other => longer.push(other),
        }
    }
    longer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_given_twice_is_refused() {
        assert!(Json::parse(r#"{"a":1,"b":2}"#, 4).is_ok());
        assert!(Json::parse(r#"{"a":1,"b":2,"a":1}"#, 4).is_err());
        assert!(Json::parse(r#"{"a":1,"\u0061":1}"#, 4).is_err());
    }

    #[test]
    fn nesting_past_the_depth_is_refused() {
        assert!(Json::parse("[[]]", 2).is_ok());
        assert!(Json::parse("[[]]", 1).is_err());
    }

    #[test]
    fn pointers_escape_as_rfc_6901_says() {
        assert_eq!(step("/a", "b/c~d"), "/a/b~1c~0d");
    }
}
