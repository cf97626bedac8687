//! A strict JSON reader over bytes (RFC 8259): values are taken from the text in place, nothing is built.
//!
//! The text must be UTF-8 as a whole; [`Json::new`] checks that once. Nesting is bounded, and so is how
//! much there is.

use super::ParseOptions;
use super::fail::{Fail, ParseErrorKind};

type Result<T> = std::result::Result<T, Fail>;

#[derive(Debug)]
pub(crate) struct Json<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    max_depth: usize,
    /// How many more members and elements may come.
    left: usize,
}

/// A place to come back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    at: usize,
    depth: usize,
    left: usize,
}

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a [u8], options: &ParseOptions) -> Result<Self> {
        match std::str::from_utf8(text) {
            Ok(_) => {
                Ok(Self { text, at: 0, depth: 0, max_depth: options.max_depth, left: options.max_values })
            }
            Err(e) => Err(Fail::new(ParseErrorKind::Syntax, e.valid_up_to(), "not UTF-8")),
        }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { at: self.at, depth: self.depth, left: self.left }
    }

    pub(crate) fn reset(&mut self, mark: Mark) {
        Mark { at: self.at, depth: self.depth, left: self.left } = mark;
    }

    #[cold]
    pub(crate) fn syntax(&self, message: &'static str) -> Fail {
        Fail::new(ParseErrorKind::Syntax, self.at, message)
    }

    /// An error about the value that comes next: it is not what the field takes.
    #[cold]
    pub(crate) fn mismatch(&mut self, expected: &str) -> Fail {
        let found = match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(b'-' | b'0'..=b'9') => "a number",
            Some(_) => return self.syntax("expected a value"),
            None => return self.syntax("unexpected end of input"),
        };
        let message = format!("expected {expected}, found {found}");
        Fail::new(ParseErrorKind::Value, self.at, message).expected(expected.to_owned())
    }

    /// The first byte of what comes next, behind white space.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes an opening bracket; true if the matching closing one follows directly (and was taken).
    #[inline]
    pub(crate) fn open(&mut self, bracket: u8) -> Result<bool> {
        if self.peek() != Some(bracket) {
            return Err(self.mismatch(if bracket == b'{' { "an object" } else { "an array" }));
        }
        if self.depth == self.max_depth {
            return Err(Fail::new(ParseErrorKind::TooDeep, self.at, "nested too deeply"));
        }
        self.at += 1;
        self.depth += 1;
        if self.close(bracket) {
            return Ok(true);
        }
        self.count().map(|()| false)
    }

    /// Counts a member or an element that comes next.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<()> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return Err(self.too_many()),
        }
        Ok(())
    }

    #[cold]
    fn too_many(&self) -> Fail {
        Fail::new(ParseErrorKind::TooMany, self.at, "too many members and elements")
    }

    #[inline]
    fn close(&mut self, bracket: u8) -> bool {
        let closed = self.eat(bracket + 2);
        self.depth -= usize::from(closed);
        closed
    }

    /// After an element: true if a comma announces another one, false if the bracket closes.
    #[inline]
    pub(crate) fn more(&mut self, bracket: u8) -> Result<bool> {
        if self.eat(b',') {
            return self.count().map(|()| true);
        }
        if self.close(bracket) {
            return Ok(false);
        }
        Err(self.syntax(if bracket == b'{' { "expected `,` or `}`" } else { "expected `,` or `]`" }))
    }

    /// Takes an object's key up to and with the colon.
    #[inline]
    pub(crate) fn key<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8]>
    where
        'a: 's,
    {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("expected a key in double quotes"));
        }
        let key = self.string(scratch)?;
        if !self.eat(b':') {
            return Err(self.syntax("expected `:`"));
        }
        Ok(key)
    }

    /// Takes these bytes if exactly they come next.
    #[inline]
    pub(crate) fn eat_literal(&mut self, literal: &[u8]) -> bool {
        let eaten = starts_with(&self.text[self.at..], literal);
        self.at += if eaten { literal.len() } else { 0 };
        eaten
    }

    /// Takes a string. What it stands for lies in the text itself, or in `scratch` if there were escapes.
    #[inline]
    pub(crate) fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8]>
    where
        'a: 's,
    {
        let start = self.at + 1;
        let end = start + plain_len(&self.text[start..]);
        if self.text.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(&self.text[start..end]);
        }
        scratch.clear();
        scratch.extend_from_slice(&self.text[start..end]);
        self.at = end;
        self.escaped(scratch)?;
        Ok(scratch)
    }

    #[cold]
    fn escaped(&mut self, scratch: &mut Vec<u8>) -> Result<()> {
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(scratch)?,
                Some(_) => return Err(self.syntax("control character in a string")),
                None => return Err(self.syntax("unexpected end of input in a string")),
            }
            let plain = plain_len(&self.text[self.at..]);
            scratch.extend_from_slice(&self.text[self.at..self.at + plain]);
            self.at += plain;
        }
    }

    fn escape(&mut self, scratch: &mut Vec<u8>) -> Result<()> {
        let byte = match self.text.get(self.at + 1) {
            Some(b'u') => return self.unicode(scratch),
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(&same @ (b'"' | b'\\' | b'/')) => same,
            _ => return Err(self.syntax("bad escape in a string")),
        };
        scratch.push(byte);
        self.at += 2;
        Ok(())
    }

    fn unicode(&mut self, scratch: &mut Vec<u8>) -> Result<()> {
        let unit = |at: usize| -> Option<u32> {
            let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
            digits.iter().try_fold(0, |unit, d| Some(unit << 4 | char::from(*d).to_digit(16)?))
        };
        let Some(first) = unit(self.at) else { return Err(self.syntax("bad escape in a string")) };
        let (code, length) = match (first, unit(self.at + 6)) {
            (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) => {
                (0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00)), 12)
            }
            _ => (first, 6),
        };
        let Some(character) = char::from_u32(code) else {
            return Err(self.syntax("lone surrogate in a string"));
        };
        scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += length;
        Ok(())
    }

    /// Takes a number and returns its text.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<&'a [u8]> {
        let rest = &self.text[self.at..];
        let length = number_len(rest);
        let ends =
            rest.get(length).is_none_or(|b| matches!(b, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
        if length == 0 || !ends {
            return Err(self.syntax("not a number as JSON writes them"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// Takes the word `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &'static str) -> Result<()> {
        let rest = &self.text[self.at..];
        let ends = rest.get(word.len()).is_none_or(|b| !b.is_ascii_alphanumeric());
        if !rest.starts_with(word.as_bytes()) || !ends {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    pub(crate) fn boolean(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.mismatch("a boolean")),
        }
    }

    /// Takes any value, checking its syntax.
    pub(crate) fn skip(&mut self, scratch: &mut Vec<u8>) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.string(scratch).map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(bracket @ (b'{' | b'[')) => {
                let mut more = !self.open(bracket)?;
                while more {
                    if bracket == b'{' {
                        self.key(scratch)?;
                    }
                    self.skip(scratch)?;
                    more = self.more(bracket)?;
                }
                Ok(())
            }
            Some(_) => Err(self.syntax("expected a value")),
            None => Err(self.syntax("unexpected end of input")),
        }
    }

    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax("text after the end of the value")),
        }
    }
}

/// Whether a text starts with a literal: one of 8 to 16 bytes, as most keys are, in two comparisons that overlap.
#[inline]
fn starts_with(text: &[u8], literal: &[u8]) -> bool {
    let Some(text) = text.get(..literal.len()) else { return false };
    match (literal.first_chunk::<8>(), literal.last_chunk::<8>()) {
        (first, last) if (8..=16).contains(&literal.len()) => {
            text.first_chunk() == first && text.last_chunk() == last
        }
        _ => text == literal,
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bits of bytes that are a quote, a backslash or a control character. Borrows run upwards only, so that the lowest
/// bit set is always right.
#[inline]
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * 0x22));
    let backslash = zero(word ^ (ONES * 0x5c));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

/// How many bytes come before the first quote, backslash or control character: eight at a time.
#[inline]
pub(crate) fn plain_len(text: &[u8]) -> usize {
    scan(text).0
}

/// The same, and whether all bytes looked at on the way are ASCII.
#[inline]
pub(crate) fn scan(text: &[u8]) -> (usize, bool) {
    let (words, tail) = text.as_chunks::<8>();
    let (mut at, mut seen) = (0, 0);
    for word in words {
        let word = u64::from_le_bytes(*word);
        seen |= word;
        let found = special(word);
        if found != 0 {
            return (at + found.trailing_zeros() as usize / 8, seen & HIGH == 0);
        }
        at += 8;
    }
    if tail.is_empty() {
        return (at, seen & HIGH == 0);
    }
    // The zeros above the tail are control characters, so that something is always found.
    let word = partial(tail);
    (at + special(word).trailing_zeros() as usize / 8, (seen | word) & HIGH == 0)
}

/// One to seven bytes as the low ones of a word: two reads that overlap, not a loop.
#[inline]
fn partial(tail: &[u8]) -> u64 {
    let length = tail.len();
    if let (Some(first), Some(last)) = (tail.first_chunk::<4>(), tail.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first))
            | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4));
    }
    let byte = |at: usize| u64::from(tail[at]) << (8 * at);
    byte(0) | byte(length / 2) | byte(length - 1)
}

/// The length of the JSON number that the text starts with; 0 if it starts with none.
pub(crate) fn number_len(text: &[u8]) -> usize {
    let digits = |at: usize| text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = if text.get(at) == Some(&b'0') { 1 } else { digits(at) };
    if whole == 0 {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return 0,
            fraction => at += 1 + fraction,
        }
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        match text.get(at + 1 + sign).map_or(0, |_| digits(at + 1 + sign)) {
            0 => return 0,
            exponent => at += 1 + sign + exponent,
        }
    }
    at
}
