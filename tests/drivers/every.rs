//! What every driver does, tested with each of them.

use std::path::Path;

use xe::host::hypervisor::{DriverError, ExitKind, Kind, RunState, canary, inside};

use crate::bench::{VM, counter, crash, host, lives_beside_us, missing, spec, state, until};

/// Makes of each function a test with every driver.
macro_rules! with_every_driver {
    ($($name:ident),* $(,)?) => {
        mod process {
            $(#[test]
            fn $name() {
                super::with(super::Kind::Process, super::$name);
            })*
        }
        mod qemu {
            $(#[test]
            fn $name() {
                super::with(super::Kind::Qemu, super::$name);
            })*
        }
    };
}

with_every_driver!(
    a_started_vm_writes_its_canary_and_a_second_start_is_refused,
    a_later_agent_finds_the_vm_and_stops_it,
    ends_are_told_apart,
    a_paused_vm_writes_nothing_until_it_is_unpaused,
    a_suspended_vm_goes_on_where_it_was,
    a_migrated_vm_stops_here_before_it_runs_there,
    a_failed_migration_leaves_the_vm_running_here,
    a_missing_disk_is_named_and_leaves_nothing_behind,
);

/// Runs a test in a directory of its own, unless the driver cannot work here.
fn with(kind: Kind, test: fn(Kind, &Path)) {
    if !missing(kind) {
        test(kind, tempfile::tempdir().unwrap().path());
    }
}

fn a_started_vm_writes_its_canary_and_a_second_start_is_refused(kind: Kind, dir: &Path) {
    let host = host(kind, &dir.join("vms"), "boot-1");
    let spec = spec(dir, 7);
    host.driver.start(&spec, false).unwrap();
    until("the fifth write", || counter(&spec, 7).filter(|count| *count >= 5));
    let again = host.driver.start(&spec, false);
    assert!(matches!(again, Err(DriverError::AlreadyHere { run: 7, .. })), "{again:?}");
    host.driver.clean_shutdown(VM).unwrap();
    assert_eq!(host.driver.scan().unwrap(), []);
    assert_eq!(host.driver.exits().unwrap(), []);
}

fn a_later_agent_finds_the_vm_and_stops_it(kind: Kind, dir: &Path) {
    let first = host(kind, &dir.join("vms"), "boot-1");
    first.driver.start(&spec(dir, 2), false).unwrap();
    let later = host(kind, &dir.join("vms"), "boot-1");
    let found = later.driver.scan().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].vm, found[0].run, found[0].state), (VM, 2, RunState::Running));
    lives_beside_us(found[0].pid);
    later.driver.hard_stop(VM).unwrap();
    assert_eq!(first.driver.scan().unwrap(), []);
    assert_eq!(first.driver.exits().unwrap(), []);
}

fn ends_are_told_apart(kind: Kind, dir: &Path) {
    let state_dir = dir.join("vms");
    let host = host(kind, &state_dir, "boot-1");
    let exit = |run| {
        let exits = until("the end", || {
            let exits = host.driver.exits().unwrap();
            (!exits.is_empty()).then_some(exits)
        });
        assert_eq!((exits.len(), exits[0].vm, exits[0].run), (1, VM, run));
        exits[0].kind
    };
    let first = spec(dir, 1);
    host.driver.start(&first, false).unwrap();
    until("a write", || counter(&first, 1));
    inside::switch_off(&state_dir, VM).unwrap();
    assert_eq!(exit(1), ExitKind::GuestShutdown);
    assert_eq!(host.driver.scan().unwrap(), []);
    host.driver.start(&spec(dir, 2), false).unwrap();
    crash(&host);
    assert_eq!(exit(2), ExitKind::Crash);
    // Under QEMU a reboot is the machine's own affair.
    if kind == Kind::Process {
        host.driver.start(&spec(dir, 3), false).unwrap();
        inside::reboot(&state_dir, VM).unwrap();
        assert_eq!(exit(3), ExitKind::GuestReboot);
    }
    assert_eq!(host.driver.exits().unwrap(), []);
}

fn a_paused_vm_writes_nothing_until_it_is_unpaused(kind: Kind, dir: &Path) {
    let host = host(kind, &dir.join("vms"), "boot-1");
    let spec = spec(dir, 1);
    host.driver.start(&spec, true).unwrap();
    assert_eq!(state(&host), Some(RunState::Paused));
    std::thread::sleep(2 * canary::PERIOD);
    assert_eq!(counter(&spec, 1), None);
    host.driver.unpause(VM).unwrap();
    until("a write", || counter(&spec, 1));
    host.driver.pause(VM).unwrap();
    let stopped_at = counter(&spec, 1);
    std::thread::sleep(3 * canary::PERIOD);
    assert_eq!(counter(&spec, 1), stopped_at);
}

fn a_suspended_vm_goes_on_where_it_was(kind: Kind, dir: &Path) {
    let host = host(kind, &dir.join("vms"), "boot-1");
    let (first, second) = (spec(dir, 1), spec(dir, 2));
    let image = dir.join("an image's name");
    host.driver.start(&first, false).unwrap();
    until("the fourth write", || counter(&first, 1).filter(|count| *count >= 4));
    host.driver.suspend(VM, &image).unwrap();
    assert_eq!(host.driver.scan().unwrap(), []);
    let at = counter(&first, 1).unwrap();
    host.driver.resume(&second, &image).unwrap();
    // What a machine's guest calls its run is part of its memory.
    let called = if kind == Kind::Qemu { 1 } else { 2 };
    until("the next write", || counter(&second, called).filter(|count| *count > at));
    assert_eq!(host.driver.scan().unwrap()[0].run, 2);
}

fn a_migrated_vm_stops_here_before_it_runs_there(kind: Kind, dir: &Path) {
    let source = host(kind, &dir.join("source"), "boot-1");
    let target = host(kind, &dir.join("target"), "boot-2");
    let spec = spec(dir, 5);
    source.driver.start(&spec, false).unwrap();
    until("a write", || counter(&spec, 5));
    let address = target.driver.receive(&spec).unwrap();
    assert_eq!(state(&target), Some(RunState::Receiving));
    source.driver.migrate_to(VM, address).unwrap();
    assert_eq!(state(&source), Some(RunState::Stopped));
    until("the target", || (state(&target) == Some(RunState::Received)).then_some(()));
    let at = counter(&spec, 5).unwrap();
    std::thread::sleep(3 * canary::PERIOD);
    assert_eq!(counter(&spec, 5), Some(at), "nobody may write between source and target");
    target.driver.continue_received(VM).unwrap();
    source.driver.finish_source(VM).unwrap();
    until("a write of the target", || counter(&spec, 5).filter(|count| *count > at));
    assert_eq!(state(&target), Some(RunState::Running));
    assert_eq!(source.driver.scan().unwrap(), []);
}

fn a_failed_migration_leaves_the_vm_running_here(kind: Kind, dir: &Path) {
    let source = host(kind, &dir.join("source"), "boot-1");
    let target = host(kind, &dir.join("target"), "boot-2");
    let spec = spec(dir, 5);
    source.driver.start(&spec, false).unwrap();
    let at = until("a write", || counter(&spec, 5));
    let address = target.driver.receive(&spec).unwrap();
    target.driver.abort_received(VM).unwrap();
    assert!(source.driver.migrate_to(VM, address).is_err());
    assert_eq!(state(&source), Some(RunState::Running));
    let at = until("a write after it", || counter(&spec, 5).filter(|count| *count > at));
    let address = target.driver.receive(&spec).unwrap();
    source.driver.migrate_to(VM, address).unwrap();
    target.driver.abort_received(VM).unwrap();
    source.driver.resume_source(VM).unwrap();
    assert_eq!(state(&source), Some(RunState::Running));
    until("a write after the second", || counter(&spec, 5).filter(|count| *count > at));
}

fn a_missing_disk_is_named_and_leaves_nothing_behind(kind: Kind, dir: &Path) {
    let host = host(kind, &dir.join("vms"), "boot-1");
    let mut spec = spec(dir, 1);
    spec.disks[0].path = dir.join("no-such-disk");
    let error = host.driver.start(&spec, false).unwrap_err().to_string();
    assert!(error.contains("no-such-disk"), "{error}");
    assert_eq!(host.driver.scan().unwrap(), []);
    assert_eq!(host.driver.exits().unwrap(), []);
}
