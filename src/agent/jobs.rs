//! What the master asks a host to do with its own machine: VMs, disks, SRs.
//!
//! A job carries the epoch of the master that sends it. A host refuses jobs of a lower epoch than
//! it has seen (R6.1), so that nothing of an old master takes effect.

use super::Agent;
use super::gate::assert_boot;
use super::storage_jobs::suspend_image;
use crate::host::hypervisor::{self, DiskSpec, DriverError, Format, Found, MachineSpec, RunState};
use crate::host::interface::Interface;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use uuid::Uuid;

/// A disk as the master names it; each host knows where its SRs are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDisk {
    /// The SR.
    pub sr: Uuid,
    /// The VDI.
    pub vdi: Uuid,
    /// Whether the VM may only read it.
    pub read_only: bool,
    /// The VBD's device.
    pub device: String,
}

/// A VM as the master names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVm {
    /// The VM.
    pub vm: Uuid,
    /// The run that this is.
    pub run: u64,
    /// The boot of the host that it was decided for; in any other it is not begun.
    pub boot: String,
    /// Its name.
    pub name: String,
    /// Memory in bytes.
    pub memory: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// Its disks.
    pub disks: Vec<JobDisk>,
    /// The driver that its record names.
    pub driver: Option<hypervisor::Kind>,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Job {
    /// Start a VM.
    Start {
        /// The VM.
        vm: JobVm,
        /// Whether it begins paused.
        paused: bool,
    },
    /// Let the guest switch itself off.
    CleanShutdown {
        /// The VM.
        vm: Uuid,
    },
    /// End the VM at once.
    HardStop {
        /// The VM.
        vm: Uuid,
    },
    /// Stop executing.
    Pause {
        /// The VM.
        vm: Uuid,
    },
    /// Go on executing.
    Unpause {
        /// The VM.
        vm: Uuid,
    },
    /// Save the VM to a VDI and end it.
    Suspend {
        /// The VM.
        vm: Uuid,
        /// The SR of the image.
        sr: Uuid,
        /// The image.
        image: Uuid,
    },
    /// Start a VM from its image.
    Resume {
        /// The VM.
        vm: JobVm,
        /// The SR of the image.
        sr: Uuid,
        /// The image.
        image: Uuid,
    },
    /// Make the target of a migration; answers where it listens.
    Receive {
        /// The VM.
        vm: JobVm,
    },
    /// Hand a VM over; afterwards it executes nowhere.
    MigrateTo {
        /// The VM.
        vm: Uuid,
        /// Where the target listens.
        target: SocketAddr,
    },
    /// Let the target of a migration execute.
    ContinueReceived {
        /// The VM.
        vm: Uuid,
    },
    /// End the target of a migration.
    AbortReceived {
        /// The VM.
        vm: Uuid,
    },
    /// Let the source of a failed migration go on.
    ResumeSource {
        /// The VM.
        vm: Uuid,
    },
    /// End the source of a migration.
    FinishSource {
        /// The VM.
        vm: Uuid,
    },
    /// What really runs here.
    Scan {
        /// The boot of the host that is asked; another one does not answer for it.
        boot: String,
    },
    /// Attach an SR.
    PlugSr {
        /// The SR.
        sr: Uuid,
        /// Its directory on this host.
        location: PathBuf,
        /// Whether all hosts see it.
        shared: bool,
        /// Whether it is new and must be made.
        create: bool,
    },
    /// Detach an SR.
    UnplugSr {
        /// The SR.
        sr: Uuid,
    },
    /// The space of an SR and its disks.
    ScanSr {
        /// The SR.
        sr: Uuid,
    },
    /// Make a disk.
    CreateVdi {
        /// The SR.
        sr: Uuid,
        /// The disk.
        vdi: Uuid,
        /// Its format.
        format: Format,
        /// Bytes that a VM sees.
        size: u64,
    },
    /// Copy a disk within its SR.
    CopyVdi {
        /// The SR.
        sr: Uuid,
        /// The disk.
        from: Uuid,
        /// The copy.
        to: Uuid,
    },
    /// Change the size of a disk.
    ResizeVdi {
        /// The SR.
        sr: Uuid,
        /// The disk.
        vdi: Uuid,
        /// Bytes that a VM sees.
        size: u64,
    },
    /// Remove a disk.
    DestroyVdi {
        /// The SR.
        sr: Uuid,
        /// The disk.
        vdi: Uuid,
    },
    /// Find or make a volume of HA; `metadata` tells which.
    EnsureVolume {
        /// The SR.
        sr: Uuid,
        /// The metadata volume rather than the heartbeat volume.
        metadata: bool,
    },
    /// Look at this host's network.
    Network(super::interfaces::Look),
    /// A step of switching HA on or off.
    Ha(super::ha::HostStep),
    /// Switch the machine off or reboot it.
    Power {
        /// Whether it comes up again.
        reboot: bool,
    },
}

/// One VM that a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundVm {
    /// The VM.
    pub vm: Uuid,
    /// Its run.
    pub run: u64,
    /// What it does.
    pub state: RunState,
}

impl From<Found> for FoundVm {
    fn from(found: Found) -> Self {
        Self { vm: found.vm, run: found.run, state: found.state }
    }
}

/// What a job gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// It was done.
    Ok,
    /// Where a migration target listens.
    Listening(SocketAddr),
    /// What runs here, after all jobs of older epochs have ended.
    Found(Vec<FoundVm>),
    /// A disk that was made or found.
    Vdi {
        /// Its uuid.
        uuid: Uuid,
        /// Bytes that a VM sees.
        size: u64,
        /// Bytes that it occupies.
        used: u64,
    },
    /// An SR's bytes and disks `(uuid, virtual size, occupied)`.
    Sr {
        /// All bytes.
        total: u64,
        /// Free bytes.
        free: u64,
        /// Its disks.
        disks: Vec<(Uuid, u64, u64)>,
    },
    /// What a look at the network found.
    Interface(Option<Interface>),
    /// What a step of HA answers, as JSON.
    Ha(serde_json::Value),
}

/// Sends a job to a host (this one too) and waits for it.
pub fn on_host(agent: &Agent, host: &str, epoch: u64, job: &Job) -> Answer<Done> {
    let db = agent.store.read();
    db.require("host", host)?;
    if db.text("host", host, "uuid") == agent.config.host.to_string() || agent.state_dir.is_none() {
        return run(agent, epoch, job);
    }
    let address = db.text("host", host, "address");
    let text = serde_json::to_string(job).map_err(|e| Failure::internal(e.to_string()))?;
    let params = [Value::Int(i64::try_from(epoch).unwrap_or(i64::MAX)), Value::from(text)];
    let answer = agent.peers.call(address, "job", &params)?;
    serde_json::from_str(answer.as_str().unwrap_or(""))
        .map_err(|error| Failure::internal(format!("host {address} answered nonsense: {error}")))
}

/// Does a job on this host.
pub fn run(agent: &Agent, epoch: u64, job: &Job) -> Answer<Done> {
    // This may wait. What is asked next must hold when the job begins, and who leaves waits for it.
    super::ha::named::assert_of_view(agent, epoch)?;
    let makes_vm = matches!(job, Job::Start { .. } | Job::Resume { .. } | Job::Receive { .. });
    let _starting = if makes_vm { super::starts::begin(agent)? } else { None };
    if makes_vm {
        agent.gate.raise(super::ha::admitted_in(agent)?);
    }
    let pass = agent.gate.enter(epoch, makes_vm)?;
    match job {
        Job::Start { vm, paused } => {
            assert_boot(agent, &vm.boot)?;
            super::ha::assert_may_run(agent)?;
            let spec = spec(agent, vm)?;
            agent.history.note(
                "vm-start-command",
                "job of the master",
                serde_json::json!({
                    "vm": vm.vm, "name": vm.name, "run": vm.run, "epoch": epoch,
                }),
            );
            agent.driver.start(&spec, *paused).map_err(driver_failure)?;
        }
        Job::CleanShutdown { vm } => ended(agent.driver.clean_shutdown(*vm))?,
        Job::HardStop { vm } => ended(agent.driver.hard_stop(*vm))?,
        Job::Pause { vm } => agent.driver.pause(*vm).map_err(driver_failure)?,
        Job::Unpause { vm } => agent.driver.unpause(*vm).map_err(driver_failure)?,
        Job::Suspend { vm, sr, image } => {
            let image = suspend_image(agent, *sr, *image)?;
            agent.driver.suspend(*vm, &image).map_err(driver_failure)?;
        }
        Job::Resume { vm, sr, image } => {
            assert_boot(agent, &vm.boot)?;
            super::ha::assert_may_run(agent)?;
            let image = suspend_image(agent, *sr, *image)?;
            agent.driver.resume(&spec(agent, vm)?, &image).map_err(driver_failure)?;
        }
        Job::Receive { vm } => {
            assert_boot(agent, &vm.boot)?;
            super::ha::assert_may_run(agent)?;
            let address = agent.driver.receive(&spec(agent, vm)?).map_err(driver_failure)?;
            return Ok(Done::Listening(address));
        }
        Job::MigrateTo { vm, target } => {
            agent.driver.migrate_to(*vm, *target).map_err(driver_failure)?;
        }
        Job::ContinueReceived { vm } => {
            agent.driver.continue_received(*vm).map_err(driver_failure)?;
        }
        Job::AbortReceived { vm } => ended(agent.driver.abort_received(*vm))?,
        Job::ResumeSource { vm } => agent.driver.resume_source(*vm).map_err(driver_failure)?,
        Job::FinishSource { vm } => ended(agent.driver.finish_source(*vm))?,
        Job::Scan { boot } => {
            assert_boot(agent, boot)?;
            agent.gate.wait_for_earlier(&pass)?;
            let found = agent.driver.scan().map_err(driver_failure)?;
            return Ok(Done::Found(found.into_iter().map(FoundVm::from).collect()));
        }
        Job::Network(look) => return Ok(super::interfaces::look(agent, look)),
        Job::Ha(step) => return super::ha::host_step(agent, step).map(Done::Ha),
        Job::Power { reboot } => {
            let about = serde_json::json!({ "reboot": reboot });
            agent.history.note("host-power", "asked for by the master", about);
            super::ha::leave::begin(agent, *reboot)
                .map_err(|error| Failure::internal(error.to_string()))?;
        }
        storage => return super::storage_jobs::run(agent, storage),
    }
    Ok(Done::Ok)
}

fn spec(agent: &Agent, vm: &JobVm) -> Answer<MachineSpec> {
    let mut disks = Vec::new();
    for disk in vm.disks.iter().filter(|_| agent.state_dir.is_some()) {
        let sr = agent.plugs.get(disk.sr).map_err(super::storage_jobs::sr_failure)?;
        let found = sr.find(disk.vdi).map_err(super::storage_jobs::sr_failure)?;
        let format = match found.kind {
            crate::host::sr::VdiKind::Disk(format) => format,
            crate::host::sr::VdiKind::Volume(_) => Format::Raw,
        };
        disks.push(DiskSpec {
            path: found.path,
            format,
            read_only: disk.read_only,
            device: disk.device.clone(),
        });
    }
    Ok(MachineSpec {
        vm: vm.vm,
        run: vm.run,
        name: vm.name.clone(),
        memory_bytes: vm.memory,
        vcpus: vm.vcpus,
        disks,
        driver: vm.driver,
        canary: true,
    })
}

/// A VM that is not here any more has ended, which is all that was asked.
fn ended(outcome: Result<(), DriverError>) -> Answer<()> {
    match outcome {
        Ok(()) | Err(DriverError::NotHere { .. }) => Ok(()),
        Err(error) => Err(driver_failure(error)),
    }
}

fn driver_failure(error: DriverError) -> Failure {
    match &error {
        // The command may still take effect: the caller must look, not assume.
        DriverError::TimedOut { .. } => Failure::new("XE_JOB_UNDECIDED", [error.to_string()]),
        _ => Failure::internal(error.to_string()),
    }
}

/// Whether a failed job may have had its effect all the same.
pub fn is_undecided(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "HOST_OFFLINE" | "XE_JOB_UNDECIDED")
}
