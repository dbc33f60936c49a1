//! One host's part in the protocol: [`Node::step`] takes the time and an event and gives back
//! what is to be done.

mod adopt;
mod agent;
mod beat;
mod boot;
mod choose;
mod config;
mod control;
mod death;
mod device;
mod disk;
mod effect;
mod fingerprint;
mod form;
mod formed;
mod gaps;
mod keep;
mod lease;
mod links;
mod network;
mod peer;
mod propose;
mod reports;
mod status;
mod why;
mod wish;
mod witness;

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::decision::Decision;
use super::liveset::Event;
use super::timing::{Nanos, SECOND, Timing};
use super::variant::Variant;
use super::view::{Life, Slot, View};
use super::vote::Vote;

use agent::Agent;
pub use boot::MAJORITY_WAITS;
pub use config::Config;
use disk::Disk;
pub use effect::{Answer, Control, CycleDone, CycleFault, CycleRead, Effect, Input, Refusal};
pub use fingerprint::{Frame, Ranks};
use gaps::Gaps;
use keep::Keeping;
use links::Links;
pub use links::MOST_LINKS;
use network::Acceptor;
use peer::Peer;
use propose::Proposing;
use reports::Reports;
use witness::Witness;

/// Where the node stands, with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
enum Stage {
    /// Reads the statefile before it writes anything (R2.5).
    Reading { quiet: Option<boot::Quiet> },
    /// Forms view 1 with all hosts, unarmed.
    Forming { until: Nanos },
    /// Armed, no member: asks to be admitted or forms (R7).
    Waiting,
    /// Fenced several times in a row: waits, unarmed, for clean paths (R7.4).
    Held { clean_since: Option<Nanos> },
    /// A member of the decided view.
    Member,
    /// Not armed any more.
    Disarmed,
    /// Reset is asked for; nothing else happens any more.
    Fencing { reset_at: Nanos, cut: bool },
    /// The start failed.
    Failed,
}

/// One host's part in the protocol.
#[derive(Debug, Clone)]
pub struct Node {
    cfg: Config,
    stage: Stage,
    life: Life,
    seq: u64,
    started_at: Nanos,
    /// When packets were sent, by sequence.
    sent: VecDeque<(u64, Nanos)>,
    peers: Vec<Peer>,
    disks: Vec<Disk>,
    witness: Witness,
    links: Links,
    decision: Decision,
    acceptor: Acceptor,
    keeping: Keeping,
    /// What the others show as acceptors over the network, by slot.
    member_votes: Vec<Option<Arc<Vote>>>,
    past: boot::Past,
    view: Option<Arc<View>>,
    adopted_at: Nanos,
    admitted_at: Option<Nanos>,
    /// The epoch of the first view that this life is in.
    admitted_in: u64,
    /// When this host adopted the view in which nobody lives by the network any more.
    came_back_at: Nanos,
    /// Until when views may not be proposed because the own ballots were lost.
    muted_epoch: u64,
    proposing: Proposing,
    armed: bool,
    arming: bool,
    guard_end: Option<Nanos>,
    lease_end: Option<Nanos>,
    dead: Vec<death::Dead>,
    marks: control::Marks,
    pending: Vec<control::Pending>,
    agent: Agent,
    next_beat: Nanos,
    /// Since when the VMs of this host are being stopped.
    stopping: Option<Nanos>,
    /// The lives that the fence device was asked about.
    asked: Vec<device::Asked>,
    /// Why those are out whom the view lacks.
    left: Vec<why::Left>,
    gaps: Gaps,
    reports: Reports,
    events: VecDeque<Event>,
    fx: Vec<Effect>,
    shown: Option<status::Shown>,
    last_complaint: Option<Nanos>,
}

impl Node {
    /// A node that has not taken a step yet.
    pub fn new(cfg: Config, now: Nanos) -> Self {
        let peers = cfg.hosts.iter().map(|_| Peer::default()).collect();
        let hosts = cfg.hosts.len();
        let agent = Agent::new(cfg.agent_pid, now);
        Node {
            stage: Stage::Reading { quiet: None },
            life: Life::default(),
            seq: 0,
            started_at: now,
            sent: VecDeque::new(),
            peers,
            disks: (0..cfg.acceptors.statefiles).map(|_| Disk::new(now, hosts)).collect(),
            witness: Witness::default(),
            links: Links::new(hosts),
            decision: Decision::default(),
            acceptor: cfg.kept.as_ref().map(Acceptor::after).unwrap_or_default(),
            keeping: cfg.kept.as_ref().map(Keeping::after).unwrap_or_default(),
            member_votes: vec![None; hosts],
            past: boot::Past::default(),
            view: None,
            adopted_at: now,
            admitted_at: None,
            admitted_in: 0,
            came_back_at: 0,
            muted_epoch: 0,
            proposing: Proposing::default(),
            armed: false,
            arming: false,
            guard_end: None,
            lease_end: None,
            dead: Vec::new(),
            marks: control::Marks::default(),
            pending: Vec::new(),
            agent,
            next_beat: now,
            stopping: None,
            asked: Vec::new(),
            left: Vec::new(),
            gaps: Gaps::default(),
            reports: Reports::default(),
            events: VecDeque::new(),
            fx: Vec::new(),
            shown: None,
            last_complaint: None,
            cfg,
        }
    }

    /// Takes one event at the time `now`, appends what is to be done to `effects` and gives the
    /// time of the next step if nothing happens before.
    ///
    /// Whatever the event is, the lease is looked at first: a host that was stopped past the
    /// end of its lease does nothing any more but reset (R4.3).
    pub fn step(&mut self, now: Nanos, input: Input<'_>, effects: &mut Vec<Effect>) -> Nanos {
        if !self.over(now) {
            self.take(now, input);
            self.tick(now);
        }
        effects.append(&mut self.fx);
        self.next_wake(now)
    }

    fn take(&mut self, now: Nanos, input: Input<'_>) {
        match input {
            Input::Timer => {}
            Input::Packet(link, packet) => self.take_packet(now, link, packet),
            Input::Refused(error) => self.complain(now, &error),
            Input::Cycle(done) => self.finish_cycle(now, done),
            Input::Watchdog(reading) => self.take_watchdog(now, reading),
            Input::WatchdogFailed(why) => self.watchdog_failed(now, &why),
            Input::Control(ticket, control) => self.take_control(now, ticket, control),
            Input::AgentLease(pid) => self.agent_lease(now, pid),
            Input::AgentGone => self.agent_gone(now),
            Input::Kept(record) => self.kept(now, record),
            Input::FenceDevice(slot, life, word) => self.fence_word(now, slot, life, word),
            Input::VmsStopped(outcome) => self.vms_stopped(now, outcome),
        }
    }

    /// Whether that rule is to be broken; never without the feature `wrong-variants`.
    #[cfg_attr(not(feature = "wrong-variants"), expect(clippy::unused_self, reason = "see above"))]
    fn wrong(&self, _variant: Variant) -> bool {
        #[cfg(feature = "wrong-variants")]
        return self.cfg.variant == Some(_variant);
        #[cfg(not(feature = "wrong-variants"))]
        false
    }

    /// Ends what must end; true when no event counts any more.
    fn over(&mut self, now: Nanos) -> bool {
        match self.stage {
            Stage::Failed => true,
            Stage::Fencing { reset_at, .. } if now >= reset_at => {
                self.fx.push(Effect::Reset);
                true
            }
            Stage::Fencing { .. } => false,
            _ => {
                let end = self.lease_end.or(self.guard_end);
                if self.armed && end.is_some_and(|end| now >= end) {
                    self.reset_now(now, "the lease has ended");
                    return true;
                }
                false
            }
        }
    }

    fn tick(&mut self, now: Nanos) {
        match self.stage {
            Stage::Failed => return,
            Stage::Fencing { .. } => {
                self.over(now);
                return;
            }
            Stage::Reading { .. } => self.tick_reading(now),
            Stage::Forming { until } => self.tick_forming(now, until),
            Stage::Held { clean_since } => self.tick_held(now, clean_since),
            Stage::Waiting => self.tick_waiting(now),
            Stage::Member => self.tick_member(now),
            Stage::Disarmed => {}
        }
        if matches!(self.stage, Stage::Failed | Stage::Fencing { .. }) {
            return;
        }
        self.tick_agent(now);
        self.tick_pending(now);
        if now >= self.next_beat && !matches!(self.stage, Stage::Reading { .. }) {
            self.renew(now);
            self.warn_of_paths(now);
            self.send_beat(now);
        }
        self.start_cycles_if_due(now);
        self.show_changes(now);
    }

    fn tick_member(&mut self, now: Nanos) {
        if self.armed && self.lease_end.is_none() {
            self.renew(now);
        }
        self.tick_isolation(now);
        self.tick_network(now);
        self.judge(now);
        self.tick_first_views(now);
        if self.is_member() {
            self.consider(now);
        }
    }

    fn next_wake(&self, now: Nanos) -> Nanos {
        let mut wake = now + SECOND;
        if self.stage == Stage::Failed {
            return wake;
        }
        if let Stage::Fencing { reset_at, .. } = self.stage {
            return if reset_at > now { wake.min(reset_at) } else { wake };
        }
        if !matches!(self.stage, Stage::Reading { .. }) {
            wake = wake.min(self.next_beat);
        }
        for disk in self.disks.iter().filter(|disk| disk.in_flight.is_none()) {
            wake = wake.min(disk.next_at);
        }
        if let Some(until) = self.proposing.not_before.filter(|until| *until > now) {
            wake = wake.min(until);
        }
        wake.max(now + 1)
    }

    /// The node's own timers.
    pub fn timing(&self) -> &Timing {
        &self.cfg.timing
    }

    fn epoch(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.epoch)
    }

    fn me(&self) -> Slot {
        self.cfg.me
    }

    fn slots(&self) -> impl Iterator<Item = Slot> + Clone + use<> {
        (0..self.cfg.hosts.len()).map(Slot::at)
    }

    fn others(&self) -> impl Iterator<Item = Slot> + Clone + use<> {
        let me = self.cfg.me;
        self.slots().filter(move |slot| *slot != me)
    }

    fn peer(&self, slot: Slot) -> &Peer {
        &self.peers[slot.index()]
    }

    fn uuid(&self, slot: Slot) -> Uuid {
        self.cfg.hosts.get(slot.index()).copied().unwrap_or_default()
    }

    /// Records what happened and why; the shell writes it to the history.
    fn note(&mut self, now: Nanos, event: &str, host: Option<Slot>, why: String) {
        let event = Event {
            t_ns: now,
            event: event.to_owned(),
            why,
            host: host.map(|slot| self.uuid(slot)),
            epoch: self.epoch(),
        };
        if self.events.len() >= 50 {
            self.events.pop_front();
        }
        self.events.push_back(event.clone());
        self.fx.push(Effect::Note(event));
    }
}
