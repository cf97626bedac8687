//! On a real server: one for each test that stops it or changes its settings, one for the others.

#![allow(clippy::unwrap_used, reason = "tests")]

mod conformance;
mod faults;
mod quotas;
mod shared;

use riskmesh_cache::redis::{Options, Redis};
use servers::{Engine, Server};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Where a server's data is; what another run left is gone.
fn fresh(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("redis").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    dir
}

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(Engine::Redis, &fresh("shared")).unwrap());

fn connect(server: &Server) -> Arc<Redis> {
    // A busy machine takes its time.
    let options = Options::new(server.address().to_string()).timeout(Duration::from_secs(2));
    Arc::new(Redis::new(options).unwrap())
}

/// Sends a command as text, and gives the answer's first line.
fn command(server: &Server, command: &str) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
