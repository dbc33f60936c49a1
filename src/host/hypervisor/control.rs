//! How a process VM is told what to do: one JSON line in, one out, over a unix socket.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RunState;

/// The socket's name in the VM's directory.
pub const SOCKET: &str = "control.sock";

/// What a VM can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// What do you do? Answered even when the disk hangs.
    State,
    /// Stop executing.
    Pause,
    /// Execute again from this state: after a pause, as a migration's target, or as its source.
    /// A VM that runs already has nothing to do.
    Continue(RunState),
    /// The host asks the guest to switch itself off.
    Shutdown,
    /// The guest switches itself off (for tests and the lab: as if from inside).
    GuestShutdown,
    /// The guest asks for a reboot (as if from inside).
    GuestReboot,
    /// Write your state to this file and end.
    Suspend(PathBuf),
    /// Stop and hand everything to a target.
    Migrate(SocketAddr),
    /// End, after a migration.
    Finish,
}

/// What the VM answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Why not, when it did not do it.
    pub error: Option<String>,
    /// What the VM does now.
    pub state: RunState,
    /// Where a migration's target listens.
    pub listens: Option<SocketAddr>,
}

/// Asks the VM whose directory this is.
pub fn ask(dir: &Path, request: &Request, patience: Duration) -> io::Result<Reply> {
    let mut stream = connect(dir, SOCKET)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// Connects to a socket in a directory of any length: a socket address holds 107 bytes, so the
/// way leads through the directory's descriptor.
pub(crate) fn connect(dir: &Path, name: &str) -> io::Result<UnixStream> {
    use std::os::fd::AsRawFd;
    let directory = std::fs::File::open(dir)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}
