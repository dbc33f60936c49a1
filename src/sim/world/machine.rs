//! One machine of the world, and what may happen to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::heartbeat::Node;
use crate::heartbeat::decision::Decision;
use crate::heartbeat::kept::Kept;
use crate::heartbeat::node::{Answer, Refusal};
use crate::heartbeat::packet::Packet;
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::Nanos;

/// How a host's path to the disk behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Cycles end well, after some milliseconds.
    Fine,
    /// Every cycle ends with an error at once.
    Fails,
    /// No cycle ends while this lasts.
    Hangs,
}

/// What is to happen to a machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Wake,
    Deliver(Packet),
    Write(Job),
    Read(Job),
    Watchdog(Nanos),
    AgentTick,
    AgentGone,
    Kept(u64, Arc<Kept>),
    VmsStopped,
}

/// A disk cycle under way; it belongs to one boot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    pub id: u64,
    pub disk: usize,
    pub begun: Nanos,
    pub read_begun: Nanos,
    pub beat: Option<Arc<Report>>,
    pub decision: Option<Arc<Decision>>,
    pub own_before: Option<Arc<Report>>,
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
    /// Its path to the disk.
    pub path: Path,
    /// The process number of its agent, while that runs.
    pub agent: Option<u32>,
    /// Whether the agent runs but says nothing.
    pub agent_hangs: bool,
    /// How often it was reset by its watchdog or by itself.
    pub resets: u32,
    /// What the daemon answered, by ticket.
    pub answers: BTreeMap<u64, Result<Answer, Refusal>>,
    /// What the daemon noted, each with its clock's nanoseconds.
    pub notes: Vec<String>,
    /// What its daemon keeps across boots.
    pub kept: Option<Kept>,
    /// Boot ids of lives that have ended.
    pub(super) ended: Vec<Uuid>,
    /// Whether no armed session runs in this boot.
    pub(super) disarmed: bool,
    pub(super) boot: u32,
    pub(super) watchdog: Option<Nanos>,
    /// How far its clock is ahead of the world's.
    pub(super) offset: Nanos,
    /// How much faster its clock runs, in parts per million.
    pub(super) ppm: i64,
    /// Cycles that hang.
    pub(super) parked: Vec<What>,
    /// What waits for the end of a pause.
    pub(super) backlog: Vec<What>,
    pub(super) wake: Nanos,
}

impl Machine {
    /// A machine that is up, with an agent and without a daemon.
    pub(super) fn new(boot_id: Uuid, offset: Nanos, ppm: i64) -> Self {
        Self {
            node: None,
            boot_id,
            alive: true,
            paused: false,
            path: Path::Fine,
            agent: Some(100),
            agent_hangs: false,
            resets: 0,
            answers: BTreeMap::new(),
            notes: Vec::new(),
            kept: None,
            ended: Vec::new(),
            disarmed: true,
            boot: 0,
            watchdog: None,
            offset,
            ppm,
            parked: Vec::new(),
            backlog: Vec::new(),
            wake: 0,
        }
    }
}
