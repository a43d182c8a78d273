//! JSON pointers (RFC 6901) of one topic, put together so that a payload is read once for all of them.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::{
    json::{Next, NotJson, Scanner},
    limits::{FOREIGN_DEPTH_MAX, POINTER_BYTES_MAX},
    value::ValueRef,
};

/// What a place in a payload is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// The place in the route's targets.
    Target(u16),
    /// The place in the route's times.
    Time(u8),
}

/// The places that are wanted, as a tree.
// INVARIANT: children are sorted by name; each child's number is a place in `nodes`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Node {
    children: Vec<(Box<str>, usize)>,
    leaves: Vec<Leaf>,
}

/// What stands at a place: a scalar or nothing of that kind, and the text of it all.
pub(crate) struct Seen<'s> {
    pub(crate) value: Option<ValueRef<'s>>,
    pub(crate) is_null: bool,
    pub(crate) json: &'s str,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: alloc::vec![Node::default()] }
    }
}

impl Tree {
    /// Adds a place; the reason when the pointer is none.
    pub(crate) fn add(&mut self, pointer: &str, leaf: Leaf) -> Result<(), &'static str> {
        let mut at = 0;
        for step in steps(pointer)? {
            at = self.child(at, step);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.leaves.push(leaf);
        }
        Ok(())
    }

    fn child(&mut self, at: usize, step: String) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        match node.children.binary_search_by(|(name, _)| (**name).cmp(&step)) {
            Ok(known) => node.children.get(known).map_or(at, |(_, child)| *child),
            Err(place) => {
                node.children.insert(place, (step.into(), next));
                self.nodes.push(Node::default());
                next
            }
        }
    }

    /// Reads a payload, and gives `see` what stands at each place that is wanted.
    pub(crate) fn walk(
        &self,
        text: &str,
        see: &mut dyn FnMut(Leaf, &Seen<'_>),
    ) -> Result<(), NotJson> {
        let mut scan = Scanner::new(text);
        self.value(&mut scan, 0, FOREIGN_DEPTH_MAX, see)?;
        scan.end()
    }

    fn value(
        &self,
        scan: &mut Scanner<'_>,
        at: usize,
        depth: usize,
        see: &mut dyn FnMut(Leaf, &Seen<'_>),
    ) -> Result<(), NotJson> {
        let Some(node) = self.nodes.get(at) else { return scan.skip(depth) };
        let start = scan.start();
        let text;
        let (value, is_null) = match scan.kind()? {
            Next::True | Next::False => (Some(ValueRef::Boolean(scan.boolean()?)), false),
            Next::Number => (Some(ValueRef::Number(scan.number()?)), false),
            Next::String => {
                text = scan.string()?;
                (Some(ValueRef::Text(&text)), false)
            }
            Next::Null => {
                scan.literal("null")?;
                (None, true)
            }
            Next::Object | Next::Array if node.children.is_empty() => {
                scan.skip(depth)?;
                (None, false)
            }
            Next::Object | Next::Array if depth == 0 => return scan.fail("nested too deeply"),
            Next::Object => {
                self.object(scan, node, depth - 1, see)?;
                (None, false)
            }
            Next::Array => {
                self.array(scan, node, depth - 1, see)?;
                (None, false)
            }
        };
        let seen = Seen { value, is_null, json: scan.since(start) };
        node.leaves.iter().for_each(|leaf| see(*leaf, &seen));
        Ok(())
    }

    fn object(
        &self,
        scan: &mut Scanner<'_>,
        node: &Node,
        depth: usize,
        see: &mut dyn FnMut(Leaf, &Seen<'_>),
    ) -> Result<(), NotJson> {
        let mut list = scan.open_object()?;
        while let Some(name) = scan.member(&mut list)? {
            match node.children.binary_search_by(|(known, _)| (**known).cmp(&name)) {
                Ok(place) => {
                    let child = node.children.get(place).map_or(usize::MAX, |(_, child)| *child);
                    self.value(scan, child, depth, see)?;
                }
                Err(_) => scan.skip(depth)?,
            }
        }
        Ok(())
    }

    fn array(
        &self,
        scan: &mut Scanner<'_>,
        node: &Node,
        depth: usize,
        see: &mut dyn FnMut(Leaf, &Seen<'_>),
    ) -> Result<(), NotJson> {
        let mut list = scan.open_array()?;
        let mut index = 0usize;
        while scan.item(&mut list)? {
            let is_here = |(name, _): &&(Box<str>, usize)| is_index(name, index);
            match node.children.iter().find(is_here) {
                Some((_, child)) => self.value(scan, *child, depth, see)?,
                None => scan.skip(depth)?,
            }
            index += 1;
        }
        Ok(())
    }
}

/// An index has no leading zero (RFC 6901 section 4).
fn is_index(name: &str, index: usize) -> bool {
    name.parse() == Ok(index) && (name == "0" || !name.starts_with(['0', '+']))
}

/// The unescaped steps of a pointer.
fn steps(pointer: &str) -> Result<Vec<String>, &'static str> {
    if pointer.len() > POINTER_BYTES_MAX {
        return Err("the pointer is longer than 256 bytes");
    }
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let rest = pointer.strip_prefix('/').ok_or("a JSON pointer is empty or begins with a slash")?;
    let steps: Result<Vec<String>, _> = rest.split('/').map(unescaped).collect();
    match steps? {
        steps if steps.len() > FOREIGN_DEPTH_MAX => Err("the pointer has more than 16 steps"),
        steps => Ok(steps),
    }
}

fn unescaped(step: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(step.len());
    let mut characters = step.chars();
    while let Some(character) = characters.next() {
        match character {
            '~' => match characters.next() {
                Some('0') => plain.push('~'),
                Some('1') => plain.push('/'),
                _ => return Err("in a JSON pointer ~ is written ~0, and / in a name ~1"),
            },
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString, vec};

    use super::*;

    /// What is seen at each of the pointers, in the order of the document.
    fn seen(pointers: &[&str], text: &str) -> Result<Vec<(usize, String)>, NotJson> {
        let mut tree = Tree::default();
        for (at, pointer) in pointers.iter().enumerate() {
            tree.add(pointer, Leaf::Target(u16::try_from(at).unwrap())).unwrap();
        }
        let mut found = Vec::new();
        tree.walk(text, &mut |leaf, seen| {
            let Leaf::Target(at) = leaf else { panic!("a time") };
            let value = seen.value.map_or_else(|| seen.json.into(), |value| value.to_string());
            found.push((usize::from(at), value));
        })?;
        Ok(found)
    }

    fn one(pointer: &str, text: &str) -> Option<String> {
        seen(&[pointer], text).unwrap().pop().map(|(_, value)| value)
    }

    #[test]
    fn the_examples_of_rfc_6901_are_found() {
        let text = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        for (pointer, value) in [
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", "\"bar\""),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
            ("", text),
        ] {
            assert_eq!(one(pointer, text).as_deref(), Some(value), "{pointer}");
        }
        for absent in ["/foo/2", "/foo/00", "/foo/+0", "/foo/-", "/foo/0/x", "/none"] {
            assert_eq!(one(absent, text), None, "{absent}");
        }
    }

    #[test]
    fn several_places_are_found_in_one_pass_one_within_another_too() {
        let text = r#"{"params":{"ts":1.5,"x":{"on":true}},"other":[[]]}"#;
        let found = seen(&["/params/x/on", "/params/ts", "/params"], text).unwrap();
        let whole = r#"{"ts":1.5,"x":{"on":true}}"#;
        assert_eq!(found, [(1, "1.5".into()), (0, "true".into()), (2, whole.into())]);
    }

    #[test]
    fn broken_and_deep_payloads_are_refused() {
        for text in ["", "{", "{\"a\":}", "{\"a\":1}x", "nul", "{\"b\":[1,]}"] {
            assert!(seen(&["/a"], text).is_err(), "{text}");
        }
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for pointer in ["", "/0/0/0", "/1"] {
            assert!(seen(&[pointer], &nested(FOREIGN_DEPTH_MAX)).is_ok(), "{pointer}");
            assert!(seen(&[pointer], &nested(FOREIGN_DEPTH_MAX + 1)).is_err(), "{pointer}");
        }
    }

    #[test]
    fn pointers_that_are_none_or_past_the_limits_are_refused() {
        let mut tree = Tree::default();
        let mut add = |pointer: &str| tree.add(pointer, Leaf::Target(0));
        for pointer in ["a", "a/b", "/~", "/~2", "/a~"] {
            assert!(add(pointer).is_err(), "{pointer}");
        }
        assert!(add(&"/a".repeat(FOREIGN_DEPTH_MAX)).is_ok());
        assert!(add(&"/a".repeat(FOREIGN_DEPTH_MAX + 1)).is_err());
        assert!(add(&format!("/{}", "a".repeat(POINTER_BYTES_MAX - 1))).is_ok());
        assert!(add(&format!("/{}", "a".repeat(POINTER_BYTES_MAX))).is_err());
        assert_eq!(steps(""), Ok(vec![]));
    }
}
