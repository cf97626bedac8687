//! Small files of settings and progress in a data directory.

use serde::Serialize;
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces a TOML file, whole or not at all: kill -9 and a power cut leave the old one or the new one. Which of them a power cut
/// leaves is open for a while, since the directory is not synced: every note may be an older one.
pub(crate) fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = toml::to_string(value).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
