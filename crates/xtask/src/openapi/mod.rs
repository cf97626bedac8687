//! `cargo xtask openapi`: the OpenAPI documents under two linters and a validator, the running server under schemathesis, and its
//! reference in a browser.
//! docs/openapi.md says what that shows; the tools' configurations are in tests/openapi.

mod tools;

use crate::load::{Ask, Connection, Target};
use crate::process;
use crate::server::{Server, token};
use anyhow::{Context as _, ensure};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use tools::Tools;

/// The documents that a server has.
const VERSIONS: [&str; 2] = ["v1", "v2"];
/// Where the tools are told what to pass over, and why.
const CONFIGURATIONS: &str = "tests/openapi";
/// The variable that schemathesis' configuration takes the token from, so that it stands on no command line.
const TOKEN: &str = "RISKMESH_OPENAPI_TOKEN";

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where schemathesis starts: the same seed asks the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most requests that schemathesis makes up for an operation in each of its phases.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    examples: u32,
    /// A Chromium, which then reads and tries the reference at `/docs`.
    #[arg(long, value_name = "PROGRAM")]
    browser: Option<std::path::PathBuf>,
    /// Checks the program as it was built last.
    #[arg(long)]
    no_build: bool,
}

/// Checks everything; every tool runs, so that one run tells all there is to mend.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.no_build {
        process::build("release", &["--package", "riskmesh"])?;
    }
    let tools = Tools::install()?;
    let target = process::target_dir()?;
    let dir = target.join("openapi");
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    let data = tempfile::tempdir()?;
    let riskmesh = target.join("riskmesh");
    let server = Server::start(&riskmesh, data.path())?;
    let token = token(&riskmesh, data.path(), "admin")?;

    let mut failed = Vec::new();
    let base = format!("http://{}", server.address);
    if let Some(browser) = &args.browser {
        println!("== the reference in a browser");
        let script = configuration("portal.py")?;
        let arguments = [script.as_os_str(), base.as_ref(), browser.as_os_str(), dir.as_os_str()];
        if !tools.passes(&tools.python("python"), &arguments, &dir, &[(TOKEN, token.as_ref())])? {
            failed.push("the reference".to_owned());
        }
    }
    for version in VERSIONS {
        let document = dir.join(format!("{version}.json"));
        let text = fetch(&server, &format!("/openapi/{version}.json"))?;
        std::fs::write(&document, text).with_context(|| format!("write {}", document.display()))?;
        let mut check = |name: &str, program: &Path, args: &[&OsStr], variables: &[(&str, &OsStr)]| {
            println!("\n== {name}, {version}");
            let passed = tools.passes(program, args, &dir, variables)?;
            if !passed {
                failed.push(format!("{name} of {version}"));
            }
            anyhow::Ok(())
        };
        let document = document.as_os_str();
        check("openapi-spec-validator", &tools.validator(), &[document], &[])?;
        let config = configuration("redocly.yaml")?;
        let arguments = ["lint".as_ref(), "--config".as_ref(), config.as_os_str(), document];
        check("redocly", &tools.redocly(), &arguments, &[])?;
        let config = configuration("spectral.yaml")?;
        let arguments = ["lint", "--fail-severity", "hint", "--ruleset"]
            .map(OsStr::new)
            .into_iter()
            .chain([config.as_os_str(), document]);
        check("spectral", &tools.spectral(), &arguments.collect::<Vec<_>>(), &[])?;

        let config = configuration("schemathesis.toml")?;
        let (seed, examples) = (args.seed.to_string(), args.examples.to_string());
        let mut arguments: Vec<&OsStr> =
            vec!["--config-file".as_ref(), config.as_os_str(), "run".as_ref(), document];
        let options = ["--url", &base, "--seed", &seed, "--max-examples", &examples, "--no-color"];
        arguments.extend(options.map(OsStr::new));
        let hooks = configuration("hooks.py")?;
        let variables = [(TOKEN, token.as_ref()), ("SCHEMATHESIS_HOOKS", hooks.as_os_str())];
        check("schemathesis", &tools.schemathesis(), &arguments, &variables)?;
    }
    server.stop()?;
    ensure!(failed.is_empty(), "there is something to mend: {}", failed.join(", "));
    println!("\nopenapi: all green");
    Ok(())
}

/// The configuration of a tool, wherever that tool is started.
fn configuration(name: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = Path::new(CONFIGURATIONS).join(name);
    path.canonicalize()
        .with_context(|| format!("find {}; run this at the root of the repository", path.display()))
}

/// What anybody gets at a path of the server.
fn fetch(server: &Server, path: &str) -> anyhow::Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let target = Target { address: server.address, token: None, asks: Vec::new() };
    let body = runtime.block_on(async {
        let mut connection = Connection::open(Arc::new(target)).await?;
        connection.answer(&Ask::get(path)).await
    })?;
    Ok(body.into())
}
