//! A strict reader of JSON (RFC 8259) over borrowed text, one token at a time.
//!
//! It allocates only for strings that contain escapes, so a pack of thousands of records costs no
//! allocation a record.

use alloc::{borrow::Cow, string::String};
use core::fmt;

/// Where a text stops being JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// Offset of the offending byte.
    pub at: usize,
    /// What was wrong there.
    pub why: &'static str,
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.why, self.at)
    }
}

impl core::error::Error for NotJson {}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// The powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0 }
    }

    pub(crate) const fn fail<T>(&self, why: &'static str) -> Result<T, NotJson> {
        Err(NotJson { at: self.at, why })
    }

    /// Where the next value begins.
    pub(crate) fn start(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The next byte that is not white space, left where it is.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes `byte` when it comes next.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, byte: u8, why: &'static str) -> Result<(), NotJson> {
        if self.take(byte) { Ok(()) } else { self.fail(why) }
    }

    /// Nothing but white space may be left.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_none() { Ok(()) } else { self.fail("something follows the value") }
    }

    pub(crate) fn kind(&mut self) -> Result<Next, NotJson> {
        match self.peek() {
            Some(b'{') => Ok(Next::Object),
            Some(b'[') => Ok(Next::Array),
            Some(b'"') => Ok(Next::String),
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b't') => Ok(Next::True),
            Some(b'f') => Ok(Next::False),
            Some(b'n') => Ok(Next::Null),
            Some(_) => self.fail("not a JSON value"),
            None => self.fail("the text ends where a value is needed"),
        }
    }

    pub(crate) fn literal(&mut self, word: &'static str) -> Result<(), NotJson> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return self.fail("not true, false or null");
        }
        self.at += word.len();
        Ok(())
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, NotJson> {
        match self.peek() {
            Some(b't') => self.literal("true").map(|()| true),
            Some(b'f') => self.literal("false").map(|()| false),
            _ => self.fail("true or false is needed here"),
        }
    }

    /// A string; borrowed when it has no escapes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        self.expect(b'"', "a string is needed here")?;
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let body = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Cow::Borrowed(body));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(0..0x20) => return self.fail("a control character in a string"),
                Some(_) => self.at += 1,
                None => return self.fail("a string without an end"),
            }
        }
    }

    #[cold]
    fn escaped(&mut self, start: usize) -> Result<String, NotJson> {
        let mut out = String::from(self.text.get(start..self.at).unwrap_or_default());
        let mut plain = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    out.push_str(self.text.get(plain..self.at).unwrap_or_default());
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(self.text.get(plain..self.at).unwrap_or_default());
                    self.at += 1;
                    out.push(self.escape()?);
                    plain = self.at;
                }
                Some(0..0x20) => return self.fail("a control character in a string"),
                Some(_) => self.at += 1,
                None => return self.fail("a string without an end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let Some(byte) = self.bytes.get(self.at) else { return self.fail("an escape without end") };
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return self.fail("an unknown escape"),
        })
    }

    fn unicode(&mut self) -> Result<char, NotJson> {
        let high = self.hex4()?;
        let code = match high {
            0xd800..=0xdbff => {
                if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                    return self.fail("half of a surrogate pair");
                }
                self.at += 2;
                let low = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return self.fail("half of a surrogate pair");
                }
                0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).map_or_else(|| self.fail("half of a surrogate pair"), Ok)
    }

    fn hex4(&mut self) -> Result<u32, NotJson> {
        let digits = self.bytes.get(self.at..self.at + 4).unwrap_or_default();
        if digits.len() != 4 {
            return self.fail("an escape without end");
        }
        let code =
            digits.iter().try_fold(0u32, |sum, b| Some(sum * 16 + (*b as char).to_digit(16)?));
        self.at += 4;
        code.map_or_else(|| self.fail("four hexadecimal digits are needed here"), Ok)
    }

    /// A number as a double, nearest to what is written; too large for a double is refused.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<f64, NotJson> {
        self.peek();
        let start = self.at;
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let mut digits = Digits::default();
        let whole = self.digits(&mut digits);
        let leading_zero = self.bytes.get(start + usize::from(negative)) == Some(&b'0');
        if whole == 0 || (leading_zero && whole > 1) {
            return self.fail("a number is needed here, without leading zeros");
        }
        let mut exponent = 0i32;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let places = self.digits(&mut digits);
            if places == 0 {
                return self.fail("digits are needed after the point");
            }
            exponent = -i32::try_from(places).unwrap_or(i32::MAX);
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            exponent = exponent.saturating_add(self.exponent()?);
        }
        let exact = digits.exact(exponent);
        if let Some(magnitude) = exact {
            return Ok(if negative { -magnitude } else { magnitude });
        }
        let written = self.text.get(start..self.at).unwrap_or_default();
        match written.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => self.fail("a number too large for a double"),
        }
    }

    #[inline]
    fn digits(&mut self, into: &mut Digits) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            into.push(digit - b'0');
            self.at += 1;
        }
        self.at - start
    }

    fn exponent(&mut self) -> Result<i32, NotJson> {
        let sign = match self.bytes.get(self.at) {
            Some(b'-') => -1,
            Some(b'+') => 1,
            _ => 0,
        };
        self.at += usize::from(sign != 0);
        let start = self.at;
        let mut value = 0i32;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
            self.at += 1;
        }
        if self.at == start {
            return self.fail("digits are needed in the exponent");
        }
        Ok(if sign < 0 { -value } else { value })
    }

    /// Passes over one value of any kind, `depth` levels deep at most.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), NotJson> {
        match self.kind()? {
            Next::String => self.string().map(drop),
            Next::Number => self.number().map(drop),
            Next::True => self.literal("true"),
            Next::False => self.literal("false"),
            Next::Null => self.literal("null"),
            Next::Object | Next::Array if depth == 0 => self.fail("nested too deeply"),
            Next::Array => {
                let mut list = self.open_array()?;
                while self.item(&mut list)? {
                    self.skip(depth - 1)?;
                }
                Ok(())
            }
            Next::Object => {
                let mut list = self.open_object()?;
                while self.member(&mut list)?.is_some() {
                    self.skip(depth - 1)?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn open_array(&mut self) -> Result<List, NotJson> {
        self.expect(b'[', "an array is needed here")?;
        Ok(List { first: true })
    }

    pub(crate) fn open_object(&mut self) -> Result<List, NotJson> {
        self.expect(b'{', "an object is needed here")?;
        Ok(List { first: true })
    }

    /// Whether another item of the array follows.
    #[inline]
    pub(crate) fn item(&mut self, list: &mut List) -> Result<bool, NotJson> {
        if list.first {
            list.first = false;
            return Ok(!self.take(b']'));
        }
        if self.take(b']') {
            return Ok(false);
        }
        self.expect(b',', "a comma or the end of the array is needed here").map(|()| true)
    }

    /// The name of the next member of the object; `None` at its end.
    #[inline]
    pub(crate) fn member(&mut self, list: &mut List) -> Result<Option<Cow<'a, str>>, NotJson> {
        if list.first {
            list.first = false;
            if self.take(b'}') {
                return Ok(None);
            }
        } else if self.take(b'}') {
            return Ok(None);
        } else {
            self.expect(b',', "a comma or the end of the object is needed here")?;
        }
        let name = self.string()?;
        self.expect(b':', "a colon is needed after the name of a member")?;
        Ok(Some(name))
    }
}

/// How far an array or object has been read.
pub(crate) struct List {
    first: bool,
}

/// The digits of a number as far as they fit, for the exact way to a double.
#[derive(Default)]
struct Digits {
    mantissa: u64,
    count: u32,
}

impl Digits {
    #[inline]
    fn push(&mut self, digit: u8) {
        self.mantissa = self.mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        self.count += u32::from(self.mantissa != 0);
    }

    /// The double, where one multiplication or division of exact doubles gives it (Clinger 1990).
    #[inline]
    fn exact(&self, exponent: i32) -> Option<f64> {
        if self.count > 15 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "15 digits fit a double exactly")]
        let mantissa = self.mantissa as f64;
        let power = EXACT_POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
        Some(if exponent < 0 { mantissa / power } else { mantissa * power })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<f64, NotJson> {
        let mut scan = Scanner::new(text);
        let value = scan.number()?;
        scan.end()?;
        Ok(value)
    }

    #[test]
    fn numbers_are_the_nearest_doubles() {
        let cases = [
            "0",
            "-0",
            "21.5",
            "0.1",
            "1.276020076001e+09",
            "-5",
            "1e22",
            "1e23",
            "123456789012345678",
            "0.000000000000000000000000000001",
            "1.7976931348623157e308",
            "5e-324",
            "120.1",
            "1E2",
            "9007199254740993",
            "0.30000000000000004",
            "1000000000000000000000000",
            "0.0000001",
        ];
        for text in cases {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(number(text).map(f64::to_bits), Ok(expected.to_bits()), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_json_number_is_refused() {
        for text in
            ["", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "NaN", "1e999", "0x1", "1 2"]
        {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_lose_their_escapes_and_nothing_else() {
        let mut scan = Scanner::new(r#""plain" "a\/\u00e9\ud83c\udf33\n\"""#);
        assert!(matches!(scan.string(), Ok(Cow::Borrowed("plain"))));
        assert_eq!(scan.string().unwrap(), "a/é🌳\n\"");
    }

    #[test]
    fn broken_strings_are_refused() {
        for text in [
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\n\"",
            "\"\\u00",
            "\"\\udc00\"",
        ] {
            assert!(Scanner::new(text).string().is_err(), "{text}");
        }
    }

    #[test]
    fn skipping_holds_the_depth_and_the_grammar() {
        let good = r#" {"a":[1,{"b":null}],"c":"x","d":[]} "#;
        let mut scan = Scanner::new(good);
        scan.skip(3).unwrap();
        scan.end().unwrap();
        assert_eq!(Scanner::new(good).skip(2).unwrap_err().why, "nested too deeply");
        for text in ["[1,]", "{\"a\":}", "{\"a\"}", "[1 2]", "{,}", "[", "{\"a\":1,}", "nul", "tru"]
        {
            let mut scan = Scanner::new(text);
            assert!(scan.skip(8).and_then(|()| scan.end()).is_err(), "{text}");
        }
    }
}
