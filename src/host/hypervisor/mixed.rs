//! The `mixed` driver: `process` and `qemu` on one host, each VM by the driver that its spec names.
//!
//! Both share the directories of the VMs, so one lock keeps a VM from a second process whichever
//! driver is asked for it. A VM that is here belongs to the driver that its directory names; what
//! is not understood there is an error and never the absence of a VM.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::machine_dir::MachineDir;
use super::process::ProcessDriver;
use super::qemu::QemuDriver;
use super::residents::{Residents, dir_failed};
use super::{Driven, DriverError, Exit, Found, Hypervisor, Kind, MachineSpec, RunState};

/// The driver.
#[derive(Debug)]
pub struct MixedDriver {
    residents: Arc<Residents>,
    process: ProcessDriver,
    qemu: QemuDriver,
}

impl MixedDriver {
    /// The driver of these VMs.
    pub(super) fn of(residents: Arc<Residents>) -> Self {
        let process = ProcessDriver::of(Arc::clone(&residents));
        let qemu = QemuDriver::of(Arc::clone(&residents));
        Self { residents, process, qemu }
    }

    /// Which driver a VM that is to be made asks for.
    fn wanted(&self, spec: &MachineSpec) -> Driven<&dyn Hypervisor> {
        match spec.driver {
            None | Some(Kind::Process) => Ok(&self.process),
            Some(Kind::Qemu) => Ok(&self.qemu),
            Some(kind @ (Kind::Sim | Kind::Mixed)) => Err(DriverError::Failed {
                vm: spec.vm,
                what: "start",
                reason: format!(
                    "a mixed host has the drivers process and qemu, not {}",
                    kind.name()
                ),
            }),
        }
    }

    /// The driver of a VM that is here.
    fn at(&self, vm: Uuid) -> Driven<&dyn Hypervisor> {
        let qemu = is_qemu(&self.residents.dir(vm)).map_err(dir_failed(vm))?;
        Ok(if qemu { &self.qemu } else { &self.process })
    }
}

/// Whether a directory's VM runs in QEMU; one in which nothing was begun yet has no driver, and
/// either gives the same answers about it.
fn is_qemu(dir: &MachineDir) -> std::io::Result<bool> {
    let machine = dir.machine()?;
    Ok(machine.is_some_and(|machine| machine.spec.driver == Some(Kind::Qemu)))
}

impl Hypervisor for MixedDriver {
    fn start(&self, spec: &MachineSpec, paused: bool) -> Driven {
        self.wanted(spec)?.start(spec, paused)
    }

    fn clean_shutdown(&self, vm: Uuid) -> Driven {
        self.at(vm)?.clean_shutdown(vm)
    }

    fn hard_stop(&self, vm: Uuid) -> Driven {
        // A kill needs no word with the VM, nor a spec that can be read.
        self.residents.hard_stop(vm)
    }

    fn pause(&self, vm: Uuid) -> Driven {
        self.at(vm)?.pause(vm)
    }

    fn unpause(&self, vm: Uuid) -> Driven {
        self.at(vm)?.unpause(vm)
    }

    fn suspend(&self, vm: Uuid, image: &Path) -> Driven {
        self.at(vm)?.suspend(vm, image)
    }

    fn resume(&self, spec: &MachineSpec, image: &Path) -> Driven {
        self.wanted(spec)?.resume(spec, image)
    }

    fn receive(&self, spec: &MachineSpec) -> Driven<SocketAddr> {
        self.wanted(spec)?.receive(spec)
    }

    fn migrate_to(&self, vm: Uuid, target: SocketAddr) -> Driven {
        self.at(vm)?.migrate_to(vm, target)
    }

    fn continue_received(&self, vm: Uuid) -> Driven {
        self.at(vm)?.continue_received(vm)
    }

    fn abort_received(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn resume_source(&self, vm: Uuid) -> Driven {
        self.at(vm)?.resume_source(vm)
    }

    fn finish_source(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn scan(&self) -> Driven<Vec<Found>> {
        self.residents.scan(|dir| match is_qemu(dir) {
            Ok(true) => QemuDriver::state(dir),
            Ok(false) => ProcessDriver::state(dir),
            // Its process is there, and nobody can be asked what it does.
            Err(_) => RunState::Running,
        })
    }

    fn exits(&self) -> Driven<Vec<Exit>> {
        for (vm, dir) in self.residents.list()? {
            // One that cannot be read has no guest's word to look for; its end is still seen.
            if is_qemu(&dir).unwrap_or(false) {
                self.qemu.bury(vm, &dir)?;
            }
        }
        self.residents.exits()
    }
}
