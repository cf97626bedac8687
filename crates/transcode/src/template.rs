//! Path templates of `google.api.http`: the text of a route, parsed into segments, variables and a verb.
//!
//! The grammar is the one of `google/api/http.proto`:
//!
//! ```text
//! Template  = "/" [ Segments [ Verb ] ]
//! Segments  = Segment { "/" Segment }
//! Segment   = "*" | "**" | LITERAL | Variable
//! Variable  = "{" FieldPath [ "=" Segments ] "}"
//! FieldPath = IDENT { "." IDENT }
//! Verb      = ":" LITERAL
//! ```
//!
//! Where peers differ: `/` alone is a template, a variable inside a variable is an error, `**` appears at most once
//! and only literals follow it (so that what it captures is never ambiguous), and a variable is bound only once.

use std::fmt;

use crate::escape;

/// One segment of a template, with the variables' braces taken away.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Matches a segment with exactly this text.
    Literal(String),
    /// `*`: matches one segment that is not empty.
    Star,
    /// `**`: matches any number of segments, also none.
    DoubleStar,
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Star => f.write_str("*"),
            Self::DoubleStar => f.write_str("**"),
        }
    }
}

/// A variable of a template: which segments it captures, and which field receives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The names of the fields from the request message down to the bound field, as in `{a.b.c}`.
    pub field_path: Vec<String>,
    /// The index of the first segment captured.
    pub start: usize,
    /// The index after the last segment captured. Negative when the variable holds `**`: it then counts from the end
    /// of the path, -1 being the end itself, because `**` stands for a number of segments known only at a match.
    pub end: isize,
    /// Whether the variable holds `**`.
    pub wildcard_path: bool,
}

impl Variable {
    /// The captured range of a path that has `count` segments and matched the template.
    pub fn range(&self, count: usize) -> std::ops::Range<usize> {
        let end = if self.end < 0 {
            (count + 1).saturating_sub(self.end.unsigned_abs())
        } else {
            self.end.unsigned_abs()
        };
        self.start..end.clamp(self.start, count.max(self.start))
    }

    /// Whether the variable spans exactly one segment: only then is `%2F` decoded in it.
    pub fn is_single(&self) -> bool {
        !self.wildcard_path && self.end == self.start.cast_signed() + 1
    }
}

/// A parsed path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The segments, in order; empty for `/`.
    pub segments: Vec<Segment>,
    /// The verb after the last colon, without the colon.
    pub verb: Option<String>,
    /// The variables, in the order of their appearance.
    pub variables: Vec<Variable>,
}

/// Why a template does not parse, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at column {column}")]
pub struct Error {
    /// What is wrong.
    pub problem: &'static str,
    /// Where: the 1-based column, in bytes, of the offending character.
    pub column: usize,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// Names the problem and the column for text outside the grammar above.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser { text: text.as_bytes(), at: 0, segments: Vec::new(), variables: Vec::new() };
        let verb = parser.template()?;
        let count = parser.segments.len().cast_signed();
        for variable in parser.variables.iter_mut().filter(|v| v.wildcard_path) {
            variable.end -= count + 1;
        }
        Ok(Self { segments: parser.segments, verb, variables: parser.variables })
    }
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
}

impl Parser<'_> {
    fn fail<T>(&self, problem: &'static str) -> Result<T, Error> {
        Err(Error { problem, column: self.at + 1 })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn template(&mut self) -> Result<Option<String>, Error> {
        if !self.eat(b'/') {
            return self.fail("expected `/`");
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        self.segments(None)?;
        let verb = if self.eat(b':') { Some(self.literal("expected a verb")?) } else { None };
        match self.peek() {
            None => Ok(verb),
            Some(b':') => self.fail("a second verb"),
            Some(b'}') => self.fail("`}` without `{`"),
            Some(_) => self.fail("expected `/`, a verb or the end"),
        }
    }

    /// Parses segments; `variable` is the index of the variable that they belong to, if any.
    fn segments(&mut self, variable: Option<usize>) -> Result<(), Error> {
        self.segment(variable)?;
        while self.eat(b'/') {
            self.segment(variable)?;
        }
        Ok(())
    }

    fn segment(&mut self, variable: Option<usize>) -> Result<(), Error> {
        let segment = match self.peek() {
            Some(b'{') if variable.is_some() => return self.fail("a variable inside a variable"),
            Some(b'{') => return self.variable(),
            Some(b'*') => self.wildcard(variable)?,
            _ => Segment::Literal(self.literal("expected a segment")?),
        };
        self.segments.push(segment);
        Ok(())
    }

    fn wildcard(&mut self, variable: Option<usize>) -> Result<Segment, Error> {
        if self.segments.contains(&Segment::DoubleStar) {
            return self.fail("only literals may follow `**`");
        }
        self.at += 1;
        let segment = if self.eat(b'*') { Segment::DoubleStar } else { Segment::Star };
        if let (Segment::DoubleStar, Some(variable)) = (&segment, variable) {
            self.variables[variable].wildcard_path = true;
        }
        match self.peek() {
            None | Some(b'/' | b':' | b'}') => Ok(segment),
            Some(_) => self.fail("a wildcard must be a whole segment"),
        }
    }

    fn variable(&mut self) -> Result<(), Error> {
        let opening = self.at;
        self.at += 1;
        let mut field_path = vec![self.identifier()?];
        while self.eat(b'.') {
            field_path.push(self.identifier()?);
        }
        if self.variables.iter().any(|v| v.field_path == field_path) {
            return Err(Error { problem: "a variable bound twice", column: opening + 1 });
        }
        let index = self.variables.len();
        let start = self.segments.len();
        self.variables.push(Variable { field_path, start, end: 0, wildcard_path: false });
        if self.eat(b'=') {
            self.segments(Some(index))?;
        } else if self.segments.contains(&Segment::DoubleStar) {
            return Err(Error { problem: "only literals may follow `**`", column: opening + 1 });
        } else {
            self.segments.push(Segment::Star);
        }
        self.variables[index].end = self.segments.len().cast_signed();
        if !self.eat(b'}') {
            return self.fail("expected `}`");
        }
        match self.peek() {
            None | Some(b'/' | b':') => Ok(()),
            Some(_) => self.fail("a variable must end its segment"),
        }
    }

    fn identifier(&mut self) -> Result<String, Error> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        let name = &self.text[start..self.at];
        if name.first().is_none_or(u8::is_ascii_digit) {
            self.at = start;
            return self.fail("expected a field name");
        }
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    fn literal(&mut self, missing: &'static str) -> Result<String, Error> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'/' | b':' | b'}' => break,
                b'{' => return self.fail("a variable must be a whole segment"),
                b'*' => return self.fail("a wildcard must be a whole segment"),
                b'?' | b'#' | b'\\' | 0..=b' ' | 0x7f => return self.fail("a character that no path holds"),
                _ => self.at += 1,
            }
        }
        if self.at == start {
            return self.fail(missing);
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if escape::decode(&text).is_none() {
            self.at = start + text.find('%').unwrap_or_default();
            return self.fail("a bad escape");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    type Shape = (String, Option<String>, Vec<(String, usize, isize, bool)>);

    fn shape(text: &str) -> Shape {
        let t = Template::parse(text).unwrap();
        let segments = t.segments.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let variables = t.variables.iter();
        let variables =
            variables.map(|v| (v.field_path.join("."), v.start, v.end, v.wildcard_path)).collect();
        (segments, t.verb, variables)
    }

    #[test]
    fn templates_parse_to_segments_verb_and_variables() {
        let var = |path: &str, start, end, wild| (path.to_owned(), start, end, wild);
        for (text, segments, verb, variables) in [
            ("/", "", None, vec![]),
            ("/shelves/{shelf}", "shelves *", None, vec![var("shelf", 1, 2, false)]),
            ("/**", "**", None, vec![]),
            ("/a/{b=*}/**:verb", "a * **", Some("verb"), vec![var("b", 1, 2, false)]),
            ("/a/{b=c/**}/d:v", "a c ** d", Some("v"), vec![var("b", 1, -2, true)]),
            (
                "/{a.b.c=x/*}/{d=y/**}",
                "x * y **",
                None,
                vec![var("a.b.c", 0, 2, false), var("d", 2, -1, true)],
            ),
            ("/a/{x=b/*/**/y/z}/foo", "a b * ** y z foo", None, vec![var("x", 1, -2, true)]),
            ("/v1/caf%C3%A9/x-y_z.~", "v1 caf%C3%A9 x-y_z.~", None, vec![]),
        ] {
            assert_eq!(shape(text), (segments.to_owned(), verb.map(str::to_owned), variables), "{text}");
        }
    }

    #[test]
    fn text_outside_the_grammar_is_rejected_with_its_column() {
        for (text, column) in [
            ("", 1),
            ("a", 1),
            ("{x}", 1),
            (":verb", 1),
            ("//", 2),
            ("/{}", 3),
            ("/a/", 4),
            ("/a//b", 4),
            ("/:verb", 2),
            ("/a/:verb", 4),
            ("/:", 2),
            ("/*:", 4),
            ("/**:", 5),
            ("/{var}:", 8),
            ("/a/{", 5),
            ("/a/{var", 8),
            ("/a/{var.", 9),
            ("/a/{x=var:verb}", 10),
            ("/a/{var=/b}", 9),
            ("/{var=a/{nested=b}}", 9),
            ("/a{x}", 3),
            ("/{x}a", 5),
            ("/{x}a{y}", 5),
            ("/a/**/*", 7),
            ("/a/**/foo/*", 11),
            ("/a/**/**", 7),
            ("/{x=b/**}/{y}", 11),
            ("/{x=b/**}/bb/{y=**}", 17),
            ("/a}b", 3),
            ("/a/{x}/{x}", 8),
            ("/a*", 3),
            ("/*a", 3),
            ("/***", 4),
            ("/a:b:c", 5),
            ("/a:b/c", 5),
            ("/a b", 3),
            ("/{1x}", 3),
            ("/a?b", 3),
            ("/c%zz", 3),
            ("/c/d%4", 5),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert_eq!(error.column, column, "{text}: {error}");
        }
    }

    #[test]
    fn a_wildcard_variable_captures_up_to_the_literals_after_it() {
        let t = Template::parse("/a/{b=c/**}/d").unwrap();
        assert_eq!(t.variables[0].range(6), 1..5);
        assert_eq!(t.variables[0].range(3), 1..2);
        assert!(!t.variables[0].is_single());
        assert!(Template::parse("/{x}").unwrap().variables[0].is_single());
    }
}
