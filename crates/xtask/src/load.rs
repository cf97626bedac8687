//! A small load generator: closed loop to find how much there is to get, open loop to measure how long it takes; over HTTP/1.1, or
//! whatever a [`Client`] speaks.
//!
//! In the open loop each request has an instant at which it is due, whatever became of those before it, and its time counts from
//! there: a server that stalls makes all the requests late that came due meanwhile, as it would for its users (G. Tene, "How NOT to
//! measure latency": coordinated omission).

use crate::times::Times;
use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How much longer than planned an open loop may take before it is given up: the rate is too high then.
const OVERTIME: Duration = Duration::from_secs(30);

/// Whoever asks one thing after the other.
pub(crate) trait Client: Send + 'static {
    /// Asks what is asked with this number; an answer that is not a success is an error.
    fn ask(&mut self, number: u64) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    /// JSON, if there is any.
    body: Bytes,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: Bytes::new() }
    }

    pub(crate) fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, path: path.into(), body: body.into() }
    }
}

/// Where requests go.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
    /// What is asked, in turn.
    pub(crate) asks: Vec<Ask>,
}

/// One connection of HTTP/1.1, kept alive.
pub(crate) struct Connection {
    send: SendRequest<Full<Bytes>>,
    target: Arc<Target>,
}

impl Connection {
    pub(crate) async fn open(target: Arc<Target>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target.address).await.context("connect")?;
        stream.set_nodelay(true)?;
        let (send, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { send, target })
    }

    /// As many connections.
    pub(crate) async fn open_all(target: &Arc<Target>, count: usize) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(Self::open(target.clone()).await?);
        }
        Ok(all)
    }

    /// Asks, and waits for the first bytes of an answer that goes on as long as what is given here is kept.
    pub(crate) async fn start(mut self, ask: &Ask) -> anyhow::Result<impl Sized + use<>> {
        let request = self.request(ask)?;
        let answer = async {
            let mut response = self.send.send_request(request).await?;
            let first = response.frame().await.transpose()?;
            Ok::<_, hyper::Error>((response, first.is_some()))
        };
        let (response, begun) =
            tokio::time::timeout(ANSWER_LIMIT, answer).await.context("no answer in time")??;
        ensure!(begun && response.status().as_u16() == 200, "{}: status {}", ask.path, response.status());
        Ok((self, response))
    }

    /// Asks, and gives the body of an answer with status 200.
    pub(crate) async fn answer(&mut self, ask: &Ask) -> anyhow::Result<Bytes> {
        let request = self.request(ask)?;
        let answer = async {
            self.send.ready().await?;
            let (parts, body) = self.send.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((parts.status, body.collect().await?.to_bytes()))
        };
        let (status, body) =
            tokio::time::timeout(ANSWER_LIMIT, answer).await.context("no answer in time")??;
        ensure!(status.as_u16() == 200, "{}: status {status}: {}", ask.path, String::from_utf8_lossy(&body));
        Ok(body)
    }

    fn request(&self, ask: &Ask) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.path.parse()?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.address.to_string().try_into()?);
        if let Some(token) = &self.target.token {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").try_into()?);
        }
        if !ask.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }
}

impl Client for Connection {
    async fn ask(&mut self, number: u64) -> anyhow::Result<()> {
        let target = self.target.clone();
        let ask = &target.asks[(number % target.asks.len() as u64) as usize];
        self.answer(ask).await.map(drop)
    }
}

/// What a closed loop found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// Requests that were answered.
    pub(crate) count: u64,
    /// And that a second.
    pub(crate) per_s: f64,
}

/// How many requests these clients get answered, each asking again as soon as it has its answer.
pub(crate) async fn closed<C: Client>(clients: Vec<C>, time: Duration) -> anyhow::Result<Closed> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for mut client in clients {
        let next = next.clone();
        tasks.spawn(async move {
            while start.elapsed() < time {
                client.ask(next.fetch_add(1, Ordering::Relaxed)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let count = next.load(Ordering::Relaxed);
    Ok(Closed { count, per_s: count as f64 / start.elapsed().as_secs_f64() })
}

/// What an open loop found.
pub(crate) struct Open {
    /// From when a request was due to the end of its answer.
    pub(crate) times: Times,
    /// Requests a second that were answered.
    pub(crate) per_s: f64,
}

/// Sends `rate` requests a second for some time, evenly, over whichever of the clients is free.
pub(crate) async fn open<C: Client>(clients: Vec<C>, rate: f64, time: Duration) -> anyhow::Result<Open> {
    ensure!(rate.is_finite() && rate > 0.0, "a rate of {rate} requests a second");
    let count = clients.len();
    let schedule = Arc::new(Schedule {
        start: Instant::now(),
        interval: 1.0 / rate,
        count: (rate * time.as_secs_f64()) as u64,
    });
    let (due, next) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let (due, next, schedule) = (due.clone(), next.clone(), schedule.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            loop {
                due.acquire().await?.forget();
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= schedule.count {
                    return anyhow::Ok(times);
                }
                client.ask(number).await?;
                times.push(schedule.at(number).elapsed());
            }
        });
    }
    let pacer = {
        let (due, schedule) = (due.clone(), schedule.clone());
        // A thread of its own: the runtime's timer counts in milliseconds.
        std::thread::spawn(move || pace(&due, &schedule, count))
    };
    let gather = async {
        let mut times = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            times.extend(ended??);
        }
        anyhow::Ok(times)
    };
    let gathered = tokio::time::timeout(time + OVERTIME, gather).await;
    let took = schedule.start.elapsed().as_secs_f64();
    due.close();
    if pacer.join().is_err() {
        bail!("the pacer panicked");
    }
    let times = gathered.context("the server does not keep up with the rate")??;
    Ok(Open { per_s: times.len() as f64 / took, times: Times::new(times) })
}

/// When which request is due.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    start: Instant,
    /// Seconds from one request to the next.
    interval: f64,
    count: u64,
}

impl Schedule {
    fn at(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 * self.interval)
    }

    /// How many are due by now.
    fn due(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start).as_secs_f64();
        ((elapsed / self.interval) as u64 + 1).min(self.count)
    }
}

/// Lets requests go as they come due; in the end tells each client that there are no more. Ends early if nobody sends any more.
fn pace(due: &Semaphore, schedule: &Schedule, clients: usize) {
    let mut released = 0;
    while released < schedule.count && !due.is_closed() {
        let now = Instant::now();
        let by_now = schedule.due(now).max(released);
        due.add_permits((by_now - released) as usize);
        released = by_now;
        std::thread::sleep(schedule.at(released).saturating_duration_since(now).min(ANSWER_LIMIT));
    }
    due.add_permits(clients);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    #[test]
    fn requests_are_due_evenly_and_no_more_than_planned() {
        let schedule = Schedule { start: Instant::now(), interval: 0.01, count: 5 };
        let after = |ms| schedule.due(schedule.start + Duration::from_millis(ms));
        assert_eq!((after(0), after(5), after(15), after(38), after(1000)), (1, 1, 2, 4, 5));
        assert_eq!(schedule.at(3), schedule.start + Duration::from_millis(30));
    }

    /// A server of one connection that stalls once, before its first answer, until 200 ms have gone.
    fn stalling() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut stall = Some(Duration::from_millis(200));
            for line in lines.map_while(Result::ok) {
                if line.is_empty() {
                    if let Some(stall) = stall.take() {
                        std::thread::sleep(stall);
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn a_stall_counts_for_every_request_that_came_due_meanwhile() {
        let target = Target { address: stalling(), token: None, asks: vec![Ask::get("/")] };
        let clients = Connection::open_all(&Arc::new(target), 1).await.unwrap();
        let open = open(clients, 100.0, Duration::from_millis(400)).await.unwrap();
        assert_eq!(open.times.len(), 40);
        // Twenty requests came due in the stall, ten of them with 100 ms of it or more to go.
        assert!(open.times.quantile(0.75) >= Duration::from_millis(90), "{:?}", open.times.quantile(0.75));
        assert!(open.times.quantile(1.0) >= Duration::from_millis(199));
    }
}
