//! Payloads and topics of strangers, for people to look at: JSON, text or bytes, with nothing in them that hides or
//! turns round what stands beside it.

use std::fmt::Write;

use serde::de::IgnoredAny;

use crate::limits::{HEX_BYTES_MAX, INDENT_MAX};

/// What a payload seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object or a list in JSON.
    Json,
    /// Text in UTF-8.
    Text,
    /// Anything else.
    Bytes,
}

impl Form {
    /// The word in the API.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Bytes => "hex",
        }
    }
}

/// The beginning of a payload as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) form: Form,
    /// As it came; bytes in hex.
    pub(crate) text: String,
    /// Whether it goes on.
    pub(crate) is_cut: bool,
}

impl Payload {
    /// Reads the first bytes of a payload of `whole` bytes.
    pub(crate) fn of(beginning: &[u8], whole: usize) -> Self {
        let is_cut = beginning.len() < whole;
        let Some(text) = readable(beginning, is_cut) else {
            let shown = beginning.get(..HEX_BYTES_MAX).unwrap_or(beginning);
            let text = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            return Self { form: Form::Bytes, text, is_cut: shown.len() < whole };
        };
        let is_compound = text.trim_start().starts_with(['{', '[']);
        let is_json = is_compound && !is_cut && serde_json::from_str::<IgnoredAny>(text).is_ok();
        let form = if is_json { Form::Json } else { Form::Text };
        Self { form, text: text.to_owned(), is_cut }
    }

    /// For people: JSON indented, bytes in groups, and nothing that can't be seen.
    pub(crate) fn shown(&self) -> String {
        match self.form {
            Form::Json => visible(&indented(&self.text), true),
            Form::Text => visible(&self.text, true),
            Form::Bytes => {
                let digits: Vec<char> = self.text.chars().collect();
                let groups = digits.chunks(4).map(|group| group.iter().collect::<String>());
                groups.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// The bytes as text without control characters; a character that the cut went through is left out.
fn readable(bytes: &[u8], is_cut: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(is_plain).then_some(text)
}

/// Text in which characters are named that nobody sees, or that turn round the direction of others
/// (Unicode Technical Report 36, section 2.10). Lines and tabs stay where `has_lines`.
pub(crate) fn visible(text: &str, has_lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_layout = has_lines && matches!(c, '\n' | '\t');
        if (c.is_control() && !is_layout) || is_hidden(c) {
            // Writing to a string does not fail.
            let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// JSON with a line for each member. Numbers, texts and their order stay as they were written.
fn indented(json: &str) -> String {
    let (mut out, mut depth) = (String::with_capacity(json.len() * 2), 0usize);
    let (mut is_text, mut is_escaped) = (false, false);
    let mut chars = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        (0..depth.min(INDENT_MAX)).for_each(|_| out.push_str("  "));
    };
    while let Some(c) = chars.next() {
        if is_text {
            out.push(c);
            is_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                out.push(c);
                is_text = c == '"';
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(payload: &[u8]) -> (Form, String) {
        let found = Payload::of(payload, payload.len());
        assert!(!found.is_cut);
        (found.form, found.shown())
    }

    #[test]
    fn a_payload_is_shown_as_what_it_is() {
        assert_eq!(
            form(br#"{"a":[1,{}],"b":"x,{:\"y","c":1e400,"d":12345678901234567890123}"#),
            (
                Form::Json,
                "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"x,{:\\\"y\",\n  \"c\": 1e400,\n  \"d\": 12345678901234567890123\n}"
                    .into()
            )
        );
        assert_eq!(form(b"21.5"), (Form::Text, "21.5".into()));
        assert_eq!(form(b"{not json"), (Form::Text, "{not json".into()));
        assert_eq!(form("grün".as_bytes()), (Form::Text, "grün".into()));
        assert_eq!(form(b"\xff\xfe\x00a\x01"), (Form::Bytes, "fffe 0061 01".into()));
        assert_eq!(form(b"a\x00"), (Form::Bytes, "6100".into()));
        assert_eq!(form(b""), (Form::Text, String::new()));
    }

    #[test]
    fn what_hides_or_turns_round_is_named() {
        for (hostile, shown) in [
            ("ad\u{202e}min", "ad⟨U+202E⟩min"),
            ("a\u{200b}b", "a⟨U+200B⟩b"),
            ("a\u{2066}b\u{feff}", "a⟨U+2066⟩b⟨U+FEFF⟩"),
            ("a\tb\nc\r", "a\tb\nc⟨U+000D⟩"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ] {
            assert_eq!(visible(hostile, true), shown);
        }
        assert_eq!(visible("a\nb\u{1b}[31m", false), "a⟨U+000A⟩b⟨U+001B⟩[31m");
    }

    #[test]
    fn a_cut_payload_says_so_and_is_cut_between_characters() {
        let found = Payload::of("grü".as_bytes().get(..3).unwrap(), 9);
        assert_eq!((found.form, found.text.as_str(), found.is_cut), (Form::Text, "gr", true));
        let found = Payload::of(br#"{"a":1}"#, 99);
        assert_eq!((found.form, found.is_cut), (Form::Text, true), "half of it is no JSON");
        let bytes = [0xff; HEX_BYTES_MAX + 1];
        let (all, one_more) = (&bytes[..HEX_BYTES_MAX], &bytes[..]);
        assert!(!Payload::of(all, all.len()).is_cut);
        let found = Payload::of(one_more, one_more.len());
        assert_eq!((found.text.len(), found.is_cut), (2 * HEX_BYTES_MAX, true));
    }

    #[test]
    fn deep_json_is_indented_up_to_a_limit() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let widest = |levels: usize| {
            let shown = indented(&deep(levels));
            shown.lines().map(|line| line.len() - line.trim_start().len()).max().unwrap()
        };
        assert_eq!(widest(INDENT_MAX), 2 * INDENT_MAX);
        assert_eq!(widest(INDENT_MAX + 1), 2 * INDENT_MAX);
        assert_eq!(form(deep(2000).as_bytes()).0, Form::Json, "read without recursion");
    }
}
