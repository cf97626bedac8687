//! Small files of settings and progress in a data directory.

use serde::Serialize;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces a TOML file, durably, whole or not at all: kill -9 and a power cut leave the old one or the new one.
pub(crate) fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = toml::to_string(value).map_err(io::Error::other)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
}
