//! What is restarted, where, when and in which order: the policy, pure.
//!
//! Everything that must survive a change of master lies in the pool's rows, which come in as a
//! [`Pool`] with each event; [`Recovery`] itself only remembers what is in flight and until when to
//! back off. So a new master goes on where the old one stopped, by looking at the same rows.
//!
//! * A VM is down only if its own host said so in this boot and epoch, or that boot is dead (R6.5).
//! * A VM with an open intent row is unknown until that host was scanned, or its boot is dead
//!   (R6.3).
//! * Protected VMs are level-triggered and retried for ever; best-effort VMs get one attempt (or
//!   as many as the pool says) after a host was lost, once the protected ones were attempted.
//! * Nothing that runs is stopped or moved.
//!
//! | file | idea |
//! |---|---|
//! | `rows` | the pool as the policy sees it |
//! | `events` | what happened: hosts dead, hosts scanned, VMs ended, starts finished |
//! | `queue` | who may start now: orders, delays, limits, places |
//! | `limits` | how many starts at once, how many attempts: the pool's settings |
//! | `track` | one VM's attempts and its back-off |
//! | `tries` | the part of that which outlives a master |
//! | `messages` | the alerts and their priorities |
//! | `example` | rows for tests |
//! | `rehearse` | a failure played through before it happens |

mod events;
#[cfg(test)]
pub(crate) mod example;
mod limits;
pub mod messages;
mod queue;
pub mod rehearse;
mod rows;
mod track;
mod tries;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

pub use limits::Limits;
pub use messages::{Message, PlanStatus, plan_messages};
pub use rows::{Boot, Host, Intent, Loss, Pool, Power, Priority, Vm, promise_of, promise_word};
use track::Track;
pub use tries::Tries;

/// Something that the master learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A new view: these hosts have just left it unannounced. What is *dead* stands in
    /// [`Pool::dead`], possibly only later.
    View {
        /// Hosts that failed.
        failed: Vec<Uuid>,
    },
    /// A host said what really exists on it, found by a scan that this master asked for, after the
    /// host had ended or waited out all jobs of older ones (R6.3).
    Scanned {
        /// The host and its boot.
        at: Boot,
        /// When the scan was asked for: what changed since then is newer than its answer.
        begun: Duration,
        /// The VMs that exist there, whatever they do.
        found: Vec<Uuid>,
    },
    /// A VM ended by itself.
    Ended {
        /// The VM.
        vm: Uuid,
        /// The run that ended.
        run: u64,
        /// The host and boot that say so.
        at: Boot,
        /// How.
        how: End,
    },
    /// A start that was asked for by [`Action::Start`] is over.
    Started {
        /// The VM.
        vm: Uuid,
        /// The run that was to start.
        run: u64,
        /// What came of it.
        result: StartResult,
    },
    /// The pool changed so that waiting VMs may fit or work now: memory was freed, a VM was
    /// repaired. Hosts that came or were enabled are noticed without it.
    Changed,
    /// The time of [`Recovery::wake_at`] has come, or just a look.
    Tick,
}

/// How a VM ended without anybody asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The guest switched itself off.
    GuestShutdown,
    /// It crashed, or its process was killed.
    Crash,
}

/// What came of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartResult {
    /// It runs.
    Running,
    /// It does not run, surely; why (an error code).
    Failed(String),
    /// Nobody knows: the host did not answer. The intent row stays until it is scanned.
    Unknown,
}

/// Something that the master must do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write in one transaction: halted, no residence, no intent, this loss.
    MarkHalted {
        /// The VM.
        vm: Uuid,
        /// Why a restart may be owed.
        loss: Loss,
    },
    /// Write in one transaction: running there, no intent, no loss.
    MarkRunning {
        /// The VM.
        vm: Uuid,
        /// Where.
        at: Boot,
    },
    /// Remove the VM's intent row: nothing came of it.
    ClearIntent {
        /// The VM.
        vm: Uuid,
    },
    /// Write what restart is still owed.
    SetLoss {
        /// The VM.
        vm: Uuid,
        /// What to write.
        loss: Loss,
    },
    /// Write what the attempts of a VM have come to.
    SetTries {
        /// The VM.
        vm: Uuid,
        /// What to write.
        tries: Tries,
    },
    /// Write what was promised when a host failed; nothing when it is back.
    SetPromise {
        /// The host.
        host: Uuid,
        /// Whether failures were tolerated then.
        promise: Option<bool>,
    },
    /// Write `ha_always_run = false`: the guest ended itself and that is respected.
    StayOff {
        /// The VM.
        vm: Uuid,
    },
    /// Write the intent row; when it is acknowledged, and not before, have the host start the VM;
    /// then report [`Event::Started`] (R6.4).
    Start {
        /// The VM.
        vm: Uuid,
        /// What the intent row says.
        intent: Intent,
    },
    /// Send an alert.
    Tell(Message),
    /// A line for the event log.
    Note {
        /// The VM.
        vm: Uuid,
        /// What is to be known about it.
        text: String,
    },
}

/// What the policy remembers between events.
///
/// The default is a master's policy at the beginning of its epoch.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    tracks: BTreeMap<Uuid, Track>,
    /// The hosts that could take VMs at the last look; none before the first.
    usable: Option<BTreeSet<Boot>>,
    /// The last plan for those hosts: where each VM that waited was to go.
    plan: BTreeMap<Uuid, Uuid>,
    wake_at: Option<Duration>,
}

impl Recovery {
    /// Takes one event. `now` is the time since any fixed moment; `pool` are the rows as they are
    /// before the returned actions, and after all earlier ones.
    pub fn step(&mut self, now: Duration, pool: &Pool, event: Event) -> Vec<Action> {
        let mut step = Step { now, pool: pool.clone(), actions: Vec::new(), recovery: self };
        step.adopt();
        step.look_for_room();
        step.take(event);
        step.settle();
        step.start_what_may_start();
        step.write_tries();
        let actions = step.actions;
        self.wake_at = self.next_wake(now, pool);
        actions
    }

    /// When to come back with [`Event::Tick`] if nothing else happens.
    pub fn wake_at(&self) -> Option<Duration> {
        self.wake_at
    }

    fn next_wake(&self, now: Duration, pool: &Pool) -> Option<Duration> {
        let timers = self.tracks.values().flat_map(|track| track.times());
        timers.chain([pool.hold_until]).filter(|time| *time > now).min()
    }
}

/// One event's work: the rows as they will be when the actions so far are done.
struct Step<'a> {
    now: Duration,
    pool: Pool,
    actions: Vec<Action>,
    recovery: &'a mut Recovery,
}

impl Step<'_> {
    fn track(&mut self, vm: Uuid) -> &mut Track {
        self.recovery.tracks.entry(vm).or_default()
    }
}

#[cfg(test)]
mod tests;
