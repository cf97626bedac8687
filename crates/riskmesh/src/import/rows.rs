//! Rows of a file, each with its line and its bytes: CSV with a header, or one JSON object a line.
//!
//! A row has a bounded size. A CSV row that goes over several lines with quotes that are out of place (one that nobody closes swallows
//! what comes after it) is taken for one bad line, and reading goes on with the next.

use super::Error;
use super::checkpoint::Checkpoint;
use super::mapping::Columns;
use crate::cli::Format;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// What some programs put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// The longest row.
const MAX_ROW: u64 = 1 << 20;

/// A file being read.
pub(super) enum Rows {
    Csv {
        reader: csv::Reader<Limited>,
        record: csv::ByteRecord,
        width: usize,
        path: PathBuf,
    },
    Ndjson {
        reader: BufReader<File>,
        columns: Vec<String>,
        text: Vec<u8>,
        byte: u64,
        line: u64,
        path: PathBuf,
    },
}

/// A row's cells, by position among the columns.
pub(super) type Cells = Vec<String>;

/// One row as it stands in the file.
pub(super) struct Row {
    /// Its line, from 1.
    pub(super) line: u64,
    /// Its bytes in the file.
    pub(super) span: Range<u64>,
    /// Its cells, or why it has none.
    pub(super) cells: Result<(), String>,
}

/// A file that seems to end where a row has become too long.
pub(super) struct Limited {
    file: File,
    /// Its bytes, when it was opened.
    length: u64,
    left: u64,
    is_cut: bool,
}

impl Limited {
    fn new(file: File) -> io::Result<Self> {
        Ok(Self { length: file.metadata()?.len(), file, left: MAX_ROW, is_cut: false })
    }

    /// A new row begins.
    fn next_row(&mut self) {
        (self.left, self.is_cut) = (MAX_ROW, false);
    }
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.is_cut = true;
            return Ok(0);
        }
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut buffer[..room])?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Seek for Limited {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.next_row();
        self.file.seek(to)
    }
}

impl Rows {
    /// Opens a file at its first row. `compile` is told the columns; for NDJSON it says which ones it wants.
    pub(super) fn open(path: &Path, format: Format) -> Result<(Self, Columns), Error> {
        let fail = |source| Error::File { doing: "open", path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        match format {
            Format::Csv => {
                let refuse = |reason: String| Error::Format { path: path.to_owned(), reason };
                let mut reader = csv::ReaderBuilder::new()
                    .flexible(true)
                    .terminator(csv::Terminator::Any(b'\n'))
                    .buffer_capacity(1 << 18)
                    .from_reader(Limited::new(file).map_err(fail)?);
                let header = reader.headers().map_err(|error| refuse(error.to_string()))?.clone();
                if header.is_empty() {
                    return Err(refuse("there is no header line".into()));
                }
                if reader.get_ref().is_cut {
                    return Err(refuse("the header is longer than 1 MiB".into()));
                }
                let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
                let width = names.len();
                for (position, name) in names.iter().enumerate() {
                    if names[..position].contains(name) {
                        return Err(refuse(format!("the header has the column {name:?} twice")));
                    }
                }
                let record = csv::ByteRecord::new();
                let rows = Self::Csv { reader, record, width, path: path.to_owned() };
                Ok((rows, Columns::fixed(names)))
            }
            Format::Ndjson => {
                let rows = Self::Ndjson {
                    reader: BufReader::with_capacity(1 << 18, file),
                    columns: Vec::new(),
                    text: Vec::new(),
                    byte: 0,
                    line: 1,
                    path: path.to_owned(),
                };
                Ok((rows, Columns::open()))
            }
        }
    }

    /// Which columns are wanted, where the file itself does not say; and where to go on.
    pub(super) fn start(&mut self, columns: &Columns, from: &Checkpoint) -> Result<(), Error> {
        match self {
            Self::Csv { reader, path, .. } => {
                if from.byte > 0 {
                    let mut position = csv::Position::new();
                    position.set_byte(from.byte).set_line(from.line).set_record(from.rows + 1);
                    reader
                        .seek(position)
                        .map_err(|error| Error::Format { path: path.clone(), reason: error.to_string() })?;
                }
            }
            Self::Ndjson { reader, columns: wanted, byte, line, path, .. } => {
                *wanted = columns.names().to_vec();
                if from.byte > 0 {
                    let fail = |source| Error::File { doing: "read", path: path.clone(), source };
                    reader.seek(SeekFrom::Start(from.byte)).map_err(fail)?;
                    (*byte, *line) = (from.byte, from.line);
                }
            }
        }
        Ok(())
    }

    /// Reads the next row into `cells`; `None` at the end.
    pub(super) fn next(&mut self, cells: &mut Cells) -> Result<Option<Row>, Error> {
        match self {
            Self::Csv { reader, record, width, path } => loop {
                let refuse =
                    |error: csv::Error| Error::Format { path: path.clone(), reason: error.to_string() };
                reader.get_mut().next_row();
                if !reader.read_byte_record(record).map_err(refuse)? {
                    if reader.get_ref().is_cut {
                        // A mebibyte of blank lines is no end.
                        let here = reader.position().clone();
                        reader.seek_raw(SeekFrom::Start(here.byte()), here).map_err(refuse)?;
                        continue;
                    }
                    return Ok(None);
                }
                if record.len() == 1 && record.get(0) == Some(b"\r") {
                    continue; // a blank line
                }
                let start = record.position().cloned().unwrap_or_else(csv::Position::new);
                let (line, from) = (start.line(), start.byte());
                let mut row = Row { line, span: from..reader.position().byte(), cells: Ok(()) };
                let fail = |source| Error::File { doing: "read", path: path.clone(), source };
                let Limited { file, length, is_cut, .. } = reader.get_ref();
                // Where a quote can have swallowed something, or the file ends within one.
                let doubtful = record.as_slice().contains(&b'\n') || row.span.end >= *length;
                if *is_cut || doubtful && !is_well_quoted(file, &row.span).map_err(fail)? {
                    // Taken for its first line only: what a stray quote has swallowed is not part of the bad row.
                    row.span.end = end_of_line(file, from).map_err(fail)?;
                    row.cells = Err("a quote is out of place, or the row is longer than 1 MiB".into());
                    let mut next = start;
                    next.set_byte(row.span.end).set_line(line + 1);
                    reader.seek(next).map_err(refuse)?;
                } else {
                    row.cells = csv_cells(record, *width, cells);
                }
                return Ok(Some(row));
            },
            Self::Ndjson { reader, columns, text, byte, line, path } => loop {
                let fail = |source| Error::File { doing: "read", path: path.clone(), source };
                text.clear();
                let read = reader.by_ref().take(MAX_ROW).read_until(b'\n', text).map_err(fail)?;
                if read == 0 {
                    return Ok(None);
                }
                let (row, from) = (*line, *byte);
                *byte += read as u64;
                *line += 1;
                if text.last() != Some(&b'\n') && read as u64 == MAX_ROW {
                    *byte += reader.skip_until(b'\n').map_err(fail)? as u64;
                    let reason = "the line is longer than 1 MiB".to_owned();
                    return Ok(Some(Row { line: row, span: from..*byte, cells: Err(reason) }));
                }
                let object = text.strip_prefix(if from == 0 { BOM } else { &[] }).unwrap_or(text.as_slice());
                if object.trim_ascii().is_empty() {
                    continue; // a blank line
                }
                let cells = json_cells(object, columns, cells);
                return Ok(Some(Row { line: row, span: from..*byte, cells }));
            },
        }
    }

    /// The byte and the line after the row read last.
    pub(super) fn position(&self) -> (u64, u64) {
        match self {
            Self::Csv { reader, .. } => (reader.position().byte(), reader.position().line()),
            Self::Ndjson { byte, line, .. } => (*byte, *line),
        }
    }
}

/// Whether quotes in a row's bytes stand as RFC 4180 has them: around whole cells, and doubled inside of these.
fn is_well_quoted(file: &File, span: &Range<u64>) -> io::Result<bool> {
    let mut bytes = vec![0; usize::try_from(span.end - span.start).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, span.start)?;
    let mut rest = bytes.as_slice();
    loop {
        let Some(quoted) = rest.strip_prefix(b"\"") else {
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'"'));
            match end.map(|end| rest.split_at(end)) {
                Some((_, [b',', after @ ..])) => rest = after,
                Some(_) => return Ok(false),
                None => return Ok(true),
            }
            continue;
        };
        rest = quoted;
        loop {
            let Some(end) = rest.iter().position(|byte| *byte == b'"') else { return Ok(false) };
            match &rest[end + 1..] {
                [b'"', after @ ..] => rest = after,
                [b',', after @ ..] => {
                    rest = after;
                    break;
                }
                [] | [b'\n'] | [b'\r', b'\n'] => return Ok(true),
                _ => return Ok(false),
            }
        }
    }
}

/// Where the line that begins at a byte ends.
fn end_of_line(file: &File, from: u64) -> io::Result<u64> {
    let mut buffer = [0; 1 << 14];
    let mut at = from;
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if let Some(end) = buffer[..read].iter().position(|byte| *byte == b'\n') {
            return Ok(at + (end + 1) as u64);
        }
        at += read as u64;
        if read == 0 {
            return Ok(at);
        }
    }
}

fn csv_cells(record: &csv::ByteRecord, width: usize, cells: &mut Cells) -> Result<(), String> {
    if record.len() != width {
        return Err(format!("the row has {} columns, the header {width}", record.len()));
    }
    cells.resize_with(width, String::new);
    for (position, (cell, bytes)) in cells.iter_mut().zip(record).enumerate() {
        // Lines may end in CR LF.
        let bytes = if position + 1 == width { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
        let text = std::str::from_utf8(bytes).map_err(|_| "the row is not UTF-8".to_owned())?;
        cell.clear();
        cell.push_str(text);
    }
    Ok(())
}

/// Numbers are taken by their digits, never through a float.
fn json_cells(text: &[u8], columns: &[String], cells: &mut Cells) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "the line is not UTF-8".to_owned())?;
    let object: Object<'_> =
        serde_json::from_str(text).map_err(|error| format!("the line is not a JSON object: {error}"))?;
    cells.resize_with(columns.len(), String::new);
    for (cell, column) in cells.iter_mut().zip(columns) {
        cell.clear();
        match object.0.get(column.as_str()).map(|value| value.get()) {
            None | Some("null") => {}
            Some(raw) if raw.starts_with('"') => {
                *cell = serde_json::from_str(raw).map_err(|error| format!("{column}: {error}"))?;
            }
            Some(raw) if raw.starts_with(['{', '[']) => {
                return Err(format!("{column}: is not a text or a number"));
            }
            Some(raw) => cell.push_str(raw),
        }
    }
    Ok(())
}

/// An object in which every key stands once.
struct Object<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut object = HashMap::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    if object.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("the key {key:?} stands twice")));
                    }
                    object.insert(key, value);
                }
                Ok(Object(object))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], format: Format, wanted: &[&str]) -> Vec<(u64, Result<Cells, String>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, text).unwrap();
        let (mut rows, columns) = Rows::open(&path, format).unwrap();
        let columns = match format {
            Format::Csv => columns,
            Format::Ndjson => Columns::fixed(wanted.iter().map(ToString::to_string).collect()),
        };
        rows.start(&columns, &Checkpoint::default()).unwrap();
        let mut all = Vec::new();
        let mut cells = Cells::new();
        while let Some(row) = rows.next(&mut cells).unwrap() {
            all.push((row.line, row.cells.map(|()| cells.clone())));
        }
        all
    }

    #[test]
    fn csv_rows_have_lines_even_where_they_are_broken() {
        let rows = read(b"a,b\n1,2\n3\n\"x\ny\",4\n5,\xff\n6,7", Format::Csv, &[]);
        let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 6, 7]);
        assert_eq!(rows[1].1, Err("the row has 1 columns, the header 2".into()));
        assert_eq!(rows[2].1, Ok(vec!["x\ny".into(), "4".into()]));
        assert_eq!(rows[3].1, Err("the row is not UTF-8".into()));
        assert_eq!(rows[4].1, Ok(vec!["6".into(), "7".into()]), "the last line needs no newline");
    }

    #[test]
    fn a_quote_that_nobody_closes_costs_one_line() {
        let good = "5,x\n".repeat(3995);
        for bad in ["\"1,2", "1,\"2", "1,2,\""] {
            let rows = read(format!("a,b\n{bad}\n3,4\n{good}").as_bytes(), Format::Csv, &[]);
            assert_eq!(rows[0].0, 2);
            assert!(rows[0].1.is_err(), "{bad}");
            assert_eq!(rows[1], (3, Ok(vec!["3".into(), "4".into()])));
            let read = rows.iter().filter(|(_, row)| row.is_ok()).count();
            assert_eq!(read, 1 + 3995, "{bad}");
        }
    }

    #[test]
    fn quotes_out_of_place_swallow_nothing() {
        let read = |text: &str| {
            let rows = read(text.as_bytes(), Format::Csv, &[]);
            rows.into_iter().map(|(line, cells)| (line, cells.is_ok())).collect::<Vec<_>>()
        };
        assert_eq!(read("a,b\n1,\"2"), [(2, false)], "cut off in a cell");
        assert_eq!(read("a,b\n1,\"2\""), [(2, true)]);
        // Two stray quotes, each at the start of a cell.
        let rows = read("a,b\n1,\"Main St\n2,x\n3,\"Joe\n4,y\n");
        assert_eq!(rows, [(2, false), (3, true), (4, false), (5, true)]);
        // A cell of several lines is one cell, whatever looks like a row in it, and however the row ends.
        assert_eq!(read("a,b\n1,\"note\n2,x\n\"\"end\"\"\"\n3,y\n"), [(2, true), (5, true)]);
        assert_eq!(read("a,b\n1,2,\"note\n2,x\nend\"\n3,y\n"), [(2, false), (5, true)]);
    }

    #[test]
    fn blank_lines_and_either_end_of_line_are_taken() {
        let blank = "\r\n".repeat(1 << 20);
        for text in
            [format!("a,b\r\n1,2\n{blank}3,\"4\"\r\n"), format!("a,b\n1,2\r\n{}3,4", "\n".repeat(3 << 20))]
        {
            let rows = read(text.as_bytes(), Format::Csv, &[]);
            let cells: Vec<_> = rows.into_iter().map(|(_, cells)| cells.unwrap()).collect();
            assert_eq!(cells, [["1", "2"], ["3", "4"]]);
        }
        let rows = read("\u{feff}{\"a\":1}\n\n  \r\n{\"a\":2}\n".as_bytes(), Format::Ndjson, &["a"]);
        assert_eq!(rows, [(1, Ok(vec!["1".into()])), (4, Ok(vec!["2".into()]))]);
    }

    #[test]
    fn a_row_is_a_mebibyte_at_the_most() {
        let long = "x".repeat(3 << 20);
        let rows = read(format!("a,b\n1,\"{long}\n{long}\n5,6\n").as_bytes(), Format::Csv, &[]);
        assert_eq!(rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(rows[0].1.is_err() && rows[1].1.is_err());
        assert_eq!(rows[2].1, Ok(vec!["5".into(), "6".into()]));
        let rows = read(format!("{{\"a\":\"{long}\"}}\n{{\"a\":1}}\n").as_bytes(), Format::Ndjson, &["a"]);
        assert_eq!(rows[0].1, Err("the line is longer than 1 MiB".into()));
        assert_eq!(rows[1].1, Ok(vec!["1".into()]));
    }

    #[test]
    fn a_row_knows_its_bytes() {
        for (format, text) in [
            (Format::Csv, "a,b\r\n1,\"5,\r\n00\"\r\n\"2\r\n3,4"),
            (Format::Ndjson, "{\"a\":1}\n{\"a\":\r\n{}"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            std::fs::write(&path, text).unwrap();
            let (mut rows, columns) = Rows::open(&path, format).unwrap();
            rows.start(&columns, &Checkpoint::default()).unwrap();
            let mut spans = Vec::new();
            while let Some(row) = rows.next(&mut Cells::new()).unwrap() {
                let span = row.span.start as usize..row.span.end as usize;
                spans.push(text[span].trim_matches(['\r', '\n']));
            }
            let expected: &[&str] = match format {
                Format::Csv => &["1,\"5,\r\n00\"", "\"2", "3,4"],
                Format::Ndjson => &["{\"a\":1}", "{\"a\":", "{}"],
            };
            assert_eq!(spans, expected);
        }
    }

    #[test]
    fn a_key_stands_once_in_an_object() {
        let rows = read(b"{\"a\":1,\"\\u0061\":2}\n", Format::Ndjson, &["a"]);
        assert!(rows[0].1.as_ref().unwrap_err().contains("the key \"a\" stands twice"), "{rows:?}");
    }

    #[test]
    fn ndjson_numbers_keep_their_digits() {
        let rows = read(
            b"{\"a\":0.1000000000000000055,\"b\":\"x\\u00e9\"}\n{\"a\":[1]}\n{\"a\":1",
            Format::Ndjson,
            &["a", "b"],
        );
        assert_eq!(rows[0].1, Ok(vec!["0.1000000000000000055".into(), "xé".into()]));
        assert_eq!(rows[1].1, Err("a: is not a text or a number".into()));
        assert!(
            rows[2].1.as_ref().unwrap_err().starts_with("the line is not a JSON object"),
            "a truncated line"
        );
    }

    #[test]
    fn reading_goes_on_at_a_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        for (name, format, text) in [
            ("f.csv", Format::Csv, "a\n1\n2\n3\n"),
            ("f.ndjson", Format::Ndjson, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let (mut rows, mut columns) = Rows::open(&path, format).unwrap();
            if format == Format::Ndjson {
                columns = Columns::fixed(vec!["a".into()]);
            }
            rows.start(&columns, &Checkpoint::default()).unwrap();
            let mut cells = Cells::new();
            let first = rows.next(&mut cells).unwrap().unwrap().line;
            let (byte, line) = rows.position();
            let checkpoint = Checkpoint { byte, line, rows: 1, ..Checkpoint::default() };

            let (mut rows, _) = Rows::open(&path, format).unwrap();
            rows.start(&columns, &checkpoint).unwrap();
            let second = rows.next(&mut cells).unwrap().unwrap().line;
            assert_eq!((second, cells.as_slice()), (first + 1, ["2".to_owned()].as_slice()), "{name}");
        }
    }
}
