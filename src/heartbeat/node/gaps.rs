//! Near misses: the longest gap on each path of late, as a share of S.

use crate::heartbeat::timing::{Nanos, SECOND};

/// How long a gap is remembered at least.
const WINDOW: Nanos = 300 * SECOND;

/// The longest gaps of both paths.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// Between round trips with the peer that was heard least.
    pub network: Gap,
    /// Between completed disk cycles.
    pub disk: Gap,
}

/// The longest gap of one path within the present and the last window, in thousandths of S.
#[derive(Debug, Clone, Default)]
pub struct Gap {
    present: u16,
    last: u16,
    until: Nanos,
    told: Option<Nanos>,
}

impl Gap {
    /// Takes a gap that ended at `now`.
    pub fn take(&mut self, now: Nanos, gap: Nanos, s: Nanos) {
        if now >= self.until {
            self.last = if now < self.until + WINDOW { self.present } else { 0 };
            self.present = 0;
            self.until = now + WINDOW;
        }
        let share = gap.saturating_mul(1000) / s.max(1);
        self.present = self.present.max(u16::try_from(share).unwrap_or(u16::MAX));
    }

    /// The longest gap, in thousandths of S.
    pub fn share(&self) -> u16 {
        self.present.max(self.last)
    }

    /// Whether a warning is due for a path whose evidence has this age: past half of S, at most
    /// once a minute.
    pub fn warns(&mut self, now: Nanos, age: Nanos, s: Nanos) -> bool {
        let due = 2 * age > s && self.told.is_none_or(|at| now >= at + 60 * SECOND);
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
    fn a_gap_is_forgotten_after_two_windows_and_warned_of_once_a_minute() {
        let mut gap = Gap::default();
        gap.take(0, 3 * SECOND, 6 * SECOND);
        assert_eq!(gap.share(), 500);
        gap.take(WINDOW, SECOND, 10 * SECOND);
        assert_eq!(gap.share(), 500, "the last window still counts");
        gap.take(3 * WINDOW, SECOND, 10 * SECOND);
        assert_eq!(gap.share(), 100);
        assert!(gap.warns(0, 4 * SECOND, 6 * SECOND));
        assert!(!gap.warns(SECOND, 4 * SECOND, 6 * SECOND));
        assert!(!gap.warns(90 * SECOND, 2 * SECOND, 6 * SECOND));
        assert!(gap.warns(90 * SECOND, 4 * SECOND, 6 * SECOND));
    }
}
