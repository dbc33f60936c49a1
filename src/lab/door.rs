//! How the lab talks to its machines: a unix socket each, one JSON object a line each way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::group::{Life, Member, Role};

/// The socket's name within the machine's directory.
pub const SOCKET: &str = "door.sock";

/// How long a machine may take to answer, on a busy computer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hand at the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Ask {
    /// How does it look?
    Look,
    /// The power button of a machine that is off.
    PowerOn,
    /// The plug is pulled.
    PowerOff {
        /// Whether this is a fault (and not the wish of the machine's own agent).
        fault: bool,
    },
    /// Off and on again.
    Reboot,
    /// These faults are switched on, those off; named for the history.
    Faults {
        /// Bits of [`crate::host::faults`] that go on.
        on: u64,
        /// Bits that go off.
        off: u64,
        /// What a person calls it.
        name: String,
    },
    /// A process of the machine gets a signal.
    Signal {
        /// Which.
        role: Role,
        /// Stopped rather than killed.
        stop: bool,
        /// What a person calls it.
        name: String,
    },
    /// From now on the machine ends when this connection breaks, unless it is let go first.
    Leash,
    /// The machine and its keeper end for good.
    End,
}

/// A machine as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Whether it runs.
    pub power: bool,
    /// Its present or last boot.
    pub boot: String,
    /// The faults that are on.
    pub faults: u64,
    /// The processes, those of the last boot when it is off.
    pub members: Vec<Member>,
    /// When what was asked for took effect, CLOCK_BOOTTIME in nanoseconds.
    pub t_ns: u64,
}

impl Look {
    /// How many of the processes are in that state.
    pub fn count(&self, life: Life) -> usize {
        self.members.iter().filter(|member| member.life == life).count()
    }

    /// The living process that is this.
    pub fn process(&self, role: Role) -> Option<i32> {
        let fits = |member: &&Member| member.role == role && member.life == Life::Alive;
        self.members.iter().find(fits).map(|member| member.pid)
    }
}

/// What a machine answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It is done; this is how it stands.
    Done(Look),
    /// It cannot.
    Refused(String),
}

/// Holds a machine: it ends when the holder dies, however that comes.
#[derive(Debug)]
pub struct Leash {
    stream: UnixStream,
}

impl Leash {
    /// Takes the machine of this directory.
    pub fn take(machine_dir: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(machine_dir.join(SOCKET))?;
        (&stream).write_all(format!("{}\n", serde_json::to_string(&Ask::Leash)?).as_bytes())?;
        Ok(Self { stream })
    }

    /// Lets it live on.
    pub fn let_go(self) {
        let _ended_anyway = (&self.stream).write_all(b"free\n");
    }
}

/// Asks the machine of this directory.
pub fn ask(machine_dir: &Path, ask: &Ask) -> anyhow::Result<Look> {
    let path = machine_dir.join(SOCKET);
    let stream = UnixStream::connect(&path)
        .with_context(|| format!("no machine answers at {}", path.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    (&stream).write_all(format!("{}\n", serde_json::to_string(ask)?).as_bytes())?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    if line.is_empty() && *ask == Ask::End {
        return Ok(Look::default());
    }
    match serde_json::from_str(&line).context("the machine broke off")? {
        Reply::Done(look) => Ok(look),
        Reply::Refused(why) => bail!("{why}"),
    }
}
