//! Near misses: the longest gap on each path of late, as a share of S.

use crate::heartbeat::recent::Recent;
use crate::heartbeat::timing::Nanos;

/// The longest gaps of both paths.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// Between round trips with the peer that was heard least.
    pub network: Gap,
    /// Between completed disk cycles.
    pub disk: Gap,
}

/// The longest gap of one path of late, in thousandths of S.
#[derive(Debug, Clone, Default)]
pub struct Gap(Recent<u16>);

impl Gap {
    /// Takes a gap that ended at `now`.
    pub fn take(&mut self, now: Nanos, gap: Nanos, s: Nanos) {
        let share = gap.saturating_mul(1000) / s.max(1);
        self.0.take(now, u16::try_from(share).unwrap_or(u16::MAX));
    }

    /// The longest gap, in thousandths of S.
    pub fn share(&self) -> u16 {
        self.0.worst()
    }

    /// Whether a warning is due for a path whose evidence has this age: past half of S.
    pub fn warns(&mut self, now: Nanos, age: Nanos, s: Nanos) -> bool {
        self.0.tells(now, 2 * age > s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::timing::SECOND;

    #[test]
    fn a_gap_is_a_share_of_s_and_warned_of_past_its_half() {
        let mut gap = Gap::default();
        gap.take(0, 3 * SECOND, 6 * SECOND);
        assert_eq!(gap.share(), 500);
        assert!(!gap.warns(SECOND, 3 * SECOND, 6 * SECOND));
        assert!(gap.warns(SECOND, 4 * SECOND, 6 * SECOND));
    }
}
