//! Python with packages, installed once into the cache of the user that .ci/run has too: nothing of the tree or the system changes.

use crate::process;
use ::servers::cache;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// The interpreter of an environment that has these packages in these versions.
pub(crate) fn with(packages: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let names: Vec<String> = packages.iter().map(|(name, version)| format!("{name}-{version}")).collect();
    let dir = cache()?.join(names.join("-"));
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    // It is started in other directories.
    let dir = dir.canonicalize()?;
    let done = dir.join("installed");
    if !done.exists() {
        println!("installing {} (once, some seconds)", names.join(", "));
        let venv = ["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), dir.as_os_str()];
        process::tool(Path::new("python3"), &venv, &dir, &[])
            .context("Python's venv is needed (Debian: python3-venv)")?;
        let packages = packages.iter().map(|(name, version)| format!("{name}=={version}"));
        let pip = ["install", "--quiet", "--disable-pip-version-check"].map(str::to_owned).into_iter();
        process::tool(&dir.join("bin/pip"), &pip.chain(packages).collect::<Vec<_>>(), &dir, &[])?;
        std::fs::write(&done, "").context("note that everything is installed")?;
    }
    Ok(dir.join("bin/python"))
}
