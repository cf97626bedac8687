//! The reject file: every row that was not imported, with its line, the reason and the row as it stood. CSV, written before the
//! checkpoint moves past the row; on resume it is cut back to what the checkpoint knew.

use super::Error;
use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A row that was not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reject {
    pub(super) line: u64,
    pub(super) reason: String,
    /// The row, or the part of it that could be read.
    pub(super) row: String,
}

/// The file; it exists only when there is something in it.
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<File>,
    length: u64,
}

impl Rejects {
    /// Goes on after `length` bytes; 0 starts anew.
    pub(super) fn open(path: &Path, length: u64) -> Result<Self, Error> {
        let fail = |source| Error::File { doing: "prepare reject file", path: path.to_owned(), source };
        let mut rejects = Self { path: path.to_owned(), file: None, length };
        if length == 0 {
            match std::fs::remove_file(path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(fail(error)),
            }
        } else {
            let mut file = OpenOptions::new().write(true).open(path).map_err(fail)?;
            file.set_len(length).map_err(fail)?;
            file.seek(SeekFrom::End(0)).map_err(fail)?;
            rejects.file = Some(file);
        }
        Ok(rejects)
    }

    /// Appends rows, and returns when they are on disk.
    pub(super) fn write(&mut self, rows: &[Reject]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let path = self.path.clone();
        let fail = |source| Error::File { doing: "write reject file", path: path.clone(), source };
        let mut writer = csv::Writer::from_writer(Vec::new());
        if self.file.is_none() {
            writer.write_record(["line", "reason", "row"]).map_err(|error| fail(error.into()))?;
            self.file = Some(File::create(&self.path).map_err(fail)?);
        }
        for row in rows {
            let line = row.line.to_string();
            writer
                .write_record([line.as_str(), &row.reason, &row.row])
                .map_err(|error| fail(error.into()))?;
        }
        let bytes = writer.into_inner().map_err(|error| fail(error.into_error()))?;
        if let Some(file) = &mut self.file {
            file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(fail)?;
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// How long the file is.
    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_file_is_cut_back_to_its_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let reject = |line| Reject { line, reason: "amount: is required".into(), row: "a,\"b\"".into() };
        let mut rejects = Rejects::open(&path, 0).unwrap();
        rejects.write(&[reject(2)]).unwrap();
        let length = rejects.length();
        rejects.write(&[reject(3)]).unwrap();
        drop(rejects);

        let mut resumed = Rejects::open(&path, length).unwrap();
        resumed.write(&[reject(4)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "line,reason,row\n2,amount: is required,\"a,\"\"b\"\"\"\n4,amount: is required,\"a,\"\"b\"\"\"\n"
        );
        assert!(Rejects::open(&path, 0).is_ok() && !path.exists(), "a fresh import leaves no stale file");
    }
}
