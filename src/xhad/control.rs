//! The daemon's control socket: `<state-dir>/xhad.sock`, one JSON object a line each way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::host::system_word::system_word;

pub use super::config::{FenceHook, HostAddress, IsolationResponse, StartConfig};
pub use crate::heartbeat::liveset::{
    DeadBoot, Event, HostStatus, Liveness, Liveset, PathStatus, Phase,
};
pub use crate::heartbeat::view::{Mode, Proof};
pub use crate::host::watchdog::WatchdogConfig;

/// The socket's name within the state directory.
pub const SOCKET: &str = "xhad.sock";

/// The state of the pool's HA as a decided view says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolState {
    /// Written, but no view was decided yet.
    Init,
    /// HA is on.
    Active,
    /// HA is being switched off: no failover decisions any more.
    OffPending,
    /// HA is off.
    Off,
}

/// A request to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Begin a session; answered when this host is armed and in a view.
    Start(Box<StartConfig>),
    /// End a session that is not armed (any more).
    Stop,
    /// What is known now?
    QueryLiveset,
    /// Be master if nobody is.
    ProposeMaster,
    /// Disarm without a decided view (emergency). Without `force` only after every other
    /// member has echoed the mark; with it, the others may restart this host's VMs.
    DisarmFencing {
        /// Do not wait for the others.
        #[serde(default)]
        force: bool,
    },
    /// Have the pool's state decided: off-pending, then off; or active again.
    SetPoolState {
        /// The wanted state.
        state: PoolState,
    },
    /// Leave cleanly: no VM runs here, and none will be started.
    SetExcluded,
    /// Take that back, before or after it was granted.
    ClearExcluded,
    /// The agent with this process id is well; to be sent every second or so.
    AgentLease {
        /// The agent's process.
        pid: u32,
    },
    /// May this host act as master right now (R4.4)?
    CheckLease,
    /// A living set now and at every change, on this connection.
    Subscribe,
    /// Give the mastership to that host, or to the best one; the agent is killed first.
    GiveUpMastership {
        /// Who should follow.
        #[serde(default)]
        to: Option<Uuid>,
    },
    /// Begin a new session with the last configuration, as a host that joins.
    Rejoin,
    /// The operator says that this host is dead.
    DeclareDead {
        /// The host.
        host: Uuid,
    },
    /// End the wait of a host that was fenced several times in a row (R7.4).
    ReleaseBrake,
}

/// Whether and until when the master may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The epoch of the decided view.
    pub epoch: u64,
    /// Whether this host may act as master at the moment of the answer.
    pub act: bool,
    /// Until when, CLOCK_BOOTTIME in nanoseconds; zero when it may not.
    pub act_until_ns: u64,
    /// The epoch in which this host was admitted; zero before. No older command may start a VM.
    #[serde(default)]
    pub admitted: u64,
}

/// A line longer than this is no request; the longest is the start of the largest pool.
pub const LONGEST_LINE: usize = 1 << 20;
/// No request nests deeper.
const DEEPEST: usize = 16;

impl Request {
    /// Reads a line of the control socket. Anything may be in it: it is measured before it is
    /// read, so that it takes neither much room nor much of a small stack.
    pub fn read(line: &[u8]) -> Result<Self, Refused> {
        let refused = |why: String| {
            let sentence = format!("not a request: {why}");
            Err(Refused { kind: RefusedKind::BadRequest, sentence })
        };
        if line.len() > LONGEST_LINE {
            return refused(format!("longer than {LONGEST_LINE} bytes"));
        }
        if nesting(line) > DEEPEST {
            return refused(format!("nested deeper than {DEEPEST}"));
        }
        serde_json::from_slice(line).or_else(|error| refused(error.to_string()))
    }
}

/// How deep lists and objects nest at most, brackets in texts included.
fn nesting(line: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in line {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// An answer that is no refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is done.
    Done,
    /// What is known.
    Liveset(Box<Liveset>),
    /// The state of the lease.
    Lease(Lease),
    /// Refused.
    Refused(Refused),
}

/// A refusal as it goes over the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{sentence}")]
pub struct Refused {
    /// Which kind of refusal.
    pub kind: RefusedKind,
    /// The reason, for a person.
    pub sentence: String,
}

/// The kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    /// The request or configuration makes no sense.
    BadRequest,
    /// Not possible in the present state.
    WrongState,
    /// Another host is master.
    NotMaster,
    /// No watchdog, or one that does not work.
    Watchdog,
    /// The timers leave no room.
    Timing,
    /// T is too short for a daemon without real-time priority or locked memory.
    NotRealTime,
    /// The network address or port cannot be used.
    Network,
    /// The statefile cannot be used, or belongs to somebody else.
    Statefile,
    /// The start failed before anything was armed.
    StartFailed,
    /// HA was switched off for the pool.
    PoolIsOff,
    /// This boot holds an armed session that did not end cleanly.
    UnfinishedSession,
    /// The host's identity is in use elsewhere.
    ClonedIdentity,
    /// No decision came in time.
    TimedOut,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No daemon listens.
    #[error("no heartbeat daemon listens at {socket}: {reason}")]
    Unreachable {
        /// The socket.
        socket: String,
        /// The system's word for it.
        reason: String,
    },
    /// The connection broke, or something else answered.
    #[error("the connection to the heartbeat daemon failed: {0}")]
    Broken(String),
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl ControlError {
    /// The kind of refusal, when it is one.
    pub fn kind(&self) -> Option<RefusedKind> {
        match self {
            ControlError::Refused(refused) => Some(refused.kind),
            _ => None,
        }
    }

    fn broken(error: impl std::fmt::Display) -> Self {
        ControlError::Broken(system_word(&error))
    }
}

/// A blocking client; each request uses a connection of its own, so it can be shared.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    timeout: Option<Duration>,
}

impl Client {
    /// A client of the daemon with this socket; nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Client { socket: socket.into(), timeout: None }
    }

    /// The client of the daemon with this state directory.
    pub fn of_state_dir(state_dir: &Path) -> Self {
        Client::new(state_dir.join(SOCKET))
    }

    /// The same client, giving up on answers after that time.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Client { timeout: Some(timeout), ..self }
    }

    fn send(&self, request: &Request) -> Result<BufReader<UnixStream>, ControlError> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| {
            let socket = self.socket.display().to_string();
            ControlError::Unreachable { socket, reason: system_word(&error) }
        })?;
        stream.set_read_timeout(self.timeout).map_err(ControlError::broken)?;
        let mut text = serde_json::to_string(request).map_err(ControlError::broken)?;
        text.push('\n');
        stream.write_all(text.as_bytes()).map_err(ControlError::broken)?;
        Ok(BufReader::new(stream))
    }

    /// One request and its answer. `Start` and others may take as long as a decision takes.
    pub fn request(&self, request: &Request) -> Result<Response, ControlError> {
        let mut reader = self.send(request)?;
        receive(&mut reader)?
            .ok_or_else(|| ControlError::Broken("it closed the connection".to_owned()))
    }

    fn done(&self, request: &Request) -> Result<(), ControlError> {
        match self.request(request)? {
            Response::Done => Ok(()),
            other => Err(ControlError::Broken(format!("unexpected answer {other:?}"))),
        }
    }

    fn lease(&self, request: &Request) -> Result<Lease, ControlError> {
        match self.request(request)? {
            Response::Lease(lease) => Ok(lease),
            other => Err(ControlError::Broken(format!("unexpected answer {other:?}"))),
        }
    }

    /// A living set at once and at every change, until the daemon ends.
    pub fn subscribe(&self) -> Result<impl Iterator<Item = Liveset> + Send + use<>, ControlError> {
        let mut reader = self.send(&Request::Subscribe)?;
        Ok(std::iter::from_fn(move || match receive(&mut reader) {
            Ok(Some(Response::Liveset(liveset))) => Some(*liveset),
            _ => None,
        }))
    }

    /// Begins a session.
    pub fn start(&self, config: StartConfig) -> Result<(), ControlError> {
        self.done(&Request::Start(Box::new(config)))
    }

    /// Ends a session that is not armed.
    pub fn stop(&self) -> Result<(), ControlError> {
        self.done(&Request::Stop)
    }

    /// What is known now.
    pub fn liveset(&self) -> Result<Liveset, ControlError> {
        match self.request(&Request::QueryLiveset)? {
            Response::Liveset(liveset) => Ok(*liveset),
            other => Err(ControlError::Broken(format!("unexpected answer {other:?}"))),
        }
    }

    /// Be master if nobody is.
    pub fn propose_master(&self) -> Result<(), ControlError> {
        self.done(&Request::ProposeMaster)
    }

    /// Disarm without a decided view.
    pub fn disarm_fencing(&self, force: bool) -> Result<(), ControlError> {
        self.done(&Request::DisarmFencing { force })
    }

    /// Have the pool's state decided.
    pub fn set_pool_state(&self, state: PoolState) -> Result<(), ControlError> {
        self.done(&Request::SetPoolState { state })
    }

    /// Leave cleanly.
    pub fn set_excluded(&self) -> Result<(), ControlError> {
        self.done(&Request::SetExcluded)
    }

    /// Take the leave back.
    pub fn clear_excluded(&self) -> Result<(), ControlError> {
        self.done(&Request::ClearExcluded)
    }

    /// The agent is well.
    pub fn agent_lease(&self, pid: u32) -> Result<Lease, ControlError> {
        self.lease(&Request::AgentLease { pid })
    }

    /// May this host act as master right now?
    pub fn check_lease(&self) -> Result<Lease, ControlError> {
        self.lease(&Request::CheckLease)
    }

    /// Give the mastership up.
    pub fn give_up_mastership(&self, to: Option<Uuid>) -> Result<(), ControlError> {
        self.done(&Request::GiveUpMastership { to })
    }

    /// Begin a new session with the last configuration.
    pub fn rejoin(&self) -> Result<(), ControlError> {
        self.done(&Request::Rejoin)
    }

    /// End the wait of a host that was fenced several times in a row.
    pub fn release_brake(&self) -> Result<(), ControlError> {
        self.done(&Request::ReleaseBrake)
    }

    /// The operator says that this host is dead.
    pub fn declare_dead(&self, host: Uuid) -> Result<(), ControlError> {
        self.done(&Request::DeclareDead { host })
    }
}

fn receive(reader: &mut BufReader<UnixStream>) -> Result<Option<Response>, ControlError> {
    let mut line = String::new();
    if reader.read_line(&mut line).map_err(ControlError::broken)? == 0 {
        return Ok(None);
    }
    match serde_json::from_str(&line).map_err(ControlError::broken)? {
        Response::Refused(refused) => Err(refused.into()),
        response => Ok(Some(response)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_daemon_the_socket_is_named_in_plain_words() {
        let error = Client::new("/nowhere/xhad.sock").liveset().unwrap_err();
        let sentence = "no heartbeat daemon listens at /nowhere/xhad.sock: No such file or \
                        directory";
        assert_eq!(error.to_string(), sentence);
    }
}
