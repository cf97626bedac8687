//! Small files of settings and progress in a data directory.

use serde::Serialize;
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces a TOML file, whole or not at all, and returns when it is on disk.
pub(crate) fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = toml::to_string(value).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
