//! One machine of the world, and what may happen to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::clock::Clock;
use super::copy::Copy;
use super::disk::Blocks;
use super::errand::Errand;
use super::guests::{Command, Guests, Reply};
use super::shell::Shell;
use crate::heartbeat::Node;
use crate::heartbeat::kept::Kept;
use crate::heartbeat::node::{Answer, Refusal};
use crate::heartbeat::packet::Packet;
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Life, Slot};

/// How a host's path to a statefile behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Cycles end well, after some milliseconds.
    Fine,
    /// Every cycle ends with an error at once.
    Fails,
    /// No cycle ends while this lasts.
    Hangs,
}

/// What is to happen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Deliver(Packet),
    Bytes(Arc<Vec<u8>>),
    Write(Job),
    Read(Job),
    /// A write that was under way for long: it lands whatever its host does.
    Land(usize, Blocks),
    AgentGone,
    Boot,
    Kept(u64, Arc<Kept>),
    VmsStopped,
    FenceDevice(Slot, Life, Result<(), String>),
    Command(Command),
    JobDone(u64),
    /// A guest crashes, if that run of the VM is still there.
    GuestEnds(usize, u64),
    Reply(Reply),
    /// An errand goes on.
    Errand,
    /// The host looks again whether it takes part in HA.
    Settle,
    ToWitness(Packet),
    WitnessKept(Life, Arc<Kept>, Packet),
    /// The copy of the machine goes on.
    Copy,
}

/// A disk cycle under way; it belongs to one boot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    pub id: u64,
    pub disk: usize,
    pub begun: Nanos,
    pub read_begun: Nanos,
    pub blocks: Blocks,
    pub own_before: Option<Arc<Report>>,
    /// The write has landed, or will without this job.
    pub written: bool,
}

/// How the agent's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// It runs and says so.
    Well,
    /// It runs but says nothing.
    Hangs,
    /// It does not run.
    Gone,
}

/// One machine.
pub struct Machine {
    /// Its daemon, while that runs.
    pub node: Option<Node>,
    /// The name of this boot.
    pub boot_id: Uuid,
    /// Whether it has power and was not reset.
    pub alive: bool,
    /// Whether it stands still; its watchdog does not.
    pub paused: bool,
    /// Whether its daemon alone stands still.
    pub stalled: bool,
    /// Its paths to the statefiles.
    pub paths: Vec<Path>,
    /// Its agent.
    pub agent: AgentState,
    /// How often it was reset by its watchdog or by itself.
    pub resets: u32,
    /// What the daemon answered, by ticket.
    pub answers: BTreeMap<u64, Result<Answer, Refusal>>,
    /// The ticket of the newest wish to leave.
    pub(super) leave_ticket: u64,
    /// The ticket of the newest request to take that back.
    pub(super) stay_ticket: u64,
    /// The newest of these tickets.
    pub(super) last_ticket: u64,
    /// What the daemon noted, each with its clock's nanoseconds.
    pub notes: Vec<String>,
    /// What its daemon keeps across boots.
    pub kept: Option<Kept>,
    /// When the last record that was handed over is on its disk: none lands before an older one.
    pub(super) kept_at: Nanos,
    /// Whether the present life ever held a lease that it has not given back.
    pub(super) leased: bool,
    /// Since when, at most a second ago, so many of its disk cycles have failed.
    pub(super) failed_cycles: (Nanos, u32),
    /// Whether no armed session runs in this boot.
    pub(in crate::sim) disarmed: bool,
    /// When its last boot ended.
    pub(in crate::sim) ended_at: Nanos,
    /// Until when the fence device deals with it.
    pub(super) fence_busy: Nanos,
    /// The administrator switched it off by force, at the risk that its VMs run twice.
    pub(super) risk_taken: bool,
    /// The last session of this boot has ended in order.
    pub(super) fresh: bool,
    pub(super) boot: u32,
    pub(super) pid: u32,
    /// When the watchdog fires, by the world's time.
    pub(super) watchdog: Nanos,
    /// When the node wants its next step, by the world's time.
    pub(super) wake: Nanos,
    /// When the agent says again that it lives.
    pub(super) agent_tick: Nanos,
    pub(super) clock: Clock,
    /// Writes land up to so much later.
    pub(super) late: Nanos,
    /// The next write is torn, or lands short.
    pub(in crate::sim) tear: bool,
    /// Its watchdog takes no new time.
    pub(super) no_watchdog: bool,
    /// Whether its daemon is of another protocol: the one that is installed, the one that runs.
    pub(super) other_protocol: (bool, bool),
    /// A copy of the machine that runs beside it.
    pub(super) copy: Option<Copy>,
    /// Cycles that hang.
    pub(super) parked: Vec<What>,
    /// What waits for the end of a pause.
    pub(super) backlog: Vec<What>,
    /// Until when it may act as master, by the world's time; zero when it may not.
    pub(super) acts_until: Nanos,
    /// The epoch and place of the view that was checked last.
    pub(super) checked: (u64, usize),
    pub(super) guests: Guests,
    /// What an administrator has asked for.
    pub(super) errand: Option<Errand>,
    /// Its own flag: it takes part in its pool's HA.
    pub(super) takes_part: bool,
    /// The session that its daemon was started for last.
    pub(super) session: u32,
    pub(super) shell: Option<Shell>,
}

impl Machine {
    /// A machine that is up, with an agent and without a daemon.
    pub(super) fn new(boot_id: Uuid, clock: Clock, disks: usize) -> Self {
        Self {
            node: None,
            boot_id,
            alive: true,
            paused: false,
            stalled: false,
            paths: vec![Path::Fine; disks],
            agent: AgentState::Well,
            resets: 0,
            leased: false,
            failed_cycles: (0, 0),
            answers: BTreeMap::new(),
            leave_ticket: 0,
            stay_ticket: 0,
            last_ticket: 0,
            notes: Vec::new(),
            kept: None,
            kept_at: 0,
            disarmed: true,
            ended_at: 0,
            fence_busy: 0,
            risk_taken: false,
            fresh: false,
            boot: 0,
            pid: 100,
            watchdog: Nanos::MAX,
            wake: Nanos::MAX,
            agent_tick: Nanos::MAX,
            clock,
            late: 0,
            tear: false,
            no_watchdog: false,
            other_protocol: (false, false),
            copy: None,
            parked: Vec::new(),
            backlog: Vec::new(),
            acts_until: 0,
            checked: (0, 0),
            guests: Guests::default(),
            errand: None,
            takes_part: false,
            session: 0,
            shell: None,
        }
    }

    /// The first of its timers.
    pub(super) fn first(&self) -> Nanos {
        self.watchdog.min(self.wake).min(self.agent_tick)
    }
}
