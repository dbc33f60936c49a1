//! Every timer of the protocol, derived from T, the one number that the administrator gives.
//!
//! `S` is how old evidence may grow before its path is suspect; `L = T - S` is what is left to
//! decide a view before the first lease ends; `b` is the period of beats and disk cycles (R1).

use serde::{Deserialize, Serialize};

/// A point in time or a span, in nanoseconds of CLOCK_BOOTTIME.
pub type Nanos = u64;

/// Nanoseconds in one second.
pub const SECOND: Nanos = 1_000_000_000;
/// Nanoseconds in one millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// The smallest T that can be asked for, in seconds.
pub const SMALLEST_T: u32 = 3;
/// The largest T that can be asked for, in seconds.
pub const LARGEST_T: u32 = 3600;

/// Why no timers follow from a T.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// T is outside of what the protocol can do at all.
    #[error("a time-out of {asked} s is outside of {SMALLEST_T} to {LARGEST_T} s")]
    OutOfRange {
        /// The T asked for, in seconds.
        asked: u32,
    },
    /// The watchdog can only be set in steps that are too coarse.
    #[error("the watchdog counts in steps of {step_ms} ms; T must be at least {least_s} s")]
    WatchdogTooCoarse {
        /// The watchdog's step in milliseconds.
        step_ms: u64,
        /// The smallest T that leaves room, in seconds.
        least_s: u32,
    },
    /// A disk cycle takes too long for six beats to fit into S.
    #[error("a disk cycle takes {cycle_ms} ms; T must be at least {least_s} s")]
    DiskTooSlow {
        /// The measured cycle (write and read, p99.9) in milliseconds.
        cycle_ms: u64,
        /// The smallest T that leaves room, in seconds.
        least_s: u32,
    },
}

/// The timers that follow from T, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// T: how long after the oldest evidence a lease ends.
    pub t: Nanos,
    /// L: what is left of T to decide a view once a path is suspect.
    pub l: Nanos,
    /// S: the age at which evidence makes its path suspect.
    pub s: Nanos,
    /// b: the period of beats and of disk cycles.
    pub beat: Nanos,
    /// What a judge adds to T: clock rate (1 % of T) and the watchdog's slack.
    pub margin: Nanos,
}

/// What a path may fail without resetting anybody, in nanoseconds (the promise of R1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// A disturbance of the network.
    pub network: Nanos,
    /// A disturbance of the disk.
    pub disk: Nanos,
    /// A stall of the daemon.
    pub stall: Nanos,
}

impl Timing {
    /// Derives the timers from T in seconds, the number of hosts, the measured disk cycle and
    /// the watchdog's step (both in nanoseconds, zero when unknown or exact).
    pub fn new(t_s: u32, hosts: usize, cycle: Nanos, step: Nanos) -> Result<Self, TimingError> {
        if !(SMALLEST_T..=LARGEST_T).contains(&t_s) {
            return Err(TimingError::OutOfRange { asked: t_s });
        }
        let least = |fits: &dyn Fn(&Timing) -> bool| {
            (t_s..=LARGEST_T)
                .find(|t_s| Self::derive(*t_s, hosts, cycle, step).is_some_and(|t| fits(&t)))
                .unwrap_or(LARGEST_T)
        };
        let timing = Self::derive(t_s, hosts, cycle, step).filter(Timing::has_room);
        let Some(timing) = timing else {
            let least_s = least(&Timing::has_room);
            return Err(TimingError::DiskTooSlow { cycle_ms: cycle / MILLISECOND, least_s });
        };
        // A lease is programmed rounded down to a step; more than half of L lost that way would
        // end leases that the rules still count on.
        let fine = |timing: &Timing| timing.has_room() && step * 2 <= timing.l;
        if !fine(&timing) {
            let least_s = least(&fine);
            return Err(TimingError::WatchdogTooCoarse { step_ms: step / MILLISECOND, least_s });
        }
        Ok(timing)
    }

    fn derive(t_s: u32, hosts: usize, cycle: Nanos, step: Nanos) -> Option<Self> {
        let t = u64::from(t_s) * SECOND;
        let longest = if hosts > 16 { SECOND } else { SECOND / 2 };
        let six_beats = (t / 5).min(6 * longest).max(6 * cycle);
        let l = (t / 8).max(six_beats).max(SECOND).min((10 * SECOND).max(6 * cycle));
        let beat = (l / 6).min(longest).max(cycle);
        let s = t.checked_sub(l)?;
        Some(Timing { t, l, s, beat, margin: t / 100 + step })
    }

    fn has_room(&self) -> bool {
        self.s >= 6 * self.beat
    }

    /// G: two hosts count as connected, and a host as present, under this age (R3.3).
    pub fn connected(&self) -> Nanos {
        self.s - 2 * self.beat
    }

    /// T and the margin: what a judge waits after the last sign of a host (R5.1, R5.2).
    pub fn death(&self) -> Nanos {
        self.t + self.margin
    }

    /// How long a disturbance of each kind may last without resetting anybody.
    pub fn promise(&self) -> Promise {
        Promise {
            network: self.s - 3 * self.beat,
            disk: self.s - 2 * self.beat,
            stall: self.s - 3 * self.beat,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_rules_holds() {
        for (t, l, s, b) in [
            (3, 1.0, 2.0, 0.17),
            (10, 2.0, 8.0, 0.33),
            (30, 3.75, 26.25, 0.5),
            (60, 7.5, 52.5, 0.5),
        ] {
            let timing = Timing::new(t, 3, 0, 0).unwrap();
            let seconds = |n: Nanos| n as f64 / SECOND as f64;
            assert!((seconds(timing.l) - l).abs() < 0.01, "{timing:?}");
            assert!((seconds(timing.s) - s).abs() < 0.01, "{timing:?}");
            assert!((seconds(timing.beat) - b).abs() < 0.01, "{timing:?}");
        }
    }

    #[test]
    fn a_slow_disk_raises_the_beat_until_t_is_too_small() {
        let slow = Timing::new(30, 3, 2 * SECOND, 0).unwrap();
        assert_eq!(slow.beat, 2 * SECOND);
        assert_eq!(slow.l, 12 * SECOND);
        let refused = Timing::new(10, 3, 2 * SECOND, 0).unwrap_err();
        assert_eq!(refused, TimingError::DiskTooSlow { cycle_ms: 2000, least_s: 24 });
    }

    #[test]
    fn a_coarse_watchdog_needs_a_larger_t() {
        let refused = Timing::new(3, 3, 0, SECOND).unwrap_err();
        assert_eq!(refused, TimingError::WatchdogTooCoarse { step_ms: 1000, least_s: 10 });
        assert!(Timing::new(10, 3, 0, SECOND).is_ok());
    }

    #[test]
    fn t_outside_of_the_range_is_refused() {
        assert_eq!(Timing::new(2, 3, 0, 0), Err(TimingError::OutOfRange { asked: 2 }));
        assert!(Timing::new(4000, 3, 0, 0).is_err());
    }
}
