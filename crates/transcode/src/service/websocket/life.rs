//! Signs of life: each byte that the client sends, and the room that it makes for what is sent to it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When the client last gave a sign of life.
#[derive(Debug)]
pub(super) struct Life {
    last: Mutex<Instant>,
    /// Nobody listens to the client, as the service takes its time: then its silence says nothing.
    unheard: AtomicBool,
}

impl Life {
    pub(super) fn new() -> Self {
        Self { last: Mutex::new(Instant::now()), unheard: AtomicBool::new(false) }
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn listen(&self, listens: bool) {
        if self.unheard.swap(!listens, Ordering::Relaxed) == listens {
            self.sign();
        }
    }

    pub(super) fn is_heard(&self) -> bool {
        !self.unheard.load(Ordering::Relaxed)
    }

    /// Whether there was a sign since then.
    pub(super) fn since(&self, then: Instant) -> bool {
        self.last() >= then
    }

    /// For how long there was no sign.
    pub(super) fn silence(&self) -> Duration {
        self.last().elapsed()
    }

    /// Waits until there is no sign for so long, from now on.
    pub(super) async fn ends(&self, patience: Duration) {
        let from = Instant::now();
        loop {
            let silence = self.last().max(from).elapsed();
            if silence >= patience {
                return;
            }
            tokio::time::sleep(patience.saturating_sub(silence)).await;
        }
    }
}

/// A connection that notes what the client sends, and when it makes room after there was none. Room that was there from the start is
/// the system's, and no sign.
#[derive(Debug)]
pub(super) struct Watched<C> {
    connection: C,
    life: Arc<Life>,
    full: bool,
}

impl<C> Watched<C> {
    pub(super) fn new(connection: C, life: Arc<Life>) -> Self {
        Self { connection, life, full: false }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Watched<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = bytes.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, bytes);
        if bytes.filled().len() > before {
            self.life.sign();
        }
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Watched<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(cx, bytes);
        let was_full = std::mem::replace(&mut self.full, written.is_pending());
        if was_full && matches!(written, Poll::Ready(Ok(_))) {
            self.life.sign();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::pin::pin;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn room_that_is_made_is_a_sign_and_room_that_was_there_is_none() {
        let life = Arc::new(Life::new());
        let (connection, mut client) = tokio::io::duplex(8);
        let mut watched = Watched::new(connection, life.clone());
        let before = Instant::now();
        watched.write_all(&[0; 8]).await.unwrap();
        assert!(!life.since(before));
        let mut more = pin!(watched.write_all(&[0; 8]));
        assert!(futures::poll!(&mut more).is_pending());
        assert!(!life.since(before));
        client.read_exact(&mut [0; 8]).await.unwrap();
        more.await.unwrap();
        assert!(life.since(before));
    }

    #[tokio::test]
    async fn a_byte_that_comes_is_a_sign_and_the_end_is_none() {
        let life = Arc::new(Life::new());
        let (connection, mut client) = tokio::io::duplex(8);
        let mut watched = Watched::new(connection, life.clone());
        let before = Instant::now();
        client.write_all(b"x").await.unwrap();
        watched.read_exact(&mut [0]).await.unwrap();
        assert!(life.since(before));
        drop(client);
        let before = Instant::now();
        assert_eq!(watched.read(&mut [0]).await.unwrap(), 0);
        assert!(!life.since(before));
    }
}
