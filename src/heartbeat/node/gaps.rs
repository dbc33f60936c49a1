//! Near misses: the longest gap on each path of late, as a share of S, and how long its round trips
//! or cycles took.

use crate::heartbeat::liveset::PathStatus;
use crate::heartbeat::recent::Recent;
use crate::heartbeat::timing::{MILLISECOND, Nanos};

/// What is remembered of both paths.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// Round trips with the peers.
    pub network: Gap,
    /// Completed disk cycles.
    pub disk: Gap,
}

/// One path of late: the longest gap, in thousandths of S, and how long its signs took.
#[derive(Debug, Clone, Default)]
pub struct Gap {
    worst: Recent<u16>,
    latest: Option<Nanos>,
    longest: Recent<Nanos>,
    /// How far the shortest is from the longest that there could be.
    shortest: Recent<Nanos>,
}

impl Gap {
    /// Takes a gap that ended at `now` with a sign that took so long.
    pub fn take(&mut self, now: Nanos, gap: Nanos, took: Nanos, s: Nanos) {
        self.worst.take(now, thousandths(gap, s));
        self.latest = Some(took);
        self.longest.take(now, took);
        self.shortest.take(now, Nanos::MAX - took);
    }

    /// The longest gap, in thousandths of S.
    pub fn share(&self) -> u16 {
        self.worst.worst()
    }

    /// The path as others may know it.
    pub fn status(&self, s: Nanos) -> PathStatus {
        let ms = |nanos: Nanos| nanos / MILLISECOND;
        let longest = self.longest.worst();
        PathStatus {
            latest_ms: self.latest.map(ms),
            longest_ms: self.latest.map(|_| ms(longest)),
            shortest_ms: self.latest.map(|_| ms(Nanos::MAX - self.shortest.worst())),
            worst_gap_share: f64::from(self.share()) / 1000.0,
            worst_latency_share: f64::from(thousandths(longest, s)) / 1000.0,
        }
    }

    /// Whether a warning is due for a path whose evidence has this age: past half of S.
    pub fn warns(&mut self, now: Nanos, age: Nanos, s: Nanos) -> bool {
        self.worst.tells(now, 2 * age > s)
    }
}

fn thousandths(of: Nanos, s: Nanos) -> u16 {
    u16::try_from(of.saturating_mul(1000) / s.max(1)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::timing::SECOND;

    #[test]
    fn a_gap_is_a_share_of_s_and_warned_of_past_its_half() {
        let mut gap = Gap::default();
        gap.take(0, 3 * SECOND, SECOND, 6 * SECOND);
        assert_eq!(gap.share(), 500);
        assert!(!gap.warns(SECOND, 3 * SECOND, 6 * SECOND));
        assert!(gap.warns(SECOND, 4 * SECOND, 6 * SECOND));
    }

    #[test]
    fn the_longest_and_the_shortest_of_late_are_true_ones() {
        let mut gap = Gap::default();
        assert_eq!(gap.status(8 * SECOND), PathStatus::default());
        for ms in [40, 2000, 20, 30] {
            gap.take(SECOND, SECOND, ms * MILLISECOND, 8 * SECOND);
        }
        let status = gap.status(8 * SECOND);
        let figures = (status.latest_ms, status.longest_ms, status.shortest_ms);
        assert_eq!(figures, (Some(30), Some(2000), Some(20)));
        assert_eq!((status.worst_gap_share, status.worst_latency_share), (0.125, 0.25));
    }
}
