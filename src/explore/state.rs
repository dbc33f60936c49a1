//! One situation of an explored pool: nodes, statefiles, packets under way, watchdogs, faults.

use std::sync::Arc;

use uuid::Uuid;

use super::setup::{Budget, Setup, TICK};
use super::truth::{Dated, Proof, Truth};
use crate::heartbeat::block::{BlockError, Seen};
use crate::heartbeat::decision::Decision;
use crate::heartbeat::kept::Kept;
use crate::heartbeat::node::{Config, Node};
use crate::heartbeat::packet::Packet;
use crate::heartbeat::quorum::Acceptors;
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Slot, View};

/// The time of the first tick.
const BEGIN: Nanos = 1000 * TICK;
/// What stands for the pool's HA session.
const GENERATION: Uuid = Uuid::from_u128(77);

/// One statefile, without bytes.
#[derive(Debug, Clone)]
pub struct Statefile {
    /// The beat blocks, by host.
    pub beats: Vec<Option<Arc<Report>>>,
    /// Both copies of the decision blocks, by host.
    pub decisions: Vec<[Option<Arc<Decision>>; 2]>,
}

impl Statefile {
    /// The decision blocks as a reader finds them.
    pub fn seen(&self) -> Vec<Seen> {
        let copy = |copy: &Option<Arc<Decision>>| copy.clone().ok_or(BlockError::Blank);
        self.decisions.iter().map(|[even, odd]| Seen::of([copy(even), copy(odd)])).collect()
    }
}

/// A disk cycle under way.
#[derive(Debug, Clone)]
pub struct Job {
    /// The boot that it belongs to.
    pub boot: u32,
    /// The cycle's number.
    pub id: u64,
    /// The statefile's number.
    pub disk: usize,
    /// The host's clock when it was given out.
    pub begun: Nanos,
    /// The beat block to be written.
    pub beat: Option<Arc<Report>>,
    /// The decision block to be written.
    pub decision: Option<Arc<Decision>>,
    /// The own beat block before the write.
    pub own_before: Option<Arc<Report>>,
    /// The host's clock when the write had landed; none before.
    pub written: Option<Nanos>,
    /// Its host is dead, and the write lands by that tick.
    pub lands_by: u64,
}

/// A packet that waits at its receiver.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Who sent it.
    pub from: usize,
    /// When, on the sender's clock.
    pub sent: Dated,
    /// What it proves.
    pub proof: Proof,
    /// The packet.
    pub packet: Packet,
}

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Which boot runs, or ran last.
    pub boot: u32,
    /// Whether it has power and was not reset.
    pub alive: bool,
    /// Whether it stands still.
    pub paused: bool,
    /// The statefiles that it does not reach, as a bit each.
    pub disk_cut: u8,
    /// How many ticks its clock is behind.
    pub lag: u64,
    /// Its daemon.
    pub node: Option<Arc<Node>>,
    /// When its watchdog fires, on its clock.
    pub watchdog: Option<Nanos>,
    /// Whether it has held a lease in this boot: only then may VMs run on it.
    pub leased: bool,
    /// The highest epoch that it had in this boot.
    pub epoch: u64,
    /// What its own disk keeps across boots.
    pub kept: Option<Arc<Kept>>,
    /// Records on their way to the own disk.
    pub keeping: Vec<(u64, Arc<Kept>)>,
    /// Its disk cycles under way.
    pub jobs: Vec<Job>,
    /// Its writes hang, until that tick at most.
    pub late: Option<u64>,
    /// The world's own evidence.
    pub truth: Truth,
    /// How often its last daemon wrote the decision block, by statefile.
    pub writes: Vec<u64>,
    /// How many steps of this tick it has taken.
    pub done: u8,
}

/// A situation.
#[derive(Debug, Clone)]
pub struct State {
    /// The tick.
    pub tick: u64,
    /// Between ticks: faults may happen.
    pub open: bool,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The statefiles.
    pub disks: Vec<Statefile>,
    /// Directed links that are cut, a bit each: `from * hosts + to`.
    pub links: u16,
    /// Hosts whose links are all cut, a bit each.
    pub net: u8,
    /// Nobody reaches any statefile.
    pub all_cut: bool,
    /// The directed links whose packets of this tick are lost.
    pub lossy: u16,
    /// The directed links whose packets of this tick come in the next.
    pub slow_links: u16,
    /// Packets that wait, by receiver.
    pub mail: Vec<Vec<Mail>>,
    /// Packets for the next tick, by receiver.
    pub later: Vec<Vec<Mail>>,
    /// The faults that may still happen.
    pub left: Budget,
    /// Every decided view that a host has ever adopted, by epoch.
    pub chain: Arc<Vec<Arc<View>>>,
    /// What did not hold.
    pub violation: Option<String>,
    /// What the hosts note, while a trace is told.
    pub notes: Option<Vec<String>>,
}

impl State {
    /// A pool with all hosts up, whose daemons are about to form view 1.
    pub fn new(setup: &Setup) -> State {
        let hosts = setup.hosts;
        let blank = Statefile { beats: vec![None; hosts], decisions: vec![[None, None]; hosts] };
        let host = Host {
            boot: 0,
            alive: false,
            paused: false,
            disk_cut: 0,
            lag: 0,
            node: None,
            watchdog: None,
            leased: false,
            epoch: 0,
            kept: None,
            keeping: Vec::new(),
            jobs: Vec::new(),
            late: None,
            truth: Truth::default(),
            writes: vec![0; setup.disks],
            done: 0,
        };
        let mut state = State {
            tick: 0,
            open: true,
            hosts: vec![host; hosts],
            disks: vec![blank; setup.disks],
            links: 0,
            net: 0,
            all_cut: false,
            lossy: 0,
            slow_links: 0,
            mail: vec![Vec::new(); hosts],
            later: vec![Vec::new(); hosts],
            left: setup.budget,
            chain: Arc::default(),
            violation: None,
            notes: None,
        };
        (0..hosts).for_each(|host| state.boot(setup, host, true));
        state
    }

    /// A host's clock.
    pub fn clock(&self, host: usize) -> Nanos {
        BEGIN + (self.tick - self.hosts[host].lag) * TICK
    }

    /// The name of a host.
    pub fn uuid(host: usize) -> Uuid {
        Uuid::from_u128(host as u128 + 1)
    }

    /// The name of a host's boot.
    pub fn boot_id(host: usize, boot: u32) -> Uuid {
        Uuid::from_u128(0x1_0000 + 0x100 * host as u128 + u128::from(boot))
    }

    /// Starts the next boot of a host that is down.
    pub fn boot(&mut self, setup: &Setup, host: usize, form: bool) {
        let now = self.clock(host);
        let old = &self.hosts[host];
        let boot = old.boot + 1;
        let hosts = (0..setup.hosts).map(State::uuid).collect();
        let boot_id = State::boot_id(host, boot);
        let config = Config {
            acceptors: Acceptors { statefiles: setup.disks, witness: false },
            kept: old.kept.as_deref().cloned(),
            #[cfg(feature = "wrong-variants")]
            variant: setup.variant,
            form,
            ..Config::plain(GENERATION, hosts, Slot::at(host), setup.timing(), 1, boot_id)
        };
        self.hosts[host] = Host {
            boot,
            alive: true,
            paused: false,
            node: Some(Arc::new(Node::new(config, now))),
            watchdog: None,
            leased: false,
            epoch: 0,
            keeping: Vec::new(),
            late: None,
            truth: Truth::default(),
            done: 0,
            ..old.clone()
        };
    }

    /// Ends the life of a host. A cycle that hangs may still land its write.
    pub fn end(&mut self, host: usize) {
        let writes = self.writes(host);
        let it = &mut self.hosts[host];
        it.alive = false;
        it.paused = false;
        it.node = None;
        it.watchdog = None;
        it.leased = false;
        it.epoch = 0;
        it.keeping.clear();
        it.truth = Truth::default();
        it.writes = writes;
        let late = it.late.take();
        it.jobs.retain(|job| late.is_some() && job.written.is_none() && job.boot == it.boot);
        it.jobs.iter_mut().for_each(|job| job.lands_by = late.unwrap_or(0));
        self.mail[host].clear();
        self.later[host].clear();
    }

    /// How often a host wrote its decision block: while a new boot has not taken the number up,
    /// as often as the last one.
    pub fn writes(&self, host: usize) -> Vec<u64> {
        let it = &self.hosts[host];
        let Some(node) = &it.node else { return it.writes.clone() };
        node.decision_writes().iter().zip(&it.writes).map(|(new, old)| *new.max(old)).collect()
    }

    /// Whether packets get from one host to another.
    pub fn linked(&self, from: usize, to: usize) -> bool {
        let bit = 1 << (from * self.hosts.len() + to);
        self.links & bit == 0 && self.net & (1 << from | 1 << to) == 0
    }

    /// Whether a host reaches a statefile.
    pub fn reaches(&self, host: usize, disk: usize) -> bool {
        !self.all_cut && self.hosts[host].disk_cut & (1 << disk) == 0
    }

    /// Whether a host takes steps.
    pub fn runs(&self, host: usize) -> bool {
        let it = &self.hosts[host];
        it.alive && !it.paused && it.node.is_some()
    }

    /// Notes what does not hold; the first stays.
    pub fn violate(&mut self, why: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(why());
        }
    }
}
