//! How much work an answer may still cost.
//!
//! Work is counted in steps of a few nanoseconds, so that an answer depends on the question alone.
//! A caller who has a clock may set a limit to the time as well: it is looked at every few thousand
//! steps.

use super::Budget;

/// Steps that are about one second of work.
pub const SECOND: u64 = 120_000_000;

/// Steps between two looks at the clock.
const LOOK: u64 = 100_000;

/// Steps left, and until when.
pub struct Meter {
    left: u64,
    used: u64,
    looked: u64,
    over: bool,
    /// The caller's clock, and the time at which work ends by it.
    until: Option<(fn() -> u64, u64)>,
}

impl Meter {
    /// So many steps, however long they take.
    pub fn new(nodes: u64) -> Self {
        Self { left: nodes, used: 0, looked: 0, over: false, until: None }
    }

    /// What a budget allows, from now on.
    pub fn of(budget: &Budget) -> Self {
        let until = budget.time.map(|limit| (limit.now, (limit.now)().saturating_add(limit.most)));
        Self { until, ..Self::new(budget.nodes) }
    }

    /// So many steps for a question beside this one, which ends at the same time.
    pub fn beside(&self, nodes: u64) -> Self {
        Self { until: self.until, ..Self::new(nodes) }
    }

    /// Counts `steps`; `None` when they are not there any more.
    pub fn spend(&mut self, steps: u64) -> Option<()> {
        if self.used - self.looked >= LOOK {
            self.looked = self.used;
            self.over |= self.until.is_some_and(|(now, until)| now() >= until);
        }
        if self.over {
            return None;
        }
        self.used += steps.min(self.left);
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Some(())
            }
            None => {
                self.left = 0;
                None
            }
        }
    }

    pub fn left(&self) -> u64 {
        self.left
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    /// Runs `work` with at most `most` of the steps that are left.
    pub fn at_most<T>(&mut self, most: u64, work: impl FnOnce(&mut Self) -> T) -> T {
        let kept = self.left.saturating_sub(most);
        self.left -= kept;
        let done = work(self);
        self.left += kept;
        done
    }
}
