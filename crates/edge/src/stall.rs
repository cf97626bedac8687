//! Connections whose other side does not read: what cannot be sent for too long is given up, so that nobody holds a place by taking
//! his answer a byte an hour. And those whose other side still sends when we close: what it sends is read off for a moment, or the
//! machine would reset the connection and the answer would be lost with it (RFC 9112, section 9.6).

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long, and how much, is read off a connection that we close.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

/// Whether the other side of a connection is still to send when we close it: then its next byte is waited for. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lingers(Arc<AtomicBool>);

impl Lingers {
    /// It is: an answer goes before all of its request was read.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that fails with [`io::ErrorKind::TimedOut`] when nothing could be written for a time, while there was something to
/// write.
pub(crate) struct Stalling {
    stream: TcpStream,
    limit: Duration,
    lingers: Lingers,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
    /// Once our side is closed and the other still sends: until when, and how many bytes more.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Stalling {
    pub(crate) fn new(stream: TcpStream, limit: Duration, lingers: Lingers) -> Self {
        Self { stream, limit, lingers, timer: None, lingering: None }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), cx) {
            self.timer = None;
            return Poll::Ready(written);
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads off what still comes, until the other side closes too. One that has sent all that it had to send is not waited for.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers.get() {
            self.lingering.get_or_insert_with(lingering);
        }
        let mut scratch = [std::mem::MaybeUninit::uninit(); 16 << 10];
        loop {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            let read = match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => buffer.filled().len(),
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Pending => match &mut self.lingering {
                    Some((until, _)) => return until.as_mut().poll(cx).map(Ok),
                    None => return Poll::Ready(Ok(())),
                },
            };
            let (_, left) = self.lingering.get_or_insert_with(lingering);
            if read == 0 || *left < read {
                return Poll::Ready(Ok(()));
            }
            *left -= read;
        }
    }
}

/// The bounds, from now on.
fn lingering() -> (Pin<Box<Sleep>>, usize) {
    (Box::pin(sleep(LINGER)), LINGER_BYTES)
}

impl AsyncRead for Stalling {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stalling {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.watch(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(self.watch(cx, AsyncWrite::poll_shutdown))?;
        }
        self.linger(cx)
    }
}
