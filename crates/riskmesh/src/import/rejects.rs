//! The reject file: every row that was not imported, with its line, the reason and the row as it stood. CSV, written before the
//! checkpoint moves past the row; on resume it is cut back to what the checkpoint knew.

use super::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How much of a row is shown.
const SHOWN: u64 = 64 << 10;

/// A row that was not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reject {
    pub(super) origin: Origin,
    pub(super) reason: String,
}

/// Where a row stands in the file that is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) line: u64,
    pub(super) span: Range<u64>,
}

/// The file; it exists only when there is something in it.
pub(super) struct Rejects {
    path: PathBuf,
    /// What is imported.
    source: File,
    file: Option<File>,
    length: u64,
}

/// How the file begins.
const HEADER: [&str; 3] = ["line", "reason", "row"];

/// Whether this is what an import writes, if only its beginning, and not anything else that must not be lost: a link or a
/// device is never ours.
fn is_ours(path: &Path) -> std::io::Result<bool> {
    if !path.symlink_metadata()?.is_file() {
        return Ok(false);
    }
    let expected = format!("{}\n", HEADER.join(","));
    let mut found = Vec::new();
    File::open(path)?.take(expected.len() as u64).read_to_end(&mut found)?;
    Ok(expected.as_bytes().starts_with(&found))
}

impl Rejects {
    /// Whether the file holds what a checkpoint says of it.
    pub(super) fn fits(path: &Path, length: u64) -> bool {
        length == 0 || path.metadata().is_ok_and(|metadata| metadata.len() >= length)
    }

    /// Goes on after `length` bytes; 0 starts anew.
    pub(super) fn open(path: &Path, length: u64, source: &Path) -> Result<Self, Error> {
        let fail = |source| Error::File { doing: "prepare reject file", path: path.to_owned(), source };
        let source = File::open(source).map_err(|error| Error::File {
            doing: "open",
            path: source.to_owned(),
            source: error,
        })?;
        let mut rejects = Self { path: path.to_owned(), source, file: None, length };
        if length == 0 {
            match is_ours(path) {
                Ok(true) => std::fs::remove_file(path).map_err(fail)?,
                Ok(false) => return Err(fail(std::io::Error::other("there is another file of this name"))),
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

    /// A row as it stands in what is imported, without the end of its line.
    fn row(&self, span: &Range<u64>) -> std::io::Result<String> {
        let mut bytes = vec![0; (span.end - span.start).min(SHOWN) as usize];
        self.source.read_exact_at(&mut bytes, span.start)?;
        Ok(String::from_utf8_lossy(&bytes).trim_matches(['\r', '\n']).to_owned())
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
            writer.write_record(HEADER).map_err(|error| fail(error.into()))?;
            // Rows are data of clients: for nobody else to read.
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
            self.file = Some(file.map_err(fail)?);
            // Before a checkpoint says how long it is.
            let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all()).map_err(fail)?;
        }
        for Reject { origin, reason } in rows {
            let (line, row) = (origin.line.to_string(), self.row(&origin.span).map_err(fail)?);
            writer.write_record([line.as_str(), reason, &row]).map_err(|error| fail(error.into()))?;
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
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_resumed_file_is_cut_back_to_its_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let source = dir.path().join("source.csv");
        std::fs::write(&source, "a,\"b\"\r\n").unwrap();
        let reject =
            |line| Reject { origin: Origin { line, span: 0..7 }, reason: "amount: is required".into() };
        let mut rejects = Rejects::open(&path, 0, &source).unwrap();
        rejects.write(&[reject(2)]).unwrap();
        let length = rejects.length();
        rejects.write(&[reject(3)]).unwrap();
        drop(rejects);

        assert!(Rejects::fits(&path, length) && !Rejects::fits(&path, 1000));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut resumed = Rejects::open(&path, length, &source).unwrap();
        resumed.write(&[reject(4)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "line,reason,row\n2,amount: is required,\"a,\"\"b\"\"\"\n4,amount: is required,\"a,\"\"b\"\"\"\n"
        );
        assert!(
            Rejects::open(&path, 0, &source).is_ok() && !path.exists(),
            "a fresh import leaves no stale file"
        );
        assert!(
            Rejects::open(&source, 0, &source).is_err() && source.exists(),
            "nor takes what is not its own"
        );
        let link = dir.path().join("link.csv");
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(Rejects::open(&link, 0, &source).is_err() && path.exists() && link.exists());
        assert!(Rejects::open(Path::new("/dev/null"), 0, &source).is_err());
        // Killed before it had written all of its first line.
        for begun in ["", "line,rea"] {
            std::fs::write(&path, begun).unwrap();
            assert!(Rejects::open(&path, 0, &source).is_ok() && !path.exists());
        }
    }
}
