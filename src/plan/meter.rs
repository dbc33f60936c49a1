//! How much work an answer may still cost.
//!
//! A pure room has no clock, so work is counted in steps of a few nanoseconds; a caller who
//! has a clock may pass a question "go on?", which is asked every few thousand steps.

/// Steps that are about one second of work.
pub const SECOND: u64 = 120_000_000;

/// Steps between two questions.
const ASK: u64 = 100_000;

/// Steps left, and whom to ask.
pub struct Meter<'a> {
    left: u64,
    used: u64,
    asked: u64,
    stopped: bool,
    go_on: Option<&'a mut dyn FnMut() -> bool>,
}

impl<'a> Meter<'a> {
    pub fn new(nodes: u64) -> Self {
        Self { left: nodes, used: 0, asked: 0, stopped: false, go_on: None }
    }

    /// Stops also when `go_on` says no.
    pub fn asking(nodes: u64, go_on: &'a mut dyn FnMut() -> bool) -> Self {
        Self { go_on: Some(go_on), ..Self::new(nodes) }
    }

    /// Counts `steps`; `None` when they are not there any more.
    pub fn spend(&mut self, steps: u64) -> Option<()> {
        if self.used - self.asked >= ASK {
            self.asked = self.used;
            self.stopped |= self.go_on.as_mut().is_some_and(|go_on| !go_on());
        }
        if self.stopped {
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
