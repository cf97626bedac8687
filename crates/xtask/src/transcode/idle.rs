//! Memory of server streams that are open and silent: each has given one message, and waits. Over HTTP/1.1 each has a connection
//! of its own, whose memory counts; over HTTP/2 many share one.

use super::peers::{self, Server, Subject};
use super::{Bench, usage};
use crate::load::{Ask, Connection, Target};
use crate::report::Measurement;
use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

const STREAMS: usize = 1000;
/// Streams of a connection of HTTP/2: what servers commonly allow.
const SHARED: usize = 100;
/// What one may take, in kB.
const GOAL_KB: f64 = 20.0;
const PATH: &str = "/v1/accounts/a/transactions:watch";

pub(super) fn measure(
    bench: &Bench,
    print: &impl Fn(&Measurement) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    for over in ["HTTP/1.1", "HTTP/2"] {
        let upstream = peers::upstream()?;
        let front = peers::start(bench, Subject::Riskmesh, upstream.address)?.context("no front")?;
        let grown = match over {
            "HTTP/1.1" => runtime.block_on(over_http1(&front))?,
            _ => runtime.block_on(over_http2(&front))?,
        };
        let kb = grown as f64 / 1000.0 / STREAMS as f64;
        print(
            &Measurement::new("idle_streams", format!("kb_a_stream < {GOAL_KB}"), kb < GOAL_KB)
                .with("subject", Subject::Riskmesh.name())
                .with("over", over)
                .with("streams", STREAMS)
                .with_decimals("kb_a_stream", kb),
        )?;
    }
    Ok(())
}

/// By how many bytes the front grows.
async fn over_http1(front: &Server) -> anyhow::Result<u64> {
    let target = Arc::new(Target { address: front.address, token: None, asks: Vec::new() });
    let stream = async || Connection::open(target.clone()).await?.start(&Ask::get(PATH)).await;
    // The first stream opens the connection to the upstream, which all share.
    let mut open = vec![stream().await?];
    let before = usage::resident(front.process.id())?;
    for _ in 0..STREAMS {
        open.push(stream().await?);
    }
    Ok(usage::resident(front.process.id())?.saturating_sub(before))
}

async fn over_http2(front: &Server) -> anyhow::Result<u64> {
    let mut first = connect(front.address).await?;
    let mut open = vec![start(&mut first, front.address).await?];
    let before = usage::resident(front.process.id())?;
    for _ in 0..STREAMS / SHARED {
        let mut connection = connect(front.address).await?;
        for _ in 0..SHARED {
            open.push(start(&mut connection, front.address).await?);
        }
    }
    Ok(usage::resident(front.process.id())?.saturating_sub(before))
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    stream.set_nodelay(true)?;
    let (send, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(send)
}

/// Opens a stream and waits for its first message; it goes on as long as what is given here is kept.
async fn start(
    connection: &mut SendRequest<Empty<Bytes>>,
    address: SocketAddr,
) -> anyhow::Result<impl Sized + use<>> {
    let request = Request::get(format!("http://{address}{PATH}")).body(Empty::new())?;
    let mut response = connection.send_request(request).await?;
    let begun = response.frame().await.transpose()?.is_some();
    ensure!(begun && response.status().as_u16() == 200, "{PATH}: status {}", response.status());
    Ok(response)
}
