//! One VM's attempts and its back-off, in this master's memory.

use std::time::Duration;

use uuid::Uuid;

use super::{Intent, Tries, Vm};

/// Waits between attempts: the first retry is quick, then it settles at two minutes.
const BACK_OFF: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// A VM that ran this long is taken for healthy again.
const STEADY: Duration = Duration::from_secs(120);

/// So many quick ends in a row are a crash loop.
const LOOP: u32 = 3;

/// When a VM's turn is: the class of its guarantee, then its order, negative ones last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    pub class: Class,
    pub order: u64,
}

/// How much a restart is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Retried until it runs.
    Guaranteed,
    /// Protected, but lost while nothing was guaranteed: one attempt.
    Once,
    /// Best-effort: one attempt.
    BestEffort,
}

/// What is known about one VM's restarts.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// The start that is being made.
    pub in_flight: Option<Intent>,
    /// The turn in which it was started last.
    pub turn: Option<Turn>,
    /// Whether a start was attempted, or was impossible, since the VM went down: later orders do
    /// not wait for it any more.
    pub attempted: bool,
    /// No start before this time.
    pub not_before: Duration,
    /// Later orders wait until this time.
    pub delay_until: Duration,
    /// What the attempts have come to; whether it delays others follows from `delay_until`.
    pub tries: Tries,
    /// Why the last start failed.
    pub cause: String,
    /// When it was last learnt that the VM went up or down, or may have.
    pub changed_at: Option<Duration>,
    started_at: Option<Duration>,
}

impl Track {
    /// What an earlier master began goes on. How long a VM has run or waited is not known: both
    /// count from now, and so does its start delay if that was not over.
    pub fn going_on(vm: &Vm, turn: Turn, now: Duration) -> Self {
        let delay = if vm.tries.delays { vm.start_delay } else { Duration::ZERO };
        let tries = Tries { delays: false, ..vm.tries.clone() };
        let wait = if tries.bounces > 0 { wait(tries.bounces) } else { Duration::ZERO };
        Self {
            attempted: !tries.is_empty(),
            not_before: now + wait,
            delay_until: now + delay,
            turn: Some(turn),
            started_at: vm.residence.is_some().then_some(now),
            tries,
            ..Self::default()
        }
    }

    /// What the VM's row is to hold.
    pub fn record(&self, now: Duration) -> Tries {
        Tries { delays: self.delay_until > now, ..self.tries.clone() }
    }

    /// Whether it ran when it was last heard of.
    pub fn believed_up(&self) -> bool {
        self.started_at.is_some() && self.in_flight.is_none()
    }

    /// It runs: after some time nothing counts any more of what was.
    pub fn runs(&mut self, now: Duration) {
        if self.tries.is_empty() {
            return;
        }
        let since = *self.started_at.get_or_insert(now);
        if now >= since + STEADY {
            self.tries = Tries::default();
        }
    }

    /// Nothing is owed to it: nothing counts of what was.
    pub fn forget(&mut self) {
        self.tries = Tries::default();
        self.started_at = None;
        self.not_before = Duration::ZERO;
    }

    /// The times at which it wants to be looked at.
    pub fn times(&self) -> [Duration; 3] {
        let steady = self.started_at.filter(|_| !self.tries.is_empty());
        let steady = steady.map_or(Duration::ZERO, |since| since + STEADY);
        [self.not_before, self.delay_until, steady]
    }

    /// The VM went down, by itself or with its host; whether this has become a crash loop.
    pub fn down(&mut self, now: Duration, with_host: bool) -> bool {
        self.attempted = false;
        self.in_flight = None;
        self.changed_at = Some(now);
        let quick = self.started_at.take().is_some_and(|at| now.saturating_sub(at) < STEADY);
        if quick && !with_host {
            self.tries.bounces += 1;
            self.not_before = now + wait(self.tries.bounces);
        } else {
            *self = Self {
                turn: self.turn,
                delay_until: self.delay_until,
                not_before: now,
                changed_at: Some(now),
                ..Self::default()
            };
        }
        self.tries.bounces >= LOOP
    }

    /// A start was successful.
    pub fn up(&mut self, now: Duration, start_delay: Duration) {
        self.in_flight = None;
        self.attempted = true;
        self.started_at = Some(now);
        self.changed_at = Some(now);
        self.delay_until = now + start_delay;
        self.tries.avoid.clear();
        self.tries.rounds = 0;
    }

    /// A start failed on a host; the next one may try at once.
    pub fn failed(&mut self, now: Duration, host: Uuid, cause: String) {
        self.in_flight = None;
        self.attempted = true;
        self.tries.avoid.insert(host);
        self.cause = cause;
        self.not_before = now;
    }

    /// Nobody knows what came of a start.
    pub fn unanswered(&mut self, now: Duration) {
        self.in_flight = None;
        self.attempted = true;
        self.changed_at = Some(now);
    }

    /// Every host has been tried.
    pub fn round_over(&mut self, now: Duration) {
        self.tries.avoid.clear();
        self.tries.rounds += 1;
        self.not_before = now + wait(self.tries.rounds);
    }

    /// The pool changed: what failed may work now.
    pub fn hurry(&mut self, now: Duration) {
        if self.tries.bounces == 0 {
            self.not_before = self.not_before.min(now);
            self.tries.avoid.clear();
        }
    }

    /// Whether this cause has not been told yet; from now on it has.
    pub fn tell(&mut self, cause: &str) -> bool {
        self.tries.told.insert(cause.to_owned())
    }
}

fn wait(times: u32) -> Duration {
    let last = BACK_OFF.len() - 1;
    BACK_OFF[usize::try_from(times.saturating_sub(1)).unwrap_or(last).min(last)]
}
