//! The keys of a data directory that are not for signing: one for page cursors, one or more for columns at rest, one for their blind
//! index. Each is a file of 64 hex digits that only its owner may read, made on first start.

use aws_lc_rs::digest::{SHA256, digest};
use riskmesh_core::cipher::{ColumnCipher, Key, random_bytes};
use riskmesh_core::cursor::Cursors;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a key cannot be had; messages name files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Not 64 hex digits.
    #[error("{} is not a key: 64 hex digits", .0.display())]
    Malformed(PathBuf),
    /// There is none, and there should be.
    #[error("{} is missing: what the store holds cannot be read without it; restore it from a backup", .0.display())]
    Missing(PathBuf),
    /// Others on the machine could read it.
    #[error("{} must not be accessible to others: chmod 600 it", .0.display())]
    Exposed(PathBuf),
    /// There is none, or it is empty.
    #[error("{} has no password", .0.display())]
    NoPassword(PathBuf),
    /// The cryptographic library refused.
    #[error("use key {}", .0.display())]
    Crypto(PathBuf, #[source] Box<riskmesh_core::Error>),
}

/// The keys.
pub struct Secrets {
    /// Seals page cursors.
    pub cursors: Cursors,
    /// Seals columns at rest.
    pub columns: ColumnCipher,
    /// What each file's key is told by, without telling the key: its SHA-256.
    pub fingerprints: BTreeMap<String, String>,
}

impl Secrets {
    /// Loads the keys in a directory, and makes those that are missing: for a directory without a store.
    pub fn load_or_create(dir: &Path) -> Result<Self, Error> {
        Self::with(dir, load_or_create)
    }

    /// Loads the keys in a directory. New ones beside an old store would open nothing of it.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        Self::with(dir, |path| load(path)?.ok_or_else(|| Error::Missing(path.to_owned())))
    }

    fn with(dir: &Path, load_one: impl Fn(&Path) -> Result<[u8; 32], Error>) -> Result<Self, Error> {
        let mut fingerprints = BTreeMap::new();
        let mut noted = |name: &str, bytes: [u8; 32]| {
            fingerprints.insert(name.to_owned(), hex::encode(digest(&SHA256, &bytes)));
            bytes
        };
        let mut key = |name: &str| Ok(noted(name, load_one(&dir.join(name))?));
        let cursors = made(dir, &key("cursors.key")?)?;
        let first = made(dir, &key("columns-1.key")?)?;
        let index = key("index.key")?;
        let mut columns = BTreeMap::from([(1, first)]);
        // A rotation adds columns-2.key and so on: the highest number encrypts, all of them decrypt.
        for number in 2.. {
            let name = format!("columns-{number}.key");
            match load(&dir.join(&name))? {
                Some(bytes) => drop(columns.insert(number, made(dir, &noted(&name, bytes))?)),
                None => break,
            }
        }
        let current = columns.keys().next_back().copied().unwrap_or(1);
        let columns = ColumnCipher::new(current, columns, &index)
            .map_err(|error| Error::Crypto(dir.to_owned(), Box::new(error)))?;
        Ok(Self { cursors: Cursors::new(cursors), columns, fingerprints })
    }
}

/// The password in a file, without the end of its line.
pub fn password(path: &Path) -> Result<String, Error> {
    let text = private(path)?.ok_or_else(|| Error::NoPassword(path.to_owned()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() { Err(Error::NoPassword(path.to_owned())) } else { Ok(password.to_owned()) }
}

fn made(path: &Path, bytes: &[u8; 32]) -> Result<Key, Error> {
    Key::new(bytes).map_err(|error| Error::Crypto(path.to_owned(), Box::new(error)))
}

fn load(path: &Path) -> Result<Option<[u8; 32]>, Error> {
    let Some(text) = private(path)? else { return Ok(None) };
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| Error::Malformed(path.to_owned()))?;
    Ok(Some(bytes))
}

/// What is in a file that is its owner's alone.
fn private(path: &Path) -> Result<Option<String>, Error> {
    let fail = |source| Error::Io { doing: "read", path: path.to_owned(), source };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::Exposed(path.to_owned()));
    }
    std::fs::read_to_string(path).map(Some).map_err(fail)
}

fn load_or_create(path: &Path) -> Result<[u8; 32], Error> {
    if let Some(bytes) = load(path)? {
        return Ok(bytes);
    }
    let fail = |source| Error::Io { doing: "write key", path: path.to_owned(), source };
    let bytes: [u8; 32] = random_bytes().map_err(|error| Error::Crypto(path.to_owned(), Box::new(error)))?;
    let text = hex::encode(bytes);
    // Whole or not at all: written and synced under another name, then linked to its own, which fails where somebody was faster.
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary).map_err(fail)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(fail(error)),
        _ => load(path)?.ok_or_else(|| Error::Malformed(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_last_and_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = {
            let secrets = Secrets::load_or_create(dir.path()).unwrap();
            secrets.cursors.seal(riskmesh_core::cursor::Scope { tenant: "t", query: "q" }, b"x").unwrap()
        };
        let again = Secrets::load_or_create(dir.path()).unwrap();
        assert_eq!(
            again.cursors.open(riskmesh_core::cursor::Scope { tenant: "t", query: "q" }, &cursor).unwrap(),
            b"x"
        );
        let path = dir.path().join("cursors.key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Secrets::load_or_create(dir.path()), Err(Error::Exposed(_))));
    }

    #[test]
    fn a_lost_key_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        drop(Secrets::load_or_create(dir.path()).unwrap());
        Secrets::load(dir.path()).unwrap();
        for name in ["cursors.key", "columns-1.key", "index.key"] {
            let path = dir.path().join(name);
            let kept = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert!(matches!(Secrets::load(dir.path()), Err(Error::Missing(missing)) if missing == path));
            assert!(!path.exists());
            std::fs::write(&path, kept).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    #[test]
    fn a_damaged_key_is_refused_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(Secrets::load_or_create(dir.path()).unwrap());
        let path = dir.path().join("columns-1.key");
        for damaged in ["", "00", &"zz".repeat(32), &"é".repeat(32)] {
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(Secrets::load_or_create(dir.path()), Err(Error::Malformed(_))), "{damaged}");
        }
    }
}
