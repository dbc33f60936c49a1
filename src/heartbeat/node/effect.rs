//! What goes into a node and what comes out.

use uuid::Uuid;

use crate::heartbeat::liveset::Event;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Mode, Slot};

/// An event for the node.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time has passed.
    Timer,
    /// A packet has arrived.
    Packet(&'a [u8]),
    /// The disk cycle in flight has ended, well or badly.
    Cycle(CycleDone),
    /// The watchdog was read back: nanoseconds left (asked for after every change).
    Watchdog(Nanos),
    /// The watchdog could not be armed, set or read.
    WatchdogFailed(String),
    /// A request from the control socket, with a ticket for its answer.
    Control(u64, Control),
    /// The agent with this process id renews its lease.
    AgentLease(u32),
    /// The agent's process has ended.
    AgentGone,
}

/// How a disk cycle ended.
#[derive(Debug, Clone)]
pub struct CycleDone {
    /// The cycle's number.
    pub id: u64,
    /// When its first write began.
    pub begun: Nanos,
    /// When its read of all blocks began.
    pub read_begun: Nanos,
    /// When it ended.
    pub ended: Nanos,
    /// What was read, or why it failed.
    pub outcome: Result<CycleRead, String>,
}

/// What a completed cycle read.
#[derive(Debug, Clone)]
pub struct CycleRead {
    /// The own beat block before the write.
    pub own_before: Vec<u8>,
    /// The whole statefile after the write.
    pub image: Vec<u8>,
}

/// A request to the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Answer when armed and in a view.
    Started,
    /// Be master if nobody is.
    ProposeMaster,
    /// Give the mastership to that host, or to the best one (R6.2).
    GiveUpMastership(Option<Slot>),
    /// Decide this mode for the pool (R9.2).
    SetMode(Mode),
    /// Leave cleanly (R9.4): the caller vouches that no VM runs here and none will start.
    Leave,
    /// Take the wish to leave back, before a view has granted it.
    Stay,
    /// Disarm without a decision (R9.3); with force also without the others' echo.
    Disarm {
        /// Do not wait for the others: they may restart this host's VMs.
        force: bool,
    },
    /// The operator says that this host is dead (R5.3e).
    DeclareDead(Slot),
}

/// What the shell must do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send these bytes to every other host.
    Send(Vec<u8>),
    /// Run a disk cycle: read the own beat block, write these blocks in order, read all.
    Cycle {
        /// The cycle's number, for its end.
        id: u64,
        /// Where the own beat block stands.
        own: u64,
        /// Offsets and blocks.
        writes: Vec<(u64, Vec<u8>)>,
    },
    /// Arm the watchdog, to fire at that time; read it back.
    Arm(Nanos),
    /// Set the armed watchdog to fire at that time; read it back.
    Program(Nanos),
    /// Cut the watchdog to its minimum, read it back, never pet it again (R5.4).
    CutWatchdog,
    /// Disarm the watchdog.
    Disarm,
    /// Reset this host now, by whatever works.
    Reset,
    /// Kill the agent for good and tell when it is gone.
    KillAgent,
    /// Start an agent.
    StartAgent,
    /// Something worth keeping in the history.
    Note(Event),
    /// The living set has changed.
    Changed,
    /// The answer to a request.
    Answer(u64, Result<Answer, Refusal>),
}

/// What a step gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// What to do, in order.
    pub list: Vec<Effect>,
    /// When to step again if nothing happens before.
    pub wake: Nanos,
}

/// The answer to a request that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not possible in the present state.
    #[error("{0}")]
    WrongState(String),
    /// Another host is master.
    #[error("host {0} is the master")]
    MasterIs(Uuid),
    /// The start failed before anything was armed.
    #[error("{0}")]
    StartFailed(String),
    /// The statefile shows that HA was switched off.
    #[error("HA was switched off for the pool while this host was away")]
    PoolIsOff,
    /// The statefile cannot be used.
    #[error("the statefile cannot be used: {0}")]
    Statefile(String),
    /// This boot has an armed session that did not end cleanly (R5.5).
    #[error("an earlier session of this boot did not end cleanly; this host must be reset")]
    UnfinishedSession,
    /// The same host identity is in use elsewhere.
    #[error("another machine uses this host's identity")]
    ClonedIdentity,
    /// No decision came in time.
    #[error("no decision came in time: {0}")]
    TimedOut(String),
}
