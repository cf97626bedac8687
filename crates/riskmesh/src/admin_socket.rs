//! The admin socket: a Unix socket in the data directory, by which commands reach the process that owns the directory. It serves the
//! same gRPC services through the same checks, and the operator's besides; callers bring tokens, which whoever can read the directory's
//! keys can make.

use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use mesh::Routed;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::ServiceExt as _;

/// The socket's name in the data directory.
const NAME: &str = "admin.sock";
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// The longest path that fits into a socket's address.
const MAX_PATH: usize = 100;

/// A call to the services, from wherever it is made.
pub type AnyChannel = tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// Where the socket of a data directory is. Paths of any depth work: a long one gets a short link beside the temporary files.
fn address(data_dir: &Path) -> io::Result<PathBuf> {
    let path = data_dir.canonicalize()?.join(NAME);
    if path.as_os_str().len() <= MAX_PATH {
        return Ok(path);
    }
    let name = bus::event::id(&[b"admin-socket", path.as_os_str().as_encoded_bytes()]);
    Ok(std::env::temp_dir().join(format!("riskmesh-{}.sock", name.simple())))
}

/// Serves on the socket until `stop` is cancelled.
pub fn serve(
    data_dir: &Path,
    routed: Routed,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> io::Result<()> {
    let path = address(data_dir)?;
    // This process owns the directory, so a socket that lies there is a former owner's.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let connections = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    let served = tasks.clone();
    tasks.spawn(async move {
        while let Some(Ok(permit)) = stop.run_until_cancelled(connections.clone().acquire_owned()).await {
            let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
            let Ok((stream, _)) = accepted else { continue };
            let service =
                routed.clone().map_request(|request: Request<hyper::body::Incoming>| request.map(Body::new));
            let stop = stop.clone();
            served.spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
                let connection =
                    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                tokio::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = stop.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.await;
                    }
                }
                drop(permit);
            });
        }
        let _ = std::fs::remove_file(&path);
    });
    Ok(())
}

/// Connects to the process that owns a data directory; `None` where there is none.
pub async fn connect(data_dir: &Path) -> io::Result<Option<AnyChannel>> {
    let path = match address(data_dir) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A first connection tells whether somebody listens.
    match UnixStream::connect(&path).await {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://admin.local").connect_with_connector_lazy(connector);
    Ok(Some(AnyChannel::new(channel.map_err(|error| Status::from_error(Box::new(error))))))
}
