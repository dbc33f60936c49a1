//! One VM's attempts and its back-off, in this master's memory.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::Intent;

/// Waits between attempts: the first retry is quick, then it settles at two minutes.
const BACK_OFF: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// A VM that ran this long is taken for healthy again.
const STEADY: Duration = Duration::from_secs(120);

/// So many quick ends in a row are a crash loop.
const LOOP: usize = 3;

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
    /// Hosts that failed to start it in this round.
    pub avoid: BTreeSet<Uuid>,
    /// Why the last start failed.
    pub cause: String,
    /// When it was last learnt that the VM went up or down, or may have.
    pub changed_at: Option<Duration>,
    started_at: Option<Duration>,
    /// Starts in a row that ended soon.
    bounces: usize,
    /// Rounds in a row in which no host could start it.
    rounds: usize,
    /// Causes that were told.
    told: BTreeSet<String>,
}

impl Track {
    /// The VM went down, by itself or with its host; whether this has become a crash loop.
    pub fn down(&mut self, now: Duration, with_host: bool) -> bool {
        self.attempted = false;
        self.in_flight = None;
        self.changed_at = Some(now);
        let quick = self.started_at.take().is_some_and(|at| now.saturating_sub(at) < STEADY);
        if quick && !with_host {
            self.bounces += 1;
            self.not_before = now + wait(self.bounces);
        } else {
            *self = Self {
                turn: self.turn,
                delay_until: self.delay_until,
                not_before: now,
                changed_at: Some(now),
                ..Self::default()
            };
        }
        self.bounces >= LOOP
    }

    /// A start was successful.
    pub fn up(&mut self, now: Duration, start_delay: Duration) {
        self.in_flight = None;
        self.attempted = true;
        self.started_at = Some(now);
        self.changed_at = Some(now);
        self.delay_until = now + start_delay;
        self.avoid.clear();
        self.rounds = 0;
    }

    /// A start failed on a host; the next one may try at once.
    pub fn failed(&mut self, now: Duration, host: Uuid, cause: String) {
        self.in_flight = None;
        self.attempted = true;
        self.avoid.insert(host);
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
        self.avoid.clear();
        self.rounds += 1;
        self.not_before = now + wait(self.rounds);
    }

    /// The pool changed: what failed may work now.
    pub fn hurry(&mut self, now: Duration) {
        if self.bounces == 0 {
            self.not_before = self.not_before.min(now);
            self.avoid.clear();
        }
    }

    /// Whether this cause has not been told yet; from now on it has.
    pub fn tell(&mut self, cause: &str) -> bool {
        self.told.insert(cause.to_owned())
    }
}

fn wait(times: usize) -> Duration {
    BACK_OFF[times.clamp(1, BACK_OFF.len()) - 1]
}
