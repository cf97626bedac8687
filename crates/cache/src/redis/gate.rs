//! Who may ask a server that did not answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Open while the server answers. After a failure one request in a while goes through, to see.
pub(super) struct Gate {
    again_after: Duration,
    /// When the next request may try; none while it is open.
    next: Mutex<Option<Instant>>,
}

impl Gate {
    pub(super) fn new(again_after: Duration) -> Self {
        Self { again_after, next: Mutex::default() }
    }

    fn next(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may be made.
    pub(super) fn enter(&self) -> bool {
        let mut next = self.next();
        let Some(at) = *next else { return true };
        let now = Instant::now();
        if now < at {
            return false;
        }
        *next = Some(now + self.again_after);
        true
    }

    /// Opens it; says whether it was closed.
    pub(super) fn succeeded(&self) -> bool {
        self.next().take().is_some()
    }

    /// Closes it; says whether it was open.
    pub(super) fn failed(&self) -> bool {
        self.next().replace(Instant::now() + self.again_after).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_request_in_a_while_goes_through_until_one_succeeds() {
        let gate = Gate::new(Duration::from_millis(50));
        assert!(gate.enter() && gate.enter());
        assert!(gate.failed(), "it was open");
        assert!(!gate.failed(), "it was closed");
        assert!(!gate.enter());
        std::thread::sleep(Duration::from_millis(60));
        assert!(gate.enter());
        assert!(!gate.enter(), "one is under way");
        assert!(gate.succeeded(), "it was closed");
        assert!(gate.enter() && gate.enter() && !gate.succeeded());
    }
}
