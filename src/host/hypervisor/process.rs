//! The `process` driver: VMs are processes of our own binary (see [`super::process_vm`]).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::control::{Reply, Request, ask};
use super::machine_dir::MachineDir;
use super::residents::{ANSWER, Residents};
use super::{Driven, DriverError, Exit, Found, Hypervisor, MachineSpec, RunState};

/// How long a state question may take: a VM that does not answer counts as running.
const GLANCE: Duration = Duration::from_millis(500);
/// How long a hand-over may take.
const TRANSFER: Duration = Duration::from_secs(60);

/// The driver.
#[derive(Debug)]
pub struct ProcessDriver {
    residents: Arc<Residents>,
}

impl ProcessDriver {
    /// The driver of these VMs.
    pub(super) fn of(residents: Arc<Residents>) -> Self {
        Self { residents }
    }

    /// What a VM that has a process does.
    pub(super) fn state(dir: &MachineDir) -> RunState {
        ask(dir.path(), &Request::State, GLANCE).map_or(RunState::Running, |reply| reply.state)
    }

    fn launch(&self, spec: &MachineSpec, mode: &[&str]) -> Driven {
        let (dir, lock) = self.residents.claim(spec)?;
        let mut words = vec!["launch".to_owned(), dir.path().to_string_lossy().into_owned()];
        words.extend(mode.iter().map(|word| (*word).to_owned()));
        let said = self.residents.launch(spec.vm, &dir, lock, &words)?;
        if said.as_deref() == Some("ready") {
            return Ok(());
        }
        self.residents.sweep(spec.vm)?;
        let reason = said.filter(|line| !line.is_empty());
        let reason = reason.unwrap_or_else(|| "it said nothing".to_owned());
        Err(DriverError::Failed { vm: spec.vm, what: "start", reason })
    }

    fn ask(
        &self,
        vm: Uuid,
        what: &'static str,
        request: &Request,
        time: Duration,
    ) -> Driven<Reply> {
        let dir = self.residents.here(vm)?;
        let reply = ask(dir.path(), request, time).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                DriverError::TimedOut { vm, what, seconds: time.as_secs() }
            }
            _ => DriverError::Failed { vm, what, reason: error.to_string() },
        })?;
        match reply.error {
            None => Ok(reply),
            Some(reason) => Err(DriverError::Failed { vm, what, reason }),
        }
    }

    /// Asks for something that ends the VM, and waits until it is gone. The VM answers only when
    /// it refuses, so a broken connection is the expected answer.
    fn ask_for_end(&self, vm: Uuid, what: &'static str, request: &Request) -> Driven {
        let dir = self.residents.here(vm)?;
        let patience = self.residents.settings().patience;
        let began = Instant::now();
        if let Ok(Reply { error: Some(reason), .. }) = ask(dir.path(), request, patience) {
            return Err(DriverError::Failed { vm, what, reason });
        }
        self.residents.wait_until_gone(vm, what, patience.saturating_sub(began.elapsed()))
    }
}

impl Hypervisor for ProcessDriver {
    fn start(&self, spec: &MachineSpec, paused: bool) -> Driven {
        self.launch(spec, &[if paused { "paused" } else { "running" }])
    }

    fn clean_shutdown(&self, vm: Uuid) -> Driven {
        self.ask_for_end(vm, "shut down", &Request::Shutdown)
    }

    fn hard_stop(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn pause(&self, vm: Uuid) -> Driven {
        self.ask(vm, "pause", &Request::Pause, ANSWER).map(drop)
    }

    fn unpause(&self, vm: Uuid) -> Driven {
        self.ask(vm, "unpause", &Request::Continue(RunState::Paused), ANSWER).map(drop)
    }

    fn suspend(&self, vm: Uuid, image: &Path) -> Driven {
        self.ask_for_end(vm, "suspend", &Request::Suspend(image.to_owned()))
    }

    fn resume(&self, spec: &MachineSpec, image: &Path) -> Driven {
        self.launch(spec, &["resume", &image.to_string_lossy()])
    }

    fn receive(&self, spec: &MachineSpec) -> Driven<SocketAddr> {
        let address = self.residents.settings().migration_address.to_string();
        self.launch(spec, &["receive", &address])?;
        let reply = self.ask(spec.vm, "receive", &Request::State, ANSWER)?;
        reply.listens.ok_or_else(|| DriverError::Failed {
            vm: spec.vm,
            what: "receive",
            reason: "it listens nowhere".to_owned(),
        })
    }

    fn migrate_to(&self, vm: Uuid, target: SocketAddr) -> Driven {
        self.ask(vm, "migrate", &Request::Migrate(target), TRANSFER).map(drop)
    }

    fn continue_received(&self, vm: Uuid) -> Driven {
        self.ask(vm, "continue", &Request::Continue(RunState::Received), ANSWER).map(drop)
    }

    fn abort_received(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn resume_source(&self, vm: Uuid) -> Driven {
        self.ask(vm, "continue", &Request::Continue(RunState::Stopped), ANSWER).map(drop)
    }

    fn finish_source(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn scan(&self) -> Driven<Vec<Found>> {
        self.residents.scan(Self::state)
    }

    fn exits(&self) -> Driven<Vec<Exit>> {
        self.residents.exits()
    }
}
