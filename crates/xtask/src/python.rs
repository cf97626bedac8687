//! Python with packages, installed once into the cache of the user that .ci/run has too: nothing of the tree or the system changes.

use crate::process;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// Where .ci/run keeps tools too.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("RISKMESH_CI_TOOLS") {
        return Ok(dir.into());
    }
    let user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(user.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?.join("riskmesh-ci"))
}

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
