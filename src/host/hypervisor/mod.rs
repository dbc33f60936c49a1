//! What runs VMs on this machine: one trait, three drivers, and the two real ones side by side.
//!
//! `sim` has nothing behind it (dumps, plans), `process` runs a VM as a process of our own binary,
//! `qemu` runs real machines; `mixed` has both. The VMs of all but the first outlive the agent:
//! they are found again by [`Hypervisor::scan`], never by memory. Every call is synchronous; the
//! agent owns the threads.

pub mod boot_sector;
pub mod canary;
pub mod control;
pub mod inside;
mod machine_dir;
pub mod mixed;
pub mod process;
pub mod process_vm;
pub mod qemu;
mod qemu_words;
mod qmp;
mod residents;
mod sector;
pub mod sim;
mod system_process;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How the bytes of a disk image are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The disk's bytes and nothing else.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

impl Format {
    /// The name as QEMU, file names and `sm-config` spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// One disk of a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    /// The image, as this host sees it.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Whether the VM may only read it.
    pub read_only: bool,
    /// The VBD's device: `0`, `1`, … or `xvda`; it only orders the disks.
    pub device: String,
}

/// Everything a driver needs to run one VM once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// The VM.
    pub vm: Uuid,
    /// Grows with every start of this VM anywhere in the pool; kept by a migration.
    pub run: u64,
    /// The VM's name, for people who look at process lists.
    pub name: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// The disks in the order in which the guest sees them.
    pub disks: Vec<DiskSpec>,
    /// Which driver of a `mixed` host runs it: `process` when absent. A host with one driver runs
    /// everything with that one.
    #[serde(default)]
    pub driver: Option<Kind>,
    /// Whether the guest proves its life on its first writable raw disk (see [`canary`]).
    pub canary: bool,
}

impl MachineSpec {
    /// The disk whose sector 0 carries the canary: the first that is raw and writable.
    pub fn canary_disk(&self) -> Option<&DiskSpec> {
        let usable = |disk: &&DiskSpec| disk.format == Format::Raw && !disk.read_only;
        self.disks.iter().filter(|_| self.canary).find(usable)
    }
}

/// What a VM that exists on this machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It executes, or must be presumed to: its process lives and does not say otherwise.
    Running,
    /// It executes nothing until it is unpaused.
    Paused,
    /// The target of a migration, waiting for the source's state.
    Receiving,
    /// The target of a migration with all of the source's state, told to do nothing yet.
    Received,
    /// The source of a migration after everything was handed over; it can still be resumed.
    Stopped,
}

/// A VM that really exists on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The VM.
    pub vm: Uuid,
    /// The run that its process was started for.
    pub run: u64,
    /// What it does.
    pub state: RunState,
    /// Its process; 0 while the process is only just being made, and in `sim`.
    pub pid: u32,
    /// When the process started, in clock ticks since the kernel's boot; tells a pid's users apart.
    pub started: u64,
}

/// Why a VM's process is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitKind {
    /// The guest switched itself off.
    GuestShutdown,
    /// The guest asked for a reboot.
    GuestReboot,
    /// The process ended without a word.
    Crash,
    /// This host ended it: shutdown, hard stop, suspend or hand-over through the driver.
    Killed,
}

/// One VM process that ended without a caller waiting for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The VM.
    pub vm: Uuid,
    /// The run that ended.
    pub run: u64,
    /// Why.
    pub kind: ExitKind,
}

/// Why a driver did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No process of this VM is on this machine.
    #[error("VM {vm} does not run on this host")]
    NotHere {
        /// The VM.
        vm: Uuid,
    },
    /// A process of this VM is here already; a second one is never started.
    #[error("VM {vm} already has a process on this host (run {run})")]
    AlreadyHere {
        /// The VM.
        vm: Uuid,
        /// The run of the process that is here.
        run: u64,
    },
    /// The VM is here but cannot do this now.
    #[error("VM {vm} is {state:?}: {reason}")]
    WrongState {
        /// The VM.
        vm: Uuid,
        /// What it does.
        state: RunState,
        /// Why that does not fit.
        reason: String,
    },
    /// The VM's process said no, or could not.
    #[error("VM {vm} could not {what}: {reason}")]
    Failed {
        /// The VM.
        vm: Uuid,
        /// What was asked.
        what: &'static str,
        /// What it answered.
        reason: String,
    },
    /// No answer within the time for it; what was asked may still happen.
    #[error("VM {vm} did not {what} within {seconds} s")]
    TimedOut {
        /// The VM.
        vm: Uuid,
        /// What was asked.
        what: &'static str,
        /// How long the driver waited.
        seconds: u64,
    },
    /// A program that the driver needs is not installed.
    #[error("the program {program} cannot be run: {reason}")]
    NoProgram {
        /// The program.
        program: PathBuf,
        /// The system's word for it.
        reason: String,
    },
    /// The system refused something on the way.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's word for it.
        source: std::io::Error,
    },
}

impl DriverError {
    /// Wraps a system error with what was tried.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// What a driver call gives back.
pub type Driven<T = ()> = Result<T, DriverError>;

/// Runs VMs on this machine.
///
/// A call that ends a VM (`clean_shutdown`, `hard_stop`, `suspend`, `abort_received`,
/// `finish_source`) returns when its process is gone, and that end is not in [`Self::exits`].
pub trait Hypervisor: Send + Sync {
    /// Starts a VM, executing or paused. Refused while any process of it is on this machine.
    fn start(&self, spec: &MachineSpec, paused: bool) -> Driven;

    /// Asks the guest to switch itself off and waits for it (`Settings::patience`).
    fn clean_shutdown(&self, vm: Uuid) -> Driven;

    /// Ends the VM's process at once.
    fn hard_stop(&self, vm: Uuid) -> Driven;

    /// Stops execution; when this returns nothing is written any more.
    fn pause(&self, vm: Uuid) -> Driven;

    /// Goes on after [`Self::pause`].
    fn unpause(&self, vm: Uuid) -> Driven;

    /// Writes the VM's state to `image` and ends it.
    fn suspend(&self, vm: Uuid, image: &Path) -> Driven;

    /// Starts the VM from `image`; the image is kept.
    fn resume(&self, spec: &MachineSpec, image: &Path) -> Driven;

    /// Creates the target of a migration, which executes nothing; gives where it listens.
    fn receive(&self, spec: &MachineSpec) -> Driven<SocketAddr>;

    /// Hands the VM to a target. When this returns the source executes nothing and the target has
    /// everything; on an error the source runs on here.
    fn migrate_to(&self, vm: Uuid, target: SocketAddr) -> Driven;

    /// Lets a received VM execute; the caller has made this host its owner before.
    fn continue_received(&self, vm: Uuid) -> Driven;

    /// Ends a target that is not to run.
    fn abort_received(&self, vm: Uuid) -> Driven;

    /// Lets the source run on after [`Self::migrate_to`]; the caller knows the target never will.
    fn resume_source(&self, vm: Uuid) -> Driven;

    /// Ends the source after a migration.
    fn finish_source(&self, vm: Uuid) -> Driven;

    /// What really exists on this machine now, whoever started it.
    fn scan(&self) -> Driven<Vec<Found>>;

    /// The VMs that ended since the last call; waits for nothing.
    fn exits(&self) -> Driven<Vec<Exit>>;
}

/// Which driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing behind it.
    Sim,
    /// Processes of our own binary.
    Process,
    /// Real machines.
    Qemu,
    /// Each VM by the driver that its record names.
    Mixed,
}

impl Kind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Process => "process",
            Self::Qemu => "qemu",
            Self::Mixed => "mixed",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let kinds = [Self::Sim, Self::Process, Self::Qemu, Self::Mixed];
        kinds.into_iter().find(|kind| kind.name() == word).ok_or_else(|| {
            format!("{word} is no hypervisor driver; there are sim, process, qemu and mixed")
        })
    }
}

/// What the drivers must be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the VMs of this host keep their directories; made when absent.
    pub state_dir: PathBuf,
    /// This boot of this host. What an earlier boot left behind is swept away by a scan.
    pub boot_id: String,
    /// Where migration targets listen.
    pub migration_address: IpAddr,
    /// Our own binary.
    pub program: PathBuf,
    /// QEMU's binary.
    pub qemu: PathBuf,
    /// QEMU's accelerator. Never detected: one that exists may still execute nothing.
    pub accelerator: String,
    /// How long a guest may take to switch itself off.
    pub patience: Duration,
}

impl Settings {
    /// Settings with the usual values: our own binary, loopback, `tcg`, 60 s.
    pub fn new(state_dir: impl Into<PathBuf>, boot_id: impl Into<String>) -> Self {
        Self {
            state_dir: state_dir.into(),
            boot_id: boot_id.into(),
            migration_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
            qemu: PathBuf::from("qemu-system-x86_64"),
            accelerator: "tcg".to_owned(),
            patience: Duration::from_secs(60),
        }
    }
}

/// The driver of a kind, whose state directory is made when absent.
pub fn open(kind: Kind, settings: Settings) -> Driven<Box<dyn Hypervisor>> {
    if kind == Kind::Sim {
        return Ok(Box::new(sim::Sim::default()));
    }
    let residents = Arc::new(residents::Residents::open(settings)?);
    Ok(match kind {
        Kind::Qemu => Box::new(qemu::QemuDriver::of(residents)),
        Kind::Mixed => Box::new(mixed::MixedDriver::of(residents)),
        Kind::Process | Kind::Sim => Box::new(process::ProcessDriver::of(residents)),
    })
}
