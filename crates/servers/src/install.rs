//! What engines are made of, brought onto this machine once: jars with Maven into a cache of the user, programs from Debian.

use crate::process;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where tools are kept that are installed once, by `.ci/run` too: `RISKMESH_CI_TOOLS`, or `riskmesh-ci` in the user's cache.
///
/// # Errors
/// The environment does not say where that is.
pub fn cache() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("RISKMESH_CI_TOOLS") {
        return Ok(dir.into());
    }
    let user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(user.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?.join("riskmesh-ci"))
}

/// A directory with the jars that a POM names, and theirs.
pub(crate) fn jars(name: &str, version: &str, pom: &str) -> anyhow::Result<PathBuf> {
    let dir = cache()?.join(format!("{name}-{version}"));
    let (jars, done) = (dir.join("lib"), dir.join("installed"));
    if !done.exists() {
        program("java", "openjdk-17-jre-headless")?;
        program("mvn", "maven")?;
        // Two at once would come to the same; what one was cut off at is made anew.
        std::fs::create_dir_all(&jars).with_context(|| format!("make {}", jars.display()))?;
        let file = dir.join("pom.xml");
        std::fs::write(&file, pom.replace("@VERSION@", version))?;
        let mut mvn = Command::new("mvn");
        mvn.args(["--quiet", "--batch-mode", "--file"]).arg(&file).arg("dependency:copy-dependencies");
        process::run(mvn.arg(format!("-DoutputDirectory={}", jars.display())))?;
        std::fs::write(&done, "").context("note that everything is installed")?;
    }
    Ok(jars)
}

/// A program of the system; as root on Debian its package is installed where it lacks.
pub(crate) fn program(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    if let Some(found) = on_path(name) {
        return Ok(found);
    }
    if on_path("apt-get").is_none() || !is_root() {
        bail!("{name} is missing, install it first (Debian: {package})");
    }
    let apt = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        // With run level 1 nothing is started that a package brings.
        process::run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))
    };
    apt(&["update", "-qq"])?;
    apt(&["install", "-y", "-qq", "--no-install-recommends", package])?;
    on_path(name).with_context(|| format!("package {package} has no {name}"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Whether this process may install packages.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0)
}
