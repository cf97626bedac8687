//! How far an import got: one small file in the data directory, replaced atomically after each window, removed at the end. It carries
//! a digest of the bytes that are done: a file that has changed there since is imported from its beginning.

use super::Error;
use crate::cli::Format;
use crate::note;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// How far an import got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Checkpoint {
    /// Bytes of the file that are done.
    pub byte: u64,
    /// The line after them.
    pub line: u64,
    /// Rows done.
    pub rows: u64,
    /// Entries that were new.
    pub created: u64,
    /// Entries that were there already.
    pub duplicates: u64,
    /// Rows in the reject file.
    pub rejected: u64,
    /// Bytes of the reject file that belong to what is done.
    pub rejects_length: u64,
    /// SHA-256 of the bytes that are done, in hex.
    pub digest: String,
}

/// The digest of what has been read of a file so far.
pub(super) struct Fingerprint {
    file: File,
    upto: u64,
    hasher: digest::Context,
}

impl Fingerprint {
    /// Of nothing yet.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, upto: 0, hasher: digest::Context::new(&digest::SHA256) })
    }

    /// Of everything before this byte, which is not less than it was; less if the file ends before.
    pub(super) fn upto(&mut self, byte: u64) -> io::Result<String> {
        let mut buffer = vec![0; 1 << 16];
        while self.upto < byte {
            let room = buffer.len().min(usize::try_from(byte - self.upto).unwrap_or(usize::MAX));
            let read = self.file.read_at(&mut buffer[..room], self.upto)?;
            if read == 0 {
                break;
            }
            self.hasher.update(&buffer[..read]);
            self.upto += read as u64;
        }
        let digest = self.hasher.clone().finish();
        Ok(hex::encode(digest))
    }
}

/// Where a checkpoint is kept: named by what the import reads, how, and where it goes.
pub(super) struct Place(PathBuf);

impl Place {
    /// The place for this import.
    pub(super) fn new(options: &super::Options<'_>) -> Result<Self, Error> {
        let full = |path: &Path| {
            let fail = |source| Error::File { doing: "look at", path: path.to_owned(), source };
            std::path::absolute(path).map_err(fail)
        };
        let name = bus::event::id(&[
            options.tenant.as_str().as_bytes(),
            full(options.file)?.as_os_str().as_encoded_bytes(),
            full(&options.rejects)?.as_os_str().as_encoded_bytes(),
            options.mapping.unwrap_or_default().as_bytes(),
            match options.format {
                Format::Csv => b"csv",
                Format::Ndjson => b"ndjson",
            },
        ]);
        Ok(Self(options.data_dir.join("imports").join(format!("{name}.toml"))))
    }

    /// The checkpoint of an earlier run that did not finish.
    pub(super) fn load(&self) -> Option<Checkpoint> {
        // A checkpoint that cannot be read only costs time: everything is recorded idempotently.
        toml::from_str(&std::fs::read_to_string(&self.0).ok()?).ok()
    }

    /// Replaces it.
    pub(super) fn save(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let fail = |source| Error::File { doing: "write checkpoint", path: self.0.clone(), source };
        std::fs::create_dir_all(self.0.parent().unwrap_or(Path::new("."))).map_err(fail)?;
        note::replace(&self.0, checkpoint).map_err(fail)
    }

    /// The import is done.
    pub(super) fn clear(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.0) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { doing: "remove checkpoint", path: self.0.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_the_bytes_before_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let upto = |steps: &[u64], text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut print = Fingerprint::new(&path).unwrap();
            steps.iter().map(|byte| print.upto(*byte).unwrap()).last().unwrap()
        };
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(upto(&[3], "abcdef"), abc);
        assert_eq!(upto(&[1, 1, 3], "abcxyz"), abc, "what comes after does not matter");
        assert_ne!(upto(&[3], "abXdef"), abc);
        assert_ne!(upto(&[3], "ab"), abc);
    }
}
