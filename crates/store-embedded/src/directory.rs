//! The data directory: who owns it, and what schema its rows have.
//!
//! ```text
//! owner.lock      locked while a process has the store open; holds its process id
//! catalog.json    format version and table catalog, replaced atomically
//! db/             fjall's
//! db.creating     there until a new db/ has its catalog
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

    /// Where fjall keeps its files. A database is whole when its catalog is stored, and nothing is written to it before. fjall
    /// cannot open one whose creation a crash cut short, so what is left of that is removed: it is known by the mark. Otherwise a
    /// database without its catalog, or a catalog without its database, has lost the other, and is refused.
    pub(crate) fn database(&self, has_catalog: bool) -> Result<PathBuf, Error> {
        let (path, mark) = (self.path.join("db"), self.path.join(CREATING));
        let fail = |e| failed("prepare the database's directory", e);
        match (has_catalog, is_empty(&path).map_err(fail)?) {
            (true, false) => {}
            (true, true) => return Err(self.incomplete("db")),
            (false, true) => File::create(&mark).and_then(|_| self.sync()).map_err(fail)?,
            (false, false) if mark.try_exists().map_err(fail)? => clear(&path).map_err(fail)?,
            (false, false) => return Err(self.incomplete("catalog.json")),
        }
        Ok(path)
    }

    /// The catalog is stored: takes the mark off.
    pub(crate) fn created(&self) -> Result<(), Error> {
        match std::fs::remove_file(self.path.join(CREATING)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("finish the new database", e)),
            _ => Ok(()),
        }
    }

    fn incomplete(&self, missing: &'static str) -> Error {
        Error::Incomplete { directory: self.path.display().to_string(), missing }
    }

    /// Makes durable which files are there.
    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// The stored catalog; none in a new directory.
    pub(crate) fn catalog(&self) -> Result<Option<Catalog>, Error> {
        let json = match std::fs::read(self.path.join("catalog.json")) {
            Ok(json) => json,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("read catalog.json", e)),
        };
        let refuse = |what: String| Error::Schema { table: "(catalog.json)".to_owned(), what };
        let stored: Stored = serde_json::from_slice(&json).map_err(|e| refuse(e.to_string()))?;
        if stored.format != FORMAT {
            return Err(refuse(format!("has format {}, this program reads format {FORMAT}", stored.format)));
        }
        Ok(Some(stored.catalog))
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

/// Whether nothing is in a directory; one that is not there has nothing in it.
fn is_empty(directory: &Path) -> std::io::Result<bool> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().transpose()?.is_none()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}

/// Removes what is in a directory. The directory itself stays: it may be another volume.
fn clear(directory: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
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
    fn a_database_and_its_catalog_are_not_made_one_without_the_other() {
        let refused = |open: &Directory, has_catalog| match open.database(has_catalog) {
            Err(Error::Incomplete { missing, .. }) => missing,
            other => panic!("{other:?}"),
        };
        let directory = tempfile::tempdir().unwrap();
        let open = Directory::open(directory.path()).unwrap();
        let db = directory.path().join("db");
        assert_eq!(refused(&open, true), "db");
        // A volume that is not mounted, or whose target is gone.
        std::fs::create_dir(&db).unwrap();
        assert_eq!(refused(&open, true), "db");
        std::fs::remove_dir(&db).unwrap();
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &db).unwrap();
        assert_eq!(refused(&open, true), "db");
        assert!(db.symlink_metadata().unwrap().is_symlink());
        std::fs::remove_file(&db).unwrap();

        std::fs::create_dir(&db).unwrap();
        std::fs::write(db.join("version"), "").unwrap();
        assert_eq!(refused(&open, false), "catalog.json");
        assert_eq!(open.database(true).unwrap(), db);
        assert!(db.join("version").exists());
    }

    #[test]
    fn what_a_creation_that_was_cut_short_left_is_removed_and_the_directory_stays() {
        let directory = tempfile::tempdir().unwrap();
        let volume = tempfile::tempdir().unwrap();
        let db = directory.path().join("db");
        std::os::unix::fs::symlink(volume.path(), &db).unwrap();
        let open = Directory::open(directory.path()).unwrap();
        open.database(false).unwrap();
        let journal = volume.path().join("0.jnl");
        std::fs::create_dir(volume.path().join("keyspaces")).unwrap();
        std::fs::write(volume.path().join("keyspaces/1"), "").unwrap();
        std::fs::write(&journal, "").unwrap();
        open.database(false).unwrap();
        assert!(is_empty(volume.path()).unwrap() && db.symlink_metadata().unwrap().is_symlink());

        // With its catalog it is whole, though the mark is still there.
        std::fs::write(&journal, "").unwrap();
        open.database(true).unwrap();
        open.created().unwrap();
        assert!(journal.exists() && !directory.path().join(CREATING).exists());
        open.created().unwrap();
    }

    #[test]
    fn another_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let open = Directory::open(directory.path()).unwrap();
        open.store_catalog(Catalog::default()).unwrap();
        assert_eq!(open.catalog().unwrap(), Some(Catalog::default()));
        let file = directory.path().join("catalog.json");
        let later = std::fs::read_to_string(&file).unwrap().replace("\"format\": 1", "\"format\": 2");
        std::fs::write(&file, later).unwrap();
        assert_eq!(
            open.catalog().unwrap_err().to_string(),
            "schema of table (catalog.json): has format 2, this program reads format 1"
        );
    }
}
