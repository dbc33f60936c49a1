//! The worst of late: a figure that is remembered for a while and then forgotten, and told of
//! once a minute at most.

use super::timing::{Nanos, SECOND};

/// How long the worst is remembered at least; it is forgotten after twice that.
pub const WINDOW: Nanos = 300 * SECOND;
/// One warning within this time.
const TELL: Nanos = 60 * SECOND;

/// The largest value within the present and the last window.
#[derive(Debug, Clone, Default)]
pub struct Recent<V> {
    present: V,
    last: V,
    until: Nanos,
    told: Option<Nanos>,
}

impl<V: Copy + Default + Ord> Recent<V> {
    /// Takes a value seen at `now`.
    pub fn take(&mut self, now: Nanos, value: V) {
        if now >= self.until {
            self.last = if now < self.until + WINDOW { self.present } else { V::default() };
            self.present = V::default();
            self.until = now + WINDOW;
        }
        self.present = self.present.max(value);
    }

    /// The worst of late.
    pub fn worst(&self) -> V {
        self.present.max(self.last)
    }

    /// Whether a warning is due now that something is `bad`.
    pub fn tells(&mut self, now: Nanos, bad: bool) -> bool {
        let due = bad && self.told.is_none_or(|at| now >= at + TELL);
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
    fn the_worst_is_forgotten_after_two_windows() {
        let mut recent = Recent::default();
        recent.take(0, 500);
        assert_eq!(recent.worst(), 500);
        recent.take(WINDOW, 100);
        assert_eq!(recent.worst(), 500, "the last window still counts");
        recent.take(3 * WINDOW, 100);
        assert_eq!(recent.worst(), 100);
    }

    #[test]
    fn a_warning_comes_once_a_minute() {
        let mut recent = Recent::<u16>::default();
        assert!(recent.tells(0, true));
        assert!(!recent.tells(SECOND, true));
        assert!(!recent.tells(90 * SECOND, false));
        assert!(recent.tells(90 * SECOND, true));
    }
}
