//! How late the loop woke: a gap that the scheduler made is one that no network and no disk
//! explains.

use crate::heartbeat::timing::{Nanos, SECOND};

/// How long the worst is remembered at least; it is forgotten after twice that.
const WINDOW: Nanos = 300 * SECOND;
/// One line of history within this time.
const TELL: Nanos = 60 * SECOND;

/// The longest time of late by which the loop woke after the time that it had asked for.
#[derive(Debug, Default)]
pub struct Wakes {
    present: Nanos,
    last: Nanos,
    until: Nanos,
    told: Option<Nanos>,
}

impl Wakes {
    /// The loop asked to be woken at `wanted` and runs at `now`.
    pub fn take(&mut self, wanted: Nanos, now: Nanos) -> Nanos {
        if now >= self.until {
            self.last = if now < self.until + WINDOW { self.present } else { 0 };
            self.present = 0;
            self.until = now + WINDOW;
        }
        let late = now.saturating_sub(wanted);
        self.present = self.present.max(late);
        late
    }

    /// The worst of late.
    pub fn worst(&self) -> Nanos {
        self.present.max(self.last)
    }

    /// Whether a line of history is due, for a delay that is longer than a beat.
    pub fn tells(&mut self, now: Nanos, late: Nanos, beat: Nanos) -> bool {
        let due = late > beat && self.told.is_none_or(|at| now >= at + TELL);
        if due {
            self.told = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_delay_is_kept_for_a_window_and_told_once_a_minute() {
        let mut wakes = Wakes::default();
        assert_eq!(wakes.take(SECOND, 3 * SECOND), 2 * SECOND);
        wakes.take(4 * SECOND, 4 * SECOND);
        wakes.take(5 * SECOND, 4 * SECOND);
        assert_eq!(wakes.worst(), 2 * SECOND);
        wakes.take(WINDOW + 5 * SECOND, WINDOW + 5 * SECOND);
        assert_eq!(wakes.worst(), 2 * SECOND, "the last window still counts");
        wakes.take(3 * WINDOW, 3 * WINDOW);
        assert_eq!(wakes.worst(), 0);
        assert!(!wakes.tells(0, SECOND, SECOND) && wakes.tells(0, SECOND + 1, SECOND));
        assert!(!wakes.tells(SECOND, 9 * SECOND, SECOND) && wakes.tells(TELL, 9 * SECOND, SECOND));
    }
}
