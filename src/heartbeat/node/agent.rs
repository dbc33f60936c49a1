//! The agent's lease and the mastership (R6.2). A dead agent fences nobody.

use super::{Effect, Node};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::Slot;

/// Without a lease for so long, the agent counts as not well.
const UNWELL: Nanos = 5 * SECOND;
/// Without a lease for so long, the master's agent costs the mastership.
const GIVEN_UP: Nanos = 15 * SECOND;

/// What is known of this host's agent.
#[derive(Debug, Clone)]
pub struct Agent {
    pid: Option<u32>,
    lease: Option<Nanos>,
    gone_since: Option<Nanos>,
    start_at: Option<Nanos>,
    starts: u32,
    killing: bool,
    /// The agent is gone for good: another host may become master.
    pub handed_over: bool,
    /// Who should be master next.
    pub heir: Option<Slot>,
    watched_since: Nanos,
}

impl Agent {
    pub(super) fn new(pid: Option<u32>, now: Nanos) -> Self {
        Agent {
            pid,
            lease: None,
            gone_since: None,
            start_at: None,
            starts: 0,
            killing: false,
            handed_over: false,
            heir: None,
            watched_since: now,
        }
    }
}

impl Node {
    /// Whether the agent holds a lease.
    pub(super) fn agent_ok(&self, now: Nanos) -> bool {
        self.agent.gone_since.is_none() && self.agent.lease.is_some_and(|at| now < at + UNWELL)
    }

    pub(super) fn agent_lease(&mut self, now: Nanos, pid: u32) {
        if self.agent.killing && self.agent.pid == Some(pid) {
            return;
        }
        self.agent.pid = Some(pid);
        self.agent.lease = Some(now);
        self.agent.gone_since = None;
        self.agent.start_at = None;
        self.agent.starts = 0;
        if self.agent.handed_over && !self.is_view_master() {
            self.agent.handed_over = false;
        }
    }

    pub(super) fn agent_gone(&mut self, now: Nanos) {
        if self.agent.gone_since.is_some() {
            return;
        }
        self.agent.gone_since = Some(now);
        // A new agent may wait up to 8 s; the first comes after one.
        let wait = (1u64 << self.agent.starts.min(3)) * SECOND;
        self.agent.start_at = Some(now + wait);
        if self.agent.killing {
            self.agent.killing = false;
            self.agent.handed_over = true;
            self.next_beat = now;
        }
        self.note(now, "agent-gone", Some(self.me()), "the agent has ended".to_owned());
    }

    pub(super) fn is_view_master(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.master == Some(self.me()))
    }

    pub(super) fn successor_besides_me(&self, now: Nanos) -> Option<Slot> {
        self.successor_but(now, self.view.as_deref()?, Some(self.me()))
    }

    /// Kills the agent for good; once it is gone, the mastership may leave this host.
    pub(super) fn hand_over(&mut self, now: Nanos, heir: Option<Slot>, why: &str) {
        self.note(now, "hand-over", Some(self.me()), why.to_owned());
        self.agent.heir = heir;
        if self.agent.gone_since.is_some() || self.agent.pid.is_none() {
            self.agent.handed_over = true;
            self.next_beat = now;
        } else {
            self.agent.killing = true;
            self.fx.push(Effect::KillAgent);
        }
    }

    pub(super) fn tick_agent(&mut self, now: Nanos) {
        let master = self.is_member() && self.is_view_master();
        if master && !self.agent.killing && !self.agent.handed_over {
            let since = self.agent.lease.unwrap_or(self.agent.watched_since.max(self.adopted_at));
            let silent = now.saturating_sub(since);
            let pending = self.agent.gone_since.is_some() && self.recovery_pending();
            let tired = silent > GIVEN_UP || pending || silent > UNWELL && self.recovery_pending();
            if tired && self.successor_besides_me(now).is_some() {
                let why = format!("no agent lease for {}", Self::seconds(silent));
                self.hand_over(now, None, &why);
            }
        }
        let due = self.agent.start_at.is_some_and(|at| now >= at);
        // While the mastership is on its way to another host, no agent may start here.
        let barred = self.agent.handed_over && self.is_view_master();
        if due && self.cfg.starts_agent && !barred {
            self.agent.starts += 1;
            self.agent.start_at = None;
            self.agent.gone_since = None;
            self.agent.lease = None;
            self.agent.watched_since = now;
            self.agent.handed_over = false;
            self.note(now, "agent-started", Some(self.me()), "a new agent starts".to_owned());
            self.fx.push(Effect::StartAgent);
        }
    }

    /// Whether a host has left whose VMs may wait for a restart.
    fn recovery_pending(&self) -> bool {
        let Some(view) = &self.view else { return false };
        view.gone.iter().any(|gone| gone.since + 2 > view.epoch)
    }

    /// A view was adopted: a mastership handed over is another's now.
    pub(super) fn mastership_follows(&mut self) {
        if self.agent.handed_over && !self.is_view_master() {
            self.agent.handed_over = false;
            self.agent.heir = None;
        }
    }
}
