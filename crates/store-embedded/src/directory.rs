//! The data directory: who owns it, and what schema its rows have.
//!
//! ```text
//! owner.lock      locked while a process has the store open; holds its process id
//! catalog.json    format version and table catalog, replaced atomically
//! db/             fjall's; may be a link, or a volume of its own
//! db/creating     there until a new database has its catalog
//! ```

use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use store::Error;
use store::schema::Catalog;

/// The layout of keys and rows; raised when either changes.
const FORMAT: u32 = 1;
const CATALOG: &str = "catalog.json";
const DATABASE: &str = "db";
/// In the database's directory, so that it goes where that goes.
const MARK: &str = "creating";

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
        let path = self.path.join(DATABASE);
        let fail = |e| failed("prepare the database's directory", e);
        match (has_catalog, state(&self.path).map_err(fail)?) {
            (true, State::There { .. }) => {}
            (true, _) => return Err(self.incomplete("store/db")),
            (false, State::LostLink) => return Err(self.incomplete("what store/db links to")),
            (false, State::There { marked: false }) => return Err(self.incomplete("store/catalog.json")),
            (false, State::There { marked: true }) => clear(&path).map_err(fail)?,
            (false, State::Nothing) => {
                let mark = || {
                    std::fs::create_dir_all(&path)?;
                    File::create(path.join(MARK))?;
                    sync(&path)?;
                    sync(&self.path)
                };
                mark().map_err(fail)?;
            }
        }
        Ok(path)
    }

    /// The catalog is stored: takes the mark off.
    pub(crate) fn created(&self) -> Result<(), Error> {
        let path = self.path.join(DATABASE);
        match std::fs::remove_file(path.join(MARK)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync(&path)).map_err(|e| failed("finish the new database", e)),
        }
    }

    fn incomplete(&self, missing: &'static str) -> Error {
        Error::Incomplete { directory: self.path.display().to_string(), missing }
    }

    /// The stored catalog; none in a new directory.
    pub(crate) fn catalog(&self) -> Result<Option<Catalog>, Error> {
        let json = match std::fs::read(self.path.join(CATALOG)) {
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
        let (target, new) = (self.path.join(CATALOG), self.path.join("catalog.json.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(&json)?;
            file.sync_all()?;
            std::fs::rename(&new, &target)?;
            sync(&self.path)
        };
        write().map_err(|e| failed("write catalog.json", e))
    }
}

/// What there is of a database.
enum State {
    Nothing,
    /// `db` is a link to nothing: a volume that is not mounted.
    LostLink,
    /// Files of fjall's; `marked`: its creation was not finished.
    There {
        marked: bool,
    },
}

/// Looks into a data directory. Files that are not fjall's say nothing: a volume's root has some of its own.
fn state(directory: &Path) -> std::io::Result<State> {
    let path = directory.join(DATABASE);
    let entries = match std::fs::read_dir(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let is_link = path.symlink_metadata().is_ok();
            return Ok(if is_link { State::LostLink } else { State::Nothing });
        }
        entries => entries?,
    };
    let (mut there, mut marked) = (false, false);
    for entry in entries {
        let name = entry?.file_name();
        marked |= name == MARK;
        there |= is_of_database(&name);
    }
    Ok(if there || marked { State::There { marked } } else { State::Nothing })
}

/// Whether a directory holds nothing yet that was stored: no catalog, and no database that is more than begun.
pub fn is_new(directory: &Path) -> bool {
    let begun = |state| matches!(state, State::Nothing | State::There { marked: true });
    !directory.join(CATALOG).exists() && state(directory).is_ok_and(begun)
}

/// The names that fjall gives.
fn is_of_database(name: &OsStr) -> bool {
    let is_journal = Path::new(name).extension().is_some_and(|extension| extension == "jnl");
    is_journal || ["version", "lock", "keyspaces"].iter().any(|known| name == *known)
}

/// Removes what fjall has begun. The directory itself stays, and what else is in it.
fn clear(database: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(database)? {
        let entry = entry?;
        if !is_of_database(&entry.file_name()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes durable which files are in a directory.
fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
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
        let directory = tempfile::tempdir().unwrap();
        let open = Directory::open(directory.path()).unwrap();
        let db = directory.path().join("db");
        let refused = |has_catalog| match open.database(has_catalog) {
            Err(Error::Incomplete { missing, .. }) => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(true), "store/db");
        // A volume that is not mounted, is another one, or whose link leads nowhere.
        std::fs::create_dir(&db).unwrap();
        assert_eq!(refused(true), "store/db");
        std::fs::create_dir(db.join("lost+found")).unwrap();
        assert_eq!(refused(true), "store/db");
        std::fs::remove_dir_all(&db).unwrap();
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &db).unwrap();
        assert_eq!((refused(true), refused(false)), ("store/db", "what store/db links to"));
        assert!(db.symlink_metadata().unwrap().is_symlink());
        std::fs::remove_file(&db).unwrap();

        std::fs::create_dir(&db).unwrap();
        std::fs::write(db.join("version"), "").unwrap();
        assert_eq!(refused(false), "store/catalog.json");
        assert!(!is_new(directory.path()));
        assert_eq!(open.database(true).unwrap(), db);
        assert!(db.join("version").exists());
    }

    #[test]
    fn of_a_creation_that_was_cut_short_only_what_it_made_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let volume = tempfile::tempdir().unwrap();
        let at = |name: &str| volume.path().join(name);
        std::fs::create_dir(at("lost+found")).unwrap();
        let db = directory.path().join("db");
        std::os::unix::fs::symlink(volume.path(), &db).unwrap();
        assert!(is_new(directory.path()));
        let open = Directory::open(directory.path()).unwrap();
        open.database(false).unwrap();
        std::fs::create_dir(at("keyspaces")).unwrap();
        std::fs::write(at("keyspaces/1"), "").unwrap();
        std::fs::write(at("0.jnl"), "").unwrap();
        assert!(is_new(directory.path()));
        open.database(false).unwrap();
        assert!(!at("keyspaces").exists() && !at("0.jnl").exists() && at("lost+found").exists());
        assert!(db.symlink_metadata().unwrap().is_symlink());

        // With its catalog it is whole, though the mark is still there.
        std::fs::write(at("0.jnl"), "").unwrap();
        open.database(true).unwrap();
        open.created().unwrap();
        assert!(at("0.jnl").exists() && !at(MARK).exists());
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
