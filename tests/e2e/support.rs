//! A running server for the tests that only read or write beside each other; tests that need one for themselves start their own.

use authn::{Grant, Issuer, Keys, Role};
use riskmesh::http_client::Http;
use riskmesh_core::{Clock, SystemClock, TenantId};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use testkit::{Process, address_in};

/// The binary under test.
pub fn riskmesh() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_riskmesh"))
}

/// Runs a command to its end: whether it succeeded, and what it printed and complained of.
pub fn output(args: &[&str]) -> (bool, String, String) {
    let output = testkit::run(riskmesh(), args, &[]).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// A server on a directory.
pub struct Server {
    pub process: Process,
    pub edge: SocketAddr,
    pub admin: SocketAddr,
    pub data: PathBuf,
}

impl Server {
    /// Starts one and waits until it is ready. The quota is off: tests share API clients.
    pub fn start(data: &Path, more: &[&str]) -> Self {
        let data_dir = data.to_str().unwrap();
        let mut args =
            vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", data_dir];
        args.extend(more);
        let process = Process::start(riskmesh(), &args, &[("RISKMESH_RATE_LIMIT_PER_MINUTE", "0")]).unwrap();
        let greeting = process.wait_for("ready").unwrap();
        let address = |what: &str| {
            greeting.iter().find(|line| line.starts_with(what)).and_then(|line| address_in(line)).unwrap()
        };
        Self { edge: address("REST"), admin: address("metrics"), process, data: data.to_owned() }
    }

    /// A token of this server's issuer; it lives for an hour from `clock`'s now.
    pub fn token_at(&self, role: Role, tenant: &str, clock: Arc<dyn Clock>) -> String {
        self.granted(role, tenant, &format!("test-{role}"), &[], clock)
    }

    /// A token of an API client with these scopes.
    pub fn api_client(&self, client_id: &str, tenant: &str, scope: &[&str]) -> String {
        self.granted(Role::Client, tenant, client_id, scope, Arc::new(SystemClock))
    }

    fn granted(
        &self,
        role: Role,
        tenant: &str,
        client_id: &str,
        scope: &[&str],
        clock: Arc<dyn Clock>,
    ) -> String {
        let keys = Arc::new(Keys::load_or_create(&self.data.join("keys")).unwrap());
        let issuer = Issuer::new(keys, "riskmesh", "riskmesh-api", clock);
        let grant = Grant {
            sub: format!("test:{role}"),
            user_id: None,
            role,
            tenant: TenantId::new(tenant).unwrap(),
            scope: scope.iter().map(ToString::to_string).collect(),
            client_id: Some(client_id.to_owned()),
            ttl: Duration::from_hours(1),
        };
        issuer.issue(&grant).unwrap()
    }

    /// The same from now.
    pub fn token(&self, role: Role, tenant: &str) -> String {
        self.token_at(role, tenant, Arc::new(SystemClock))
    }

    /// A connection with a token of a role in a tenant.
    pub async fn as_role(&self, role: Role, tenant: &str) -> Http {
        Http::connect(self.edge, Some(self.token(role, tenant))).await.unwrap()
    }

    /// A connection with any token, or none.
    pub async fn with_token(&self, token: Option<String>) -> Http {
        Http::connect(self.edge, token).await.unwrap()
    }
}

/// The server that most tests share, with its sandbox. It lives as long as the test process; its directory is removed by the next
/// clean-up of temporary files.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<(Server, TempDir)> = OnceLock::new();
    &SHARED
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            (Server::start(dir.path(), &[]), dir)
        })
        .0
}

/// Waits for a condition, with a deadline.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(std::time::Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
