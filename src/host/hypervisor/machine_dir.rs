//! The directory of one VM on this machine: what a later agent finds the VM by.
//!
//! | file | content |
//! |---|---|
//! | `lock` | locked by agent, launcher and VM process from before the start until the VM's end |
//! | `machine.json` | the spec and the host's boot, written before the launch |
//! | `process.json` | pid and start time, written by the VM's process (or its launcher) |
//! | `exit.json` | why the process ended, written by whoever ended it on purpose |
//! | `asked`, `receiving` | marks of the `qemu` driver |

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::system_process::SystemProcess;
use super::{ExitKind, MachineSpec};

/// The names of the sockets that a process may leave behind.
const SOCKETS: [&str; 3] = [super::control::SOCKET, super::qmp::TASKS, super::qmp::LOOKS];

/// The directory of one VM.
#[derive(Debug, Clone)]
pub struct MachineDir {
    path: PathBuf,
}

/// What is known about a start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The host's boot in which the VM was started.
    pub boot_id: String,
    /// What was started.
    pub spec: MachineSpec,
}

/// Whether a VM's process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It lives.
    Alive(SystemProcess),
    /// It is just being made; nobody knows its pid yet.
    Starting,
    /// There is none.
    Gone,
}

impl MachineDir {
    /// The directory of a VM under the driver's state directory.
    pub fn of(state_dir: &Path, vm: Uuid) -> Self {
        Self { path: state_dir.join(vm.to_string()) }
    }

    /// A directory that is known by its path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// All VM directories under the driver's state directory.
    pub fn list(state_dir: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(state_dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| Uuid::parse_str(name).is_ok()) {
                found.push(Self { path: entry.path() });
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it and takes its lock; `None` while any process of the VM holds it.
    pub fn claim(&self) -> io::Result<Option<File>> {
        fs::create_dir_all(&self.path)?;
        self.try_lock()
    }

    fn try_lock(&self) -> io::Result<Option<File>> {
        let path = self.path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(lock)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down what is about to be started, and forgets the process before.
    pub fn prepare(&self, machine: &Machine) -> io::Result<()> {
        for name in ["process.json", "exit.json", "asked", "receiving"].iter().chain(&SOCKETS) {
            remove_if_there(&self.path.join(name))?;
        }
        self.write("machine.json", machine)
    }

    /// What was started here last.
    pub fn machine(&self) -> io::Result<Option<Machine>> {
        self.read("machine.json")
    }

    /// Writes down the VM's process.
    pub fn set_process(&self, process: &SystemProcess) -> io::Result<()> {
        self.write("process.json", process)
    }

    /// Writes down why the process ends, unless a reason stands there already.
    pub fn set_exit(&self, kind: ExitKind) -> io::Result<()> {
        if self.exit()?.is_some() {
            return Ok(());
        }
        self.write("exit.json", &kind)
    }

    /// Why the process ended, if it was on purpose.
    pub fn exit(&self) -> io::Result<Option<ExitKind>> {
        self.read("exit.json")
    }

    /// Sets a mark of the driver.
    pub fn mark(&self, name: &str) -> io::Result<()> {
        fs::write(self.path.join(name), "")
    }

    /// Takes a mark away.
    pub fn unmark(&self, name: &str) -> io::Result<()> {
        remove_if_there(&self.path.join(name))
    }

    /// Whether a mark is set.
    pub fn marked(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Whether the VM's process is there. The lock alone answers while no pid is known.
    pub fn presence(&self) -> io::Result<Presence> {
        if let Some(process) = self.read::<SystemProcess>("process.json")?
            && process.alive()
        {
            return Ok(Presence::Alive(process));
        }
        if !self.path.join("lock").exists() {
            return Ok(Presence::Gone);
        }
        Ok(if self.try_lock()?.is_some() { Presence::Gone } else { Presence::Starting })
    }

    /// Removes the directory of a VM that is gone.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        fs::write(&new, serde_json::to_vec(value)?)?;
        fs::rename(new, self.path.join(name))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
