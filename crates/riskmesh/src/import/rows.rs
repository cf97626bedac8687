//! Rows of a file, with the line and the byte after each: CSV with a header, or one JSON object a line.

use super::Error;
use super::checkpoint::Checkpoint;
use super::mapping::Columns;
use crate::cli::Format;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest line of an NDJSON file.
const MAX_LINE: u64 = 1 << 20;

/// A file being read.
pub(super) enum Rows {
    Csv {
        reader: csv::Reader<File>,
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
    /// Its cells, or why it has none.
    pub(super) cells: Result<(), String>,
}

impl Rows {
    /// Opens a file at its first row. `compile` is told the columns; for NDJSON it says which ones it wants.
    pub(super) fn open(path: &Path, format: Format) -> Result<(Self, Columns), Error> {
        let fail = |source| Error::File { doing: "open", path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        match format {
            Format::Csv => {
                let mut reader =
                    csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 18).from_reader(file);
                let header = reader
                    .headers()
                    .map_err(|error| Error::Format { path: path.to_owned(), reason: error.to_string() })?
                    .clone();
                if header.is_empty() {
                    return Err(Error::Format {
                        path: path.to_owned(),
                        reason: "there is no header line".into(),
                    });
                }
                let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
                let width = names.len();
                let record = csv::ByteRecord::new();
                Ok((Self::Csv { reader, record, width, path: path.to_owned() }, Columns::fixed(names)))
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
            Self::Csv { reader, record, width, path } => {
                let more = reader
                    .read_byte_record(record)
                    .map_err(|error| Error::Format { path: path.clone(), reason: error.to_string() })?;
                if !more {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                Ok(Some(Row { line, cells: csv_cells(record, *width, cells) }))
            }
            Self::Ndjson { reader, columns, text, byte, line, path } => {
                let fail = |source| Error::File { doing: "read", path: path.clone(), source };
                text.clear();
                let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', text).map_err(fail)?;
                if read == 0 {
                    return Ok(None);
                }
                let row = *line;
                *byte += read as u64;
                if text.last() != Some(&b'\n') && read as u64 == MAX_LINE {
                    *byte += reader.skip_until(b'\n').map_err(fail)? as u64;
                    *line += 1;
                    return Ok(Some(Row { line: row, cells: Err("the line is longer than 1 MiB".into()) }));
                }
                *line += 1;
                Ok(Some(Row { line: row, cells: json_cells(text, columns, cells) }))
            }
        }
    }

    /// The byte and the line after the row read last.
    pub(super) fn position(&self) -> (u64, u64) {
        match self {
            Self::Csv { reader, .. } => (reader.position().byte(), reader.position().line()),
            Self::Ndjson { byte, line, .. } => (*byte, *line),
        }
    }

    /// The row read last, as text for the reject file.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Csv { record, .. } => {
                let cells: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
                cells.join(",")
            }
            Self::Ndjson { text, .. } => {
                let text = String::from_utf8_lossy(text);
                text.trim_end().chars().take(4096).collect()
            }
        }
    }
}

fn csv_cells(record: &csv::ByteRecord, width: usize, cells: &mut Cells) -> Result<(), String> {
    if record.len() != width {
        return Err(format!("the row has {} columns, the header {width}", record.len()));
    }
    cells.resize_with(width, String::new);
    for (cell, bytes) in cells.iter_mut().zip(record) {
        let text = std::str::from_utf8(bytes).map_err(|_| "the row is not UTF-8".to_owned())?;
        cell.clear();
        cell.push_str(text);
    }
    Ok(())
}

/// Numbers are taken by their digits, never through a float.
fn json_cells(text: &[u8], columns: &[String], cells: &mut Cells) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "the line is not UTF-8".to_owned())?;
    let object: HashMap<&str, &RawValue> =
        serde_json::from_str(text).map_err(|error| format!("the line is not a JSON object: {error}"))?;
    cells.resize_with(columns.len(), String::new);
    for (cell, column) in cells.iter_mut().zip(columns) {
        cell.clear();
        match object.get(column.as_str()).map(|value| value.get()) {
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
