//! Answers over HTTP/2 whose callers do not take them. The connection lives, so that nothing closes it; but a stream without room in its
//! window holds its answer for as long as its caller likes (CVE-2019-9517 and its kin), unless it is given up.

use crate::activity::Activity;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep};

tokio::task_local! {
    static TURN: Turn;
}

/// Whose turn it is in a stream: ours, to give the next piece of the answer, or the caller's, to take the last one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn(Arc<AtomicUsize>);

/// How much one piece counts; the bit below says whether the next one was asked for.
const PIECE: usize = 2;

impl Turn {
    /// That of the stream whose task this is.
    pub(crate) fn current() -> Option<Self> {
        TURN.try_with(Clone::clone).ok()
    }

    /// There is room for another piece.
    pub(crate) fn asked(&self) {
        self.0.fetch_or(1, Ordering::Relaxed);
    }

    /// A piece was given.
    pub(crate) fn given(&self) {
        self.0.fetch_add(PIECE, Ordering::Relaxed);
        self.0.fetch_and(!1, Ordering::Relaxed);
    }

    /// The piece that the caller is to take.
    fn callers(&self) -> Option<usize> {
        let now = self.0.load(Ordering::Relaxed);
        (now > 0 && now.is_multiple_of(PIECE)).then_some(now)
    }
}

/// Runs the streams of an HTTP/2 connection; one whose caller has not taken a piece for so long is reset.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    /// How long a caller may take for a piece.
    pub(crate) limit: Duration,
    /// Whose streams they are.
    pub(crate) activity: Activity,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let (turn, limit, open) = (Turn::default(), self.limit, self.activity.stream());
        tokio::spawn(TURN.scope(turn.clone(), async move {
            paced(stream, turn, limit).await;
            drop(open);
        }));
    }
}

/// Drops the stream where it waits for its caller for too long: hyper then resets it.
async fn paced<F: Future>(stream: F, turn: Turn, limit: Duration) {
    let (mut stream, mut timer) = (pin!(stream), pin!(sleep(limit)));
    let mut waits_for = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let callers = turn.callers();
        if callers != waits_for {
            waits_for = callers;
            timer.as_mut().reset(Instant::now() + limit);
        }
        match waits_for {
            Some(_) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    })
    .await;
}
