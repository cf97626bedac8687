//! What is wrong with a JSON text, and where: the byte, the line and column, and the path of fields.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The class of a JSON error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// The text is not JSON, not UTF-8, or goes on after its end.
    Syntax,
    /// A value has the wrong type, is out of range or malformed.
    Value,
    /// A field or enum value that the message does not have.
    Unknown,
    /// A key, or a second member of a oneof, given twice.
    Duplicate,
    /// A field that the path or the query already set.
    Collision,
    /// Nesting beyond the limit.
    TooDeep,
    /// More members and elements than the limit.
    TooMany,
    /// A required field that is missing, or one that must not change.
    Behavior,
}

/// A JSON text that cannot become a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}{}{path}: {message}", if path.is_empty() { "" } else { ", " })]
pub struct ParseError {
    /// The class of the error.
    pub kind: ParseErrorKind,
    /// The 1-based line.
    pub line: usize,
    /// The 1-based column, in characters.
    pub column: usize,
    /// The offset in bytes.
    pub offset: usize,
    /// The path of JSON names down to the value, as in `address.lines[2]`; empty for the whole text.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would have been right, where that can be said.
    pub expected: Option<String>,
}

/// The parser's own error: cheap to pass up, and completed with the path on its way.
#[derive(Debug)]
pub(crate) struct Fail(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ParseErrorKind,
    offset: usize,
    message: Cow<'static, str>,
    expected: Option<Cow<'static, str>>,
    /// From the innermost outwards.
    path: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Field(String),
    Index(usize),
    Key(String),
}

impl Fail {
    #[cold]
    pub(crate) fn new(kind: ParseErrorKind, offset: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, offset, message: message.into(), expected: None, path: Vec::new() }))
    }

    #[cold]
    pub(crate) fn expected(mut self, expected: impl Into<Cow<'static, str>>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    #[cold]
    pub(crate) fn field(mut self, name: &str) -> Self {
        self.0.path.push(Part::Field(name.to_owned()));
        self
    }

    #[cold]
    pub(crate) fn index(mut self, index: usize) -> Self {
        self.0.path.push(Part::Index(index));
        self
    }

    #[cold]
    pub(crate) fn key(mut self, key: &[u8]) -> Self {
        self.0.path.push(Part::Key(shown(key)));
        self
    }

    /// The finished error, with line and column counted in `text`.
    #[cold]
    pub(crate) fn locate(self, text: &[u8]) -> ParseError {
        let inner = *self.0;
        let before = &text[..inner.offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let mut path = String::new();
        for part in inner.path.iter().rev() {
            match part {
                Part::Field(name) if path.is_empty() => path.push_str(name),
                Part::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                // Writing to a String cannot fail.
                Part::Index(index) => drop(write!(path, "[{index}]")),
                Part::Key(key) => drop(write!(path, "[{key:?}]")),
            }
        }
        ParseError {
            kind: inner.kind,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before[line_start..].iter().filter(|b| **b & 0xc0 != 0x80).count() + 1,
            offset: inner.offset,
            path,
            message: inner.message.into_owned(),
            expected: inner.expected.map(Cow::into_owned),
        }
    }
}

/// A name from the input as errors show it: cut to a sane length.
pub(crate) fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 64;
    let text = String::from_utf8_lossy(name);
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}
