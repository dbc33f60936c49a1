//! A session that the daemon refuses to start is tried again, but not at once: most reasons stand
//! until a person acts, and each try would be noted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long after a refused start the next one is tried.
const AGAIN: Duration = Duration::from_secs(5);

/// The last start that was refused.
#[derive(Debug, Default)]
pub struct RefusedStart(Mutex<Option<Last>>);

#[derive(Debug)]
struct Last {
    generation: Uuid,
    why: String,
    at: Instant,
}

impl RefusedStart {
    /// Takes a refusal; whether it is another one than the last.
    pub fn take(&self, generation: Uuid, why: &str) -> bool {
        let now = Last { generation, why: why.to_owned(), at: Instant::now() };
        let last = self.last().replace(now);
        last.is_none_or(|last| (last.generation, last.why.as_str()) != (generation, why))
    }

    /// Whether this session was refused just now.
    pub fn is_fresh(&self, generation: Uuid) -> bool {
        let fresh = |last: &Last| last.generation == generation && last.at.elapsed() < AGAIN;
        self.last().as_ref().is_some_and(fresh)
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once_and_holds_up_its_own_session_alone() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let refused = RefusedStart::default();
        assert!(!refused.is_fresh(one));
        assert!(refused.take(one, "no such address"));
        assert!(refused.is_fresh(one) && !refused.is_fresh(two));
        assert!(!refused.take(one, "no such address"));
        assert!(refused.take(one, "the port is in use"));
        assert!(refused.take(two, "the port is in use"));
        assert!(refused.is_fresh(two) && !refused.is_fresh(one));
    }
}
