//! What goes into a node and what comes out.

use std::sync::Arc;

use uuid::Uuid;

use crate::heartbeat::block::{BlockError, Seen};
use crate::heartbeat::decision::Decision;
use crate::heartbeat::kept::Kept;
use crate::heartbeat::liveset::Event;
use crate::heartbeat::packet::{Packet, PacketError};
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Life, Mode, Slot};

/// An event for the node.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time has passed.
    Timer,
    /// A packet has arrived over the link with that number, and was checked.
    Packet(u8, &'a Packet),
    /// Something arrived that is no packet of this session.
    Refused(PacketError),
    /// A disk cycle in flight has ended, well or badly.
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
    /// The record with this number, and so every earlier one, is on the own disk.
    Kept(u64),
    /// The fence device says that the host of this life is off, or why it is not (R5.3d).
    FenceDevice(Slot, Life, Result<(), String>),
    /// No VM runs here any more, or they could not be stopped.
    VmsStopped(Result<(), String>),
}

/// How a disk cycle ended.
#[derive(Debug, Clone)]
pub struct CycleDone {
    /// The cycle's number.
    pub id: u64,
    /// The statefile's number.
    pub disk: u8,
    /// When its first write began.
    pub begun: Nanos,
    /// When its read of all blocks began.
    pub read_begun: Nanos,
    /// When it ended.
    pub ended: Nanos,
    /// What was read, or why it failed.
    pub outcome: Result<CycleRead, CycleFault>,
}

/// Why a cycle was in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CycleFault {
    /// The path failed.
    #[error("{0}")]
    Path(String),
    /// The statefile is not this session's.
    #[error(transparent)]
    Content(#[from] BlockError),
}

/// What a completed cycle read; the header was this session's.
#[derive(Debug, Clone)]
pub struct CycleRead {
    /// The own beat block before the write, if it could be read.
    pub own_before: Option<Arc<Report>>,
    /// The beat blocks after the write, by slot. An unreadable block is no evidence at all.
    pub beats: Vec<Option<Arc<Report>>>,
    /// The decision blocks after the write, by slot.
    pub decisions: Vec<Seen>,
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
    /// End the wait of a host that came up braked (R7.4).
    ReleaseBrake,
}

/// What the shell must do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this to every other host, over every link, and to the witness.
    Send(Packet),
    /// Run a disk cycle: read the own beat block, write these blocks in order, read all.
    Cycle {
        /// The cycle's number, for its end.
        id: u64,
        /// The statefile's number.
        disk: u8,
        /// The own beat block; none while only reading.
        beat: Option<Arc<Report>>,
        /// The own decision block, when it changed.
        decision: Option<Arc<Decision>>,
        /// Whether every decision block must be read, not only those that beats show changed.
        all: bool,
    },
    /// Keep this record on the own disk and tell when it is there.
    Keep(u64, Arc<Kept>),
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
    /// Stop every VM of this host, count what is left, and tell.
    StopVms,
    /// Ask the fence device to switch off the host of this life, and tell what it says.
    FenceDevice(Slot, Life),
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
