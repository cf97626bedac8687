//! The data directory: who owns it, and what schema its rows have.
//!
//! ```text
//! owner.lock      locked while a process has the store open; holds its process id
//! catalog.json    format version and table catalog, replaced atomically
//! db/             fjall's
//! db.creating     there until a new db/ is whole
//! ```

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use store::Error;
use store::schema::Catalog;

/// The layout of keys and rows; raised when either changes.
const FORMAT: u32 = 1;
const CREATING: &str = "db.creating";

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Held for its lock.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    catalog: Catalog,
}

impl Directory {
    /// Creates the directory if need be, and takes it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(|e| failed("create data directory", e))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("owner.lock"))
            .map_err(|e| failed("open owner.lock", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The owner may be about to write its id: "unknown" is then the truth.
                let known = (&lock).take(20).read_to_string(&mut owner).is_ok() && !owner.trim().is_empty();
                let owner = if known { owner.trim().to_owned() } else { "unknown".to_owned() };
                return Err(Error::InUse { directory: path.display().to_string(), owner });
            }
            Err(TryLockError::Error(e)) => return Err(failed("lock data directory", e)),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(|e| failed("write owner.lock", e))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where fjall keeps its files, and whether they are yet to be made. fjall cannot open a database whose creation a crash cut
    /// short, so what is left of one is removed; nothing has been stored in it before [`Directory::created`].
    pub(crate) fn database(&self) -> Result<(PathBuf, bool), Error> {
        let (path, mark) = (self.path.join("db"), self.path.join(CREATING));
        let work = || {
            if path.try_exists()? && !mark.try_exists()? {
                return Ok(false);
            }
            File::create(&mark)?;
            self.sync()?;
            match std::fs::remove_dir_all(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
                _ => Ok(true),
            }
        };
        let is_new = work().map_err(|e| failed("prepare the database's directory", e))?;
        Ok((path, is_new))
    }

    /// Everything that a new database starts with is there.
    pub(crate) fn created(&self) -> Result<(), Error> {
        std::fs::remove_file(self.path.join(CREATING))
            .and_then(|()| self.sync())
            .map_err(|e| failed("finish the new database", e))
    }

    /// Makes durable which files are there.
    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// The stored catalog; an empty one in a new directory.
    pub(crate) fn catalog(&self) -> Result<Catalog, Error> {
        let json = match std::fs::read(self.path.join("catalog.json")) {
            Ok(json) => json,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Catalog::default()),
            Err(e) => return Err(failed("read catalog.json", e)),
        };
        let refuse = |what: String| Error::Schema { table: "(catalog.json)".to_owned(), what };
        let stored: Stored = serde_json::from_slice(&json).map_err(|e| refuse(e.to_string()))?;
        if stored.format != FORMAT {
            return Err(refuse(format!("has format {}, this program reads format {FORMAT}", stored.format)));
        }
        Ok(stored.catalog)
    }

    /// Replaces the catalog, durably.
    pub(crate) fn store_catalog(&self, catalog: Catalog) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(&Stored { format: FORMAT, catalog })
            .map_err(|e| Error::Backend { operation: "write catalog.json", source: Box::new(e) })?;
        let (target, new) = (self.path.join("catalog.json"), self.path.join("catalog.json.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(&json)?;
            file.sync_all()?;
            std::fs::rename(&new, &target)?;
            self.sync()
        };
        write().map_err(|e| failed("write catalog.json", e))
    }
}

fn failed(operation: &'static str, source: std::io::Error) -> Error {
    Error::Backend { operation, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_owner_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = Directory::open(directory.path()).unwrap();
        let error = Directory::open(directory.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "data directory {} is in use by process {}",
                directory.path().display(),
                std::process::id()
            )
        );
        drop(first);
        Directory::open(directory.path()).unwrap();
    }

    #[test]
    fn another_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let open = Directory::open(directory.path()).unwrap();
        open.store_catalog(Catalog::default()).unwrap();
        assert_eq!(open.catalog().unwrap(), Catalog::default());
        let file = directory.path().join("catalog.json");
        let later = std::fs::read_to_string(&file).unwrap().replace("\"format\": 1", "\"format\": 2");
        std::fs::write(&file, later).unwrap();
        assert_eq!(
            open.catalog().unwrap_err().to_string(),
            "schema of table (catalog.json): has format 2, this program reads format 1"
        );
    }
}
