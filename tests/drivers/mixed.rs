//! The `mixed` driver: both kinds of VMs on one host.

use std::path::Path;

use uuid::Uuid;
use xe::host::hypervisor::{DriverError, ExitKind, Kind, MachineSpec, RunState, inside};

use crate::bench::{VM, counter, host, missing, spec, until};

const OTHER: Uuid = Uuid::from_u128(0xfeed_0002);

/// One VM of each kind.
fn both(dir: &Path) -> Option<[MachineSpec; 2]> {
    if missing(Kind::Mixed) {
        return None;
    }
    let at = |name: &str, vm, driver| {
        let dir = dir.join(name);
        std::fs::create_dir(&dir).unwrap();
        MachineSpec { vm, driver, ..spec(&dir, 3) }
    };
    Some([at("one", VM, None), at("other", OTHER, Some(Kind::Qemu))])
}

#[test]
fn vms_of_both_kinds_run_side_by_side_and_end_by_their_own_driver() {
    let dir = tempfile::tempdir().unwrap();
    let Some([process, qemu]) = both(dir.path()) else { return };
    let state_dir = dir.path().join("vms");
    let first = host(Kind::Mixed, &state_dir, "boot-1");
    for spec in [&process, &qemu] {
        first.driver.start(spec, false).unwrap();
        until("a write", || counter(spec, 3));
    }
    // A later agent finds both, and knows which is which.
    let later = host(Kind::Mixed, &state_dir, "boot-1");
    let found: Vec<_> = later.driver.scan().unwrap().iter().map(|f| (f.vm, f.run)).collect();
    assert_eq!(found, [(VM, 3), (OTHER, 3)]);
    for vm in [VM, OTHER] {
        later.driver.pause(vm).unwrap();
    }
    let states: Vec<_> = later.driver.scan().unwrap().iter().map(|found| found.state).collect();
    assert_eq!(states, [RunState::Paused; 2]);
    later.driver.unpause(OTHER).unwrap();
    later.driver.clean_shutdown(OTHER).unwrap();
    later.driver.unpause(VM).unwrap();
    inside::switch_off(&state_dir, VM).unwrap();
    let exits = until("the end", || Some(later.driver.exits().unwrap()).filter(|e| !e.is_empty()));
    assert_eq!((exits[0].vm, exits[0].kind), (VM, ExitKind::GuestShutdown));
    assert_eq!(later.driver.scan().unwrap(), []);
}

#[test]
fn a_vm_of_one_kind_is_not_started_a_second_time_as_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let Some([process, qemu]) = both(dir.path()) else { return };
    let host = host(Kind::Mixed, &dir.path().join("vms"), "boot-1");
    for (first, second) in [(&process, Some(Kind::Qemu)), (&qemu, None)] {
        host.driver.start(first, false).unwrap();
        let again = host.driver.start(&MachineSpec { driver: second, ..first.clone() }, false);
        assert!(matches!(again, Err(DriverError::AlreadyHere { run: 3, .. })), "{again:?}");
        host.driver.hard_stop(first.vm).unwrap();
        host.driver.start(&MachineSpec { driver: second, ..first.clone() }, false).unwrap();
        host.driver.hard_stop(first.vm).unwrap();
    }
    let no = host.driver.start(&MachineSpec { driver: Some(Kind::Sim), ..process }, false);
    assert!(matches!(no, Err(DriverError::Failed { .. })), "{no:?}");
    assert_eq!(host.driver.scan().unwrap(), []);
}

#[test]
fn a_vm_whose_directory_cannot_be_read_is_running_and_never_absent() {
    let dir = tempfile::tempdir().unwrap();
    let Some([process, qemu]) = both(dir.path()) else { return };
    let state_dir = dir.path().join("vms");
    let host = host(Kind::Mixed, &state_dir, "boot-1");
    for spec in [&process, &qemu] {
        host.driver.start(spec, false).unwrap();
        std::fs::write(state_dir.join(spec.vm.to_string()).join("machine.json"), "{").unwrap();
        assert!(host.driver.pause(spec.vm).is_err());
    }
    let states: Vec<_> = host.driver.scan().unwrap().iter().map(|found| found.state).collect();
    assert_eq!(states, [RunState::Running; 2]);
    assert_eq!(host.driver.exits().unwrap(), []);
    for spec in [&process, &qemu] {
        host.driver.hard_stop(spec.vm).unwrap();
    }
}
