//! The driver with nothing behind it: databases and plans only need VMs that obey.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::{Driven, DriverError, Exit, Found, Hypervisor, MachineSpec, RunState};

/// VMs that exist in this driver's memory only; a new driver knows none.
#[derive(Debug, Default)]
pub struct Sim {
    machines: Mutex<BTreeMap<Uuid, (u64, RunState)>>,
}

impl Sim {
    fn machines(&self) -> MutexGuard<'_, BTreeMap<Uuid, (u64, RunState)>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, spec: &MachineSpec, state: RunState) -> Driven {
        let mut machines = self.machines();
        if let Some((run, _)) = machines.get(&spec.vm) {
            return Err(DriverError::AlreadyHere { vm: spec.vm, run: *run });
        }
        machines.insert(spec.vm, (spec.run, state));
        Ok(())
    }

    fn turn(&self, vm: Uuid, from: &[RunState], to: RunState) -> Driven {
        let mut machines = self.machines();
        let (_, state) = machines.get_mut(&vm).ok_or(DriverError::NotHere { vm })?;
        if !from.contains(state) {
            let reason = format!("it would have to be one of {from:?}");
            return Err(DriverError::WrongState { vm, state: *state, reason });
        }
        *state = to;
        Ok(())
    }

    fn remove(&self, vm: Uuid) -> Driven {
        self.machines().remove(&vm).map(drop).ok_or(DriverError::NotHere { vm })
    }
}

impl Hypervisor for Sim {
    fn start(&self, spec: &MachineSpec, paused: bool) -> Driven {
        self.insert(spec, if paused { RunState::Paused } else { RunState::Running })
    }

    fn clean_shutdown(&self, vm: Uuid) -> Driven {
        self.remove(vm)
    }

    fn hard_stop(&self, vm: Uuid) -> Driven {
        self.remove(vm)
    }

    fn pause(&self, vm: Uuid) -> Driven {
        self.turn(vm, &[RunState::Running], RunState::Paused)
    }

    fn unpause(&self, vm: Uuid) -> Driven {
        self.turn(vm, &[RunState::Paused], RunState::Running)
    }

    fn suspend(&self, vm: Uuid, _image: &Path) -> Driven {
        self.remove(vm)
    }

    fn resume(&self, spec: &MachineSpec, _image: &Path) -> Driven {
        self.insert(spec, RunState::Running)
    }

    fn receive(&self, spec: &MachineSpec) -> Driven<SocketAddr> {
        self.insert(spec, RunState::Received)?;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    fn migrate_to(&self, vm: Uuid, _target: SocketAddr) -> Driven {
        self.turn(vm, &[RunState::Running, RunState::Paused], RunState::Stopped)
    }

    fn continue_received(&self, vm: Uuid) -> Driven {
        self.turn(vm, &[RunState::Received], RunState::Running)
    }

    fn abort_received(&self, vm: Uuid) -> Driven {
        self.remove(vm)
    }

    fn resume_source(&self, vm: Uuid) -> Driven {
        self.turn(vm, &[RunState::Stopped], RunState::Running)
    }

    fn finish_source(&self, vm: Uuid) -> Driven {
        self.remove(vm)
    }

    fn scan(&self) -> Driven<Vec<Found>> {
        let found = |(vm, (run, state)): (&Uuid, &(u64, RunState))| Found {
            vm: *vm,
            run: *run,
            state: *state,
            pid: 0,
            started: 0,
        };
        Ok(self.machines().iter().map(found).collect())
    }

    fn exits(&self) -> Driven<Vec<Exit>> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> MachineSpec {
        MachineSpec {
            vm: Uuid::from_u128(1),
            run: 4,
            name: "one".into(),
            memory_bytes: 1 << 20,
            vcpus: 1,
            disks: Vec::new(),
            driver: None,
            canary: false,
        }
    }

    #[test]
    fn a_second_start_is_refused() {
        let sim = Sim::default();
        sim.start(&spec(), false).unwrap();
        let again = sim.start(&spec(), false);
        assert!(matches!(again, Err(DriverError::AlreadyHere { run: 4, .. })));
    }

    #[test]
    fn a_migration_stops_the_source_before_the_target_runs() {
        let (source, target) = (Sim::default(), Sim::default());
        source.start(&spec(), false).unwrap();
        let address = target.receive(&spec()).unwrap();
        source.migrate_to(spec().vm, address).unwrap();
        assert_eq!(source.scan().unwrap()[0].state, RunState::Stopped);
        target.continue_received(spec().vm).unwrap();
        source.finish_source(spec().vm).unwrap();
        assert!(source.scan().unwrap().is_empty());
        assert_eq!(target.scan().unwrap()[0].state, RunState::Running);
    }
}
